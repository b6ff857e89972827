//! Directory: one directory of the target while the stream is inside it.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use common::object::entry::Entry;
use parking_lot::Mutex;

use super::extra::Mount;
use super::policy::Choice;

/// What became of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is there.
    Made(Made),
    /// It is not there and this is no restore that makes it.
    Absent,
    /// Something else is there and is kept.
    Kept,
    /// It could not be made; nothing below it can.
    Failed,
}

/// A directory that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    /// The mount it is on.
    pub mount: Mount,
    /// Device.
    pub dev: u64,
    /// Inode.
    pub ino: u64,
    /// Whether it was there before this restore.
    pub existed: bool,
    /// What the replace policy says about its own attributes.
    pub attributes: Choice,
    /// Owner and group that new files in it get by themselves, when that is certain.
    pub new_owner: Option<(u32, u32)>,
    /// Whether new files in it inherit a default ACL.
    pub inherits_acl: bool,
}

/// One directory of the target.
pub struct Directory {
    /// Unique in the run.
    pub key: u64,
    /// The one it is in; `None` = the target folder.
    pub parent: Option<Arc<Directory>>,
    /// Its name.
    pub name: Vec<u8>,
    /// Whether it is only the path to something: made when needed, left as it is when it exists.
    pub implied: bool,
    /// Whether the names that were stripped belong in front of its path in the snapshot.
    pub below_strip: bool,
    /// Its attributes; taken when it is finished.
    pub entry: Mutex<Option<Box<Entry>>>,
    state: OnceLock<State>,
    /// Files and directories in it that are not finished.
    busy: AtomicU64,
    /// Hashes of the names the snapshot has here, kept when extra names are removed. Equal hashes spare a name.
    names: Mutex<HashSet<u64>>,
    incomplete: AtomicBool,
}

impl Directory {
    /// A directory that was not looked at yet.
    #[must_use]
    pub fn new(
        key: u64,
        parent: Option<Arc<Self>>,
        name: Vec<u8>,
        entry: Option<Box<Entry>>,
        place: Place,
    ) -> Arc<Self> {
        Arc::new(Self {
            key,
            parent,
            name,
            implied: place.role == Role::Implied,
            below_strip: place.below_strip,
            entry: Mutex::new(entry),
            state: OnceLock::new(),
            busy: AtomicU64::new(0),
            names: Mutex::default(),
            incomplete: AtomicBool::new(false),
        })
    }

    /// What became of it; `None` = nobody needed it yet.
    #[must_use]
    pub fn state(&self) -> Option<State> {
        self.state.get().copied()
    }

    /// Settles what became of it, once.
    pub fn settle(&self, state: State) -> State {
        *self.state.get_or_init(|| state)
    }

    /// When it is there.
    #[must_use]
    pub fn made(&self) -> Option<Made> {
        match self.state()? {
            State::Made(made) => Some(made),
            _ => None,
        }
    }

    /// One more unfinished thing in it.
    pub fn enter(&self) {
        self.busy.fetch_add(1, Relaxed);
    }

    /// One of them is finished, well or not.
    pub fn leave(&self) {
        self.busy.fetch_sub(1, Relaxed);
    }

    /// Whether something in it is unfinished.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.busy.load(Relaxed) > 0
    }

    /// The snapshot has this name here.
    pub fn remember(&self, name: &[u8]) {
        self.names.lock().insert(hash(name));
    }

    /// Whether the snapshot has this name here.
    #[must_use]
    pub fn remembers(&self, name: &[u8]) -> bool {
        self.names.lock().contains(&hash(name))
    }

    /// The storage could not tell all names below it: nothing here may be removed as extra.
    pub fn mark_incomplete(&self) {
        self.incomplete.store(true, Relaxed);
    }

    /// Whether it or a directory above it is incomplete.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        let mut at = Some(self);
        while let Some(directory) = at {
            if directory.incomplete.load(Relaxed) {
                return true;
            }
            at = directory.parent.as_deref();
        }
        false
    }

    /// Whether something is mounted on it, or on a directory between it and the target folder.
    #[must_use]
    pub fn is_mounted(&self) -> bool {
        let mut at = self;
        while let Some(parent) = at.parent.as_deref() {
            let (Some(here), Some(above)) = (at.made(), parent.made()) else {
                return true;
            };
            if here.mount != above.mount {
                return true;
            }
            at = parent;
        }
        false
    }

    /// Its absolute path in the snapshot, when `prefix` names stand above it and `strip` was cut off.
    #[must_use]
    pub fn saved_path(&self, prefix: usize, strip: &[Vec<u8>]) -> Vec<u8> {
        let mut parts: Vec<&[u8]> = Vec::new();
        let mut at = Some(self);
        while let Some(directory) = at.filter(|d| d.parent.is_some()) {
            parts.push(&directory.name);
            at = directory.parent.as_deref();
        }
        parts.truncate(parts.len().saturating_sub(prefix));
        if self.below_strip {
            parts.extend(strip.iter().rev().map(Vec::as_slice));
        }
        parts.reverse();
        [b"/".as_slice(), &parts.join(&b'/')].concat()
    }

    /// Its path below the target folder, and `name` in it, for messages.
    #[must_use]
    pub fn path_of(&self, name: &[u8]) -> Vec<u8> {
        let mut parts = vec![name];
        let mut at = Some(self);
        while let Some(directory) = at.filter(|d| d.parent.is_some()) {
            parts.push(&directory.name);
            at = directory.parent.as_deref();
        }
        parts.reverse();
        parts.join(&b'/')
    }

    /// Its own path below the target folder.
    #[must_use]
    pub fn path(&self) -> Vec<u8> {
        match &self.parent {
            None => b".".to_vec(),
            Some(parent) => parent.path_of(&self.name),
        }
    }
}

/// Why a directory is in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It was asked for.
    Selected,
    /// Only the path to something.
    Implied,
}

/// Where a directory stands in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Why it is there.
    pub role: Role,
    /// Whether the names that were stripped belong in front of its path in the snapshot.
    pub below_strip: bool,
}

impl Place {
    /// Above everything of the snapshot: the target folder, and the prefix.
    pub const ABOVE: Self = Self {
        role: Role::Implied,
        below_strip: false,
    };
}

impl Drop for Directory {
    /// Chains may be as deep as a hostile stream likes: drop them in a loop, not by recursion.
    fn drop(&mut self) {
        let mut next = self.parent.take();
        while let Some(parent) = next {
            next = Arc::into_inner(parent).and_then(|mut directory| directory.parent.take());
        }
    }
}

fn hash(name: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}
