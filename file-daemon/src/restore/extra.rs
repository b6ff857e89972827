//! Extra: what `exact` may remove. Only a name that the snapshot's FileSet would have saved is missing from the snapshot
//! because it was not there; a name that the FileSet leaves out is nobody's to remove.
//!
//! Never removes what a rule, a marker, a limit or the no-dump flag leaves out, what is mounted or lies in a mount,
//! what belongs to Holdfast, nor a folder that holds any of these. When in doubt a name is spared.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use common::fileset::FileSet;
use common::object::entry::Kind;
use rustix::fs::{AtFlags, Dir, unlinkat};
use rustix::io::Errno;

use super::remove::{make_mutable, open_directory, unlink};
use crate::attributes::look::{Looked, look, look_at};
use crate::scan::directory::{is_cache_tag, joined};
use crate::select::includes::tail_below;
use crate::select::selector::CACHE_TAG;
use crate::select::{Contents, Facts, SelectError, Selector, Verdict};

/// Folders below an extra folder that are gone into; what is deeper is left for its owner.
const MOST_LEVELS: usize = 200;

/// Decides what may go.
#[derive(Debug, Clone)]
pub struct Guard {
    selector: Selector,
    /// Holdfast's own folders on this host, as given and with links resolved.
    own: Vec<Vec<u8>>,
    /// Device and inode of those that are there.
    own_ids: Vec<(u64, u64)>,
}

/// A name that the snapshot does not hold.
#[derive(Debug, Clone, Copy)]
pub struct ExtraName<'a> {
    /// The directory it is in.
    pub parent: &'a OwnedFd,
    /// Its mount.
    pub mount: Mount,
    /// Its name.
    pub name: &'a [u8],
    /// Where the snapshot would hold it.
    pub saved_path: &'a [u8],
    /// Where it is.
    pub real_path: &'a [u8],
}

/// What becomes of what may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// It is removed.
    Remove,
    /// Nothing: only said.
    Say,
}

/// What became of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Gone, with all below.
    Gone,
    /// There, whole or in part: the FileSet leaves it or something below it out.
    Spared,
}

/// Which mount something is on. Two mounts of one device differ by number, where the kernel tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mount {
    dev: u64,
    id: u64,
}

impl Mount {
    /// Of what was looked at.
    #[must_use]
    pub fn of(looked: &Looked) -> Self {
        Self {
            dev: looked.dev,
            id: looked.mnt_id,
        }
    }
}

impl Guard {
    /// For a snapshot's FileSet and Holdfast's own folders on this host.
    ///
    /// # Errors
    /// The FileSet makes no sense.
    pub fn new(fileset: &FileSet, own: &[Vec<u8>]) -> Result<Self, SelectError> {
        let selector = Selector::new(fileset)?.without_own_folders(own.iter().cloned());
        let resolved = own.iter().filter_map(|folder| {
            let real = std::fs::canonicalize(std::ffi::OsStr::from_bytes(folder)).ok()?;
            Some(real.into_os_string().as_bytes().to_vec())
        });
        let own_ids = own.iter().filter_map(|folder| {
            let stat = rustix::fs::stat(std::ffi::OsStr::from_bytes(folder)).ok()?;
            let (major, minor) = (
                rustix::fs::major(stat.st_dev),
                rustix::fs::minor(stat.st_dev),
            );
            Some((u64::from(major) << 32 | u64::from(minor), stat.st_ino))
        });
        Ok(Self {
            selector,
            own_ids: own_ids.collect(),
            own: own.iter().cloned().chain(resolved).collect(),
        })
    }

    /// Whether the FileSet takes all names of a directory into the snapshot. `saved` = the snapshot holds this name there.
    #[must_use]
    pub fn takes_all_of(
        &self,
        path: &[u8],
        handle: &OwnedFd,
        saved: &dyn Fn(&[u8]) -> bool,
    ) -> bool {
        let here = |name: &[u8]| look(handle, name).is_ok();
        let present = |name: &[u8]| saved(name) || here(name);
        // A tag that only the snapshot holds was looked at when it was saved: then it was a good one, or nothing is lost
        // by taking it for one.
        let tagged = || is_cache_tag(handle) || (saved(CACHE_TAG) && !here(CACHE_TAG));
        self.selector.contents(path, &present, &tagged) == Contents::All
    }

