//! One open directory, and everything that can be made in it by name. Names are bytes; paths may be longer than
//! PATH_MAX and trees deeper than any stack, because every step goes by an open handle.
//!
//! Whatever cannot be made panics with the operation and the name: the machine of a system test must allow it.

use std::fmt::Display;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use common::name::Shown;
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Gid, IFlags, Mode, OFlags, Stat, Timespec, Timestamps, Uid,
    XattrFlags,
};

/// Name and value of an extended attribute.
pub type Xattr = (Vec<u8>, Vec<u8>);

/// An open directory.
#[derive(Debug)]
pub struct Folder {
    handle: OwnedFd,
}

const OPEN: OFlags = OFlags::DIRECTORY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NOATIME);

/// The value, or the end of the test with what was done to what.
#[track_caller]
pub fn must<T, E: Display>(operation: &str, name: &[u8], result: Result<T, E>) -> T {
    result.unwrap_or_else(|e| panic!("{operation} {}: {e}", Shown(name)))
}

impl Folder {
    /// Opens `path`.
    #[track_caller]
    #[must_use]
    pub fn open(path: &Path) -> Self {
        let name = path.as_os_str().as_encoded_bytes();
        let flags = OPEN.difference(OFlags::NOFOLLOW);
        let handle = must(
            "open folder",
            name,
            rustix::fs::openat(CWD, path, flags, Mode::empty()),
        );
        Self { handle }
    }

    /// Opens `path`, which is made when missing.
    #[track_caller]
    #[must_use]
    pub fn make(path: &Path) -> Self {
        must(
            "make folder",
            path.as_os_str().as_encoded_bytes(),
            std::fs::create_dir_all(path),
        );
        Self::open(path)
    }

    /// Opens the folder `name` in this one.
    ///
    /// # Errors
    /// When it is none, or cannot be opened.
    pub fn enter(&self, name: &[u8]) -> Result<Self, rustix::io::Errno> {
        rustix::fs::openat(&self.handle, name, OPEN, Mode::empty()).map(|handle| Self { handle })
    }

    /// Makes the folder `name` and opens it.
    #[track_caller]
    pub fn folder(&self, name: &[u8]) -> Self {
        must(
            "mkdir",
            name,
            rustix::fs::mkdirat(&self.handle, name, Mode::from_bits_retain(0o755)),
        );
        must("open folder", name, self.enter(name))
    }

    /// Makes the file `name` with this content.
    #[track_caller]
    pub fn file(&self, name: &[u8], content: &[u8]) -> File {
        let flags = OFlags::CREATE | OFlags::RDWR | OFlags::TRUNC | OFlags::CLOEXEC;
        let made = rustix::fs::openat(&self.handle, name, flags, Mode::from_bits_retain(0o644));
        let mut file = File::from(must("create", name, made));
        must("write", name, file.write_all(content));
        file
    }

    /// Opens the file `name` for reading and writing.
    #[track_caller]
    #[must_use]
    pub fn edit(&self, name: &[u8]) -> File {
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        File::from(must(
            "open",
            name,
            rustix::fs::openat(&self.handle, name, flags, Mode::empty()),
        ))
    }

