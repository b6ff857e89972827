//! Symlinks, pipes, sockets and device nodes: made under a temporary name, given attributes, renamed.
//!
//! Attributes go through an `O_PATH` handle that was checked to be what was just made, with no other name: whoever may
//! write to the directory cannot have them set on a file of somebody else.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering::Relaxed;

use common::object::entry::{Entry, Kind};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, makedev, mknodat, openat, symlinkat, unlinkat};
use rustix::io::Errno;

use super::context::Shared;
use super::file::{Inode, Pending};
use super::publish::{apply_fresh, misses, rename};
use crate::attributes::look::look_at;
use crate::attributes::{Applier, Present, Shortfall, Subject};

/// Makes what `pending` says and publishes it.
pub fn make(shared: &Shared<'_>, applier: &mut Applier, pending: &Pending) {
    let node = matches!(pending.entry.kind, Kind::CharDevice | Kind::BlockDevice);
    match try_make(shared, applier, pending) {
        Err(e) if node && e.raw_os_error() == Some(Errno::PERM.raw_os_error()) => {
            shared.tally.shortfall(Shortfall::Node, &pending.path(), &e);
            pending.give_up(shared);
        }
        made => {
            if made.is_ok() {
                shared.tally.others.fetch_add(1, Relaxed);
            }
            pending.made_otherwise(shared, made.map(Some));
        }
    }
}

fn try_make(shared: &Shared<'_>, applier: &mut Applier, pending: &Pending) -> io::Result<Inode> {
    let made = pending.directory.made().ok_or(Errno::NOENT)?;
    let directory = shared.handles.of(&pending.directory)?;
    let entry = &pending.entry;
    let target = entry.target.clone().unwrap_or_default();
    let (_, temporary) = shared
        .temp
        .try_names(|name| create(directory.as_fd(), name, entry, &target))?;
    let published =
        open_made(directory.as_fd(), &temporary, entry.kind).and_then(|(handle, inode)| {
            let subject = Subject::Handle(handle.as_fd());
            let present = Present::Fresh {
                owner: made.new_owner,
                mode: None,
            };
            apply_fresh(
                applier,
                entry,
                subject,
                (present, &made),
                &mut misses(shared, pending),
            );
            rename(
                shared,
                directory.as_fd(),
                &temporary,
                (&entry.name, pending.before, &made),
            )?;
            Ok(inode)
        });
    if published.is_err() {
        // The error that counts is the one above.
        let _ = unlinkat(&directory, temporary.as_slice(), AtFlags::empty());
    }
    published
}

fn create(
    directory: BorrowedFd<'_>,
    name: &[u8],
    entry: &Entry,
    target: &[u8],
) -> Result<(), Errno> {
    let node = |kind, dev| mknodat(directory, name, kind, Mode::RUSR | Mode::WUSR, dev);
    let dev = entry.device.map_or(0, |d| makedev(d.major, d.minor));
    match entry.kind {
        Kind::Symlink if !target.is_empty() => symlinkat(target, directory, name),
        Kind::Fifo => node(FileType::Fifo, 0),
        Kind::Socket => node(FileType::Socket, 0),
        Kind::CharDevice if entry.device.is_some() => node(FileType::CharacterDevice, dev),
        Kind::BlockDevice if entry.device.is_some() => node(FileType::BlockDevice, dev),
        _ => Err(Errno::INVAL),
    }
}

fn open_made(directory: BorrowedFd<'_>, name: &[u8], kind: Kind) -> io::Result<(OwnedFd, Inode)> {
    let how = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let handle = openat(directory, name, how, Mode::empty())?;
    let looked = look_at(&handle)?;
    if looked.kind != kind || looked.stat.nlink != 1 {
        return Err(io::Error::other(
            "it was exchanged for something else while it was restored",
        ));
    }
    Ok((
        handle,
        Inode {
            dev: looked.dev,
            ino: looked.stat.ino,
        },
    ))
}