    /// Removes a name with all below it, as far as it may go.
    ///
    /// # Errors
    /// The first name that may go and cannot be removed.
    pub fn clear(&self, extra: &ExtraName<'_>, act: Act) -> io::Result<Fate> {
        self.clear_level(extra, act, MOST_LEVELS)
    }

    fn clear_level(&self, extra: &ExtraName<'_>, act: Act, levels_left: usize) -> io::Result<Fate> {
        let looked = match look(extra.parent, extra.name) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Fate::Gone),
            other => other?,
        };
        if self.spares(extra, &looked) {
            return Ok(Fate::Spared);
        }
        if looked.kind != Kind::Directory {
            if act == Act::Remove {
                gone(unlink(extra.parent, extra.name), extra)?;
            }
            return Ok(Fate::Gone);
        }
        if levels_left == 0 {
            return Err(io::Error::other(format!(
                "folders lie deeper than {MOST_LEVELS} levels in it; remove it by hand"
            )));
        }
        let handle = match open_directory(extra.parent, extra.name) {
            Err(e) if e.raw_os_error() == Some(Errno::XDEV.raw_os_error()) => {
                return Ok(Fate::Spared);
            }
            other => other?,
        };
        let fate = self.clear_below(extra, &handle, (act, levels_left))?;
        if fate == Fate::Gone && act == Act::Remove {
            let removed = unlinkat(extra.parent, extra.name, AtFlags::REMOVEDIR);
            gone(removed, extra)?;
        }
        Ok(fate)
    }

    fn clear_below(
        &self,
        extra: &ExtraName<'_>,
        handle: &OwnedFd,
        (act, levels_left): (Act, usize),
    ) -> io::Result<Fate> {
        if !self.takes_all_of(extra.saved_path, handle, &|_| false) {
            return Ok(Fate::Spared);
        }
        let mount = Mount::of(&look_at(handle)?);
        let mut fate = Fate::Gone;
        for name in names(handle)? {
            let below = ExtraName {
                parent: handle,
                mount,
                name: &name,
                saved_path: &joined(extra.saved_path, &name),
                real_path: &joined(extra.real_path, &name),
            };
            if self.clear_level(&below, act, levels_left - 1)? == Fate::Spared {
                fate = Fate::Spared;
            }
        }
        Ok(fate)
    }

    fn spares(&self, extra: &ExtraName<'_>, looked: &Looked) -> bool {
        let facts = Facts {
            kind: looked.kind,
            size_bytes: looked.stat.size,
            nodump: looked.nodump,
        };
        let decision = self
            .selector
            .decide(Verdict::Save, extra.saved_path, &facts);
        let is_own = || {
            let inside = |own: &Vec<u8>| tail_below(own, extra.real_path).is_some();
            self.own_ids.contains(&(looked.dev, looked.stat.ino)) || self.own.iter().any(inside)
        };
        decision.verdict != Verdict::Save
            || looked.mount_root
            || Mount::of(looked) != extra.mount
            || is_own()
    }
}

/// Where an open directory really is.
///
/// # Errors
/// The system does not say.
pub fn real_path(handle: &OwnedFd) -> io::Result<Vec<u8>> {
    let path = std::fs::read_link(format!("/proc/self/fd/{}", handle.as_raw_fd()))?;
    Ok(path.into_os_string().as_bytes().to_vec())
}

/// All names of a directory.
///
/// # Errors
/// It cannot be listed.
pub fn names(handle: impl AsFd) -> io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for found in Dir::read_from(handle)? {
        let found = found?;
        let name = found.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(name.to_vec());
        }
    }
    Ok(names)
}

/// A removal's end; one that the folder's own flags forbid is tried once more without them.
fn gone(removed: Result<(), Errno>, extra: &ExtraName<'_>) -> io::Result<()> {
    let removed = match removed {
        Err(Errno::PERM) => {
            make_mutable(extra.parent, b".");
            make_mutable(extra.parent, extra.name);
            match unlinkat(extra.parent, extra.name, AtFlags::empty()) {
                Err(Errno::ISDIR | Errno::PERM) => {
                    unlinkat(extra.parent, extra.name, AtFlags::REMOVEDIR)
                }
                other => other,
            }
        }
        other => other,
    };
    match removed {
        Err(Errno::NOENT) => Ok(()),
        other => Ok(other?),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
#[path = "extra_tests.rs"]
mod tests;
