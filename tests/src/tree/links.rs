//! Hard links of everything that can have them, and symbolic links to everything and nothing.

use crate::folder::Folder;
use crate::seed::Seed;
use rustix::fs::FileType;

/// Makes them.
pub fn make(root: &Folder, seed: &Seed) {
    let mut seed = seed.fork("links");
    let sub = root.folder(b"sub");
    root.file(b"small-1", b"small\n");
    root.link(b"small-2", root, b"small-1");
    sub.link(b"small-3", root, b"small-1");
    root.file(b"big-1", &seed.bytes(3 << 20));
    sub.link(b"big-2", root, b"big-1");
    root.file(b"empty-1", b"");
    root.link(b"empty-2", root, b"empty-1");
    root.symlink(b"to-file", b"small-1");
    root.symlink(b"to-folder", b"sub");
    root.symlink(b"to-nothing", b"/nowhere/\xff\n");
    root.symlink(b"to-itself", b"to-itself");
    root.symlink(b"absolute", b"/etc/passwd");
    root.symlink(b"upward", b"../../../../../../etc");
    root.symlink(b"long", &[b't'; 4000]);
    root.link(b"link-of-link", root, b"to-nothing");
    root.special(b"fifo-1", FileType::Fifo, 0);
    sub.link(b"fifo-2", root, b"fifo-1");
    root.owner(b"to-file", 1234, 5678);
    root.times(b"to-file", (5, 6), (1_600_000_000, 111_222_333));
}
