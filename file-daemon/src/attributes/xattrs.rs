//! Extended attributes of all namespaces, ACLs and capabilities among them, as raw names and values.
//!
//! Open files and directories by handle. Symlinks and special files have no usable handle: they are named through
//! `/proc/self/fd/N/name`, N being their open directory, and `l*xattr`, which follows nothing.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use common::object::attribute::Xattr;
use rustix::fs::{
    XattrFlags, fgetxattr, flistxattr, fremovexattr, fsetxattr, getxattr, lgetxattr, listxattr,
    llistxattr, lremovexattr, lsetxattr, removexattr, setxattr,
};
use rustix::io::Errno;

/// Longest list of names and longest value, both the kernel's limits.
const MOST_BYTES: usize = 64 << 10;

/// What has extended attributes.
#[derive(Debug, Clone)]
pub enum Holder<'a> {
    /// An open file or directory.
    Open(BorrowedFd<'a>),
    /// A name in an open directory, as a path through `/proc/self/fd`; itself, when it is a link.
    Named(Vec<u8>),
    /// What an `O_PATH` handle stands for, as `/proc/self/fd/N`; a symlink's handle stands for the link itself.
    Handle(Vec<u8>),
}

impl<'a> Holder<'a> {
    /// An open file or directory.
    #[must_use]
    pub fn open(handle: &'a impl AsFd) -> Self {
        Self::Open(handle.as_fd())
    }

    /// `name` in `directory`, not followed when it is a link.
    #[must_use]
    pub fn named(directory: BorrowedFd<'_>, name: &[u8]) -> Self {
        let mut path = format!("/proc/self/fd/{}/", directory.as_raw_fd()).into_bytes();
        path.extend_from_slice(name);
        Self::Named(path)
    }

    /// What an `O_PATH` handle stands for.
    #[must_use]
    pub fn handle(handle: BorrowedFd<'_>) -> Self {
        Self::Handle(format!("/proc/self/fd/{}", handle.as_raw_fd()).into_bytes())
    }

    fn list(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        match self {
            Self::Open(fd) => flistxattr(fd, buffer),
            Self::Named(path) => llistxattr(path.as_slice(), buffer),
            Self::Handle(path) => listxattr(path.as_slice(), buffer),
        }
    }

    fn get(&self, name: &[u8], buffer: &mut [u8]) -> Result<usize, Errno> {
        match self {
            Self::Open(fd) => fgetxattr(fd, name, buffer),
            Self::Named(path) => lgetxattr(path.as_slice(), name, buffer),
            Self::Handle(path) => getxattr(path.as_slice(), name, buffer),
        }
    }

    /// Sets one attribute.
    ///
    /// # Errors
    /// As `setxattr`.
    pub fn set(&self, name: &[u8], value: &[u8]) -> io::Result<()> {
        Ok(match self {
            Self::Open(fd) => fsetxattr(fd, name, value, XattrFlags::empty()),
            Self::Named(path) => lsetxattr(path.as_slice(), name, value, XattrFlags::empty()),
            Self::Handle(path) => setxattr(path.as_slice(), name, value, XattrFlags::empty()),
        }?)
    }

    /// Removes one attribute.
    ///
    /// # Errors
    /// As `removexattr`.
    pub fn remove(&self, name: &[u8]) -> io::Result<()> {
        Ok(match self {
            Self::Open(fd) => fremovexattr(fd, name),
            Self::Named(path) => lremovexattr(path.as_slice(), name),
            Self::Handle(path) => removexattr(path.as_slice(), name),
        }?)
    }
}

/// Reads attributes, with a buffer that is kept between files.
#[derive(Debug)]
pub struct XattrReader {
    names: Vec<u8>,
    value: Vec<u8>,
}

impl Default for XattrReader {
    fn default() -> Self {
        Self {
            names: vec![0; MOST_BYTES],
            value: vec![0; MOST_BYTES],
        }
    }
}

impl XattrReader {
    /// The names, sorted; empty where the file system has no extended attributes.
    ///
    /// # Errors
    /// As `listxattr`.
    pub fn names(&mut self, holder: &Holder<'_>) -> io::Result<Vec<Vec<u8>>> {
        let len = match holder.list(&mut self.names) {
            Ok(0) | Err(Errno::NOTSUP | Errno::NOSYS) => return Ok(Vec::new()),
            other => other?,
        };
        let list = self.names.get(..len).unwrap_or_default();
        let mut names: Vec<Vec<u8>> = list
            .split(|b| *b == 0)
            .filter(|n| !n.is_empty())
            .map(<[u8]>::to_vec)
            .collect();
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    /// All attributes, sorted by name; those that cannot be read go to `missed`. One call when there are none.
    ///
    /// # Errors
    /// The names cannot be listed.
    pub fn read(
        &mut self,
        holder: &Holder<'_>,
        mut missed: impl FnMut(&[u8], io::Error),
    ) -> io::Result<Vec<Xattr>> {
        let mut found = Vec::new();
        for name in self.names(holder)? {
            match holder.get(&name, &mut self.value) {
                Ok(len) => found.push((name, self.value.get(..len).unwrap_or_default().to_vec())),
                // Removed meanwhile.
                Err(Errno::NODATA) => {}
                Err(e) => missed(&name, e.into()),
            }
        }
        Ok(found)
    }
}
