//! Attributes: a typed, tagged list, so that what this version does not know is carried unchanged and other systems'
//! attributes fit later.
//!
//! Encoding of the list: per attribute varint tag, varint length, value; tags strictly ascending (so that equal
//! entries have equal bytes). A value longer than [`INLINE_BYTES`] is stored as a chunk and linked instead.

use crate::codec::{DecodeError, Reader, put_prefixed, put_varint, put_zigzag};

/// Longest value kept inside a page.
pub const INLINE_BYTES: usize = 2048;

/// Tags of format version 1. Never reused.
pub mod tag {
    /// Mode, owner, times, inode: [`super::Stat`].
    pub const STAT: u32 = 1;
    /// Birth time.
    pub const BIRTH: u32 = 2;
    /// Owner's name.
    pub const OWNER: u32 = 3;
    /// Group's name.
    pub const GROUP: u32 = 4;
    /// Symlink target, bytes.
    pub const TARGET: u32 = 5;
    /// Device numbers of a device node.
    pub const DEVICE: u32 = 6;
    /// Inode flags (`chattr`).
    pub const FLAGS: u32 = 7;
    /// Hard-link group.
    pub const LINK_GROUP: u32 = 8;
    /// Extended attributes, POSIX ACLs and capabilities included (`system.*`, `security.*`).
    pub const XATTRS: u32 = 9;
    /// Data extents of a sparse file.
    pub const EXTENTS: u32 = 10;
    /// What the run noticed: [`super::marks`].
    pub const MARKS: u32 = 11;
    /// How the content was cut: chunker version and average, to be inherited.
    pub const CHUNKER: u32 = 12;
}

/// Bits of the MARKS attribute.
pub mod marks {
    /// The file changed while it was read; the content is what was read, at its true length.
    pub const CHANGED: u64 = 1;
    /// Not read in this run (unreadable or unmounted): carried forward from the base.
    pub const STALE: u64 = 2;
    /// Content comes from a command's output, not from a file.
    pub const COMMAND: u64 = 4;
    /// The content could not be read; attributes only.
    pub const UNREAD: u64 = 8;
    /// A directory that stands for the path to something selected; not all it holds on the client was looked at.
    pub const IMPLIED: u64 = 16;
    /// In a checkpoint: a directory that was not finished. Names that are absent are unknown, not deleted.
    pub const UNFINISHED: u64 = 32;
}

/// An instant of a file system: seconds since the epoch (may be negative) and 0..10^9 nanoseconds after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct FileTime {
    /// Seconds since 1970-01-01 UTC.
    pub secs: i64,
    /// 0..=999,999,999.
    pub nanos: u32,
}

impl FileTime {
    /// Nanoseconds since the epoch, held at the ends of `i64` (years 1677 and 2262): for sorting and display only.
    #[must_use]
    pub fn as_nanos(&self) -> i64 {
        self.secs
            .saturating_mul(1_000_000_000)
            .saturating_add(i64::from(self.nanos))
    }

    fn encode(self, out: &mut Vec<u8>) {
        put_zigzag(out, self.secs);
        put_varint(out, u64::from(self.nanos));
    }

    fn decode(r: &mut Reader<'_>, what: &'static str) -> Result<Self, DecodeError> {
        let secs = r.zigzag(what)?;
        let nanos = r.varint32(what)?;
        if nanos >= 1_000_000_000 {
            Err(DecodeError::Range { what })
        } else {
            Ok(Self { secs, nanos })
        }
    }
}

/// What `lstat` says and every entry keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stat {
    /// Permission bits with setuid, setgid, sticky: `0o7777` at most; the kind stands in the entry.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Apparent size in bytes: files and symlinks; 0 for all others.
    pub size: u64,
    /// Last change of content.
    pub mtime: FileTime,
    /// Last change of the inode: compared, never restored.
    pub ctime: FileTime,
    /// Last access as found when the entry was captured; never compared.
    pub atime: FileTime,
    /// Inode number: compared, never restored.
    pub ino: u64,
    /// Hard links, 1 for directories.
    pub nlink: u64,
}

