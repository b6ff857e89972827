//! Snapshots and notes in the order of their commits. Memory holds a quarter of a kilobyte of each; their bytes stay in
//! a log in the state folder.
//!
//! The log spares reading every page volume at start. It is derived, checked record by record, rewritten when more than
//! half of it is of no use any more, and made durable before the index's marks move past what it holds. A checkpoint is
//! the snapshot of an unfinished run: outside every series, only the newest of a run counts, none once it has committed.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;

use common::codec::DecodeError;
use common::ids::{JobId, PageId, SnapshotId};
use common::object::snapshot::{Note, Snapshot};
use parking_lot::RwLock;

use super::snapshot_log::{Place, Record, SnapshotLog};

/// Bytes of snapshots in one answer.
const REPLY_BYTES: usize = 1 << 20;

/// A snapshot and its stored bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// Its name.
    pub id: SnapshotId,
    /// Decoded.
    pub snapshot: Snapshot,
    /// As in the volume.
    pub bytes: Vec<u8>,
}

/// What is kept of a snapshot.
#[derive(Clone)]
struct Known {
    id: SnapshotId,
    finished_ms: i64,
    place: Place,
}

struct Inner {
    log: SnapshotLog,
    order: Vec<Known>,
    by_id: HashMap<SnapshotId, usize>,
    by_job: HashMap<JobId, usize>,
    roots: HashMap<PageId, usize>,
    checkpoints: HashMap<JobId, Known>,
    notes: Vec<Place>,
    released: HashSet<SnapshotId>,
    seen_notes: HashSet<u64>,
    last_note: u64,
}

/// All snapshots.
pub struct Snapshots {
    inner: RwLock<Inner>,
}

/// A part of the list.
#[derive(Debug, Default, PartialEq)]
pub struct Part {
    /// Stored bytes.
    pub snapshots: Vec<Vec<u8>>,
    /// Where to go on; 0 = that was all.
    pub next: u64,
    /// Released ones, told with the first part.
    pub released: Vec<SnapshotId>,
}

impl Snapshots {
    /// Opens the log; returns whether it was whole. When not, what it misses must be read from the volumes.
    ///
    /// # Errors
    /// The file cannot be used.
    pub fn open(path: &Path) -> io::Result<(Self, bool)> {
        let mut found = Vec::new();
        let (log, is_whole) = SnapshotLog::open(path, &mut |kind, bytes, place| {
            found.push((kind, Snapshots::read(kind, bytes), place));
        })?;
        let mut inner = Inner {
            log,
            order: Vec::new(),
            by_id: HashMap::new(),
            by_job: HashMap::new(),
            roots: HashMap::new(),
            checkpoints: HashMap::new(),
            notes: Vec::new(),
            released: HashSet::new(),
            seen_notes: HashSet::new(),
            last_note: 0,
        };
        let mut is_readable = true;
        for (_, read, place) in found {
            match read {
                Ok(read) if inner.is_new(&read) => inner.take(read, place),
                Ok(_) => {}
                Err(_) => is_readable = false,
            }
        }
        inner.compact();
        Ok((
            Self {
                inner: RwLock::new(inner),
            },
            is_whole && is_readable,
        ))
    }

    fn read(kind: Record, bytes: &[u8]) -> Result<Read, DecodeError> {
        match kind {
            Record::Snapshot => Read::snapshot(bytes),
            Record::Note => Read::note(bytes),
        }
    }

    /// Makes the log durable.
    ///
    /// # Errors
    /// It may not be.
    pub fn sync(&self) -> io::Result<()> {
        self.inner.read().log.sync()
    }

    /// Takes a snapshot in that is durable in a volume; one that is known already changes nothing.
    ///
    /// # Errors
    /// Not a snapshot.
    pub fn add_snapshot(&self, bytes: &[u8]) -> Result<(), DecodeError> {
        self.add(Record::Snapshot, bytes)
    }

    /// Takes a note in that is durable in a volume.
    ///
    /// # Errors
    /// Not a note.
    pub fn add_note(&self, bytes: &[u8]) -> Result<(), DecodeError> {
        self.add(Record::Note, bytes)
    }

    fn add(&self, kind: Record, bytes: &[u8]) -> Result<(), DecodeError> {
        let read = Self::read(kind, bytes)?;
        let mut inner = self.inner.write();
        if inner.is_new(&read) {
            let place = inner.log.append(kind, bytes);
            inner.take(read, place);
            inner.compact();
        }
        Ok(())
    }

    /// The snapshot of this name.
    #[must_use]
    pub fn get(&self, id: &SnapshotId) -> Option<Stored> {
        let inner = self.inner.read();
        inner.nth(*inner.by_id.get(id)?)
    }

    /// The committed snapshot of a run.
    #[must_use]
    pub fn of_job(&self, job: JobId) -> Option<Stored> {
        let inner = self.inner.read();
        inner.nth(*inner.by_job.get(&job)?)
    }

    /// A snapshot with this root.
    #[must_use]
    pub fn of_root(&self, root: &PageId) -> Option<Stored> {
        let inner = self.inner.read();
        inner.nth(*inner.roots.get(root)?)
    }

