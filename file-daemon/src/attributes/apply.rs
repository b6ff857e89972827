//! Apply: an entry's attributes onto what a restore made or found, always through a handle of it.
//!
//! Order: owner, mode, ACL, other attributes, capabilities, times; inode flags are a step of their own, the last. What this
//! process may not do, or the file system cannot hold, is reported by kind and never stops the restore. Never sets setuid
//! or setgid on a file whose owner or group could not be set. Owners are numeric, so that a restore is exact.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use common::object::attribute::FileTime;
use common::object::entry::{Entry, Kind};
use rustix::fs::{
    AtFlags, CWD, Gid, Mode, Timespec, Timestamps, Uid, chmodat, chownat, fchmod, fchown, futimens,
    utimensat,
};
use rustix::io::Errno;

use super::flags;
use super::xattrs::{Holder, XattrReader};

const ACL_ACCESS: &[u8] = b"system.posix_acl_access";
const ACL_DEFAULT: &[u8] = b"system.posix_acl_default";
const CAPABILITY: &[u8] = b"security.capability";
const SETUID: u32 = 0o4000;
const SETGID: u32 = 0o2000;

/// A kind of attribute that could not be brought back; each kind is summed up in one warning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Shortfall {
    /// Owner or group.
    Owner,
    /// Setuid and setgid, left off because the owner is another.
    SetId,
    /// Permission bits.
    Mode,
    /// POSIX ACLs.
    Acl,
    /// `user.*` attributes.
    UserXattr,
    /// `trusted.*` attributes.
    TrustedXattr,
    /// `security.*` attributes but capabilities.
    SecurityXattr,
    /// Other attributes of the file system.
    OtherXattr,
    /// File capabilities.
    Capability,
    /// Modification and access time.
    Times,
    /// Inode flags.
    Flags,
    /// Device nodes themselves.
    Node,
}

impl Shortfall {
    /// As it reads in a warning.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Owner => "owner or group",
            Self::SetId => "setuid or setgid bit (left off: the owner is another)",
            Self::Mode => "permissions",
            Self::Acl => "access control list",
            Self::UserXattr => "user.* extended attributes",
            Self::TrustedXattr => "trusted.* extended attributes",
            Self::SecurityXattr => "security.* extended attributes",
            Self::OtherXattr => "extended attributes of the file system",
            Self::Capability => "file capabilities",
            Self::Times => "modification time",
            Self::Flags => "inode flags (chattr)",
            Self::Node => "device nodes (only root makes them)",
        }
    }
}

/// What gets the attributes.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'a> {
    /// A file open for writing or an open directory.
    Open(BorrowedFd<'a>),
    /// An `O_PATH` handle: symlinks and special files.
    Handle(BorrowedFd<'a>),
}

impl Subject<'_> {
    fn holder(&self) -> Holder<'_> {
        match self {
            Self::Open(fd) => Holder::Open(*fd),
            Self::Handle(fd) => Holder::handle(*fd),
        }
    }

    fn chown(&self, uid: Option<u32>, gid: Option<u32>) -> Result<(), Errno> {
        let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
        match self {
            Self::Open(fd) => fchown(fd, uid, gid),
            Self::Handle(fd) => chownat(fd, c"", uid, gid, AtFlags::EMPTY_PATH),
        }
    }

    fn chmod(&self, mode: u32) -> Result<(), Errno> {
        let mode = Mode::from_raw_mode(mode);
        match self {
            Self::Open(fd) => fchmod(fd, mode),
            Self::Handle(fd) => {
                let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
                chmodat(CWD, path, mode, AtFlags::empty())
            }
        }
    }

    fn set_times(&self, times: &Timestamps) -> Result<(), Errno> {
        match self {
            Self::Open(fd) => futimens(fd, times),
            Self::Handle(fd) => utimensat(fd, c"", times, AtFlags::EMPTY_PATH),
        }
    }
}

/// What is known about the subject before its attributes are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Present {
    /// Made by this restore a moment ago, with no extended attributes: owner, group and mode where they are known.
    Fresh {
        /// User and group, when known.
        owner: Option<(u32, u32)>,
        /// Permission bits, when known.
        mode: Option<u32>,
    },
    /// Made by others: attributes the entry does not have are removed.
    Existing,
}

/// Sets attributes; one per thread.
#[derive(Debug, Default)]
pub struct Applier {
    xattrs: XattrReader,
}

