//! Copy: a member of a link group where the target allows no link: another file system, or too many links already.
//!
//! The content comes from the member that was restored, through a handle that was checked to be it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use common::object::attribute::Extent;
use common::object::entry::Kind;
use rustix::fs::{AtFlags, Mode, OFlags, openat, unlinkat};
use rustix::io::Errno;

use super::context::Shared;
use super::directory::Directory;
use super::file::{Inode, Pending, inode_of};
use super::publish::publish;
use super::special;
use crate::attributes::Applier;

/// Whether a failed link means that the target has no such links, and a copy helps.
#[must_use]
pub fn helps(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(Errno::from_raw_os_error);
    let no_link = [
        Errno::XDEV,
        Errno::MLINK,
        Errno::PERM,
        Errno::NOTSUP,
        Errno::NOSYS,
    ];
    code.is_some_and(|c| no_link.contains(&c))
}

/// Restores `pending` as a file of its own with the content of the member `first`.
pub fn make(shared: &Shared<'_>, pending: &Pending, first: (&Arc<Directory>, &[u8], Inode)) {
    let mut applier = Applier::default();
    if pending.entry.kind != Kind::File {
        return special::make(shared, &mut applier, pending);
    }
    let made = copy(shared, &mut applier, pending, first);
    if made.is_ok() {
        shared.tally.files.fetch_add(1, Relaxed);
    }
    pending.made_otherwise(shared, made.map(Some));
}

fn copy(
    shared: &Shared<'_>,
    applier: &mut Applier,
    pending: &Pending,
    (directory, name, inode): (&Arc<Directory>, &[u8], Inode),
) -> io::Result<Inode> {
    let how = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let from = shared.handles.of(directory)?;
    let from = File::from(openat(&from, name, how, Mode::empty())?);
    if inode_of(&from)? != inode {
        return Err(io::Error::other(
            "the file it is a hard link of was exchanged for another one",
        ));
    }
    let to = shared.handles.of(&pending.directory)?;
    let (file, temporary) = shared.temp.create(&to)?;
    let file = File::from(file);
    let whole = [Extent {
        offset: 0,
        len: pending.entry.content_bytes(),
    }];
    let extents = pending.entry.extents.as_deref().unwrap_or(&whole);
    let copied = copy_extents(&from, &file, extents)
        .and_then(|()| file.set_len(from.metadata()?.len()))
        .and_then(|()| publish(shared, applier, pending, (file.as_fd(), &temporary)));
    if copied.is_err() {
        // The error that counts is the one above.
        let _ = unlinkat(&to, temporary.as_slice(), AtFlags::empty());
    }
    copied.and_then(|()| inode_of(&file))
}

fn copy_extents(mut from: &File, mut to: &File, extents: &[Extent]) -> io::Result<()> {
    for extent in extents {
        from.seek(SeekFrom::Start(extent.offset))?;
        to.seek(SeekFrom::Start(extent.offset))?;
        let copied = io::copy(&mut from.take(extent.len), &mut to)?;
        if copied != extent.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}
