//! The file behind [`super::snapshots`]: records of kind u8, length u32, CRC-32 u32, bytes. Derived: a record that
//! cannot be written is kept in memory and found in its volume again at the next start.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use common::durable::{SECRET, write_atomic};

const HEAD: usize = 9;
/// Longest record: a FileSet may be long, but not longer.
const MAX_RECORD: usize = 4 << 20;
/// A log shorter than this is never rewritten.
const SMALL: u64 = 4 << 20;

/// What a record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// A snapshot's bytes.
    Snapshot = 1,
    /// A note's bytes.
    Note = 2,
}

/// Where a record's bytes are.
#[derive(Debug, Clone)]
pub enum Place {
    /// In the log.
    Log {
        /// Offset of the bytes.
        offset: u64,
        /// Their number.
        len: u32,
    },
    /// Only here.
    Memory(Box<[u8]>),
}

/// See the module.
pub struct SnapshotLog {
    path: PathBuf,
    file: File,
    end: u64,
    useless: u64,
}

impl SnapshotLog {
    /// Opens the log and tells of each record; returns whether it was whole. What is not is cut off.
    ///
    /// # Errors
    /// The file cannot be used.
    pub fn open(
        path: &Path,
        tell: &mut dyn FnMut(Record, &[u8], Place),
    ) -> io::Result<(Self, bool)> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        let bytes = file.metadata()?.len();
        let mut end = 0;
        let mut buffer = Vec::new();
        while let Some((kind, len)) = read_record(&file, end, &mut buffer)? {
            let offset = end + HEAD as u64;
            tell(kind, &buffer, Place::Log { offset, len });
            end = offset + u64::from(len);
        }
        if end < bytes {
            file.set_len(end)?;
        }
        let log = Self {
            path: path.to_owned(),
            file,
            end,
            useless: 0,
        };
        Ok((log, end == bytes))
    }

    /// Makes it durable.
    ///
    /// # Errors
    /// It may not be.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Adds a record.
    pub fn append(&mut self, kind: Record, bytes: &[u8]) -> Place {
        let record = record(kind, bytes);
        if let Err(error) = self.file.write_all_at(&record, self.end) {
            tracing::warn!(%error, "snapshot log cannot be written; the next start reads the volumes");
            return Place::Memory(bytes.into());
        }
        let offset = self.end + HEAD as u64;
        self.end += record.len() as u64;
        Place::Log {
            offset,
            len: bytes.len() as u32,
        }
    }

    /// The bytes of a record.
    #[must_use]
    pub fn read(&self, place: &Place) -> Option<Vec<u8>> {
        match place {
            Place::Memory(bytes) => Some(bytes.to_vec()),
            Place::Log { offset, len } => {
                let mut bytes = vec![0; *len as usize];
                let read = self.file.read_exact_at(&mut bytes, *offset);
                read.inspect_err(|error| tracing::error!(%error, "snapshot log cannot be read"))
                    .ok()?;
                Some(bytes)
            }
        }
    }

    /// Notes that a record is of no use any more.
    pub fn forget(&mut self, place: &Place) {
        if let Place::Log { len, .. } = place {
            self.useless += HEAD as u64 + u64::from(*len);
        }
    }

    /// Whether rewriting pays.
    #[must_use]
    pub fn is_mostly_useless(&self) -> bool {
        self.end > SMALL && self.useless > self.end / 2
    }

    /// Writes a new log of these records alone and tells them their new places.
    ///
    /// # Errors
    /// The old log and the old places stay.
    pub fn rewrite<'a>(
        &mut self,
        places: impl Iterator<Item = (Record, &'a mut Place)>,
    ) -> io::Result<()> {
        let mut out = Vec::new();
        let mut moved = Vec::new();
        for (kind, place) in places {
            let bytes = self.read(place).ok_or(io::ErrorKind::InvalidData)?;
            let offset = (out.len() + HEAD) as u64;
            out.write_all(&record(kind, &bytes))?;
            moved.push((
                place,
                Place::Log {
                    offset,
                    len: bytes.len() as u32,
                },
            ));
        }
        write_atomic(&self.path, &out, SECRET)?;
        self.file = OpenOptions::new().read(true).write(true).open(&self.path)?;
        self.end = out.len() as u64;
        self.useless = 0;
        moved.into_iter().for_each(|(place, new)| *place = new);
        Ok(())
    }
}

fn record(kind: Record, bytes: &[u8]) -> Vec<u8> {
    let mut record = Vec::with_capacity(HEAD + bytes.len());
    record.push(kind as u8);
    record.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    record.extend_from_slice(&crc32fast::hash(bytes).to_le_bytes());
    record.extend_from_slice(bytes);
    record
}

/// The record at `offset` into `buffer`; `None` = the end, or no whole record.
fn read_record(
    file: &File,
    offset: u64,
    buffer: &mut Vec<u8>,
) -> io::Result<Option<(Record, u32)>> {
    let mut head = [0; HEAD];
    if !read_whole(file, offset, &mut head)? {
        return Ok(None);
    }
    let [kind, l0, l1, l2, l3, c0, c1, c2, c3] = head;
    let len = u32::from_le_bytes([l0, l1, l2, l3]);
    let kind = match kind {
        1 => Record::Snapshot,
        2 => Record::Note,
        _ => return Ok(None),
    };
    if len as usize > MAX_RECORD {
        return Ok(None);
    }
    buffer.resize(len as usize, 0);
    let is_whole = read_whole(file, offset + HEAD as u64, buffer)?
        && crc32fast::hash(buffer) == u32::from_le_bytes([c0, c1, c2, c3]);
    Ok(is_whole.then_some((kind, len)))
}

fn read_whole(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<bool> {
    match file.read_exact_at(buffer, offset) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(e) => Err(e),
    }
}
