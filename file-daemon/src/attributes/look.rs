//! Look: one `statx` relative to an open directory, following nothing. Done for every name of every run.

use std::io;
use std::os::fd::AsFd;

use common::object::attribute::{Device, FileTime, Stat};
use common::object::entry::{Entry, Kind};
use rustix::fs::{AtFlags, FileType, Statx, StatxAttributes, StatxFlags, StatxTimestamp, statx};

/// What `statx` says about a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Looked {
    /// What it is.
    pub kind: Kind,
    /// What every entry keeps.
    pub stat: Stat,
    /// Birth time, where the file system has one.
    pub birth: Option<FileTime>,
    /// Device the file lies on: `major << 32 | minor`.
    pub dev: u64,
    /// Mount it belongs to; 0 when the kernel does not say.
    pub mnt_id: u64,
    /// Whether it is the root of a mount.
    pub mount_root: bool,
    /// Allocated bytes.
    pub allocated_bytes: u64,
    /// Numbers of a device node.
    pub device: Option<Device>,
    /// Whether the no-dump flag is set.
    pub nodump: bool,
}

impl Looked {
    /// An entry with all that one look tells.
    #[must_use]
    pub fn entry(&self, name: Vec<u8>) -> Entry {
        let mut entry = Entry::new(name, self.kind, self.stat);
        entry.birth = self.birth;
        entry.device = self.device;
        entry
    }

    /// Whether the file has unallocated parts worth asking for.
    #[must_use]
    pub fn may_have_holes(&self) -> bool {
        self.kind == Kind::File && self.allocated_bytes < self.stat.size
    }
}

/// Looks at `name` in `directory`; a symlink is looked at itself.
///
/// # Errors
/// As `statx`; `Unsupported` for a kind of file this version does not know.
pub fn look(directory: impl AsFd, name: &[u8]) -> io::Result<Looked> {
    ask(
        directory,
        name,
        AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT,
    )
}

/// Looks at an open file or directory.
///
/// # Errors
/// As [`look`].
pub fn look_at(handle: impl AsFd) -> io::Result<Looked> {
    ask(handle, b"", AtFlags::EMPTY_PATH)
}

fn ask(at: impl AsFd, name: &[u8], how: AtFlags) -> io::Result<Looked> {
    let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME | StatxFlags::MNT_ID;
    from_statx(&statx(at, name, how, wanted)?)
}

fn from_statx(s: &Statx) -> io::Result<Looked> {
    let kind = kind_of(FileType::from_raw_mode(s.stx_mode.into()))?;
    let has = |flag: StatxFlags| s.stx_mask & flag.bits() != 0;
    let attribute = |a: StatxAttributes| s.stx_attributes.contains(a);
    let node = matches!(kind, Kind::CharDevice | Kind::BlockDevice);
    Ok(Looked {
        kind,
        stat: Stat {
            mode: u32::from(s.stx_mode) & 0o7777,
            uid: s.stx_uid,
            gid: s.stx_gid,
            size: if matches!(kind, Kind::File | Kind::Symlink) {
                s.stx_size
            } else {
                0
            },
            mtime: time_of(&s.stx_mtime),
            ctime: time_of(&s.stx_ctime),
            atime: time_of(&s.stx_atime),
            ino: s.stx_ino,
            nlink: if kind == Kind::Directory {
                1
            } else {
                s.stx_nlink.into()
            },
        },
        birth: has(StatxFlags::BTIME).then(|| time_of(&s.stx_btime)),
        dev: u64::from(s.stx_dev_major) << 32 | u64::from(s.stx_dev_minor),
        mnt_id: if has(StatxFlags::MNT_ID) {
            s.stx_mnt_id
        } else {
            0
        },
        mount_root: attribute(StatxAttributes::MOUNT_ROOT),
        allocated_bytes: s.stx_blocks.saturating_mul(512),
        device: node.then_some(Device {
            major: s.stx_rdev_major,
            minor: s.stx_rdev_minor,
        }),
        nodump: attribute(StatxAttributes::NODUMP),
    })
}

fn time_of(t: &StatxTimestamp) -> FileTime {
    FileTime {
        secs: t.tv_sec,
        nanos: t.tv_nsec.min(999_999_999),
    }
}

/// The entry kind of a file type.
///
/// # Errors
/// `Unsupported` for a type this version does not know.
pub fn kind_of(kind: FileType) -> io::Result<Kind> {
    Ok(match kind {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Symlink,
        FileType::Fifo => Kind::Fifo,
        FileType::Socket => Kind::Socket,
        FileType::CharacterDevice => Kind::CharDevice,
        FileType::BlockDevice => Kind::BlockDevice,
        FileType::Unknown => {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "a kind of file unknown to this version",
            ));
        }
    })
}
