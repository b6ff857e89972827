//! Fifos, sockets, devices; owners with big numbers; each mode with a meaning.

use crate::folder::Folder;
use rustix::fs::{FileType, makedev};

/// Makes them. Needs root.
pub fn make(root: &Folder) {
    root.special(b"fifo", FileType::Fifo, 0);
    root.special(b"socket", FileType::Socket, 0);
    root.special(b"null", FileType::CharacterDevice, makedev(1, 3));
    root.special(b"loop", FileType::BlockDevice, makedev(7, 200));
    root.special(
        b"big-numbers",
        FileType::CharacterDevice,
        makedev(2748, 703_710),
    );
    owners(&root.folder(b"owners"));
    modes(&root.folder(b"modes"));
}

fn owners(root: &Folder) {
    for (name, uid, gid) in [
        (&b"user"[..], 1000, 1000),
        (b"nobody", 65_534, 65_534),
        (b"huge", 4_000_000_000, 4_000_000_001),
    ] {
        root.file(name, b"owned\n");
        root.owner(name, uid, gid);
    }
    root.folder(b"folder");
    root.owner(b"folder", 1001, 2002);
}

fn modes(root: &Folder) {
    for mode in [0o4755, 0o2755, 0o1644, 0o6711, 0o000, 0o7777, 0o111, 0o222] {
        let name = format!("file-{mode:04o}");
        root.file(name.as_bytes(), b"mode\n");
        // The owner first: changing it clears setuid and setgid.
        root.owner(name.as_bytes(), 1000, 1000);
        root.mode(name.as_bytes(), mode);
    }
    for mode in [0o2770, 0o1777, 0o000, 0o500] {
        let name = format!("folder-{mode:04o}");
        root.folder(name.as_bytes()).file(b"inside", b"mode\n");
        root.mode(name.as_bytes(), mode);
    }
}
