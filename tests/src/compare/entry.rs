//! One name in two folders: what differs between the two files it stands for.

use std::fs::File;
use std::os::unix::fs::FileExt;

use common::name::Shown;
use rustix::fs::{FileType, IFlags, SeekFrom, Stat};

use super::walk::Compare;
use crate::folder::Folder;

/// Bytes compared at once.
const STEP: usize = 1 << 18;
/// Holes are compared in units of this.
const BLOCK: u64 = 4096;

/// Inode flags that a person can set, and that a restore brings back.
const FLAGS: IFlags = IFlags::SYNC
    .union(IFlags::IMMUTABLE)
    .union(IFlags::APPEND)
    .union(IFlags::NODUMP)
    .union(IFlags::NOATIME)
    .union(IFlags::DIRSYNC);

/// What differs between `name` in `ours` and in `theirs`, without hard links.
pub fn differences(
    what: Compare,
    name: &[u8],
    ours: (&Folder, &Stat),
    theirs: (&Folder, &Stat),
) -> Vec<String> {
    let mut found = stats(what, ours.1, theirs.1);
    let kind = FileType::from_raw_mode(ours.1.st_mode);
    if kind != FileType::from_raw_mode(theirs.1.st_mode) {
        return found;
    }
    let pair = (ours.0, theirs.0);
    found.extend(xattrs(pair, name));
    match kind {
        FileType::Symlink if pair.0.target(name) != pair.1.target(name) => {
            found.push("link target".to_owned());
        }
        FileType::RegularFile => match (pair.0.read(name), pair.1.read(name)) {
            (Ok(a), Ok(b)) => {
                found.extend(flags(&a, &b));
                found.extend(content(&a, &b, ours.1.st_size.min(theirs.1.st_size)));
                found.extend(holes((&a, ours.1), (&b, theirs.1)));
            }
            (a, b) => found.push(format!("cannot be read: {:?}, {:?}", a.err(), b.err())),
        },
        FileType::Directory => {
            if let (Ok(a), Ok(b)) = (pair.0.read(name), pair.1.read(name)) {
                found.extend(flags(&a, &b));
            }
        }
        _ => {}
    }
    found
}

fn stats(what: Compare, ours: &Stat, theirs: &Stat) -> Vec<String> {
    let mut found = Vec::new();
    let mut check = |field: &str, a: String, b: String| {
        if a != b {
            found.push(format!("{field} {a} is now {b}"));
        }
    };
    let kind = |s: &Stat| format!("{:?}", FileType::from_raw_mode(s.st_mode));
    check("kind", kind(ours), kind(theirs));
    let is_link = FileType::from_raw_mode(ours.st_mode) == FileType::Symlink;
    let mode = |s: &Stat| format!("{:04o}", s.st_mode & 0o7777);
    check("mode", mode(ours), mode(theirs));
    check("owner", ours.st_uid.to_string(), theirs.st_uid.to_string());
    check("group", ours.st_gid.to_string(), theirs.st_gid.to_string());
    let mtime = |s: &Stat| format!("{}.{:09}", s.st_mtime, s.st_mtime_nsec);
    if what != Compare::NoTimes {
        check("mtime", mtime(ours), mtime(theirs));
    }
    if what == Compare::AccessTimesToo && !is_link {
        let atime = |s: &Stat| format!("{}.{:09}", s.st_atime, s.st_atime_nsec);
        check("atime", atime(ours), atime(theirs));
    }
    check(
        "device",
        ours.st_rdev.to_string(),
        theirs.st_rdev.to_string(),
    );
    if FileType::from_raw_mode(ours.st_mode) != FileType::Directory {
        check("size", ours.st_size.to_string(), theirs.st_size.to_string());
    }
    found
}

fn xattrs(pair: (&Folder, &Folder), name: &[u8]) -> Vec<String> {
    let (ours, theirs) = match (pair.0.xattrs(name), pair.1.xattrs(name)) {
        (Ok(a), Ok(b)) => (a, b),
        (a, b) => {
            return vec![format!(
                "attributes cannot be read: {:?}, {:?}",
                a.err(),
                b.err()
            )];
        }
    };
    let mut found = Vec::new();
    for (attribute, value) in &ours {
        match theirs.iter().find(|(other, _)| other == attribute) {
            None => found.push(format!("attribute {} is gone", Shown(attribute))),
            Some((_, other)) if other != value => {
                found.push(format!("attribute {} differs", Shown(attribute)))
            }
            Some(_) => {}
        }
    }
    for (attribute, _) in theirs
        .iter()
        .filter(|(a, _)| !ours.iter().any(|(b, _)| a == b))
    {
        found.push(format!("attribute {} is new", Shown(attribute)));
    }
    found
}

fn flags(ours: &File, theirs: &File) -> Option<String> {
    // A file system without flags has none set.
    let of = |file: &File| rustix::fs::ioctl_getflags(file).unwrap_or(IFlags::empty()) & FLAGS;
    let (a, b) = (of(ours), of(theirs));
    (a != b).then(|| format!("inode flags {a:?} are now {b:?}"))
}

fn content(ours: &File, theirs: &File, len: i64) -> Option<String> {
    let len = u64::try_from(len).unwrap_or(0);
    let (mut a, mut b) = (vec![0; STEP], vec![0; STEP]);
    let mut at = 0;
    while at < len {
        // What is a hole in both needs no reading.
        let next = [data_after(ours, at, len), data_after(theirs, at, len)]
            .into_iter()
            .min()
            .unwrap_or(len);
        if next > at {
            at = next;
            continue;
        }
        let room = usize::try_from((len - at).min(STEP as u64)).expect("at most STEP");
        if let Err(e) = ours
            .read_exact_at(&mut a[..room], at)
            .and_then(|()| theirs.read_exact_at(&mut b[..room], at))
        {
            return Some(format!("content cannot be read at {at}: {e}"));
        }
        if let Some(i) = (0..room).find(|i| a[*i] != b[*i]) {
            return Some(format!("content differs at byte {}", at + i as u64));
        }
        at += room as u64;
    }
    None
}

/// Where the first data at or behind `at` begins; `len` when there is none.
fn data_after(file: &File, at: u64, len: u64) -> u64 {
    rustix::fs::seek(file, SeekFrom::Data(at))
        .unwrap_or(len)
        .min(len)
}

fn holes(ours: (&File, &Stat), theirs: (&File, &Stat)) -> Option<String> {
    let (a, b) = (extents(ours), extents(theirs));
    (a != b).then(|| {
        let bytes = |e: &[(u64, u64)]| e.iter().map(|(from, to)| (to - from) * BLOCK).sum::<u64>();
        format!(
            "{} bytes in {} extents of data are now {} bytes in {}",
            bytes(&a),
            a.len(),
            bytes(&b),
            b.len()
        )
    })
}

/// Extents of data in whole blocks, joined where they touch.
fn extents((file, stat): (&File, &Stat)) -> Vec<(u64, u64)> {
    let len = u64::try_from(stat.st_size).unwrap_or(0);
    let mut found: Vec<(u64, u64)> = Vec::new();
    let mut at = 0;
    while at < len {
        let from = data_after(file, at, len);
        if from >= len {
            break;
        }
        let to = rustix::fs::seek(file, SeekFrom::Hole(from))
            .unwrap_or(len)
            .min(len);
        let (first, last) = (from / BLOCK, to.div_ceil(BLOCK));
        match found.last_mut() {
            Some((_, end)) if *end >= first => *end = last,
            _ => found.push((first, last)),
        }
        at = to.max(from + 1);
    }
    found
}
