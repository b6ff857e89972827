//! Series state: one folder per series with its page file and its head: which trees the pages are of, and when each was
//! scanned.
//!
//! The head is replaced whole, and only after the storage's receipt. The time of the scan decides which files changed
//! too shortly before it to be trusted; a tree whose time is unknown is compared, but its files are read again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use common::durable;
use common::ids::PageId;
use serde::{Deserialize, Serialize};

use super::compact::copy_live;
use super::page_file::{PageFile, PageFileError};

/// Trees whose scan time is remembered.
const MOST_TREES: usize = 64;
/// A page file smaller than this is never compacted.
const COMPACT_FROM_BYTES: u64 = 4 << 20;

/// Why the state of a series cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The page file.
    #[error("use the state of a series")]
    Pages(#[from] PageFileError),
    /// Its folder or head.
    #[error("{operation} {}", path.display())]
    Folder {
        /// `make`, `write`, ...
        operation: &'static str,
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// A tree and when its scan began, milliseconds since the epoch by this client's clock.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Tree {
    root: String,
    scanned_ms: i64,
    #[serde(default)]
    entries: u64,
    #[serde(default)]
    bytes: u64,
}

/// What is remembered of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TreeFacts {
    /// When its scan began, milliseconds since the epoch by this client's clock.
    pub scanned_ms: i64,
    /// Its entries.
    pub entries: u64,
    /// Its content bytes.
    pub bytes: u64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Head {
    #[serde(default)]
    compacted_bytes: u64,
    #[serde(default)]
    trees: Vec<Tree>,
}

/// The open state of one series.
#[derive(Debug)]
pub struct SeriesState {
    folder: PathBuf,
    pages: PageFile,
    head: Head,
}

impl SeriesState {
    /// Opens or makes the folder of a series below the state folder.
    ///
    /// # Errors
    /// It cannot be made or opened. A head that cannot be read counts as empty.
    pub fn open(state: &Path, series: &[u8]) -> Result<Self, StateError> {
        let folder = state.join("series").join(hex::encode(series));
        durable::create_folder(&folder, 0o700).map_err(|source| StateError::Folder {
            operation: "make",
            path: folder.clone(),
            source,
        })?;
        let head = fs::read_to_string(folder.join("head.toml"))
            .ok()
            .and_then(|text| toml::from_str(&text).ok())
            .unwrap_or_default();
        let pages = PageFile::open(&folder.join("pages"))?;
        Ok(Self {
            folder,
            pages,
            head,
        })
    }

    /// The page, when it is here and whole.
    #[must_use]
    pub fn page(&self, id: &PageId) -> Option<Bytes> {
        self.pages.get(id)
    }

    /// Whether a page of this name was added.
    #[must_use]
    pub fn knows(&self, id: &PageId) -> bool {
        self.pages.knows(id)
    }

    /// Keeps a page.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep(&mut self, id: &PageId, page: &[u8]) -> Result<(), StateError> {
        Ok(self.pages.put(id, page)?)
    }

    /// What is remembered of a tree, if it was made here.
    #[must_use]
    pub fn facts(&self, root: &PageId) -> Option<TreeFacts> {
        let root = root.to_string();
        let tree = self.head.trees.iter().rev().find(|t| t.root == root)?;
        Some(TreeFacts {
            scanned_ms: tree.scanned_ms,
            entries: tree.entries,
            bytes: tree.bytes,
        })
    }

    /// Remembers a tree that storage has promised to keep (a checkpoint, or the snapshot of a receipt).
    ///
    /// # Errors
    /// It cannot be written.
    pub fn remember(&mut self, root: PageId, facts: TreeFacts) -> Result<(), StateError> {
        let root = root.to_string();
        self.pages.sync()?;
        self.head.trees.retain(|t| t.root != root);
        self.head.trees.push(Tree {
            root,
            scanned_ms: facts.scanned_ms,
            entries: facts.entries,
            bytes: facts.bytes,
        });
        let excess = self.head.trees.len().saturating_sub(MOST_TREES);
        self.head.trees.drain(..excess);
        self.write_head()
    }

    /// After the receipt: `root` is the tree to compare with from now on.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn publish(&mut self, root: PageId, facts: TreeFacts) -> Result<(), StateError> {
        self.remember(root, facts)?;
        let bytes = self.pages.bytes();
        if bytes >= COMPACT_FROM_BYTES && bytes / 2 > self.head.compacted_bytes {
            self.compact(root)?;
        }
        Ok(())
    }

    fn compact(&mut self, root: PageId) -> Result<(), StateError> {
        let path = self.folder.join("pages");
        let next = self.folder.join("pages.next");
        let folder_error = |operation, path: &Path, source| StateError::Folder {
            operation,
            path: path.to_owned(),
            source,
        };
        match fs::remove_file(&next) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(folder_error("remove", &next, e));
            }
            _ => {}
        }
        let mut target = PageFile::open(&next)?;
        copy_live(&self.pages, root, &mut target)?;
        drop(target);
        durable::rename(&next, &path).map_err(|e| folder_error("rename", &next, e))?;
        self.pages = PageFile::open(&path)?;
        self.head.compacted_bytes = self.pages.bytes();
        self.write_head()
    }

    fn write_head(&self) -> Result<(), StateError> {
        let path = self.folder.join("head.toml");
        let text = toml::to_string(&self.head).unwrap_or_default();
        durable::write_atomic(&path, text.as_bytes(), durable::SECRET).map_err(|source| {
            StateError::Folder {
                operation: "write",
                path,
                source,
            }
        })
    }
}

#[cfg(test)]
#[path = "series_tests.rs"]
mod tests;
