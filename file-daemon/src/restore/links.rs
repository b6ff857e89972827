//! Hard links: the first member of a group is restored, the others are linked to it, and only to it.
//!
//! The map of groups is bounded; members that find no room are restored as files of their own, with a notice.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use common::name::Shown;
use common::object::attribute::LinkGroup;
use common::object::entry::Kind;
use common::protocol::orders::Severity;
use rustix::fs::{AtFlags, Mode, OFlags, linkat, openat, unlinkat};
use rustix::io::Errno;

use super::context::Shared;
use super::copy;
use super::directory::Directory;
use super::file::{Inode, Pending, Stage, inode_of};
use super::publish::rename;
use crate::attributes::Shortfall;
use crate::attributes::flags::{APPEND, IMMUTABLE};
use crate::attributes::look::look;

/// Most groups with members still to come.
pub const MOST_GROUPS: usize = 100_000;

/// The groups of a restore.
#[derive(Default)]
pub struct Groups {
    known: HashMap<LinkGroup, Group>,
    /// Members waiting for the first of their group.
    waiting: Vec<(LinkGroup, Arc<Pending>)>,
    full: bool,
}

struct Group {
    first: First,
    /// Members that have not come by yet.
    left: u64,
}

enum First {
    /// Its content is still arriving.
    Pending(Arc<Pending>),
    /// It stands under its name.
    Made {
        directory: Arc<Directory>,
        name: Vec<u8>,
        inode: Inode,
        flags: u32,
    },
    /// It could not be restored.
    Failed,
}

/// What a member is in its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Member {
    /// Restored by its content; others may be linked to it.
    First,
    /// Linked to the first; needs no content.
    Further,
}

impl Groups {
    /// Takes an entry of a group in.
    pub fn join(&mut self, shared: &Shared<'_>, pending: &Arc<Pending>) -> Member {
        let Some(group) = pending.entry.link_group else {
            return Member::First;
        };
        if let Some(known) = self.known.get_mut(&group) {
            known.left = known.left.saturating_sub(1);
            self.waiting.push((group, Arc::clone(pending)));
            return Member::Further;
        }
        if self.known.len() < MOST_GROUPS {
            let left = pending.entry.stat.nlink.saturating_sub(1);
            self.known.insert(
                group,
                Group {
                    first: First::Pending(Arc::clone(pending)),
                    left,
                },
            );
        } else if !std::mem::replace(&mut self.full, true) {
            let text = format!(
                "more than {MOST_GROUPS} hard-link groups are open at once: further links become files of their own"
            );
            (shared.context.log)(Severity::Notice, text);
        }
        Member::First
    }

    /// Makes the links whose first member is settled; called when nothing is being written.
    pub fn link(&mut self, shared: &Shared<'_>) {
        for group in self.known.values_mut() {
            group.settle();
        }
        for (id, pending) in std::mem::take(&mut self.waiting) {
            match self.known.get(&id).map(|group| &group.first) {
                Some(First::Pending(_)) => self.waiting.push((id, pending)),
                Some(First::Made {
                    directory,
                    name,
                    inode,
                    ..
                }) => {
                    link_member(shared, &pending, (directory, name, *inode));
                }
                Some(First::Failed) | None => {
                    let e = io::Error::other("the file it is a hard link of was not restored");
                    pending.made_otherwise(shared, Err(e));
                }
            }
        }
        // Groups that are complete need no memory; those with flags wait for the end.
        self.known.retain(|_, group| group.is_open());
    }

    /// Sets the flags that forbid linking, now that no more links come.
    pub fn set_late_flags(&mut self, shared: &Shared<'_>) {
        for (_, group) in self.known.drain() {
            if let First::Made {
                directory,
                name,
                inode,
                flags,
            } = group.first
                && flags != 0
                && let Err(e) = late_flags(shared, &directory, &name, (inode, flags))
            {
                let path = directory.path_of(&name);
                shared.tally.shortfall(Shortfall::Flags, &path, &e);
            }
        }
    }
}

impl Group {
    fn settle(&mut self) {
        let First::Pending(pending) = &self.first else {
            return;
        };
        let settled = match pending.stage() {
            Stage::Unfinished => return,
            Stage::Done(Some(inode)) => First::Made {
                directory: Arc::clone(&pending.directory),
                name: pending.entry.name.clone(),
                inode,
                flags: late(pending.entry.flags),
            },
            Stage::Done(None) | Stage::Failed => First::Failed,
        };
        self.first = settled;
    }

    fn is_open(&self) -> bool {
        let flagged = matches!(self.first, First::Made { flags, .. } if flags != 0);
        self.left > 0 || flagged || matches!(self.first, First::Pending(_))
    }
}

/// The flags when they forbid further links, else 0: those were set at once.
fn late(flags: u32) -> u32 {
    if flags & (IMMUTABLE | APPEND) == 0 {
        0
    } else {
        flags
    }
}

fn link_member(shared: &Shared<'_>, pending: &Pending, first: (&Arc<Directory>, &[u8], Inode)) {
    match try_link(shared, pending, first) {
        Ok(inode) => {
            shared.tally.linked.fetch_add(1, Relaxed);
            let files = pending.entry.kind == Kind::File;
            let count = if files {
                &shared.tally.files
            } else {
                &shared.tally.others
            };
            count.fetch_add(1, Relaxed);
            pending.made_otherwise(shared, Ok(Some(inode)));
        }
        Err(e) if copy::helps(&e) => {
            let path = pending.path();
            let text = format!(
                "{} is a file of its own, not a hard link: {e}",
                Shown(&path)
            );
            shared.line(Severity::Notice, text);
            copy::make(shared, pending, first);
        }
        Err(e) => pending.made_otherwise(shared, Err(e)),
    }
}

fn try_link(
    shared: &Shared<'_>,
    pending: &Pending,
    (directory, name, inode): (&Arc<Directory>, &[u8], Inode),
) -> io::Result<Inode> {
    let from = shared.handles.of(directory)?;
    let to = shared.handles.of(&pending.directory)?;
    let made = pending.directory.made().ok_or(Errno::NOENT)?;
    let link = |temporary: &[u8]| linkat(&from, name, &to, temporary, AtFlags::empty());
    let (_, temporary) = shared.temp.try_names(link)?;
    let published = look(&to, &temporary).and_then(|now| {
        if (now.dev, now.stat.ino) != (inode.dev, inode.ino) {
            return Err(io::Error::other(
                "the file it is a hard link of was exchanged for another one",
            ));
        }
        rename(
            shared,
            to.as_fd(),
            &temporary,
            (&pending.entry.name, pending.before, &made),
        )
    });
    // Gone after a rename, as a rule: one onto a name of the same file does nothing and keeps both names. An error that
    // counts is the one above.
    let _ = unlinkat(&to, temporary.as_slice(), AtFlags::empty());
    published.map(|()| inode)
}

fn late_flags(
    shared: &Shared<'_>,
    directory: &Arc<Directory>,
    name: &[u8],
    (inode, flags): (Inode, u32),
) -> io::Result<()> {
    let directory = shared.handles.of(directory)?;
    let how = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file: OwnedFd = openat(&directory, name, how, Mode::empty())?;
    if inode_of(&file)? == inode {
        crate::attributes::flags::write(&file, flags)?;
    }
    Ok(())
}
