//! In what an entry and a live file differ, PURE, but for content and hard links, which need more than two entries.

use common::object::entry::{Entry, Kind};

/// One way to differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Difference {
    /// Nothing is there.
    Missing,
    /// Another kind of file.
    Kind,
    /// Content.
    Content,
    /// Size in bytes.
    Size,
    /// Permissions.
    Mode,
    /// Owner or group, as numbers.
    Owner,
    /// Modification time, to the nanosecond.
    Mtime,
    /// Extended attributes, ACLs and capabilities included.
    Xattrs,
    /// Inode flags.
    Flags,
    /// Target of a symlink.
    Target,
    /// Device numbers.
    Device,
    /// Which names are the same file.
    Links,
    /// Holes of a sparse file.
    Holes,
    /// The live file cannot be read.
    Unreadable,
    /// The storage lost what there was to compare with.
    Lost,
}

impl Difference {
    /// As it reads in a report.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Kind => "kind",
            Self::Content => "content",
            Self::Size => "size",
            Self::Mode => "mode",
            Self::Owner => "owner",
            Self::Mtime => "mtime",
            Self::Xattrs => "extended attributes",
            Self::Flags => "flags",
            Self::Target => "link target",
            Self::Device => "device",
            Self::Links => "hard links",
            Self::Holes => "holes",
            Self::Unreadable => "cannot be read",
            Self::Lost => "damaged in the storage",
        }
    }
}

/// In what the attributes of a snapshot's entry and of a live file differ.
#[must_use]
pub fn attributes(stored: &Entry, live: &Entry) -> Vec<Difference> {
    if stored.kind != live.kind {
        return vec![Difference::Kind];
    }
    let (a, b) = (&stored.stat, &live.stat);
    let sized = matches!(stored.kind, Kind::File | Kind::Symlink);
    // A link's mode says nothing and cannot be set.
    let moded = stored.kind != Kind::Symlink;
    let checks = [
        (Difference::Size, sized && a.size != b.size),
        (Difference::Mode, moded && a.mode != b.mode),
        (Difference::Owner, (a.uid, a.gid) != (b.uid, b.gid)),
        (Difference::Mtime, a.mtime != b.mtime),
        (Difference::Xattrs, stored.xattrs != live.xattrs),
        (Difference::Flags, stored.flags != live.flags),
        (Difference::Target, stored.target != live.target),
        (Difference::Device, stored.device != live.device),
        (
            Difference::Holes,
            a.size == b.size && stored.extents != live.extents,
        ),
    ];
    checks
        .iter()
        .filter(|(_, differs)| *differs)
        .map(|(what, _)| *what)
        .collect()
}
