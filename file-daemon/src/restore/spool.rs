//! Content that waits for a command: a file without a name until the stream has ended, then the command's input.
//!
//! Content comes in the order of the medium, a command wants it in its own. And a command acts on something else than
//! files: it gets nothing of a restore that broke off, and runs when the files are there. One at a time, by path.
//! The folder is the client's own: a spool never shows, and is gone with the process.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;

use common::name::Shown;
use common::protocol::orders::Severity;

use super::command::{Content, Limits, PATIENCE, feed};
use super::context::Shared;

/// Whole content and its command.
pub struct Spooled {
    /// Path of the entry, for messages.
    pub path: Vec<u8>,
    /// Program and arguments.
    pub command: Vec<String>,
    /// The content.
    pub file: File,
    /// Its length.
    pub bytes: u64,
}

/// Whether commands may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Everything is here.
    Now,
    /// The restore broke off or was stopped.
    Never,
}

/// A spool in `folder`.
///
/// # Errors
/// It cannot be made there; the folder is named.
pub fn create(folder: &Path) -> io::Result<File> {
    tempfile::tempfile_in(folder).map_err(|e| full(folder, &e))
}

/// An error of a spool, with its place and what to do.
pub fn full(folder: &Path, error: &io::Error) -> io::Error {
    let text = format!(
        "cannot keep its content in {} until its command gets it: {error}; make room there and restore again",
        folder.display()
    );
    io::Error::new(error.kind(), text)
}

/// Gives all spooled content to its commands, or says that it was not given.
pub fn give(shared: &Shared<'_>, turn: Turn) {
    let mut waiting = std::mem::take(&mut *shared.spooled.lock());
    waiting.sort_by(|a, b| a.path.cmp(&b.path));
    for mut spooled in waiting {
        let program = spooled.command.first().cloned().unwrap_or_default();
        let given = if turn == Turn::Never || shared.stopped() {
            let text = format!("the restore ended before {program:?} got it");
            Err(io::Error::other(text))
        } else {
            give_one(shared, &mut spooled, &program)
        };
        match given {
            Ok(()) => {
                shared.tally.files.fetch_add(1, Relaxed);
                let (path, bytes) = (Shown(&spooled.path), spooled.bytes);
                shared.line(
                    Severity::Info,
                    format!("{program:?} took {path} back ({bytes} bytes)"),
                );
            }
            Err(e) => shared.refused(&spooled.path, &e),
        }
    }
}

fn give_one(shared: &Shared<'_>, spooled: &mut Spooled, program: &str) -> io::Result<()> {
    (shared.context.progress)(shared.tally.counts(), &spooled.path);
    spooled.file.seek(SeekFrom::Start(0))?;
    let content = Content {
        file: &mut spooled.file,
        bytes: spooled.bytes,
    };
    let limits = Limits {
        stop: &shared.context.stop,
        patience: PATIENCE,
    };
    feed(&spooled.command, content, limits, &mut |line| {
        shared.line(Severity::Notice, format!("{program}: {line}"));
    })
    .map_err(io::Error::other)
}
