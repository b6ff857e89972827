//! Publish: attributes onto a whole file, then its final name, then the flags that would forbid both.
//!
//! A name that exists is replaced by rename, so the old inode keeps its content for its other names and for programs
//! that have it open. A name that was free stays nobody else's: it is never overwritten by accident.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use common::name::Shown;
use common::object::entry::Entry;
use common::protocol::orders::{Replace, Severity};
use rustix::fs::{RenameFlags, renameat, renameat_with};
use rustix::io::Errno;

use super::context::Shared;
use super::directory::Made;
use super::file::Pending;
use super::remove::{make_mutable, remove};
use crate::attributes::apply::set_flags;
use crate::attributes::flags::{APPEND, IMMUTABLE};
use crate::attributes::{Applier, Present, Shortfall, Subject};

/// What stood at the final name when the entry arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// Nothing.
    Free,
    /// Something the policy lets go.
    Taken,
}

/// Gives an open, whole file its attributes and its name.
///
/// # Errors
/// It cannot be renamed; attributes only count as shortfalls.
pub fn publish(
    shared: &Shared<'_>,
    applier: &mut Applier,
    pending: &Pending,
    (file, temporary): (BorrowedFd<'_>, &[u8]),
) -> io::Result<()> {
    let made = pending.directory.made().ok_or(Errno::NOENT)?;
    let mut missed = misses(shared, pending);
    let present = Present::Fresh {
        owner: made.new_owner,
        mode: (!made.inherits_acl).then_some(0o600),
    };
    apply_fresh(
        applier,
        &pending.entry,
        Subject::Open(file),
        (present, &made),
        &mut missed,
    );
    let directory = shared.handles.of(&pending.directory)?;
    rename(
        shared,
        directory.as_fd(),
        temporary,
        (&pending.entry.name, pending.before, &made),
    )?;
    // A member of a link group gets them after its links: no link is made to an immutable file.
    let late =
        pending.entry.link_group.is_some() && pending.entry.flags & (IMMUTABLE | APPEND) != 0;
    if !late {
        set_flags(&pending.entry, file, &mut missed);
    }
    Ok(())
}

/// Attributes of something made a moment ago.
pub fn apply_fresh(
    applier: &mut Applier,
    entry: &Entry,
    subject: Subject<'_>,
    (present, made): (Present, &Made),
    missed: &mut dyn FnMut(Shortfall, io::Error),
) {
    if made.inherits_acl {
        applier.remove_extra(entry, subject, missed);
    }
    applier.apply(entry, subject, present, missed);
}

/// Where attributes that cannot be set are counted.
pub fn misses<'a>(
    shared: &'a Shared<'_>,
    pending: &'a Pending,
) -> impl FnMut(Shortfall, io::Error) + 'a {
    move |kind, error| shared.tally.shortfall(kind, &pending.path(), &error)
}

/// Gives `temporary` its final name.
///
/// # Errors
/// As `renameat2`; the name was taken meanwhile by something the policy does not let go.
pub fn rename(
    shared: &Shared<'_>,
    directory: BorrowedFd<'_>,
    temporary: &[u8],
    (name, before, made): (&[u8], Before, &Made),
) -> io::Result<()> {
    if before == Before::Free {
        match renameat_with(
            directory,
            temporary,
            directory,
            name,
            RenameFlags::NOREPLACE,
        ) {
            Err(Errno::EXIST) if !(made.existed && shared.plan.replace == Replace::Always) => {
                return Err(taken(made));
            }
            // File systems that do not know the flag.
            Err(Errno::EXIST | Errno::INVAL | Errno::NOSYS) => {}
            other => return Ok(other?),
        }
    }
    match renameat(directory, temporary, directory, name) {
        Err(Errno::ISDIR | Errno::NOTEMPTY | Errno::EXIST) => {
            let text = format!(
                "the directory {} is replaced by something else, with all below",
                Shown(name)
            );
            shared.line(Severity::Notice, text);
            remove(directory, name)?;
            Ok(renameat(directory, temporary, directory, name)?)
        }
        Err(Errno::PERM) => {
            make_mutable(directory, name);
            Ok(renameat(directory, temporary, directory, name)?)
        }
        other => Ok(other?),
    }
}

fn taken(made: &Made) -> io::Error {
    let text = if made.existed {
        "something else took its name while it was restored, and the replace policy keeps it"
    } else {
        "its name is already taken by another entry of this restore (a file system that ignores case?)"
    };
    io::Error::new(io::ErrorKind::AlreadyExists, text)
}
