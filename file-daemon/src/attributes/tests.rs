//! Every attribute kind, captured, applied elsewhere and captured again. Needs root for devices, owners and trusted.*.

use std::ffi::OsStr;
use std::io::{Seek, SeekFrom, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use common::object::attribute::{Extent, FileTime};
use common::object::entry::{Entry, Kind};
use rustix::fs::{FileType, Mode, OFlags, XattrFlags, makedev, mknodat, open, openat, setxattr};

use super::apply::set_flags;
use super::*;

fn directory(path: &Path) -> OwnedFd {
    open(path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap()
}

fn captured(dir: &OwnedFd, name: &str) -> Entry {
    let looked = look(dir, name.as_bytes()).unwrap();
    let mut entry = looked.entry(name.as_bytes().to_vec());
    let opened = matches!(looked.kind, Kind::File | Kind::Directory)
        .then(|| openat(dir, name, OFlags::RDONLY | OFlags::NOFOLLOW, Mode::empty()).unwrap());
    let place = match &opened {
        Some(fd) => Place::Open(fd.as_fd()),
        None => Place::Named(dir.as_fd(), name.as_bytes()),
    };
    let missed = Capturer::default().fill(&mut entry, &looked, place);
    assert!(missed.is_empty(), "{missed:?}");
    entry
}

/// The entry without what a restore cannot or must not bring back.
fn comparable(mut entry: Entry) -> Entry {
    entry.birth = None;
    entry.stat.ctime = FileTime::default();
    entry.stat.ino = 0;
    entry.link_group = None;
    entry.extents = None;
    (entry.owner, entry.group) = Default::default();
    entry
}

fn as_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[allow(clippy::needless_pass_by_value)] // the shape `apply` calls
fn none_missed(kind: Shortfall, e: std::io::Error) {
    panic!("{kind:?}: {e}");
}

fn acl(entries: &[(u16, u16, u32)]) -> Vec<u8> {
    let mut out = 2u32.to_le_bytes().to_vec();
    for (tag, perm, id) in entries {
        out.extend(tag.to_le_bytes());
        out.extend(perm.to_le_bytes());
        out.extend(id.to_le_bytes());
    }
    out
}

#[test]
fn everything_about_files_and_directories_comes_back() {
    if !as_root() {
        return;
    }
    let tmp = tempfile::tempdir().unwrap();
    let dir = directory(tmp.path());
    std::fs::write(tmp.path().join("f"), b"x").unwrap();
    std::fs::create_dir(tmp.path().join("d")).unwrap();
    for name in ["f", "d"] {
        let path = tmp.path().join(name);
        let set = |n: &str, v: &[u8]| setxattr(&path, n, v, XattrFlags::empty()).unwrap();
        std::os::unix::fs::chown(&path, Some(12345), Some(54321)).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o6751)).unwrap();
        let named = [
            (1, 7, u32::MAX),
            (2, 6, 777),
            (4, 5, u32::MAX),
            (0x10, 7, u32::MAX),
            (0x20, 1, u32::MAX),
        ];
        set("system.posix_acl_access", &acl(&named));
        if name == "d" {
            set("system.posix_acl_default", &acl(&named));
        } else {
            set(
                "security.capability",
                &[1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            );
        }
        set("user.empty", b"");
        set("user.binary", &[0, 255, 10, 0]);
        set("trusted.t", b"secret");
        let entry = captured(&dir, name);
        let times = |secs, nanos| FileTime { secs, nanos };
        let mut entry = Entry {
            name: name.into(),
            ..entry
        };
        entry.stat.mtime = times(-1_000_000, 123_456_789);
        entry.stat.atime = times(4_000_000_000, 1);
        entry.flags = 0x10 | 0x40 | 0x80 | (entry.flags & 0x0080_0000);
        let copy = format!("{name}2");
        let to = if name == "d" {
            std::fs::create_dir(tmp.path().join(&copy)).unwrap();
            openat(
                &dir,
                copy.as_str(),
                OFlags::RDONLY | OFlags::DIRECTORY,
                Mode::empty(),
            )
            .unwrap()
        } else {
            let made = openat(
                &dir,
                copy.as_str(),
                OFlags::RDWR | OFlags::CREATE,
                Mode::RUSR,
            )
            .unwrap();
            rustix::io::write(&made, b"x").unwrap();
            made
        };
        let mut applier = Applier::default();
        let fresh = Present::Fresh {
            owner: None,
            mode: None,
        };
        applier.apply(&entry, Subject::Open(to.as_fd()), fresh, &mut none_missed);
        set_flags(&entry, to.as_fd(), &mut none_missed);
        let again = captured(&dir, &copy);
        flags::write(&to, 0).unwrap();
        let expected = Entry {
            name: copy.into_bytes(),
            ..entry
        };
        assert_eq!(comparable(again), comparable(expected));
    }
}

#[test]
fn symlinks_and_special_files_come_back_without_being_followed() {
    if !as_root() {
        return;
    }
    let tmp = tempfile::tempdir().unwrap();
    let dir = directory(tmp.path());
    let outside = tmp.path().join("victim");
    std::fs::write(&outside, b"mine").unwrap();
    let before = look(&dir, b"victim").unwrap();
    symlink("victim", tmp.path().join("l1")).unwrap();
    symlink("victim", tmp.path().join("l2")).unwrap();
    let node = |name: &str, kind, dev| mknodat(&dir, name, kind, Mode::from(0o600), dev).unwrap();
    for (first, second, kind) in [("p1", "p2", FileType::Fifo), ("s1", "s2", FileType::Socket)] {
        node(first, kind, 0);
        node(second, kind, 0);
    }
    node("c1", FileType::CharacterDevice, makedev(1, 3));
    node("c2", FileType::CharacterDevice, makedev(1, 3));
    for (first, second) in [("l1", "l2"), ("p1", "p2"), ("s1", "s2"), ("c1", "c2")] {
        let mut entry = captured(&dir, first);
        entry.stat.uid = 4321;
        entry.stat.gid = 1234;
        entry.stat.mode = if first == "l1" { 0o777 } else { 0o4640 };
        entry.stat.mtime = FileTime {
            secs: 9_000_000_000,
            nanos: 5,
        };
        entry.stat.atime = FileTime { secs: 5, nanos: 6 };
        entry.xattrs = vec![(b"trusted.x".to_vec(), b"v".to_vec())];
        let handle = openat(&dir, second, OFlags::PATH | OFlags::NOFOLLOW, Mode::empty()).unwrap();
        let fresh = Present::Fresh {
            owner: None,
            mode: None,
        };
        Applier::default().apply(
            &entry,
            Subject::Handle(handle.as_fd()),
            fresh,
            &mut none_missed,
        );
        let again = captured(&dir, second);
        let mut expected = Entry {
            name: second.into(),
            ..entry
        };
        // Reading a link's target may touch its access time.
        expected.stat.atime = again.stat.atime;
        assert_eq!(comparable(again), comparable(expected));
    }
    assert_eq!(captured(&dir, "l1").target.as_deref(), Some(&b"victim"[..]));
    assert_eq!(captured(&dir, "c1").device.unwrap().minor, 3);
    assert_eq!(look(&dir, b"victim").unwrap(), before);
}

#[test]
fn existing_files_lose_what_the_entry_does_not_have() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = directory(tmp.path());
    let path = tmp.path().join("f");
    std::fs::write(&path, b"").unwrap();
    let entry = captured(&dir, "f");
    setxattr(&path, "user.extra", b"1", XattrFlags::empty()).unwrap();
    let file = std::fs::File::open(&path).unwrap();
    Applier::default().apply(
        &entry,
        Subject::Open(file.as_fd()),
        Present::Existing,
        &mut none_missed,
    );
    assert_eq!(captured(&dir, "f").xattrs, entry.xattrs);
}

