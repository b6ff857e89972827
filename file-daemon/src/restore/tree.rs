//! Tree: where each entry of the stream goes below the target, and the directories made for it.
//!
//! The stream names directories by number. Leading names to be stripped are followed without being made; a directory
//! that is only the path to something is made when the first thing in it is. Only the stream's thread uses this.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use common::object::attribute::marks;
use common::object::entry::{Entry, Kind};
use common::protocol::orders::Severity;
use rustix::fs::{Mode, fchmod, fgetxattr, fremovexattr, mkdirat};
use rustix::io::Errno;

use super::context::Shared;
use super::directory::{Directory, Made, Place, Role, State};
use super::extra::Mount;
use super::handles::open_directory;
use super::order::Mode as RunMode;
use super::policy::{Choice, Found, choose};
use super::remove::{make_mutable, remove};
use super::temp::remove_leftovers;
use crate::attributes::look::{Looked, look, look_at};

const ACLS: [&str; 2] = ["system.posix_acl_access", "system.posix_acl_default"];
/// Most file systems synced one by one at the end.
const MOST_FILE_SYSTEMS: usize = 64;

/// A directory of the stream.
#[derive(Clone)]
pub struct Numbered {
    /// Where its entries go.
    pub directory: Arc<Directory>,
    /// How many leading names to strip were followed, while more are to come.
    stripped: Option<usize>,
}

/// The target's directories.
pub struct Tree<'a> {
    shared: &'a Shared<'a>,
    root: Numbered,
    numbers: HashMap<u64, Numbered>,
    prefix: Vec<Arc<Directory>>,
    file_systems: Vec<OwnedFd>,
}

impl<'a> Tree<'a> {
    /// A tree below the target folder.
    ///
    /// # Errors
    /// The folder cannot be looked at.
    pub fn new(shared: &'a Shared<'a>) -> io::Result<Self> {
        let handle = shared.handles.root();
        let mut at = Directory::new(u64::MAX, None, Vec::new(), None, Place::ABOVE);
        at.settle(State::Made(existing_directory(
            shared,
            &handle,
            &look_at(&handle)?,
            Choice::Keep,
        )));
        if shared.plan.mode == RunMode::Restore {
            remove_leftovers(&handle);
        }
        let mut prefix = Vec::new();
        for (name, key) in shared.plan.prefix.iter().zip((0..u64::MAX).rev()) {
            at = Directory::new(key, Some(at), name.clone(), None, Place::ABOVE);
            prefix.push(Arc::clone(&at));
        }
        let stripped = (!shared.plan.strip.is_empty()).then_some(0);
        let file_systems = vec![handle.try_clone()?];
        Ok(Self {
            shared,
            root: Numbered {
                directory: at,
                stripped,
            },
            numbers: HashMap::new(),
            prefix,
            file_systems,
        })
    }

    /// Where the entries of directory `parent` go; `None` when the stream never named it.
    #[must_use]
    pub fn numbered(&self, parent: u64) -> Option<&Numbered> {
        if parent == 0 {
            Some(&self.root)
        } else {
            self.numbers.get(&parent)
        }
    }

    /// A directory of the stream begins. Gives back it, unless its name was stripped altogether.
    pub fn begin(
        &mut self,
        number: u64,
        parent: &Numbered,
        entry: Box<Entry>,
        role: Role,
    ) -> Option<Arc<Directory>> {
        let strip = &self.shared.plan.strip;
        let follows = parent
            .stripped
            .filter(|n| strip.get(*n) == Some(&entry.name))
            .map(|n| n + 1);
        if follows == Some(strip.len()) {
            let root = Numbered {
                directory: Arc::clone(&self.root.directory),
                stripped: None,
            };
            self.numbers.insert(number, root);
            return None;
        }
        let role = if follows.is_some() {
            Role::Implied
        } else {
            role
        };
        let above = Arc::clone(&parent.directory);
        above.enter();
        let below_strip = if Arc::ptr_eq(&above, &self.root.directory) {
            parent.stripped.is_none()
        } else {
            above.below_strip
        };
        let unsure = entry.marks & (marks::STALE | marks::UNFINISHED) != 0;
        let place = Place { role, below_strip };
        let directory = Directory::new(number, Some(above), entry.name.clone(), Some(entry), place);
        if unsure {
            // What was not listed when it was saved is unknown, not missing.
            directory.mark_incomplete();
        }
        self.numbers.insert(
            number,
            Numbered {
                directory: Arc::clone(&directory),
                stripped: follows,
            },
        );
        Some(directory)
    }

