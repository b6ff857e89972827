//! One file while its content arrives: a temporary name until it is whole, then published.
//!
//! States: waiting -> open -> done, or failed from any. A file is done or failed exactly once, and only then does its
//! directory stop waiting for it.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use common::ids::ChunkId;
use common::object::entry::{Content, Entry};
use parking_lot::Mutex;
use rustix::fs::{AtFlags, Mode, OFlags, ftruncate, openat, unlinkat};

use super::context::Shared;
use super::directory::Directory;
use super::pieces::{Coverage, Layout};
use super::publish::{Before, publish};
use super::spool::{self, Spooled};
use crate::attributes::Applier;
use crate::attributes::flags;
use crate::attributes::look::look_at;

/// Partly written files kept open over all; further ones are opened again for each piece.
const MOST_OPEN_FILES: u64 = 200;

/// Device and inode of something this restore made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inode {
    /// Device.
    pub dev: u64,
    /// Inode.
    pub ino: u64,
}

/// Anything but a directory that is to be restored.
pub struct Pending {
    /// The directory it goes to.
    pub directory: Arc<Directory>,
    /// The entry.
    pub entry: Box<Entry>,
    /// What stands at its name.
    pub before: Before,
    /// The program and arguments that take its content, which then never becomes a file.
    pub command: Option<Vec<String>>,
    content_bytes: u64,
    layout: Layout,
    progress: Mutex<Progress>,
}

struct Progress {
    state: State,
    coverage: Coverage,
}

enum State {
    Waiting,
    Open(Temporary),
    Done(Option<Inode>),
    Failed,
}

struct Temporary {
    name: Vec<u8>,
    file: Option<File>,
    /// Known once the file was closed in between.
    inode: Option<Inode>,
}

/// How far a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Content is missing.
    Unfinished,
    /// Published; the inode is known for members of link groups.
    Done(Option<Inode>),
    /// Given up.
    Failed,
}

impl Pending {
    /// A file that has not begun; `None` when its extents contradict its content.
    #[must_use]
    pub fn new(directory: Arc<Directory>, entry: Box<Entry>, before: Before) -> Option<Arc<Self>> {
        Self::for_target(directory, entry, (before, None))
    }

    /// Content for a command, that has not begun; `None` when its extents contradict it.
    #[must_use]
    pub fn for_command(
        directory: Arc<Directory>,
        entry: Box<Entry>,
        command: Vec<String>,
    ) -> Option<Arc<Self>> {
        Self::for_target(directory, entry, (Before::Free, Some(command)))
    }

    fn for_target(
        directory: Arc<Directory>,
        entry: Box<Entry>,
        (before, command): (Before, Option<Vec<String>>),
    ) -> Option<Arc<Self>> {
        let content_bytes = entry.content_bytes();
        let layout = Layout::new(entry.extents.as_deref(), content_bytes, entry.stat.size)?;
        directory.enter();
        let progress = Mutex::new(Progress {
            state: State::Waiting,
            coverage: Coverage::default(),
        });
        Some(Arc::new(Self {
            directory,
            entry,
            before,
            command,
            content_bytes,
            layout,
            progress,
        }))
    }

    /// Whether content has to arrive for it.
    #[must_use]
    pub fn has_content(&self) -> bool {
        self.content_bytes > 0
    }

    /// Its path below the target, for messages.
    #[must_use]
    pub fn path(&self) -> Vec<u8> {
        self.directory.path_of(&self.entry.name)
    }

    /// How far it is.
    #[must_use]
    pub fn stage(&self) -> Stage {
        match self.progress.lock().state {
            State::Waiting | State::Open(_) => Stage::Unfinished,
            State::Done(inode) => Stage::Done(inode),
            State::Failed => Stage::Failed,
        }
    }

