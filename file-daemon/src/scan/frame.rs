//! Frame: one directory of the merge, with the base directories it is compared with.
//!
//! A frame is *clean* while everything met so far equals its primary base directory; then only a count is kept. The first
//! difference makes it and all above it *open*: what was equal so far is replayed from the base's pages.

use common::ids::PageId;
use common::object::attribute::marks;
use common::object::entry::Entry;

use super::base::BasePages;
use super::cursor::Cursor;
use crate::attributes::look::Looked;
use crate::sink::error::SinkError;

/// Marks with which an entry is never reused unread.
const NOT_TRUSTED: u64 =
    marks::CHANGED | marks::STALE | marks::COMMAND | marks::UNREAD | marks::UNFINISHED;

/// A tree to compare with.
#[derive(Debug, Clone, Copy)]
pub struct Tree {
    /// Its root page.
    pub root: PageId,
    /// Entries changed at or after this instant (ns since the epoch) may have changed again unseen.
    pub trusted_before_ns: i64,
    /// Whether its files are reused unread.
    pub reuse: bool,
}

impl Tree {
    /// Whether an entry of this tree says all about what was looked at, without reading.
    #[must_use]
    pub fn vouches(&self, entry: &Entry, looked: &Looked, wanted_marks: u64) -> bool {
        self.reuse
            && entry.kind == looked.kind
            && entry.marks & (NOT_TRUSTED | marks::IMPLIED) == wanted_marks
            && looked.stat.unchanged_since(&entry.stat)
            && looked.stat.ctime.as_nanos() < self.trusted_before_ns
    }
}

/// A base directory being passed over.
#[derive(Debug)]
pub struct Source {
    /// Its page.
    pub page: PageId,
    /// Where the pass is.
    pub cursor: Cursor,
}

impl Source {
    /// Opens a directory; `None` = its page is gone.
    ///
    /// # Errors
    /// The storage is lost.
    pub fn open(pages: &BasePages, page: Option<PageId>) -> Result<Option<Self>, SinkError> {
        let Some(page) = page else {
            return Ok(None);
        };
        let cursor = Cursor::open(pages, &page)?;
        Ok(cursor.map(|cursor| Self { page, cursor }))
    }
}

/// Where entries of the same name were found.
#[derive(Debug, Default)]
pub struct Found {
    /// In the tree resumed from.
    pub resume: Option<Entry>,
    /// In the base.
    pub base: Option<Entry>,
}

/// One directory under way.
#[derive(Debug)]
pub struct Frame {
    /// Its own entry; its content is set when it is left.
    pub own: Entry,
    /// Whether `own` is the parent's primary entry, unchanged.
    pub own_is_base: bool,
    /// Its directory in the tree resumed from.
    pub resume: Option<Source>,
    /// Its directory in the base.
    pub base: Option<Source>,
    /// Whether the base directory stands at the same path, so that differences count.
    pub counts: bool,
    /// Entries that equal the primary's first ones.
    pub matched: u64,
    /// What the disk no longer shows is kept as it was.
    pub keep_rest: bool,
}

impl Frame {
    /// The page this frame equals while it is clean.
    #[must_use]
    pub fn primary(&self) -> Option<PageId> {
        self.resume.as_ref().or(self.base.as_ref()).map(|s| s.page)
    }

    /// Missing pages met so far.
    #[must_use]
    pub fn holes(&self) -> u64 {
        let holes = |s: &Option<Source>| s.as_ref().map_or(0, |s| s.cursor.holes());
        holes(&self.resume) + holes(&self.base)
    }
}
