//! Capture: everything about a file besides its content, into its entry.
//!
//! [`super::look()`] gives kind, stat and times; [`Capturer::fill`] the rest: two calls (`flistxattr`, `FS_IOC_GETFLAGS`)
//! for an ordinary file. An attribute that cannot be read is reported by name and left out; the file is still saved.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use common::name::Shown;
use common::object::attribute::LinkGroup;
use common::object::entry::{Entry, Kind};
use rustix::fs::{fstatvfs, readlinkat};

use super::look::Looked;
use super::owners::Owners;
use super::xattrs::{Holder, XattrReader};
use super::{flags, sparse};

/// Most file systems whose id is remembered.
const MOST_FILE_SYSTEMS: usize = 1024;

/// One attribute that could not be read. The caller knows the path.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {what}")]
pub struct CaptureError {
    /// Which attribute: `extended attribute user.x`, `inode flags`, `link target`, ...
    pub what: String,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// How to reach what is captured.
#[derive(Debug, Clone, Copy)]
pub enum Place<'a> {
    /// An open file or directory.
    Open(BorrowedFd<'a>),
    /// A symlink, a special file, or a file that cannot be opened: its directory and its name.
    Named(BorrowedFd<'a>, &'a [u8]),
}

/// Captures attributes; one per scanning thread.
#[derive(Debug, Default)]
pub struct Capturer {
    owners: Owners,
    xattrs: XattrReader,
    file_systems: HashMap<u64, u64>,
}

impl Capturer {
    /// Fills owner names, extended attributes, flags, link target, link group and extents of an entry made by
    /// [`Looked::entry`]. Gives back what could not be read.
    pub fn fill(
        &mut self,
        entry: &mut Entry,
        looked: &Looked,
        place: Place<'_>,
    ) -> Vec<CaptureError> {
        let mut missed = Vec::new();
        self.owner_names(entry);
        self.link_group(entry, looked, place, &mut missed);
        let holder = match place {
            Place::Open(fd) => Holder::Open(fd),
            Place::Named(directory, name) => Holder::named(directory, name),
        };
        let each = |name: &[u8], source| {
            let what = format!("extended attribute {}", Shown(name));
            missed.push(CaptureError { what, source });
        };
        match self.xattrs.read(&holder, each) {
            Ok(found) => entry.xattrs = found,
            Err(source) => missed.push(failed("extended attributes", source)),
        }
        match place {
            Place::Open(fd) => open_only(entry, looked, fd, &mut missed),
            Place::Named(directory, name) if entry.kind == Kind::Symlink => {
                match readlinkat(directory, name, Vec::new()) {
                    Ok(target) => entry.target = Some(target.into_bytes()),
                    Err(e) => missed.push(failed("link target", e.into())),
                }
            }
            Place::Named(..) => {}
        }
        missed
    }

    /// Names of the owner and the group.
    pub fn owner_names(&mut self, entry: &mut Entry) {
        self.owners
            .user(entry.stat.uid)
            .clone_into(&mut entry.owner);
        self.owners
            .group(entry.stat.gid)
            .clone_into(&mut entry.group);
    }

    fn link_group(
        &mut self,
        entry: &mut Entry,
        looked: &Looked,
        place: Place<'_>,
        missed: &mut Vec<CaptureError>,
    ) {
        if entry.kind == Kind::Directory || entry.stat.nlink < 2 {
            return;
        }
        let handle = match place {
            Place::Open(fd) | Place::Named(fd, _) => fd,
        };
        match self.file_system(handle, looked.dev) {
            Ok(fs) => {
                entry.link_group = Some(LinkGroup {
                    fs,
                    ino: entry.stat.ino,
                })
            }
            Err(source) => missed.push(failed(
                "the file system's id, needed for hard links",
                source,
            )),
        }
    }

    /// `f_fsid` of the file system `handle` lies on, asked once per device.
    ///
    /// # Errors
    /// As `statfs`.
    pub fn file_system(&mut self, handle: impl AsFd, dev: u64) -> io::Result<u64> {
        if let Some(id) = self.file_systems.get(&dev) {
            return Ok(*id);
        }
        // Some file systems (network ones) have no id of their own: the device number is the next best.
        let id = match fstatvfs(handle)?.f_fsid {
            0 => dev,
            id => id,
        };
        if self.file_systems.len() >= MOST_FILE_SYSTEMS {
            self.file_systems.clear();
        }
        self.file_systems.insert(dev, id);
        Ok(id)
    }
}

fn open_only(
    entry: &mut Entry,
    looked: &Looked,
    fd: BorrowedFd<'_>,
    missed: &mut Vec<CaptureError>,
) {
    match flags::read(fd) {
        Ok(found) => entry.flags = found,
        Err(source) => missed.push(failed("inode flags", source)),
    }
    if looked.may_have_holes() {
        match sparse::extents(fd, looked.stat.size) {
            Ok(found) => entry.extents = found,
            Err(source) => missed.push(failed("the holes of a sparse file", source)),
        }
    }
}

fn failed(what: &str, source: io::Error) -> CaptureError {
    CaptureError {
        what: what.to_owned(),
        source,
    }
}
