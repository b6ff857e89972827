//! Finish: a directory is whole. Extra names go, attributes are set, times last, flags the very last.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use common::name::Shown;
use common::protocol::orders::Severity;
use rustix::fs::{Dir, Mode, fchmod};

use super::context::Shared;
use super::directory::{Directory, Made, State};
use super::order::{Extra, Mode as RunMode};
use super::policy::Choice;
use super::remove::remove;
use crate::attributes::apply::set_flags;
use crate::attributes::{Applier, Present, Shortfall, Subject, flags};

/// Finishes a directory in which nothing is unfinished.
pub fn finish(shared: &Shared<'_>, applier: &mut Applier, directory: &Arc<Directory>) {
    if let Some(parent) = &directory.parent {
        parent.leave();
    }
    match directory.state() {
        Some(State::Made(made)) => {
            if let Err(e) = finish_made(shared, applier, directory, &made) {
                shared.failed(&directory.path(), &e);
            } else if !(made.existed && directory.implied) {
                shared.tally.directories.fetch_add(1, Relaxed);
            }
            shared.handles.forget(directory.key);
        }
        Some(State::Absent) if !directory.implied => {
            shared.tally.directories.fetch_add(1, Relaxed);
        }
        Some(State::Absent | State::Kept | State::Failed) | None => {}
    }
}

fn finish_made(
    shared: &Shared<'_>,
    applier: &mut Applier,
    directory: &Arc<Directory>,
    made: &Made,
) -> io::Result<()> {
    let handle = shared.handles.of(directory)?;
    // What is mounted on a folder of the target may hold what the snapshot never looked at.
    let above = directory.parent.as_ref().and_then(|parent| parent.made());
    let is_mounted = above.is_some_and(|above| above.dev != made.dev);
    let removes = shared.plan.extra == Extra::Remove && made.existed && !directory.implied;
    if removes && !is_mounted && !directory.is_incomplete() && !shared.stopped() {
        remove_extra(shared, directory, &handle)?;
    }
    if shared.plan.mode != RunMode::Restore || (made.existed && made.attributes == Choice::Keep) {
        return Ok(());
    }
    let Some(entry) = directory.entry.lock().take() else {
        // A directory of the prefix: nobody said what it should be like.
        return Ok(fchmod(&handle, Mode::from_raw_mode(0o755))?);
    };
    let mut missed =
        |kind: Shortfall, e: io::Error| shared.tally.shortfall(kind, &directory.path(), &e);
    let present = if made.existed {
        Present::Existing
    } else {
        Present::Fresh {
            owner: None,
            mode: None,
        }
    };
    applier.apply(&entry, Subject::Open(handle.as_fd()), present, &mut missed);
    if made.existed && entry.flags == 0 {
        // Flags it had before; file systems without flags have none to take off.
        let _ = flags::write(&handle, 0);
    }
    set_flags(&entry, handle.as_fd(), &mut missed);
    Ok(())
}

/// Removes what the snapshot does not have in this directory.
fn remove_extra(shared: &Shared<'_>, directory: &Directory, handle: &OwnedFd) -> io::Result<()> {
    for found in Dir::read_from(handle)? {
        let found = found?;
        let name = found.file_name().to_bytes();
        if name == b"." || name == b".." || directory.remembers(name) {
            continue;
        }
        let path = directory.path_of(name);
        if shared.plan.mode == RunMode::DryRun {
            shared.line(Severity::Info, format!("would remove {}", Shown(&path)));
        } else if let Err(e) = remove(handle, name) {
            shared.failed(&path, &e);
            continue;
        }
        shared.tally.removed.fetch_add(1, Relaxed);
    }
    Ok(())
}
