//! What a restore did: counts while it goes on, the outcome at its end.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use common::name::Shown;
use common::object::snapshot::Counts;
use common::protocol::fault::Fault;
use parking_lot::Mutex;

use crate::attributes::Shortfall;

/// How a restore ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// All that was asked for is there and synced.
    Ok,
    /// Content is there; some attributes are not, or names were kept with a notice.
    Warnings,
    /// Something was not delivered.
    Error,
    /// Stopped by order.
    Canceled,
}

impl Status {
    /// As in [`common::protocol::orders::RunEnd`].
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warnings => "warnings",
            Self::Error => "error",
            Self::Canceled => "canceled",
        }
    }
}

/// What a restore did.
#[derive(Debug, Clone, PartialEq)]
pub struct RestoreOutcome {
    /// How it ended.
    pub status: Status,
    /// Entries, files, directories restored; `protected_bytes` = content written; `unsaved` = not restored.
    pub counts: Counts,
    /// Names that existed and were kept by the replace policy.
    pub kept: u64,
    /// Names removed by `exact`.
    pub removed: u64,
    /// Entries whose content the storage no longer has whole.
    pub lost: u64,
    /// Entries that could not be restored, lost ones included.
    pub failed: u64,
    /// Entries made as further hard links.
    pub linked: u64,
    /// Why, when it is an error.
    pub fault: Option<Fault>,
}

/// Counts shared by all threads.
#[derive(Debug, Default)]
pub struct Tally {
    /// Regular files made.
    pub files: AtomicU64,
    /// Directories made or brought up to date.
    pub directories: AtomicU64,
    /// Symlinks and special files made.
    pub others: AtomicU64,
    /// Content bytes written.
    pub bytes: AtomicU64,
    /// Kept by policy.
    pub kept: AtomicU64,
    /// Removed by `exact`.
    pub removed: AtomicU64,
    /// Not in the snapshot and kept by `exact`, since the FileSet leaves them out.
    pub spared: AtomicU64,
    /// Lost in storage.
    pub lost: AtomicU64,
    /// Not restored.
    pub failed: AtomicU64,
    /// Made as links.
    pub linked: AtomicU64,
    shortfalls: Mutex<BTreeMap<Shortfall, (u64, String)>>,
}

impl Tally {
    /// Counts an attribute that could not be set on `path`.
    pub fn shortfall(&self, kind: Shortfall, path: &[u8], error: &io::Error) {
        let mut all = self.shortfalls.lock();
        all.entry(kind)
            .and_modify(|(n, _)| *n += 1)
            .or_insert_with(|| (1, format!("{}: {error}", Shown(path))));
    }

    /// One line per kind of attribute that could not be set.
    #[must_use]
    pub fn shortfall_lines(&self) -> Vec<String> {
        let all = self.shortfalls.lock();
        let line = |(kind, (n, first)): (&Shortfall, &(u64, String))| {
            format!(
                "could not set {} of {n} entries, the first is {first}",
                kind.words()
            )
        };
        all.iter().map(line).collect()
    }

    /// The counts for progress and the end.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let (files, directories) = (self.files.load(Relaxed), self.directories.load(Relaxed));
        Counts {
            entries: files + directories + self.others.load(Relaxed),
            files,
            directories,
            protected_bytes: self.bytes.load(Relaxed),
            unsaved: self.failed.load(Relaxed),
            ..Counts::default()
        }
    }

    /// The outcome of a run that ended as `status`.
    #[must_use]
    pub fn outcome(&self, status: Status, fault: Option<Fault>) -> RestoreOutcome {
        RestoreOutcome {
            status,
            counts: self.counts(),
            kept: self.kept.load(Relaxed),
            removed: self.removed.load(Relaxed),
            lost: self.lost.load(Relaxed),
            failed: self.failed.load(Relaxed),
            linked: self.linked.load(Relaxed),
            fault,
        }
    }
}
