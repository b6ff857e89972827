//! Pages of lists: bounded, continued by an opaque cursor.
//!
//! Invariant: a reply never holds more than [`MAX_LIMIT`] items, whatever was asked.

use serde::{Deserialize, Serialize};

/// Most items of one page.
pub const MAX_LIMIT: u32 = 1000;
/// Items of a page when `limit` is not given.
pub const DEFAULT_LIMIT: u32 = 200;

/// Which part of a list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PageQuery {
    /// 1..=[`MAX_LIMIT`]; more is refused with 422.
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub cursor: Option<String>,
}

/// Part of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Page<T> {
    /// In the order of the route.
    pub items: Vec<T>,
    /// Cursor of the next page; absent = that was all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
