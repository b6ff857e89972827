//! Extended attributes of each namespace, POSIX ACLs, capabilities, inode flags.

use crate::folder::Folder;
use crate::seed::Seed;
use rustix::fs::IFlags;

/// Makes files with attributes. Needs root, and a file system that has them.
pub fn make(root: &Folder, seed: &Seed) {
    user(root, seed);
    root.file(b"trusted", b"x");
    root.xattr(b"trusted", "trusted.holdfast", b"only root sees this");
    root.symlink(b"link", b"trusted");
    root.xattr(b"link", "trusted.link", b"of the link itself");
    root.folder(b"folder");
    root.xattr(b"folder", "user.folder", b"of a folder");
    root.file(b"capable", b"x");
    // Owner, mode and capability together: each step may clear the next one's work.
    root.owner(b"capable", 1000, 1000);
    root.mode(b"capable", 0o4755);
    root.xattr(b"capable", "security.capability", &capability(10));
    acls(root);
}

fn user(root: &Folder, seed: &Seed) {
    let mut seed = seed.fork("attributes");
    root.file(b"user", b"x");
    root.xattr(b"user", "user.text", b"hello");
    let binary: Vec<u8> = (0..=255).collect();
    root.xattr(b"user", "user.binary", &binary);
    root.xattr(b"user", "user.empty", b"");
    root.xattr(b"user", "user.n\u{e4}me", b"a name of its own");
    root.file(b"large", b"x");
    root.xattr(b"large", "user.large", &seed.bytes(3000));
    root.file(b"many", b"x");
    for i in 0..60 {
        root.xattr(b"many", &format!("user.{i:03}"), &seed.bytes(20));
    }
}

/// A file with attributes of 60 kB together and one of 60 kB: more than ext4 holds, tmpfs does.
pub fn huge(root: &Folder, seed: &Seed) {
    let mut seed = seed.fork("huge attributes");
    root.file(b"one-of-60k", b"x");
    root.xattr(b"one-of-60k", "user.huge", &seed.bytes(60_000));
    root.file(b"sixty-of-1k", b"x");
    for i in 0..60 {
        root.xattr(b"sixty-of-1k", &format!("user.{i:03}"), &seed.bytes(1000));
    }
}

fn acls(root: &Folder) {
    root.file(b"acl", b"x");
    root.xattr(
        b"acl",
        "system.posix_acl_access",
        &acl(&[(1001, 6), (70_000, 4)]),
    );
    root.folder(b"acl-folder");
    root.xattr(b"acl-folder", "system.posix_acl_access", &acl(&[(1002, 7)]));
    root.xattr(
        b"acl-folder",
        "system.posix_acl_default",
        &acl(&[(1003, 5), (1004, 4)]),
    );
}

/// A POSIX ACL as the kernel stores it: these users with these rights, beside owner, group, mask and others.
fn acl(users: &[(u32, u16)]) -> Vec<u8> {
    const NOBODY: u32 = u32::MAX;
    let mut entries = vec![(0x01, 6, NOBODY)];
    entries.extend(users.iter().map(|(id, rights)| (0x02, *rights, *id)));
    entries.extend([(0x04, 4, NOBODY), (0x10, 7, NOBODY), (0x20, 0, NOBODY)]);
    let mut bytes = 2u32.to_le_bytes().to_vec();
    for (tag, rights, id) in entries {
        bytes.extend_from_slice(&u16::to_le_bytes(tag));
        bytes.extend_from_slice(&u16::to_le_bytes(rights));
        bytes.extend_from_slice(&id.to_le_bytes());
    }
    bytes
}

/// The attribute `security.capability` (version 2, effective) with one capability permitted.
fn capability(number: u32) -> Vec<u8> {
    [0x0200_0001, 1 << number, 0, 0, 0]
        .iter()
        .flat_map(|word: &u32| word.to_le_bytes())
        .collect()
}

/// Files and folders with inode flags.
pub fn flags(root: &Folder) {
    for (name, flags) in [
        (&b"nodump"[..], IFlags::NODUMP),
        (b"noatime", IFlags::NOATIME),
        (b"sync", IFlags::SYNC | IFlags::NODUMP),
        (b"immutable", IFlags::IMMUTABLE),
        (b"append-only", IFlags::APPEND),
    ] {
        root.file(name, b"flagged\n");
        let old = rustix::fs::ioctl_getflags(root.read(name).expect("just made"))
            .expect("ext4 has inode flags");
        root.flags(name, old | flags);
    }
    root.folder(b"folder").file(b"inside", b"x");
    let old = rustix::fs::ioctl_getflags(root.read(b"folder").expect("just made"))
        .expect("ext4 has inode flags");
    root.flags(b"folder", old | IFlags::NODUMP | IFlags::DIRSYNC);
}