    /// A directory of the stream ends: its number is not used again.
    pub fn end(&mut self, number: u64) -> Option<Arc<Directory>> {
        let ended = self.numbers.remove(&number)?;
        let is_root = Arc::ptr_eq(&ended.directory, &self.root.directory);
        (!is_root).then_some(ended.directory)
    }

    /// Directories the stream never ended, deepest first, then those of the prefix.
    pub fn rest(&mut self) -> (Vec<Arc<Directory>>, Vec<Arc<Directory>>) {
        let mut open: Vec<(u64, Numbered)> = self.numbers.drain().collect();
        // A directory has a higher number than the one it is in.
        open.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
        let root = Arc::clone(&self.root.directory);
        let open = open
            .into_iter()
            .map(|(_, n)| n.directory)
            .filter(|d| !Arc::ptr_eq(d, &root));
        (open.collect(), self.prefix.drain(..).rev().collect())
    }

    /// One handle of each file system written to, for syncing.
    #[must_use]
    pub fn file_systems(&self) -> &[OwnedFd] {
        &self.file_systems
    }

    /// Makes a directory and those above it that are missing.
    pub fn ensure(&mut self, directory: &Arc<Directory>) -> State {
        let mut missing = Vec::new();
        let mut at = directory;
        let mut state = loop {
            match (at.state(), &at.parent) {
                (Some(state), _) => break state,
                (None, Some(parent)) => {
                    missing.push(at);
                    at = parent;
                }
                (None, None) => break State::Failed,
            }
        };
        for directory in missing.into_iter().rev() {
            let next = match state {
                State::Made(above) => self.make(directory, &above),
                other => other,
            };
            state = directory.settle(next);
        }
        state
    }

    /// What stands at `name` in a directory that was there before.
    ///
    /// # Errors
    /// It cannot be looked at.
    pub fn existing(&self, directory: &Arc<Directory>, name: &[u8]) -> io::Result<Option<Looked>> {
        if !directory.made().is_some_and(|made| made.existed) {
            return Ok(None);
        }
        let handle = self.shared.handles.of(directory)?;
        found_at(&handle, name)
    }

    fn make(&mut self, directory: &Arc<Directory>, above: &Made) -> State {
        match self.try_make(directory, above) {
            Ok(state) => state,
            Err(e) => {
                let path = directory.path();
                self.shared.failed(
                    &path,
                    &io::Error::new(e.kind(), format!("{e}; nothing below it is")),
                );
                State::Failed
            }
        }
    }

    fn try_make(&mut self, directory: &Arc<Directory>, above: &Made) -> io::Result<State> {
        let Some(parent) = &directory.parent else {
            return Ok(State::Failed);
        };
        let parent = self.shared.handles.of(parent)?;
        let found = found_at(&parent, &directory.name)?;
        let writes = self.shared.plan.mode == RunMode::Restore;
        match found {
            Some(found) if found.kind == Kind::Directory => self.join(directory, &parent, above),
            Some(_) if directory.implied => Err(not_a_directory()),
            Some(found) if self.choice(directory, &found) == Choice::Keep => Ok(State::Kept),
            _ if !writes => Ok(State::Absent),
            found => {
                if found.is_some() {
                    remove(&parent, &directory.name)?;
                }
                self.create(directory, &parent, above)
            }
        }
    }

    fn choice(&self, directory: &Directory, found: &Looked) -> Choice {
        let entry = directory.entry.lock();
        let Some(entry) = entry.as_deref() else {
            return Choice::Keep;
        };
        choose(self.shared.plan.replace, &found_of(found), entry)
    }

