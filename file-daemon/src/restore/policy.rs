//! What happens when a name exists where an entry is restored, PURE.

use common::object::attribute::FileTime;
use common::object::entry::{Entry, Kind};
use common::protocol::orders::Replace;

/// What is known about the name that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// What it is.
    pub kind: Kind,
    /// Its size in bytes.
    pub size: u64,
    /// Its modification time.
    pub mtime: FileTime,
}

/// The decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// The restored entry takes its place; two directories become one with the restored attributes.
    Replace,
    /// It stays as it is, content and metadata.
    Keep,
}

/// Decides about an entry whose name exists.
#[must_use]
pub fn choose(replace: Replace, found: &Found, entry: &Entry) -> Choice {
    let yes = match replace {
        Replace::Always => true,
        Replace::Never => false,
        Replace::IfNewer => entry.stat.mtime > found.mtime,
        Replace::IfOlder => entry.stat.mtime < found.mtime,
        Replace::IfChanged => {
            found.kind != entry.kind
                || entry.stat.mtime != found.mtime
                || (entry.kind != Kind::Directory && entry.stat.size != found.size)
        }
    };
    if yes { Choice::Replace } else { Choice::Keep }
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::object::attribute::Stat;

    #[test]
    fn every_policy_decides_by_size_and_time() {
        let time = |secs| FileTime { secs, nanos: 0 };
        let entry = |secs, size| {
            Entry::new(
                b"f".to_vec(),
                Kind::File,
                Stat {
                    mtime: time(secs),
                    size,
                    ..Stat::default()
                },
            )
        };
        let found = Found {
            kind: Kind::File,
            size: 5,
            mtime: time(10),
        };
        use Replace as R;
        for (replace, secs, size, expected) in [
            (R::Always, 10, 5, Choice::Replace),
            (R::Never, 99, 9, Choice::Keep),
            (R::IfNewer, 11, 5, Choice::Replace),
            (R::IfNewer, 10, 9, Choice::Keep),
            (R::IfOlder, 9, 5, Choice::Replace),
            (R::IfOlder, 10, 9, Choice::Keep),
            (R::IfChanged, 10, 5, Choice::Keep),
            (R::IfChanged, 10, 6, Choice::Replace),
            (R::IfChanged, 9, 5, Choice::Replace),
        ] {
            assert_eq!(
                choose(replace, &found, &entry(secs, size)),
                expected,
                "{replace:?} {secs} {size}"
            );
        }
        let link = Found {
            kind: Kind::Symlink,
            ..found
        };
        assert_eq!(choose(R::IfChanged, &link, &entry(10, 5)), Choice::Replace);
    }
}