    /// The last checkpoint of a run that has not committed.
    #[must_use]
    pub fn checkpoint(&self, job: JobId) -> Option<Stored> {
        let inner = self.inner.read();
        inner.stored(inner.checkpoints.get(&job)?)
    }

    /// Snapshots from position `from` on, and where to go on.
    #[must_use]
    pub fn part(&self, from: u64) -> Part {
        let inner = self.inner.read();
        let mut part = Part::default();
        let start = usize::try_from(from).unwrap_or(usize::MAX);
        let mut bytes = 0;
        for (at, known) in inner.order.iter().enumerate().skip(start) {
            if bytes >= REPLY_BYTES {
                part.next = at as u64;
                break;
            }
            if let Some(stored) = inner
                .stored(known)
                .filter(|s| !inner.released.contains(&s.id))
            {
                bytes += stored.bytes.len();
                part.snapshots.push(stored.bytes);
            }
        }
        if from == 0 {
            part.released = inner.released.iter().copied().collect();
        }
        part
    }

    /// The sequence the next note gets.
    #[must_use]
    pub fn next_note(&self) -> u64 {
        self.inner.read().last_note + 1
    }
}

/// A record as far as it is kept.
#[derive(Clone, Copy)]
enum Read {
    Snapshot {
        id: SnapshotId,
        job: JobId,
        root: PageId,
        finished_ms: i64,
        incomplete: bool,
    },
    Note {
        snapshot: SnapshotId,
        sequence: u64,
        is_release: bool,
    },
}

impl Read {
    fn snapshot(bytes: &[u8]) -> Result<Self, DecodeError> {
        let snapshot = Snapshot::from_bytes(bytes)?;
        Ok(Self::Snapshot {
            id: SnapshotId::of(bytes),
            job: JobId(snapshot.job_id),
            root: snapshot.root_page()?,
            finished_ms: snapshot.finished_ms,
            incomplete: snapshot.incomplete,
        })
    }

    fn note(bytes: &[u8]) -> Result<Self, DecodeError> {
        let note = Note::from_bytes(bytes)?;
        let snapshot = SnapshotId::from_slice(&note.snapshot).map_err(|_| DecodeError::Range {
            what: "note: snapshot",
        })?;
        let (sequence, is_release) = (note.sequence, note.what == "release");
        Ok(Self::Note {
            snapshot,
            sequence,
            is_release,
        })
    }
}

impl Inner {
    fn is_new(&self, read: &Read) -> bool {
        match read {
            Read::Note { sequence, .. } => !self.seen_notes.contains(sequence),
            Read::Snapshot {
                id,
                incomplete: false,
                ..
            } => !self.by_id.contains_key(id),
            Read::Snapshot {
                id,
                job,
                finished_ms,
                ..
            } => {
                let is_newest = self
                    .checkpoints
                    .get(job)
                    .is_none_or(|old| old.id != *id && old.finished_ms <= *finished_ms);
                is_newest && !self.by_job.contains_key(job)
            }
        }
    }

    fn take(&mut self, read: Read, place: Place) {
        match read {
            Read::Note {
                snapshot,
                sequence,
                is_release,
            } => {
                self.seen_notes.insert(sequence);
                self.last_note = self.last_note.max(sequence);
                self.notes.push(place);
                if is_release {
                    self.released.insert(snapshot);
                }
            }
            Read::Snapshot {
                id,
                job,
                finished_ms,
                incomplete: true,
                ..
            } => {
                let old = self.checkpoints.insert(
                    job,
                    Known {
                        id,
                        finished_ms,
                        place,
                    },
                );
                old.iter().for_each(|old| self.log.forget(&old.place));
            }
            Read::Snapshot {
                id,
                job,
                root,
                finished_ms,
                ..
            } => {
                let at = self.order.len();
                let checkpoint = self.checkpoints.remove(&job);
                checkpoint
                    .iter()
                    .for_each(|old| self.log.forget(&old.place));
                self.by_id.insert(id, at);
                self.by_job.insert(job, at);
                self.roots.insert(root, at);
                self.order.push(Known {
                    id,
                    finished_ms,
                    place,
                });
            }
        }
    }

    fn nth(&self, at: usize) -> Option<Stored> {
        self.stored(self.order.get(at)?)
    }

    fn stored(&self, known: &Known) -> Option<Stored> {
        let bytes = self.log.read(&known.place)?;
        let snapshot = Snapshot::from_bytes(&bytes).ok()?;
        Some(Stored {
            id: known.id,
            snapshot,
            bytes,
        })
    }

    fn compact(&mut self) {
        if !self.log.is_mostly_useless() {
            return;
        }
        let Self {
            log,
            order,
            checkpoints,
            notes,
            ..
        } = self;
        let snapshots = order
            .iter_mut()
            .chain(checkpoints.values_mut())
            .map(|known| &mut known.place);
        let places = snapshots
            .map(|p| (Record::Snapshot, p))
            .chain(notes.iter_mut().map(|p| (Record::Note, p)));
        if let Err(error) = log.rewrite(places) {
            tracing::warn!(%error, "snapshot log cannot be rewritten; it stays longer than it need be");
        }
    }
}

#[cfg(test)]
#[path = "snapshots_tests.rs"]
mod tests;
