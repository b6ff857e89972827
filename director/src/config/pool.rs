//! `[pool.NAME]`: where snapshots go and how long they are kept.

use common::config::{Period, Size, Spanned};
use serde::Deserialize;

use super::context::{Context, Reference};

/// A pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// Its Storage Daemon.
    pub storage: String,
    /// How long its snapshots are kept; none = for ever.
    pub keep: Option<Period>,
    /// Largest volume; none = the Storage Daemon's.
    pub max_volume: Option<Size>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PoolTable {
    storage: Option<Spanned<String>>,
    keep: Option<Period>,
    max_volume: Option<Spanned<Size>>,
}

impl PoolTable {
    /// The pool, and the storage it names; none = the only one there is.
    pub fn check(self, context: &mut Context<'_>) -> (Pool, Option<Reference>) {
        if let Some(size) = &self.max_volume
            && size.get_ref().bytes() < 1 << 20
        {
            context.wrong(
                size.span(),
                "a volume of less than 1 MiB holds no block",
                "write \"2GiB\"",
            );
        }
        let storage = self.storage.as_ref().map(|name| context.reference(name));
        let pool = Pool {
            storage: storage.as_ref().map(|r| r.name.clone()).unwrap_or_default(),
            keep: self.keep,
            max_volume: self.max_volume.map(Spanned::into_inner),
        };
        (pool, storage)
    }
}
