//! Run: one immutable sorted file of the index.
//!
//! ```text
//! magic "HFRN" | version u32 | entries u64 | buckets log2 u32 | filter lines u32 | entries checksum u32 | tail checksum u32
//! entries: id, place (44 bytes each, ascending) | bucket starts u32 | filter lines of 64 bytes
//! ```
//! Ids are hashes, so their leading bits are uniform: the bucket table leads to about 32 entries, one read of 1.4 KiB.
//! A blocked Bloom filter (one cache line per lookup, about 10 bits per id) keeps most absent ids from any read. Table and
//! filter stay in memory: 1.4 bytes per id.

use std::fs::File;
use std::io::{self, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use common::ids::ChunkId;

use super::IndexError;
use crate::volume::Location;

const MAGIC: [u8; 4] = *b"HFRN";
const VERSION: u32 = 1;
const HEADER: usize = 32;
/// Bytes of one entry.
pub const ENTRY: usize = 44;
/// Ids per filter line of 512 bits.
const PER_LINE: u64 = 48;
/// A bucket longer than this is searched by halves first.
const MAX_BUCKET: u32 = 512;

/// An id and its place; a place in volume 0 says that the id is gone.
pub type Entry = (ChunkId, Location);

type Line = [u64; 8];

/// An open run.
pub struct Run {
    /// Its file.
    pub path: PathBuf,
    file: File,
    entries: u64,
    checksum: u32,
    shift: u32,
    starts: Vec<u32>,
    filter: Vec<Line>,
}

fn prefix(id: &ChunkId) -> u32 {
    u32::from_be_bytes([id.0[0], id.0[1], id.0[2], id.0[3]])
}

/// The filter line of an id and the eight bits in it, one per word.
fn spots(id: &ChunkId, lines: usize) -> (usize, [u64; 8]) {
    let word = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&id.0[at..at + 8]);
        u64::from_le_bytes(bytes)
    };
    let line = ((u128::from(word(8)) * lines as u128) >> 64) as usize;
    let bits = word(16);
    (line, std::array::from_fn(|n| 1 << ((bits >> (n * 6)) & 63)))
}

