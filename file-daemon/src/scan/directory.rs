//! A directory opened for reading, without following links and without touching its access time.
//!
//! System calls below `/` are always relative to one of these and name one component, so that depth and path length have
//! no limit and a directory moved meanwhile leads nowhere else.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use common::object::entry::Kind;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

use crate::attributes::look::{Looked, look, look_at};
use crate::select::selector::{CACHE_TAG, CACHE_TAG_SIGNATURE};

/// An open directory and its path, which is only shown and matched, never opened.
#[derive(Debug)]
pub struct Directory {
    fd: OwnedFd,
    path: Vec<u8>,
}

/// Device and inode: which directory it is.
pub type Identity = (u64, u64);

impl Directory {
    /// `/`.
    ///
    /// # Errors
    /// As `open`.
    pub fn root() -> io::Result<Arc<Self>> {
        let fd = open_at(CWD, b"/", OFlags::DIRECTORY)?;
        Ok(Arc::new(Self {
            fd,
            path: b"/".to_vec(),
        }))
    }

    /// The directory `name` in this one.
    ///
    /// # Errors
    /// As `openat`.
    pub fn child(&self, name: &[u8]) -> io::Result<Arc<Self>> {
        let fd = open_at(self.fd.as_fd(), name, OFlags::DIRECTORY)?;
        Ok(Arc::new(Self {
            fd,
            path: joined(&self.path, name),
        }))
    }

    /// The directory this one lies in, when it is still the one expected.
    ///
    /// # Errors
    /// As `openat`; `NotFound` when this directory was moved meanwhile.
    pub fn parent(&self, expected: Identity) -> io::Result<Arc<Self>> {
        let fd = open_at(self.fd.as_fd(), b"..", OFlags::DIRECTORY)?;
        let parent = Self {
            fd,
            path: parent_path(&self.path).to_vec(),
        };
        if parent.identity()? == expected {
            Ok(Arc::new(parent))
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    /// Opens a file in it for reading; never waits for a fifo's other end.
    ///
    /// # Errors
    /// As `openat`.
    pub fn open_file(&self, name: &[u8]) -> io::Result<OwnedFd> {
        Ok(open_at(
            self.fd.as_fd(),
            name,
            OFlags::NONBLOCK | OFlags::NOCTTY,
        )?)
    }

    /// Its absolute path.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        &self.path
    }

    /// The absolute path of a name in it.
    #[must_use]
    pub fn path_of(&self, name: &[u8]) -> Vec<u8> {
        joined(&self.path, name)
    }

    /// Which directory it is.
    ///
    /// # Errors
    /// As `statx`.
    pub fn identity(&self) -> io::Result<Identity> {
        self.look().map(|l| (l.dev, l.stat.ino))
    }

    /// Its own attributes.
    ///
    /// # Errors
    /// As `statx`.
    pub fn look(&self) -> io::Result<Looked> {
        look_at(self.fd.as_fd())
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// `directory/name`.
#[must_use]
pub fn joined(directory: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(directory.len() + 1 + name.len());
    path.extend_from_slice(directory);
    if path.last() != Some(&b'/') {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}

/// The path without its last component; `/` for a path in `/`.
#[must_use]
pub fn parent_path(path: &[u8]) -> &[u8] {
    match path.iter().rposition(|b| *b == b'/') {
        Some(0) | None => b"/",
        Some(at) => &path[..at],
    }
}

/// Without O_NOATIME where the file is another user's and this process is not privileged.
fn open_at(at: impl AsFd, name: &[u8], more: OFlags) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | more;
    match openat(&at, name, flags | OFlags::NOATIME, Mode::empty()) {
        Err(Errno::PERM) => openat(&at, name, flags, Mode::empty()),
        other => other,
    }
}

/// Whether `CACHEDIR.TAG` in a directory is a regular file that begins as the convention says.
#[must_use]
pub fn is_cache_tag(directory: impl AsFd) -> bool {
    let directory = directory.as_fd();
    if !look(directory, CACHE_TAG).is_ok_and(|l| l.kind == Kind::File) {
        return false;
    }
    let how = OFlags::NONBLOCK | OFlags::NOCTTY;
    let Ok(file) = open_at(directory, CACHE_TAG, how) else {
        return false;
    };
    let mut head = [0u8; CACHE_TAG_SIGNATURE.len()];
    rustix::io::pread(file, &mut head, 0).is_ok_and(|n| n == head.len())
        && head == CACHE_TAG_SIGNATURE
}
