//! Finish: a directory is whole. Extra names go, attributes are set, times last, flags the very last.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use common::protocol::orders::Severity;
use rustix::fs::{Mode, fchmod};

use super::context::Shared;
use super::directory::{Directory, Made, State};
use super::extra::{Act, ExtraName, Fate, Guard, Mount, names, real_path};
use super::order::Mode as RunMode;
use super::policy::Choice;
use crate::attributes::apply::set_flags;
use crate::attributes::look::look_at;
use crate::attributes::{Applier, Present, Shortfall, Subject, flags};
use crate::scan::directory::joined;

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
    if let Some(guard) = &shared.plan.extra
        && made.existed
        && !directory.implied
        // What is mounted on a folder of the target may hold what the snapshot never looked at.
        && !directory.is_mounted()
        && !directory.is_incomplete()
        && !shared.stopped()
    {
        remove_extra(shared, (guard.as_ref(), directory), &handle)?;
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

/// Removes what the snapshot does not have in this directory and its FileSet would have saved.
fn remove_extra(
    shared: &Shared<'_>,
    (guard, directory): (&Guard, &Directory),
    handle: &OwnedFd,
) -> io::Result<()> {
    let mut extra = names(handle)?;
    extra.retain(|name| !directory.remembers(name));
    if extra.is_empty() {
        return Ok(());
    }
    let saved = directory.saved_path(shared.plan.prefix.len(), &shared.plan.strip);
    if !guard.takes_all_of(&saved, handle, &|name| directory.remembers(name)) {
        shared.tally.spared.fetch_add(extra.len() as u64, Relaxed);
        return Ok(());
    }
    let (real, mount) = (real_path(handle)?, Mount::of(&look_at(handle)?));
    let act = if shared.plan.mode == RunMode::DryRun {
        Act::Say
    } else {
        Act::Remove
    };
    for name in extra {
        let found = ExtraName {
            parent: handle,
            mount,
            name: &name,
            saved_path: &joined(&saved, &name),
            real_path: &joined(&real, &name),
        };
        let path = directory.path_of(&name);
        match guard.clear(&found, act) {
            Ok(Fate::Spared) => {
                shared.tally.spared.fetch_add(1, Relaxed);
            }
            Ok(Fate::Gone) => {
                if act == Act::Say {
                    shared.line(
                        Severity::Info,
                        format!("would remove {}", shared.shown(&path)),
                    );
                }
                shared.tally.removed.fetch_add(1, Relaxed);
            }
            Err(e) => shared.failed(&path, &e),
        }
    }
    Ok(())
}