impl Run {
    /// Opens a run; table and filter are checked.
    ///
    /// # Errors
    /// Unreadable or damaged.
    pub fn open(path: &Path) -> Result<Self, IndexError> {
        let fail = |source| IndexError::Io {
            operation: "read index file",
            path: path.to_owned(),
            source,
        };
        let damaged = || IndexError::Damaged {
            path: path.to_owned(),
        };
        let mut file = File::open(path).map_err(fail)?;
        let mut head = [0; HEADER];
        file.read_exact(&mut head).map_err(fail)?;
        let word =
            |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let entries = u64::from(word(8)) | u64::from(word(12)) << 32;
        let (log2, lines) = (word(16), word(20) as usize);
        let bytes = file.metadata().map_err(fail)?.len();
        let tail = (1u64 << log2.min(31)) * 4 + 4 + lines as u64 * 64;
        let whole = HEADER as u64 + entries.saturating_mul(ENTRY as u64) + tail;
        if head[..4] != MAGIC || word(4) != VERSION || log2 > 26 || bytes != whole {
            return Err(damaged());
        }
        file.seek(SeekFrom::Start(bytes - tail)).map_err(fail)?;
        let mut tail = vec![0; tail as usize];
        file.read_exact(&mut tail).map_err(fail)?;
        if crc32fast::hash(&tail) != word(28) {
            return Err(damaged());
        }
        let (starts, filter) = tail.split_at((4 << log2) + 4);
        let (starts, _) = starts.as_chunks::<4>();
        let (words, _) = filter.as_chunks::<8>();
        let words: Vec<u64> = words.iter().map(|w| u64::from_le_bytes(*w)).collect();
        Ok(Self {
            path: path.to_owned(),
            file,
            entries,
            checksum: word(24),
            shift: 32 - log2,
            starts: starts.iter().map(|s| u32::from_le_bytes(*s)).collect(),
            filter: words.as_chunks::<8>().0.to_vec(),
        })
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.entries
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Looks an id up.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn get(&self, id: &ChunkId) -> Result<Option<Location>, IndexError> {
        if self.filter.is_empty() {
            return Ok(None);
        }
        let (line, bits) = spots(id, self.filter.len());
        if self.filter[line]
            .iter()
            .zip(bits)
            .any(|(word, bit)| word & bit == 0)
        {
            return Ok(None);
        }
        let bucket = (u64::from(prefix(id)) >> self.shift) as usize;
        let (mut low, mut high) = (self.starts[bucket], self.starts[bucket + 1]);
        let fail = |source| IndexError::Io {
            operation: "read index file",
            path: self.path.clone(),
            source,
        };
        while high.saturating_sub(low) > MAX_BUCKET {
            let middle = low + (high - low) / 2;
            let mut one = [0; 32];
            self.file
                .read_exact_at(&mut one, offset(middle))
                .map_err(fail)?;
            if one <= id.0 {
                low = middle
            } else {
                high = middle
            }
        }
        let mut stack = [0; 64 * ENTRY];
        let bytes = high.saturating_sub(low) as usize * ENTRY;
        let mut heap = Vec::new();
        let buffer = if bytes <= stack.len() {
            &mut stack[..bytes]
        } else {
            heap.resize(bytes, 0);
            &mut heap[..]
        };
        self.file.read_exact_at(buffer, offset(low)).map_err(fail)?;
        let (entries, _) = buffer.as_chunks::<ENTRY>();
        Ok(entries
            .iter()
            .map(decode)
            .find(|(found, _)| found == id)
            .map(|(_, place)| place))
    }

    /// All entries in order.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn iter(&self) -> Result<RunIter, IndexError> {
        let fail = |source| IndexError::Io {
            operation: "read index file",
            path: self.path.clone(),
            source,
        };
        let mut file = File::open(&self.path).map_err(fail)?;
        file.seek(SeekFrom::Start(HEADER as u64)).map_err(fail)?;
        Ok(RunIter {
            path: self.path.clone(),
            file,
            left: self.entries,
            buffer: Vec::new(),
            at: 0,
            crc: crc32fast::Hasher::new(),
            expected: self.checksum,
        })
    }
}

fn offset(entry: u32) -> u64 {
    HEADER as u64 + u64::from(entry) * ENTRY as u64
}

fn decode(bytes: &[u8; ENTRY]) -> Entry {
    let (id, place) = bytes.split_at(32);
    let mut entry = (ChunkId([0; 32]), [0; 12]);
    entry.0.0.copy_from_slice(id);
    entry.1.copy_from_slice(place);
    (entry.0, Location::from_bytes(&entry.1))
}

/// Reads a run from start to end and checks it on the way.
pub struct RunIter {
    path: PathBuf,
    file: File,
    left: u64,
    buffer: Vec<u8>,
    at: usize,
    crc: crc32fast::Hasher,
    expected: u32,
}

impl RunIter {
    fn fill(&mut self) -> Result<(), IndexError> {
        let entries = self.left.min(4096) as usize;
        self.buffer.resize(entries * ENTRY, 0);
        self.at = 0;
        let read = self.file.read_exact(&mut self.buffer);
        read.map_err(|source| IndexError::Io {
            operation: "read index file",
            path: self.path.clone(),
            source,
        })?;
        self.crc.update(&self.buffer);
        self.left -= entries as u64;
        if self.left == 0 && self.crc.clone().finalize() != self.expected {
            return Err(IndexError::Damaged {
                path: self.path.clone(),
            });
        }
        Ok(())
    }
}

impl Iterator for RunIter {
    type Item = Result<Entry, IndexError>;
    fn next(&mut self) -> Option<Self::Item> {
        if self.at == self.buffer.len() {
            if self.left == 0 {
                return None;
            }
            if let Err(error) = self.fill() {
                self.left = 0;
                self.buffer.clear();
                self.at = 0;
                return Some(Err(error));
            }
        }
        let entry = self.buffer[self.at..].first_chunk::<ENTRY>().map(decode)?;
        self.at += ENTRY;
        Some(Ok(entry))
    }
}

