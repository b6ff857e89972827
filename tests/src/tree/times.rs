//! Times at the borders: before 1970, after 2038, with nanoseconds, of files, folders and links.

use crate::folder::Folder;

/// Seconds and nanoseconds. ext4 with 256-byte inodes holds years 1901 to 2446.
const TIMES: [(&[u8], i64, u32); 7] = [
    (b"epoch", 0, 0),
    (b"one-nanosecond", 1_700_000_000, 1),
    (b"nanoseconds", 1_700_000_000, 123_456_789),
    (b"before-1970", -31_536_000, 500_000_000),
    (b"year-1910", -1_893_456_000, 999_999_999),
    (b"after-2038", 2_177_452_800, 7),
    (b"year-2200", 7_258_118_400, 999_999_999),
];

/// Makes them.
pub fn make(root: &Folder) {
    for (name, secs, nanos) in TIMES {
        root.file(name, b"time\n");
        root.times(name, (secs + 10, nanos), (secs, nanos));
    }
    for (name, secs, nanos) in TIMES {
        let name = [b"folder-", name].concat();
        root.folder(&name).file(b"child", b"x");
        root.times(&name, (secs, nanos), (secs, nanos));
    }
    root.symlink(b"link", b"epoch");
    root.times(b"link", (1, 2), (-3, 4));
}

/// Gives the folder `name` an old time, as if nothing had happened in it for long.
pub fn settle(root: &Folder, name: &[u8]) {
    root.times(name, (1_500_000_000, 42), (1_500_000_001, 987_654_321));
}
