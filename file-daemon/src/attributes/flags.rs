//! Inode flags (`chattr`): the bits an administrator sets and a restore can set again.

use std::io;
use std::os::fd::AsFd;

use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
use rustix::io::Errno;

/// `FS_IMMUTABLE_FL`, chattr `i`.
pub const IMMUTABLE: u32 = 0x10;
/// `FS_APPEND_FL`, chattr `a`.
pub const APPEND: u32 = 0x20;
/// `FS_COMPR_FL` (chattr `c`) and `FS_NOCOW_FL` (chattr `C`): mean something only while the file is still empty.
pub const BEFORE_CONTENT: u32 = 0x4 | 0x0080_0000;
/// The bits kept: s u c S i a d A j D T C P. Others are the file system's own (extents, inline data, encryption).
pub const KEPT: u32 = 0x1
    | 0x2
    | 0x4
    | 0x8
    | IMMUTABLE
    | APPEND
    | 0x40
    | 0x80
    | 0x4000
    | 0x0001_0000
    | 0x0002_0000
    | 0x0080_0000
    | 0x2000_0000;

/// The kept flags of an open file or directory; 0 where the file system has none.
///
/// # Errors
/// The call failed for another reason.
pub fn read(handle: impl AsFd) -> io::Result<u32> {
    match ioctl_getflags(handle) {
        Ok(flags) => Ok(flags.bits() & KEPT),
        Err(Errno::NOTTY | Errno::NOTSUP | Errno::INVAL | Errno::NOSYS) => Ok(0),
        Err(e) => Err(e.into()),
    }
}

/// Sets the kept flags, leaving all others as they are.
///
/// # Errors
/// The call failed: not permitted, or the file system has no flags.
pub fn write(handle: impl AsFd, flags: u32) -> io::Result<()> {
    let now = ioctl_getflags(&handle)?.bits();
    let wanted = (now & !KEPT) | (flags & KEPT);
    if wanted != now {
        ioctl_setflags(&handle, IFlags::from_bits_retain(wanted))?;
    }
    Ok(())
}