/// Writes a run.
pub struct RunWriter {
    path: PathBuf,
    out: BufWriter<File>,
    crc: crc32fast::Hasher,
    buffer: Vec<u8>,
    log2: u32,
    starts: Vec<u32>,
    filter: Vec<Line>,
    entries: u32,
}

impl RunWriter {
    /// Starts a run of at most `most` entries.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn create(path: &Path, most: u64) -> Result<Self, IndexError> {
        let fail = |source| IndexError::Io {
            operation: "write index file",
            path: path.to_owned(),
            source,
        };
        let mut out = BufWriter::with_capacity(1 << 18, File::create(path).map_err(fail)?);
        out.write_all(&[0; HEADER]).map_err(fail)?;
        let log2 = (most / 32).max(1).ilog2().min(26);
        let lines = most.div_ceil(PER_LINE).max(1) as usize;
        Ok(Self {
            path: path.to_owned(),
            out,
            crc: crc32fast::Hasher::new(),
            buffer: Vec::with_capacity(1 << 16),
            log2,
            starts: Vec::with_capacity((1 << log2) + 1),
            filter: vec![[0; 8]; lines],
            entries: 0,
        })
    }

    /// Adds the next entry in order.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn push(&mut self, (id, place): &Entry) -> Result<(), IndexError> {
        let bucket = (u64::from(prefix(id)) >> (32 - self.log2)) as usize;
        while self.starts.len() <= bucket {
            self.starts.push(self.entries);
        }
        let (line, bits) = spots(id, self.filter.len());
        self.filter[line]
            .iter_mut()
            .zip(bits)
            .for_each(|(word, bit)| *word |= bit);
        self.buffer.extend_from_slice(&id.0);
        self.buffer.extend_from_slice(&place.to_bytes());
        self.entries += 1;
        if self.buffer.len() >= 1 << 16 {
            self.spill()
        } else {
            Ok(())
        }
    }

    fn spill(&mut self) -> Result<(), IndexError> {
        self.crc.update(&self.buffer);
        let written = self.out.write_all(&self.buffer);
        self.buffer.clear();
        written.map_err(|source| IndexError::Io {
            operation: "write index file",
            path: self.path.clone(),
            source,
        })
    }

    /// Ends the run, durable, and opens it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn finish(mut self) -> Result<Run, IndexError> {
        self.spill()?;
        self.starts.resize((1 << self.log2) + 1, self.entries);
        let mut tail = Vec::with_capacity(self.starts.len() * 4 + self.filter.len() * 64);
        self.starts
            .iter()
            .for_each(|s| tail.extend_from_slice(&s.to_le_bytes()));
        self.filter
            .iter()
            .flatten()
            .for_each(|w| tail.extend_from_slice(&w.to_le_bytes()));
        let mut head = Vec::with_capacity(HEADER);
        head.extend_from_slice(&MAGIC);
        head.extend_from_slice(&VERSION.to_le_bytes());
        head.extend_from_slice(&u64::from(self.entries).to_le_bytes());
        head.extend_from_slice(&self.log2.to_le_bytes());
        head.extend_from_slice(&(self.filter.len() as u32).to_le_bytes());
        head.extend_from_slice(&self.crc.clone().finalize().to_le_bytes());
        head.extend_from_slice(&crc32fast::hash(&tail).to_le_bytes());
        let path = self.path.clone();
        let written = write_tail(self.out, &tail, &head);
        written.map_err(|source| IndexError::Io {
            operation: "write index file",
            path: path.clone(),
            source,
        })?;
        Run::open(&path)
    }
}

fn write_tail(mut out: BufWriter<File>, tail: &[u8], head: &[u8]) -> io::Result<()> {
    out.write_all(tail)?;
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.write_all_at(head, 0)?;
    file.sync_all()
}