    /// Makes a file without content.
    pub fn make_empty(&self, shared: &Shared<'_>, applier: &mut Applier) {
        let mut progress = self.progress.lock();
        if matches!(progress.state, State::Waiting) {
            let made = self.open_new(shared).and_then(|temporary| {
                progress.state = State::Open(temporary);
                self.finish(shared, applier, &mut progress)
            });
            self.settle(shared, &mut progress, made);
        }
    }

    /// Writes a checked chunk: offset in the content, name, bytes. The last piece publishes the file.
    pub fn write(&self, shared: &Shared<'_>, applier: &mut Applier, piece: (u64, ChunkId, &[u8])) {
        let mut progress = self.progress.lock();
        if !matches!(progress.state, State::Waiting | State::Open(_)) {
            return;
        }
        let written = self.try_write(shared, applier, &mut progress, piece);
        self.settle(shared, &mut progress, written);
    }

    /// Gives the file up, for a reason that was told already.
    pub fn give_up(&self, shared: &Shared<'_>) -> bool {
        let mut progress = self.progress.lock();
        let unfinished = matches!(progress.state, State::Waiting | State::Open(_));
        if unfinished {
            self.discard(shared, &mut progress);
        }
        unfinished
    }

    /// Records that it stands under its name by other means (a link, a special file).
    pub fn made_otherwise(&self, shared: &Shared<'_>, made: io::Result<Option<Inode>>) {
        let mut progress = self.progress.lock();
        let made = made.map(|inode| progress.state = State::Done(inode));
        if made.is_ok() {
            self.directory.leave();
        }
        self.settle(shared, &mut progress, made);
    }

    fn try_write(
        &self,
        shared: &Shared<'_>,
        applier: &mut Applier,
        progress: &mut Progress,
        (offset, id, bytes): (u64, ChunkId, &[u8]),
    ) -> io::Result<()> {
        let len = bytes.len() as u64;
        if offset
            .checked_add(len)
            .is_none_or(|end| end > self.content_bytes)
            || !self.names(offset, id)
        {
            return Err(io::Error::other(
                "the Storage Daemon sent content that is not this file's",
            ));
        }
        if matches!(progress.state, State::Waiting) {
            progress.state = State::Open(self.open_new(shared)?);
        }
        let State::Open(temporary) = &mut progress.state else {
            return Ok(());
        };
        let file = temporary.open(shared, &self.directory)?;
        let written = self.layout.parts(offset, bytes.len(), &mut |at, part| {
            file.write_all_at(bytes.get(part).unwrap_or_default(), at)
        });
        if self.command.is_some() {
            written.map_err(|e| spool::full(&shared.context.spool, &e))?;
        } else {
            written?;
        }
        shared.tally.bytes.fetch_add(len, Relaxed);
        if len == self.content_bytes {
            return self.finish(shared, applier, progress);
        }
        progress.coverage.add(offset, len);
        if progress.coverage.is_whole(self.content_bytes) {
            return self.finish(shared, applier, progress);
        }
        if self.command.is_some() {
            // A spool has no name to be opened by again.
            return Ok(());
        }
        temporary.close_when_many(shared)
    }

    /// Whether the entry, when it names its chunks itself, has this one here.
    fn names(&self, offset: u64, id: ChunkId) -> bool {
        let Content::Chunks(chunks) = &self.entry.content else {
            return true;
        };
        let mut at = 0u64;
        for chunk in chunks {
            if at == offset {
                return chunk.id == id;
            }
            at = at.saturating_add(chunk.len.into());
        }
        false
    }

    fn open_new(&self, shared: &Shared<'_>) -> io::Result<Temporary> {
        if self.command.is_some() {
            let file = spool::create(&shared.context.spool)?;
            shared.open_files.fetch_add(1, Relaxed);
            return Ok(Temporary {
                name: Vec::new(),
                file: Some(file),
                inode: None,
            });
        }
        let directory = shared.handles.of(&self.directory)?;
        let (file, name) = shared.temp.create(&directory)?;
        shared.open_files.fetch_add(1, Relaxed);
        let early = self.entry.flags & flags::BEFORE_CONTENT;
        if early != 0 {
            // Flags that mean nothing once there is content; told with the others if they cannot be set.
            let _ = flags::write(&file, early);
        }
        Ok(Temporary {
            name,
            file: Some(File::from(file)),
            inode: None,
        })
    }