impl Stat {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        for v in [
            u64::from(self.mode),
            u64::from(self.uid),
            u64::from(self.gid),
            self.size,
        ] {
            put_varint(out, v);
        }
        for t in [self.mtime, self.ctime, self.atime] {
            t.encode(out);
        }
        put_varint(out, self.ino);
        put_varint(out, self.nlink);
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let stat = Self {
            mode: r.varint32("mode")?,
            uid: r.varint32("owner")?,
            gid: r.varint32("group")?,
            size: r.varint("size")?,
            mtime: FileTime::decode(&mut r, "mtime")?,
            ctime: FileTime::decode(&mut r, "ctime")?,
            atime: FileTime::decode(&mut r, "atime")?,
            ino: r.varint("inode")?,
            nlink: r.varint("link count")?,
        };
        r.finish("stat attribute")?;
        if stat.mode > 0o7777 {
            Err(DecodeError::Range { what: "mode" })
        } else {
            Ok(stat)
        }
    }

    /// Whether a file with these two results of `lstat` is unchanged: size, mtime, ctime and inode. The caller
    /// compares the kind.
    #[must_use]
    pub fn unchanged_since(&self, base: &Self) -> bool {
        (self.size, self.mtime, self.ctime, self.ino)
            == (base.size, base.mtime, base.ctime, base.ino)
    }
}

/// Device numbers of a device node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}

/// The hard-link group of an entry with more than one link: file system id (`f_fsid`, stable over reboots) and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LinkGroup {
    /// `statfs.f_fsid` as one number.
    pub fs: u64,
    /// Inode.
    pub ino: u64,
}

/// A run of data in a sparse file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Byte offset in the file.
    pub offset: u64,
    /// Bytes of data.
    pub len: u64,
}

/// How content was cut: [`crate::object::chunker`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Version of the chunker.
    pub version: u8,
    /// log2 of the average chunk size in bytes.
    pub avg_log2: u8,
}

/// One extended attribute: full name with namespace (`user.x`), value.
pub type Xattr = (Vec<u8>, Vec<u8>);

pub(crate) fn encode_birth(t: FileTime) -> Vec<u8> {
    let mut out = Vec::with_capacity(10);
    t.encode(&mut out);
    out
}

pub(crate) fn decode_birth(bytes: &[u8]) -> Result<FileTime, DecodeError> {
    let mut r = Reader::new(bytes);
    let t = FileTime::decode(&mut r, "birth time")?;
    r.finish("birth time").map(|()| t)
}

pub(crate) fn encode_numbers(values: &[u64]) -> Vec<u8> {
    let mut out = Vec::with_capacity(values.len() * 4);
    values.iter().for_each(|v| put_varint(&mut out, *v));
    out
}

pub(crate) fn decode_numbers<const N: usize>(
    bytes: &[u8],
    what: &'static str,
) -> Result<[u64; N], DecodeError> {
    let mut r = Reader::new(bytes);
    let mut out = [0; N];
    for v in &mut out {
        *v = r.varint(what)?;
    }
    r.finish(what).map(|()| out)
}

/// Encodes a set of extended attributes; the caller sorted it by name.
#[must_use]
pub fn encode_xattrs(xattrs: &[Xattr]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in xattrs {
        put_prefixed(&mut out, name);
        put_prefixed(&mut out, value);
    }
    out
}

/// Reads [`encode_xattrs`] back.
///
/// # Errors
/// Truncated, or names not strictly ascending.
pub fn decode_xattrs(bytes: &[u8]) -> Result<Vec<Xattr>, DecodeError> {
    let mut r = Reader::new(bytes);
    let mut out: Vec<Xattr> = Vec::new();
    while !r.is_empty() {
        let name = r.prefixed(255, "xattr name")?;
        let value = r.prefixed(1 << 20, "xattr value")?;
        if out.last().is_some_and(|(last, _)| last.as_slice() >= name) {
            return Err(DecodeError::Order { what: "xattrs" });
        }
        out.push((name.to_vec(), value.to_vec()));
    }
    Ok(out)
}

/// Encodes data extents as (gap, length) pairs.
#[must_use]
pub fn encode_extents(extents: &[Extent]) -> Vec<u8> {
    let mut out = Vec::with_capacity(extents.len() * 6);
    let mut at = 0u64;
    for e in extents {
        put_varint(&mut out, e.offset.saturating_sub(at));
        put_varint(&mut out, e.len);
        at = e.offset.saturating_add(e.len);
    }
    out
}

/// Reads [`encode_extents`] back: ascending, not overlapping, not empty, below 2^63.
///
/// # Errors
/// When they are not.
pub fn decode_extents(bytes: &[u8]) -> Result<Vec<Extent>, DecodeError> {
    let mut r = Reader::new(bytes);
    let mut out = Vec::new();
    let mut at = 0u64;
    while !r.is_empty() {
        let range = DecodeError::Range { what: "extent" };
        let offset = at.checked_add(r.varint("extent gap")?).ok_or(range)?;
        let len = r.varint("extent length")?;
        at = offset.checked_add(len).ok_or(range)?;
        if len == 0 || at > i64::MAX as u64 {
            return Err(range);
        }
        out.push(Extent { offset, len });
    }
    Ok(out)
}
