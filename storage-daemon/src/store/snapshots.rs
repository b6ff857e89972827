//! Snapshots and notes, kept in memory in the order of their commits.
//!
//! A log in the state folder spares reading every page volume at start; it is derived, checked record by record, and
//! made durable before the index's marks move past what it holds. A checkpoint is the snapshot of an unfinished run:
//! outside every series, only the newest of a run counts, and none once the run has committed.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use common::codec::{DecodeError, Reader};
use common::ids::{JobId, PageId, SnapshotId};
use common::object::snapshot::{Note, Snapshot};
use parking_lot::{Mutex, RwLock};

const SNAPSHOT: u8 = 1;
const NOTE: u8 = 2;
/// Longest record: a FileSet may be long, but not longer.
const MAX_RECORD: usize = 4 << 20;
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

#[derive(Default)]
struct Inner {
    order: Vec<Stored>,
    by_id: HashMap<SnapshotId, usize>,
    by_job: HashMap<JobId, usize>,
    roots: HashMap<PageId, usize>,
    checkpoints: HashMap<JobId, Stored>,
    released: HashSet<SnapshotId>,
    seen_notes: HashSet<u64>,
    last_note: u64,
}

/// All snapshots.
pub struct Snapshots {
    inner: RwLock<Inner>,
    log: Mutex<File>,
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
        let mut log = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)?;
        let mut bytes = Vec::new();
        log.read_to_end(&mut bytes)?;
        let mut inner = Inner::default();
        let mut rest = Reader::new(&bytes);
        let mut whole = true;
        while !rest.is_empty() {
            let before = rest.remaining();
            if !read_record(&mut rest).is_ok_and(|(kind, body)| inner.add(kind, body).is_ok()) {
                // A tail that was never synced, or damage: what follows is not trusted.
                log.set_len((bytes.len() - before) as u64)?;
                whole = false;
                break;
            }
        }
        Ok((
            Self {
                inner: RwLock::new(inner),
                log: Mutex::new(log),
            },
            whole,
        ))
    }

    /// Makes the log durable.
    ///
    /// # Errors
    /// It may not be.
    pub fn sync(&self) -> io::Result<()> {
        self.log.lock().sync_data()
    }

    /// Takes a snapshot in that is durable in a volume; one that is known already changes nothing.
    ///
    /// # Errors
    /// Not a snapshot.
    pub fn add_snapshot(&self, bytes: &[u8]) -> Result<(), DecodeError> {
        self.add(SNAPSHOT, bytes)
    }

    /// Takes a note in that is durable in a volume.
    ///
    /// # Errors
    /// Not a note.
    pub fn add_note(&self, bytes: &[u8]) -> Result<(), DecodeError> {
        self.add(NOTE, bytes)
    }

    fn add(&self, kind: u8, bytes: &[u8]) -> Result<(), DecodeError> {
        if !self.inner.write().add(kind, bytes)? {
            return Ok(());
        }
        let mut record = vec![kind];
        record.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        record.extend_from_slice(&crc32fast::hash(bytes).to_le_bytes());
        record.extend_from_slice(bytes);
        if let Err(error) = self.log.lock().write_all(&record) {
            tracing::warn!(%error, "snapshot log cannot be written; it is completed from the volumes at the next start");
        }
        Ok(())
    }

    /// The snapshot of this name.
    #[must_use]
    pub fn get(&self, id: &SnapshotId) -> Option<Stored> {
        let inner = self.inner.read();
        inner
            .by_id
            .get(id)
            .and_then(|at| inner.order.get(*at))
            .cloned()
    }

    /// The committed snapshot of a run.
    #[must_use]
    pub fn of_job(&self, job: JobId) -> Option<Stored> {
        let inner = self.inner.read();
        inner
            .by_job
            .get(&job)
            .and_then(|at| inner.order.get(*at))
            .cloned()
    }

    /// A snapshot with this root.
    #[must_use]
    pub fn of_root(&self, root: &PageId) -> Option<Stored> {
        let inner = self.inner.read();
        inner
            .roots
            .get(root)
            .and_then(|at| inner.order.get(*at))
            .cloned()
    }

    /// The last checkpoint of a run that has not committed.
    #[must_use]
    pub fn checkpoint(&self, job: JobId) -> Option<Stored> {
        self.inner.read().checkpoints.get(&job).cloned()
    }

    /// Snapshots from position `from` on, and where to go on.
    #[must_use]
    pub fn part(&self, from: u64) -> Part {
        let inner = self.inner.read();
        let mut part = Part::default();
        let start = usize::try_from(from).unwrap_or(usize::MAX);
        let mut bytes = 0;
        for (at, stored) in inner.order.iter().enumerate().skip(start) {
            if bytes >= REPLY_BYTES {
                part.next = at as u64;
                break;
            }
            if !inner.released.contains(&stored.id) {
                bytes += stored.bytes.len();
                part.snapshots.push(stored.bytes.clone());
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

fn read_record<'a>(r: &mut Reader<'a>) -> Result<(u8, &'a [u8]), DecodeError> {
    let (kind, len, crc) = (r.u8("record")?, r.u32("record")?, r.u32("record")?);
    let range = DecodeError::Range { what: "record" };
    if len as usize > MAX_RECORD {
        return Err(range);
    }
    let body = r.bytes(len as usize, "record")?;
    if crc32fast::hash(body) == crc {
        Ok((kind, body))
    } else {
        Err(range)
    }
}

impl Inner {
    /// Whether it was new.
    fn add(&mut self, kind: u8, bytes: &[u8]) -> Result<bool, DecodeError> {
        match kind {
            SNAPSHOT => self.add_snapshot(bytes),
            NOTE => self.add_note(bytes),
            _ => Err(DecodeError::Range {
                what: "record kind",
            }),
        }
    }

    fn add_snapshot(&mut self, bytes: &[u8]) -> Result<bool, DecodeError> {
        let snapshot = Snapshot::from_bytes(bytes)?;
        let (id, job, root) = (
            SnapshotId::of(bytes),
            JobId(snapshot.job_id),
            snapshot.root_page()?,
        );
        let incomplete = snapshot.incomplete;
        let stored = Stored {
            id,
            snapshot,
            bytes: bytes.to_vec(),
        };
        if incomplete {
            let newer = self.checkpoints.get(&job).is_none_or(|old| {
                old.id != id && old.snapshot.finished_ms <= stored.snapshot.finished_ms
            });
            if newer && !self.by_job.contains_key(&job) {
                self.checkpoints.insert(job, stored);
                return Ok(true);
            }
            return Ok(false);
        }
        if self.by_id.contains_key(&id) {
            return Ok(false);
        }
        let at = self.order.len();
        self.checkpoints.remove(&job);
        self.by_id.insert(id, at);
        self.by_job.insert(job, at);
        self.roots.insert(root, at);
        self.order.push(stored);
        Ok(true)
    }

    fn add_note(&mut self, bytes: &[u8]) -> Result<bool, DecodeError> {
        let note = Note::from_bytes(bytes)?;
        let id = SnapshotId::from_slice(&note.snapshot).map_err(|_| DecodeError::Range {
            what: "note: snapshot",
        })?;
        if !self.seen_notes.insert(note.sequence) {
            return Ok(false);
        }
        self.last_note = self.last_note.max(note.sequence);
        if note.what == "release" {
            self.released.insert(id);
        }
        Ok(true)
    }
}
