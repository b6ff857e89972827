//! Tally: the counts of a run while it goes on, shared by its threads.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use common::object::snapshot::Counts;
use parking_lot::Mutex;

use common::object::entry::{Entry, Kind};

/// Counts so far.
#[derive(Debug, Default)]
pub struct Tally {
    /// Entries of any kind.
    pub entries: AtomicU64,
    /// Regular files.
    pub files: AtomicU64,
    /// Directories.
    pub directories: AtomicU64,
    /// Content bytes of the tree.
    pub protected_bytes: AtomicU64,
    /// Content bytes read.
    pub read_bytes: AtomicU64,
    /// Files whose content was read.
    pub files_read: AtomicU64,
    /// Entries the base does not have.
    pub new_entries: AtomicU64,
    /// Entries that differ from the base's.
    pub changed_entries: AtomicU64,
    /// Entries of the base that are gone.
    pub removed_entries: AtomicU64,
    /// What could not be saved.
    pub unsaved: AtomicU64,
    /// What vanished meanwhile.
    pub vanished: AtomicU64,
    /// What changed while it was read.
    pub changed_while_read: AtomicU64,
    /// Entries expected in the end; 0 = unknown.
    pub expected_entries: AtomicU64,
    /// Content bytes expected in the end; 0 = unknown.
    pub expected_bytes: AtomicU64,
    /// What is worked on, a path.
    pub current: Mutex<Vec<u8>>,
    /// What the run waits for; empty when it moves.
    pub waiting: Mutex<String>,
}

/// Adds one.
pub fn one(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

impl Tally {
    /// Counts an entry that is part of the tree.
    pub fn entry(&self, entry: &Entry) {
        one(&self.entries);
        match entry.kind {
            Kind::File => {
                one(&self.files);
                self.protected_bytes
                    .fetch_add(entry.content_bytes(), Relaxed);
            }
            Kind::Directory => one(&self.directories),
            _ => {}
        }
    }

    /// The counts; bytes sent and stored are the session's to say.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let get = |counter: &AtomicU64| counter.load(Relaxed);
        Counts {
            entries: get(&self.entries),
            files: get(&self.files),
            directories: get(&self.directories),
            protected_bytes: get(&self.protected_bytes),
            read_bytes: get(&self.read_bytes),
            sent_bytes: 0,
            stored_bytes: 0,
            files_read: get(&self.files_read),
            new_entries: get(&self.new_entries),
            changed_entries: get(&self.changed_entries),
            removed_entries: get(&self.removed_entries),
            unsaved: get(&self.unsaved),
            vanished: get(&self.vanished),
            changed_while_read: get(&self.changed_while_read),
        }
    }
}