    /// Opens the file `name` for reading, its access time untouched.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn read(&self, name: &[u8]) -> Result<File, rustix::io::Errno> {
        let flags = OFlags::RDONLY
            | OFlags::CLOEXEC
            | OFlags::NOFOLLOW
            | OFlags::NOATIME
            | OFlags::NONBLOCK;
        rustix::fs::openat(&self.handle, name, flags, Mode::empty()).map(File::from)
    }

    /// Makes the symbolic link `name`.
    #[track_caller]
    pub fn symlink(&self, name: &[u8], target: &[u8]) {
        must(
            "symlink",
            name,
            rustix::fs::symlinkat(target, &self.handle, name),
        );
    }

    /// Where the symbolic link `name` points.
    ///
    /// # Errors
    /// When it is none.
    pub fn target(&self, name: &[u8]) -> Result<Vec<u8>, rustix::io::Errno> {
        rustix::fs::readlinkat(&self.handle, name, Vec::new()).map(std::ffi::CString::into_bytes)
    }

    /// Makes `name` here another name of `of` in `folder`; a link is linked itself, not what it points to.
    #[track_caller]
    pub fn link(&self, name: &[u8], folder: &Self, of: &[u8]) {
        let made = rustix::fs::linkat(&folder.handle, of, &self.handle, name, AtFlags::empty());
        must("hard link", name, made);
    }

    /// Makes the special file `name`. Devices have a number, others 0.
    #[track_caller]
    pub fn special(&self, name: &[u8], kind: FileType, device: u64) {
        let mode = Mode::from_bits_retain(0o640);
        must(
            "mknod",
            name,
            rustix::fs::mknodat(&self.handle, name, kind, mode, device),
        );
    }

    /// Removes the name of anything but a folder.
    #[track_caller]
    pub fn remove(&self, name: &[u8]) {
        must(
            "remove",
            name,
            rustix::fs::unlinkat(&self.handle, name, AtFlags::empty()),
        );
    }

    /// Removes the empty folder `name`.
    #[track_caller]
    pub fn remove_folder(&self, name: &[u8]) {
        must(
            "rmdir",
            name,
            rustix::fs::unlinkat(&self.handle, name, AtFlags::REMOVEDIR),
        );
    }

    /// Moves `from` to `to` in `folder`.
    #[track_caller]
    pub fn rename(&self, from: &[u8], folder: &Self, to: &[u8]) {
        must(
            "rename",
            from,
            rustix::fs::renameat(&self.handle, from, &folder.handle, to),
        );
    }

    /// Sets permission bits. Symbolic links have none of their own.
    #[track_caller]
    pub fn mode(&self, name: &[u8], bits: u32) {
        let mode = Mode::from_bits_retain(bits);
        must(
            "chmod",
            name,
            rustix::fs::chmodat(&self.handle, name, mode, AtFlags::empty()),
        );
    }

    /// Sets owner and group, of a link itself.
    #[track_caller]
    pub fn owner(&self, name: &[u8], uid: u32, gid: u32) {
        let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        must(
            "chown",
            name,
            rustix::fs::chownat(&self.handle, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW),
        );
    }

    /// Sets the times of access and modification, in seconds and nanoseconds, of a link itself.
    #[track_caller]
    pub fn times(&self, name: &[u8], accessed: (i64, u32), modified: (i64, u32)) {
        let time = |(secs, nanos): (i64, u32)| Timespec {
            tv_sec: secs,
            tv_nsec: i64::from(nanos),
        };
        let times = Timestamps {
            last_access: time(accessed),
            last_modification: time(modified),
        };
        let set = rustix::fs::utimensat(&self.handle, name, &times, AtFlags::SYMLINK_NOFOLLOW);
        must("set times of", name, set);
    }

    /// Sets an extended attribute, of a link itself.
    #[track_caller]
    pub fn xattr(&self, name: &[u8], attribute: &str, value: &[u8]) {
        let set = rustix::fs::lsetxattr(self.path_of(name), attribute, value, XattrFlags::empty());
        must(&format!("set {attribute} of"), name, set);
    }

    /// All extended attributes of `name`, sorted, of a link itself.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn xattrs(&self, name: &[u8]) -> Result<Vec<Xattr>, rustix::io::Errno> {
        const MOST: usize = 1 << 17;
        let path = self.path_of(name);
        let mut list = vec![0; MOST];
        let used = rustix::fs::llistxattr(&path, &mut list[..])?;
        let mut found = Vec::new();
        let mut value = vec![0; MOST];
        for attribute in list[..used].split(|b| *b == 0).filter(|a| !a.is_empty()) {
            let len = rustix::fs::lgetxattr(&path, attribute, &mut value[..])?;
            found.push((attribute.to_vec(), value[..len].to_vec()));
        }
        found.sort();
        Ok(found)
    }

    /// Sets inode flags of a file or folder.
    #[track_caller]
    pub fn flags(&self, name: &[u8], flags: IFlags) {
        let file = must("open", name, self.read(name));
        must(
            "set inode flags of",
            name,
            rustix::fs::ioctl_setflags(file, flags),
        );
    }

    /// What `lstat` says about `name`; `.` is the folder itself.
    ///
    /// # Errors
    /// When there is no such name.
    pub fn stat(&self, name: &[u8]) -> Result<Stat, rustix::io::Errno> {
        rustix::fs::statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW)
    }

    /// Whether there is such a name.
    #[must_use]
    pub fn has(&self, name: &[u8]) -> bool {
        self.stat(name).is_ok()
    }

    /// All names but `.` and `..`, sorted.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub fn names(&self) -> Result<Vec<Vec<u8>>, rustix::io::Errno> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.handle)? {
            let name = entry?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// A short path to `name` here, for calls that take no handle.
    #[must_use]
    pub fn path_of(&self, name: &[u8]) -> Vec<u8> {
        let mut path = format!("/proc/self/fd/{}/", self.handle.as_raw_fd()).into_bytes();
        path.extend_from_slice(name);
        path
    }
}

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}

/// Removes a tree of any depth, immutable files included. What is not there is fine.
pub fn remove_tree(path: &Path) {
    let rm = || {
        std::process::Command::new("rm")
            .arg("-rf")
            .arg("--")
            .arg(path)
            .output()
    };
    if rm().is_ok_and(|done| done.status.success()) {
        return;
    }
    let _ = std::process::Command::new("chattr")
        .args(["-R", "-f", "-i", "-a"])
        .arg(path)
        .output();
    let _ = rm();
}
