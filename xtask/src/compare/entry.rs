//! All that one name in a tree is, apart from its content: what `lstat` tells, the target of a
//! symbolic link, extended attributes (ACLs and capabilities are among them).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// XATTR_SIZE_MAX and XATTR_LIST_MAX of Linux.
const LARGEST_BYTES: usize = 64 * 1024;

/// Whether owners count. Only root may give files away, and whoever may not cannot restore the
/// set-id bits of somebody else's program either.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Everything.
    WithOwners,
    /// Everything but owner, group and set-id bits.
    WithoutOwners,
}

/// One entry of a tree.
pub struct Entry {
    /// As `lstat` gave it.
    pub metadata: Metadata,
    link: Option<PathBuf>,
    attributes: BTreeMap<OsString, Vec<u8>>,
}

impl Entry {
    /// Reads `root/relative` without following a link.
    pub fn read(root: &Path, relative: &Path) -> io::Result<Self> {
        let path = root.join(relative);
        let metadata = fs::symlink_metadata(&path)?;
        let link = if metadata.is_symlink() {
            Some(fs::read_link(&path)?)
        } else {
            None
        };
        let attributes = attributes(&path)?;
        Ok(Self {
            metadata,
            link,
            attributes,
        })
    }

    /// Which of its properties differ from those of `other`, in words. Content is not among them.
    pub fn differences(&self, other: &Self, scope: Scope) -> Vec<&'static str> {
        let owners = scope == Scope::WithOwners;
        let modes = if owners { 0o7777 } else { 0o1777 };
        let (a, b) = (&self.metadata, &other.metadata);
        let is_device = a.file_type().is_char_device() || a.file_type().is_block_device();
        let checks = [
            ("kind", a.file_type() == b.file_type()),
            ("size", !a.is_file() || a.len() == b.len()),
            ("mode", a.mode() & modes == b.mode() & modes),
            ("owner", !owners || a.uid() == b.uid()),
            ("group", !owners || a.gid() == b.gid()),
            (
                "modification time",
                (a.mtime(), a.mtime_nsec()) == (b.mtime(), b.mtime_nsec()),
            ),
            ("link target", self.link == other.link),
            ("device number", !is_device || a.rdev() == b.rdev()),
            (
                "hard links",
                a.is_dir() || (a.nlink() > 1) == (b.nlink() > 1),
            ),
            ("ACL or attributes", self.attributes == other.attributes),
        ];
        checks
            .into_iter()
            .filter(|(_, same)| !same)
            .map(|(name, _)| name)
            .collect()
    }

    /// The file behind the name, when several names may share it.
    pub fn shared_file(&self) -> Option<(u64, u64)> {
        let several = !self.metadata.is_dir() && self.metadata.nlink() > 1;
        several.then(|| (self.metadata.dev(), self.metadata.ino()))
    }
}

fn attributes(path: &Path) -> io::Result<BTreeMap<OsString, Vec<u8>>> {
    let names = sized(|buffer| rustix::fs::llistxattr(path, buffer))?;
    let mut found = BTreeMap::new();
    for name in names.split(|b| *b == 0).filter(|name| !name.is_empty()) {
        let name = std::ffi::OsStr::from_bytes(name);
        let value = sized(|buffer| rustix::fs::lgetxattr(path, name, buffer))?;
        found.insert(name.to_owned(), value);
    }
    Ok(found)
}

/// Reads into the largest buffer that Linux can fill, of names or of a value.
fn sized(read: impl Fn(&mut [u8]) -> rustix::io::Result<usize>) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; LARGEST_BYTES];
    match read(&mut buffer) {
        Err(rustix::io::Errno::NOTSUP) => return Ok(Vec::new()),
        filled => buffer.truncate(filled?),
    }
    Ok(buffer)
}