impl Applier {
    /// Sets everything but inode flags. `missed` hears what could not be set.
    pub fn apply(
        &mut self,
        entry: &Entry,
        subject: Subject<'_>,
        present: Present,
        missed: &mut dyn FnMut(Shortfall, io::Error),
    ) {
        let lost = set_owner(entry, subject, present, missed);
        if entry.kind != Kind::Symlink {
            set_mode(entry, subject, (present, lost), missed);
        }
        if present == Present::Existing {
            self.remove_extra(entry, subject, missed);
        }
        set_xattrs(entry, subject, missed);
        let times = timestamps(entry.stat.atime, entry.stat.mtime);
        if let Err(e) = subject.set_times(&times) {
            missed(Shortfall::Times, e.into());
        }
    }

    /// Removes what the entry does not have. Labels of the running system (`security.*`) stay.
    pub fn remove_extra(
        &mut self,
        entry: &Entry,
        subject: Subject<'_>,
        missed: &mut dyn FnMut(Shortfall, io::Error),
    ) {
        let holder = subject.holder();
        let Ok(names) = self.xattrs.names(&holder) else {
            return;
        };
        for name in names {
            let ours = [
                &b"user."[..],
                b"trusted.",
                ACL_ACCESS,
                ACL_DEFAULT,
                CAPABILITY,
            ]
            .iter()
            .any(|prefix| name.starts_with(prefix));
            if ours
                && !entry.xattrs.iter().any(|(n, _)| *n == name)
                && let Err(e) = holder.remove(&name)
            {
                missed(kind_of(&name), e);
            }
        }
    }
}

/// Sets the inode flags of an open file or directory: the very last step.
pub fn set_flags(entry: &Entry, fd: BorrowedFd<'_>, missed: &mut dyn FnMut(Shortfall, io::Error)) {
    if entry.flags != 0
        && let Err(e) = flags::write(fd, entry.flags)
    {
        missed(Shortfall::Flags, e);
    }
}

/// The set-id bits that must be left off because the owner or group is not the entry's.
fn set_owner(
    entry: &Entry,
    subject: Subject<'_>,
    present: Present,
    missed: &mut dyn FnMut(Shortfall, io::Error),
) -> u32 {
    let wanted = (entry.stat.uid, entry.stat.gid);
    if matches!(present, Present::Fresh { owner: Some(owner), .. } if owner == wanted) {
        return 0;
    }
    let Err(both) = subject.chown(Some(wanted.0), Some(wanted.1)) else {
        return 0;
    };
    // Not root: the group alone may be one of ours, and the owner may be right already.
    let group = subject.chown(None, Some(wanted.1)).is_ok();
    let user = subject.chown(Some(wanted.0), None).is_ok();
    if !(group && user) {
        missed(Shortfall::Owner, both.into());
    }
    let off = if user { 0 } else { SETUID } | if group { 0 } else { SETGID };
    // On a directory setgid only says which group new files get.
    if entry.kind == Kind::Directory {
        0
    } else {
        off & entry.stat.mode
    }
}

fn set_mode(
    entry: &Entry,
    subject: Subject<'_>,
    (present, lost): (Present, u32),
    missed: &mut dyn FnMut(Shortfall, io::Error),
) {
    if lost != 0 {
        missed(Shortfall::SetId, io::Error::from(Errno::PERM));
    }
    let wanted = entry.stat.mode & !lost;
    if matches!(present, Present::Fresh { mode: Some(mode), .. } if mode == wanted) {
        return;
    }
    if let Err(e) = subject.chmod(wanted) {
        missed(Shortfall::Mode, e.into());
    }
}

fn set_xattrs(entry: &Entry, subject: Subject<'_>, missed: &mut dyn FnMut(Shortfall, io::Error)) {
    if entry.xattrs.is_empty() {
        return;
    }
    let holder = subject.holder();
    // ACLs first, since they touch the mode; capabilities last, since much else clears them.
    let rank = |name: &[u8]| match name {
        ACL_ACCESS | ACL_DEFAULT => 0,
        CAPABILITY => 2,
        _ => 1,
    };
    for now in 0..=2 {
        for (name, value) in entry.xattrs.iter().filter(|(n, _)| rank(n) == now) {
            if let Err(e) = holder.set(name, value) {
                missed(kind_of(name), e);
            }
        }
    }
}

fn kind_of(name: &[u8]) -> Shortfall {
    match name {
        ACL_ACCESS | ACL_DEFAULT => Shortfall::Acl,
        CAPABILITY => Shortfall::Capability,
        n if n.starts_with(b"user.") => Shortfall::UserXattr,
        n if n.starts_with(b"trusted.") => Shortfall::TrustedXattr,
        n if n.starts_with(b"security.") => Shortfall::SecurityXattr,
        _ => Shortfall::OtherXattr,
    }
}

fn timestamps(atime: FileTime, mtime: FileTime) -> Timestamps {
    let spec = |t: FileTime| Timespec {
        tv_sec: t.secs,
        tv_nsec: t.nanos.into(),
    };
    Timestamps {
        last_access: spec(atime),
        last_modification: spec(mtime),
    }
}
