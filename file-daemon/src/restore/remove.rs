//! Removes a name with all below it, by handles, without following links and without recursion.
//!
//! Never enters another mount: what is mounted below a folder was not part of it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, RenameFlags, ResolveFlags, openat, openat2,
    renameat_with, unlinkat,
};
use rustix::io::Errno;

use crate::attributes::flags;

/// Deepest tree that is removed while every level stays open.
const MOST_LEVELS: usize = 128;
/// Most passes over a tree that is deeper than that, or that others fill meanwhile.
const MOST_PASSES: usize = 10_000;

/// Removes `name` in `directory`, whatever it is; gone already is fine.
///
/// # Errors
/// The first name that cannot be removed.
pub fn remove(directory: impl AsFd, name: &[u8]) -> io::Result<()> {
    match unlink(&directory, name) {
        Err(Errno::NOENT) => Ok(()),
        Err(Errno::ISDIR) => remove_tree(&directory.as_fd().try_clone_to_owned()?, name),
        other => Ok(other?),
    }
}

/// Unlinks; what is immutable is made mutable first, where this process may.
///
/// # Errors
/// As `unlinkat`.
pub fn unlink(directory: impl AsFd, name: &[u8]) -> Result<(), Errno> {
    match unlinkat(&directory, name, AtFlags::empty()) {
        Err(Errno::PERM) => {
            make_mutable(&directory, name);
            unlinkat(&directory, name, AtFlags::empty())
        }
        other => other,
    }
}

/// Takes immutable and append-only off a file or directory, as far as it has them and this process may.
pub fn make_mutable(directory: impl AsFd, name: &[u8]) {
    let how = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(handle) = openat(directory, name, how, Mode::empty()) else {
        return;
    };
    if let Ok(now) = flags::read(&handle)
        && now & (flags::IMMUTABLE | flags::APPEND) != 0
    {
        // When it fails, the removal that follows says so.
        let _ = flags::write(&handle, now & !(flags::IMMUTABLE | flags::APPEND));
    }
}

/// Opens the directory `name` in `parent` for removal.
///
/// # Errors
/// `EXDEV` when something is mounted there.
pub fn open_directory(parent: impl AsFd, name: &[u8]) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let confined = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV;
    // No fallback for kernels that lack this: a removal that cannot be confined is refused.
    Ok(openat2(parent, name, flags, Mode::empty(), confined)?)
}

/// An open directory, its name, and the names of the directories left in it.
type Level = (OwnedFd, Vec<u8>, Vec<Vec<u8>>);

/// Each pass goes down to a first directory without directories, empties and removes what it can on the way back.
fn remove_tree(parent: &OwnedFd, name: &[u8]) -> io::Result<()> {
    for _ in 0..MOST_PASSES {
        match remove_levels(parent, name) {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(e) if e.raw_os_error() == Some(Errno::NOENT.raw_os_error()) => return Ok(()),
            Err(e) => return Err(e),
        }
    }
    Err(Errno::NOTEMPTY.into())
}

/// Removes up to [`MOST_LEVELS`] levels. `false` = something is left, and another pass goes on.
fn remove_levels(parent: &OwnedFd, name: &[u8]) -> io::Result<bool> {
    make_mutable(parent, name);
    let mut levels: Vec<Level> = Vec::new();
    let first = open_directory(parent, name)?;
    let below = empty(&first)?;
    levels.push((first, name.to_vec(), below));
    while let Some((handle, own_name, below)) = levels.last_mut() {
        match below.pop() {
            Some(child) => {
                let handle = open_directory(&*handle, &child)?;
                let names = empty(&handle)?;
                levels.push((handle, child, names));
                if levels.len() >= MOST_LEVELS {
                    // Too deep to hold open: bring the deepest one up beside the first, where the next pass finds it.
                    return lift(&levels);
                }
            }
            None => {
                let own_name = std::mem::take(own_name);
                levels.pop();
                let above = levels.last().map_or(parent, |(handle, ..)| handle);
                unlinkat(above, own_name.as_slice(), AtFlags::REMOVEDIR)?;
            }
        }
    }
    Ok(true)
}

/// Moves the deepest open directory into the topmost one under a name of its own.
fn lift(levels: &[Level]) -> io::Result<bool> {
    let [(top, ..), .., (above, ..), (_, deepest, _)] = levels else {
        return Ok(false);
    };
    for n in 0..1000u32 {
        let name = format!(".holdfast-lifted-{n}");
        match renameat_with(
            above,
            deepest.as_slice(),
            top,
            name.as_str(),
            RenameFlags::NOREPLACE,
        ) {
            Err(Errno::EXIST) => {}
            other => return Ok(other.map(|()| false)?),
        }
    }
    Err(Errno::EXIST.into())
}

/// Unlinks everything in a directory but its directories, and names those.
fn empty(directory: &OwnedFd) -> io::Result<Vec<Vec<u8>>> {
    let mut below = Vec::new();
    for found in Dir::read_from(directory)? {
        let found = found?;
        let name = found.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        if found.file_type() == FileType::Directory {
            make_mutable(directory, name);
            below.push(name.to_vec());
            continue;
        }
        match unlink(directory, name) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(Errno::ISDIR) => below.push(name.to_vec()),
            Err(e) => return Err(e.into()),
        }
    }
    Ok(below)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, mkdirat};

    #[test]
    fn a_deep_and_wide_tree_goes_and_what_links_lead_to_stays() {
        let tmp = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("kept"), b"1").unwrap();
        let root = open_directory_at(tmp.path());
        mkdirat(&root, "top", Mode::RWXU).unwrap();
        let mut at = open_directory(&root, b"top").unwrap();
        for level in 0..1500 {
            for n in 0..2 {
                let file = format!("f{level}-{n}");
                openat(
                    &at,
                    file.as_str(),
                    OFlags::CREATE | OFlags::WRONLY,
                    Mode::RUSR,
                )
                .unwrap();
            }
            rustix::fs::symlinkat(outside.path(), &at, "link").unwrap();
            mkdirat(&at, "side", Mode::RWXU).unwrap();
            mkdirat(&at, "a-long-name-for-a-directory", Mode::RWXU).unwrap();
            at = open_directory(&at, b"a-long-name-for-a-directory").unwrap();
        }
        remove(&root, b"top").unwrap();
        assert!(!tmp.path().join("top").exists());
        assert!(outside.path().join("kept").exists());
        remove(&root, b"top").unwrap();
    }

    fn open_directory_at(path: &std::path::Path) -> OwnedFd {
        openat(CWD, path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap()
    }
}
