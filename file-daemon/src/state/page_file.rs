//! Page file: an append-only file of pages and an index of it in memory, about 16 bytes per page.
//!
//! ```text
//! file magic "HFPF0001" | records: magic "HFPR" | page length u32 | page id | page bytes
//! ```
//! Never trusted: a page is hashed on every read, and one that does not match its name counts as absent. Never synced
//! while a run goes on: a torn tail is cut at the next open, and its pages are fetched again.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::hash::{BuildHasherDefault, Hasher};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use common::ids::PageId;
use common::object::page::MAX_PAGE_BYTES;

const FILE_MAGIC: [u8; 8] = *b"HFPF0001";
const RECORD_MAGIC: [u8; 4] = *b"HFPR";
/// Bytes in front of each page.
pub const RECORD_HEAD_BYTES: usize = 40;
/// Appended bytes gathered before they are written.
const GATHER_BYTES: usize = 256 << 10;
/// Low bits of an index value: the page's length; the rest is its offset.
const LENGTH_BITS: u32 = 21;

/// Why the local pages cannot be used at all. A page that is merely missing is no error.
#[derive(Debug, thiserror::Error)]
#[error("{operation} the local page file {}", path.display())]
pub struct PageFileError {
    /// `open`, `write`, ...
    pub operation: &'static str,
    /// Which file.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

/// Ids are hashes already.
#[derive(Debug, Default, Clone, Copy)]
pub struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for b in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*b);
        }
    }
    fn write_u64(&mut self, n: u64) {
        self.0 = n;
    }
}

/// A map keyed by the first eight bytes of an id.
pub type IdMap<V> = HashMap<u64, V, BuildHasherDefault<IdHasher>>;

/// The first eight bytes of an id: its key in memory. Two ids with one key cost a fetch, never a mistake.
#[must_use]
pub fn short_key(id: &[u8; 32]) -> u64 {
    id.first_chunk().map_or(0, |head| u64::from_le_bytes(*head))
}

/// An open page file. One writer; the caller holds the lock of the state folder.
#[derive(Debug)]
pub struct PageFile {
    path: PathBuf,
    file: File,
    index: IdMap<u64>,
    gathered: Vec<u8>,
    written: u64,
}

impl PageFile {
    /// Opens or makes the file, reads its record heads, and cuts a torn tail.
    ///
    /// # Errors
    /// The file cannot be opened or written. A file that is no page file is started anew.
    pub fn open(path: &Path) -> Result<Self, PageFileError> {
        let fail = |operation| move |source| error(operation, path, source);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(fail("open"))?;
        let length = file.metadata().map_err(fail("look at"))?.len();
        let mut magic = [0; 8];
        let known = file.read_exact_at(&mut magic, 0).is_ok() && magic == FILE_MAGIC;
        let mut index = IdMap::default();
        let written = if known {
            read_heads(&file, length, &mut index)
        } else {
            file.set_len(0).map_err(fail("empty"))?;
            file.write_all_at(&FILE_MAGIC, 0).map_err(fail("write"))?;
            FILE_MAGIC.len() as u64
        };
        if known && written < length {
            file.set_len(written).map_err(fail("cut the torn end of"))?;
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            index,
            gathered: Vec::new(),
            written,
        })
    }

    /// The page, when it is here and whole.
    #[must_use]
    pub fn get(&self, id: &PageId) -> Option<Bytes> {
        let value = *self.index.get(&short_key(&id.0))?;
        let (offset, length) = unpack(value);
        let page = if offset >= self.written {
            let at = usize::try_from(offset - self.written).ok()?;
            Bytes::copy_from_slice(self.gathered.get(at..at.checked_add(length)?)?)
        } else {
            let mut page = vec![0; length];
            self.file.read_exact_at(&mut page, offset).ok()?;
            Bytes::from(page)
        };
        (PageId::of(&page) == *id).then_some(page)
    }

    /// Whether a page of this name was added; it may yet turn out damaged when read.
    #[must_use]
    pub fn knows(&self, id: &PageId) -> bool {
        self.index.contains_key(&short_key(&id.0))
    }

    /// Adds a page; one that is known already is kept once, unless it is damaged.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn put(&mut self, id: &PageId, page: &[u8]) -> Result<(), PageFileError> {
        if self.knows(id) && self.get(id).is_some() {
            return Ok(());
        }
        let offset = self.bytes() + RECORD_HEAD_BYTES as u64;
        let Some(value) = pack(offset, page.len()) else {
            return Ok(());
        };
        self.gathered.extend_from_slice(&RECORD_MAGIC);
        self.gathered
            .extend_from_slice(&(page.len() as u32).to_le_bytes());
        self.gathered.extend_from_slice(&id.0);
        self.gathered.extend_from_slice(page);
        self.index.insert(short_key(&id.0), value);
        if self.gathered.len() >= GATHER_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes what was gathered.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn flush(&mut self) -> Result<(), PageFileError> {
        self.file
            .write_all_at(&self.gathered, self.written)
            .map_err(|e| error("write", &self.path, e))?;
        self.written += self.gathered.len() as u64;
        self.gathered.clear();
        Ok(())
    }

    /// Writes and syncs.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn sync(&mut self) -> Result<(), PageFileError> {
        self.flush()?;
        self.file
            .sync_data()
            .map_err(|e| error("sync", &self.path, e))
    }

    /// Bytes of the file with what is gathered.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.written + self.gathered.len() as u64
    }

    /// Pages known.
    #[must_use]
    pub fn pages(&self) -> usize {
        self.index.len()
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn error(operation: &'static str, path: &Path, source: io::Error) -> PageFileError {
    PageFileError {
        operation,
        path: path.to_owned(),
        source,
    }
}

fn pack(offset: u64, length: usize) -> Option<u64> {
    let fits = length <= MAX_PAGE_BYTES && offset < 1 << (64 - LENGTH_BITS);
    fits.then_some(offset << LENGTH_BITS | length as u64)
}

fn unpack(value: u64) -> (u64, usize) {
    let length = value & ((1 << LENGTH_BITS) - 1);
    (value >> LENGTH_BITS, length as usize)
}

/// Hops over the records, noting where each page lies; returns where the whole records end.
fn read_heads(file: &File, length: u64, index: &mut IdMap<u64>) -> u64 {
    let mut at = FILE_MAGIC.len() as u64;
    let mut head = [0; RECORD_HEAD_BYTES];
    while file.read_exact_at(&mut head, at).is_ok() {
        let Some((id, page_bytes)) = read_head(&head) else {
            break;
        };
        let offset = at + RECORD_HEAD_BYTES as u64;
        let end = offset + page_bytes as u64;
        match pack(offset, page_bytes) {
            Some(value) if end <= length => index.insert(short_key(&id), value),
            _ => break,
        };
        at = end;
    }
    at
}

fn read_head(head: &[u8; RECORD_HEAD_BYTES]) -> Option<([u8; 32], usize)> {
    let (magic, rest) = head.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let id = *rest.first_chunk::<32>()?;
    (*magic == RECORD_MAGIC).then_some((id, u32::from_le_bytes(*length) as usize))
}