#[test]
fn holes_and_allocated_zeros_are_told_apart() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = directory(tmp.path());
    let make = |name: &str, parts: &[(u64, usize)], size: u64| {
        let mut f = std::fs::File::create(tmp.path().join(name)).unwrap();
        f.set_len(size).unwrap();
        for (at, len) in parts {
            f.seek(SeekFrom::Start(*at)).unwrap();
            f.write_all(&vec![0; *len]).unwrap();
        }
        f.sync_all().unwrap();
        captured(&dir, name).extents
    };
    assert_eq!(make("zeros", &[(0, 1 << 20)], 1 << 20), None);
    assert_eq!(make("hole", &[], 1 << 20), Some(vec![]));
    let extent = |offset, len| Extent { offset, len };
    assert_eq!(
        make("mixed", &[(4096, 8192), (1 << 19, 4096)], 1 << 20),
        Some(vec![extent(4096, 8192), extent(1 << 19, 4096)])
    );
    assert_eq!(make("empty", &[], 0), None);
}

#[test]
fn hard_links_share_a_group_and_single_files_have_none() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = directory(tmp.path());
    let name = OsStr::from_bytes(b"a\xff");
    std::fs::write(tmp.path().join(name), b"1").unwrap();
    std::fs::hard_link(tmp.path().join(name), tmp.path().join("b")).unwrap();
    std::fs::write(tmp.path().join("c"), b"1").unwrap();
    let looked = look(&dir, name.as_bytes()).unwrap();
    let mut entry = looked.entry(name.as_bytes().to_vec());
    Capturer::default().fill(
        &mut entry,
        &looked,
        Place::Named(dir.as_fd(), name.as_bytes()),
    );
    assert!(entry.link_group.is_some());
    assert_eq!(entry.link_group, captured(&dir, "b").link_group);
    assert_eq!(captured(&dir, "c").link_group, None);
    assert_eq!(entry.owner, "root".repeat(usize::from(as_root())));
}
