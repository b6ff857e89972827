//! Steps: what the merge says the new tree is made of, in name order, depth first. The backup turns them into pages.
//!
//! A directory in which nothing changed is one [`Step::Entry`] that names its base page.

use std::sync::Arc;

use common::ids::PageId;
use common::object::entry::Entry;

use super::directory::Directory;
use super::links::LinkKey;
use crate::attributes::look::Looked;

/// One step of building the tree.
#[derive(Debug)]
pub enum Step {
    /// A directory begins; everything up to its [`Step::Leave`] lies in it. The first is the root.
    Enter {
        /// Its own entry; lacks only its page.
        own: Box<Entry>,
        /// The entries that come first, taken unchanged from a base directory.
        replay: Option<Replay>,
    },
    /// The next entry, complete.
    Entry(Entry),
    /// The next entry: to be read and captured.
    Capture(Box<Capture>),
    /// The next entry: the output of a command.
    Command {
        /// Its name.
        name: Vec<u8>,
        /// Ordinal in the FileSet.
        ordinal: usize,
        /// What the base has under the name.
        base: Option<Entry>,
    },
    /// The directory entered last is complete.
    Leave,
    /// Nothing changed anywhere: the base's root is the root.
    Same {
        /// Attributes of `/`.
        own: Box<Entry>,
        /// The base's root page.
        page: PageId,
    },
}

/// The first entries of a base directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replay {
    /// Its page.
    pub page: PageId,
    /// How many.
    pub count: u64,
}

/// How an entry stands to the base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The base has none of this name.
    New,
    /// Changed, unless it turns out to be the same as the base's.
    Compare,
    /// Was counted.
    Counted,
}

/// An entry that has to be captured, and read if it is a file.
#[derive(Debug)]
pub struct Capture {
    /// Its directory, open.
    pub directory: Arc<Directory>,
    /// Its name.
    pub name: Vec<u8>,
    /// What `statx` said.
    pub looked: Looked,
    /// What the base has under this name and kind, to inherit from and compare with.
    pub base: Option<Entry>,
    /// How it counts.
    pub standing: Standing,
    /// Its hard-link group, when its content may be shared within this run.
    pub link: Option<LinkKey>,
}

impl Capture {
    /// Its absolute path, for people.
    #[must_use]
    pub fn path(&self) -> Vec<u8> {
        self.directory.path_of(&self.name)
    }
}