    /// A new directory, for nobody but this process until it is finished.
    fn create(
        &mut self,
        directory: &Arc<Directory>,
        parent: &OwnedFd,
        above: &Made,
    ) -> io::Result<State> {
        mkdirat(parent, directory.name.as_slice(), Mode::RWXU)?;
        let handle = Arc::new(open_directory(parent, &directory.name)?);
        if above.inherits_acl {
            // It is the entry that says which ACLs it has.
            for acl in ACLS {
                let _ = fremovexattr(&handle, acl);
            }
        }
        let looked = look_at(&handle)?;
        self.shared.handles.keep(directory.key, &handle);
        Ok(State::Made(Made {
            existed: false,
            attributes: Choice::Replace,
            inherits_acl: false,
            ..made_of(self.shared, &looked)
        }))
    }

    /// A directory that is there already.
    fn join(
        &mut self,
        directory: &Arc<Directory>,
        parent: &OwnedFd,
        above: &Made,
    ) -> io::Result<State> {
        if !above.existed {
            let text = "its name is already taken by another entry of this restore (a file system that ignores case?)";
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
        }
        let handle = Arc::new(open_directory(parent, &directory.name)?);
        let looked = look_at(&handle)?;
        let choice = if directory.implied {
            Choice::Keep
        } else {
            self.choice(directory, &looked)
        };
        if self.shared.plan.mode == RunMode::Restore {
            if choice == Choice::Replace {
                make_mutable(parent, &directory.name);
                self.let_me_in(&handle, &looked);
            }
            remove_leftovers(&handle);
        }
        if looked.dev != above.dev && self.file_systems.len() < MOST_FILE_SYSTEMS {
            self.file_systems.push(handle.try_clone()?);
        }
        self.shared.handles.keep(directory.key, &handle);
        Ok(State::Made(existing_directory(
            self.shared,
            &handle,
            &looked,
            choice,
        )))
    }

    /// A read-only directory of our own is opened for the time of the restore; its mode is set at the end.
    fn let_me_in(&self, handle: &OwnedFd, looked: &Looked) {
        let (me, mode) = (self.shared.me.0, looked.stat.mode);
        if me != 0 && looked.stat.uid == me && mode & 0o700 != 0o700 {
            // When it fails, the files in it say so.
            let _ = fchmod(handle, Mode::from_raw_mode(mode | 0o700));
        }
    }

    /// Says what a dry run would do.
    pub fn would(&self, directory: &Directory, name: &[u8], verb: &str) {
        let path = directory.path_of(name);
        self.shared.line(
            Severity::Info,
            format!("would {verb} {}", self.shared.shown(&path)),
        );
    }

    /// Whether extra names of existing directories are removed.
    #[must_use]
    pub fn removes_extra(&self) -> bool {
        self.shared.plan.extra.is_some()
    }
}

/// What stands at a name; `None` = nothing.
fn found_at(parent: impl AsFd, name: &[u8]) -> io::Result<Option<Looked>> {
    match look(parent, name) {
        Ok(looked) => Ok(Some(looked)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// What the replace policy needs to know.
#[must_use]
pub fn found_of(looked: &Looked) -> Found {
    Found {
        kind: looked.kind,
        size: looked.stat.size,
        mtime: looked.stat.mtime,
    }
}

fn made_of(shared: &Shared<'_>, looked: &Looked) -> Made {
    // A directory of our own group gives it to new files, whether or not the file system inherits groups.
    let certain = looked.stat.gid == shared.me.1;
    Made {
        mount: Mount::of(looked),
        dev: looked.dev,
        ino: looked.stat.ino,
        existed: true,
        attributes: Choice::Keep,
        new_owner: certain.then_some(shared.me),
        inherits_acl: true,
    }
}

fn existing_directory(
    shared: &Shared<'_>,
    handle: &OwnedFd,
    looked: &Looked,
    attributes: Choice,
) -> Made {
    let acl = fgetxattr(handle, ACLS[1], &mut [0u8; 1024][..]);
    let inherits_acl = matches!(acl, Ok(1..) | Err(Errno::RANGE));
    Made {
        attributes,
        inherits_acl,
        ..made_of(shared, looked)
    }
}

fn not_a_directory() -> io::Error {
    let text = "something that is not a directory (perhaps a link) stands there; restore to where it leads instead";
    io::Error::new(Errno::NOTDIR.kind(), text)
}