    fn finish(
        &self,
        shared: &Shared<'_>,
        applier: &mut Applier,
        progress: &mut Progress,
    ) -> io::Result<()> {
        let State::Open(temporary) = &mut progress.state else {
            return Ok(());
        };
        if let Some(command) = &self.command {
            shared.open_files.fetch_sub(1, Relaxed);
            shared
                .spooled
                .lock()
                .extend(temporary.file.take().map(|file| Spooled {
                    path: self.path(),
                    command: command.clone(),
                    file,
                    bytes: self.content_bytes,
                }));
            progress.state = State::Done(None);
            self.directory.leave();
            return Ok(());
        }
        temporary.open(shared, &self.directory)?;
        let Some(file) = temporary.file.as_ref() else {
            return Ok(());
        };
        if self.entry.extents.is_some() {
            ftruncate(file, self.entry.stat.size)?;
        }
        publish(shared, applier, self, (file.as_fd(), &temporary.name))?;
        let inode = match self.entry.link_group {
            Some(_) => Some(inode_of(file.as_fd())?),
            None => None,
        };
        shared.open_files.fetch_sub(1, Relaxed);
        shared.tally.files.fetch_add(1, Relaxed);
        progress.state = State::Done(inode);
        self.directory.leave();
        Ok(())
    }

    /// After a step: an error gives the file up.
    fn settle(&self, shared: &Shared<'_>, progress: &mut Progress, step: io::Result<()>) {
        if let Err(e) = step {
            self.discard(shared, progress);
            shared.failed(&self.path(), &e);
        }
    }

    fn discard(&self, shared: &Shared<'_>, progress: &mut Progress) {
        if let State::Open(temporary) = std::mem::replace(&mut progress.state, State::Failed) {
            if temporary.file.is_some() {
                shared.open_files.fetch_sub(1, Relaxed);
            }
            if self.command.is_none()
                && let Ok(directory) = shared.handles.of(&self.directory)
            {
                // Gone already is as good; what stays is removed by the next restore to this directory.
                let _ = unlinkat(&directory, temporary.name.as_slice(), AtFlags::empty());
            }
        }
        self.directory.leave();
    }
}

impl Temporary {
    fn open(&mut self, shared: &Shared<'_>, directory: &Arc<Directory>) -> io::Result<&File> {
        if self.file.is_none() {
            let directory = shared.handles.of(directory)?;
            let how = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file: OwnedFd = openat(&directory, self.name.as_slice(), how, Mode::empty())?;
            if self.inode != Some(inode_of(file.as_fd())?) {
                return Err(io::Error::other(
                    "its temporary file was exchanged for another one",
                ));
            }
            shared.open_files.fetch_add(1, Relaxed);
            self.file = Some(File::from(file));
        }
        self.file
            .as_ref()
            .ok_or_else(|| io::Error::other("its temporary file is closed"))
    }

    fn close_when_many(&mut self, shared: &Shared<'_>) -> io::Result<()> {
        if shared.open_files.load(Relaxed) > MOST_OPEN_FILES
            && let Some(file) = self.file.take()
        {
            shared.open_files.fetch_sub(1, Relaxed);
            self.inode = Some(inode_of(file.as_fd())?);
        }
        Ok(())
    }
}

/// Device and inode behind a handle.
///
/// # Errors
/// As `statx`.
pub fn inode_of(handle: impl AsFd) -> io::Result<Inode> {
    let looked = look_at(handle)?;
    Ok(Inode {
        dev: looked.dev,
        ino: looked.stat.ino,
    })
}
