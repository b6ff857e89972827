//! Listing: what the walker tells the merge, in batches: one channel hop for hundreds of names.
//!
//! Events come in strict name order, depth first: Enter, what is in the directory, Leave.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use crate::attributes::look::Looked;

use super::directory::Directory;

/// Items after which a batch is handed over.
const BATCH_EVENTS: usize = 512;
/// Open directories after which a batch is handed over: they are file descriptors.
const BATCH_DIRECTORIES: usize = 32;

/// How a directory is entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entering {
    /// Saved with what is in it.
    Whole,
    /// An include itself, with this many names: an empty one may be a file system that is not mounted.
    Include {
        /// Whether nothing is in it.
        empty: bool,
    },
    /// Only the way to an include.
    Implied,
}

/// One thing the walker found.
#[derive(Debug)]
pub enum Event {
    /// Anything but a directory.
    Item {
        /// Its directory: an index into [`Batch::directories`].
        directory: u32,
        /// Its name: a range of [`Batch::names`].
        name: Range<u32>,
        /// What `statx` says.
        looked: Looked,
    },
    /// A directory; what is in it follows.
    Enter {
        /// Directory it lies in; `None` for `/`.
        within: Option<u32>,
        /// Its name.
        name: Range<u32>,
        /// What `statx` says; `None` when it stands only for the way to a command.
        looked: Option<Box<Looked>>,
        /// The open directory; `None` when its content is left out.
        open: Option<u32>,
        /// How it is entered.
        entering: Entering,
    },
    /// The directory entered last is done.
    Leave,
    /// A name that cannot be looked at or entered: what the base has of it stays.
    Lost {
        /// Its name.
        name: Range<u32>,
        /// What could be seen of it.
        looked: Option<Box<Looked>>,
        /// Why.
        error: io::Error,
    },
    /// What follows in the directory entered last cannot be listed: what the base has of it stays.
    Broken {
        /// Why.
        error: io::Error,
    },
    /// A command whose output is saved under this name.
    Command {
        /// Its name.
        name: Range<u32>,
        /// Ordinal in the FileSet.
        ordinal: usize,
    },
}

/// Events that travel together.
#[derive(Debug, Default)]
pub struct Batch {
    /// In order.
    pub events: Vec<Event>,
    /// Names of the events.
    pub names: Vec<u8>,
    /// Directories the events need open.
    pub directories: Vec<Arc<Directory>>,
}

impl Batch {
    /// Keeps a name.
    pub fn name(&mut self, name: &[u8]) -> Range<u32> {
        let start = self.names.len() as u32;
        self.names.extend_from_slice(name);
        start..self.names.len() as u32
    }

    /// The bytes of a kept name.
    #[must_use]
    pub fn name_of(&self, range: &Range<u32>) -> &[u8] {
        &self.names[range.start as usize..range.end as usize]
    }

    /// Keeps a directory open until the batch is done with.
    pub fn directory(&mut self, directory: &Arc<Directory>) -> u32 {
        if !self
            .directories
            .last()
            .is_some_and(|last| Arc::ptr_eq(last, directory))
        {
            self.directories.push(Arc::clone(directory));
        }
        (self.directories.len() - 1) as u32
    }

    /// Whether to hand it over.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.events.len() >= BATCH_EVENTS || self.directories.len() >= BATCH_DIRECTORIES
    }
}
