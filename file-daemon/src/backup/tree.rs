//! Tree: turns steps into pages, in order, children before parents, and makes the checkpoints.
//!
//! It waits for readers only when their entry's turn has come. Memory: one open leaf and index per depth.

use std::collections::HashMap;

use common::fileset::Command;
use common::ids::PageId;
use common::object::entry::{Content, Entry};
use common::object::page_builder::PageBuilder;
use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::checkpoint::{OpenDirectory, Timer, unfinished_root};
use super::command::CommandError;
use super::known::Known;
use super::reader::{Reader, Reading};
use crate::scan::cursor::Cursor;
use crate::scan::links::{LinkId, LinkKey};
use crate::scan::step::{Capture, Replay, Step};
use crate::sink::error::SinkError;
use crate::sink::port::Storage;
use crate::sink::stop::LOOK;
use crate::state::series::TreeFacts;

/// What a reader says of a name.
pub type Reply = Result<Option<Entry>, SinkError>;

/// A step, with readers already at work.
#[allow(clippy::large_enum_variant)] // the common one; a bounded queue holds them
pub enum Planned {
    /// As the merge said it.
    Step(Step),
    /// A capture under way.
    Waiting(Receiver<Reply>, Option<LinkKey>),
    /// Another name of a hard-linked file.
    Linked(Box<Capture>, LinkKey),
}

/// The finished tree.
#[derive(Debug)]
pub struct Built {
    /// Its root page.
    pub root: PageId,
    /// Attributes of `/`.
    pub own: Entry,
}

/// What the tree works with.
pub struct TreeSetting<'a> {
    /// What it shares with the readers.
    pub reading: Reading<'a>,
    /// For checkpoints.
    pub storage: &'a dyn Storage,
    /// Commands of the FileSet.
    pub commands: &'a [Command],
    /// When the scan began, milliseconds since the epoch.
    pub scanned_ms: i64,
    /// Seconds between checkpoints; 0 = default.
    pub checkpoint_s: u32,
}

struct Tree<'a> {
    set: &'a TreeSetting<'a>,
    reader: Reader<'a>,
    open: Vec<OpenDirectory>,
    linked: HashMap<LinkId, Entry>,
    timer: Timer,
    built: Option<Built>,
}

/// Builds until the steps end. `None` = they ended before the tree was whole.
///
/// # Errors
/// The run was stopped, or a command failed.
pub fn build(
    steps: &Receiver<Planned>,
    set: &TreeSetting<'_>,
) -> Result<Option<Built>, CommandError> {
    let mut tree = Tree {
        set,
        reader: Reader::new(set.reading.clone()),
        open: Vec::new(),
        linked: HashMap::new(),
        timer: Timer::new(set.checkpoint_s),
        built: None,
    };
    loop {
        match steps.recv_timeout(LOOK) {
            Ok(planned) => tree.take(planned)?,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(tree.built),
        }
        tree.checkpoint_if_due()?;
    }
}

impl Tree<'_> {
    fn take(&mut self, planned: Planned) -> Result<(), CommandError> {
        match planned {
            Planned::Step(step) => self.step(step),
            Planned::Waiting(reply, link) => {
                let entry = self.wait(&reply)?;
                if let (Some(entry), Some(link)) = (&entry, link) {
                    self.linked.insert(link.id, entry.clone());
                }
                Ok(self.push(entry)?)
            }
            Planned::Linked(capture, link) => Ok(self.linked(&capture, link)?),
        }
    }

    fn step(&mut self, step: Step) -> Result<(), CommandError> {
        match step {
            Step::Enter { own, replay } => Ok(self.enter(*own, replay)?),
            Step::Entry(entry) => Ok(self.push(Some(entry))?),
            Step::Leave => Ok(self.leave()?),
            Step::Same { own, page } => {
                self.built = Some(Built {
                    root: page,
                    own: *own,
                });
                Ok(())
            }
            Step::Capture(capture) => {
                let entry = self.reader.save(&capture)?;
                Ok(self.push(entry)?)
            }
            Step::Command {
                name,
                ordinal,
                base,
            } => {
                let Some(command) = self.set.commands.get(ordinal) else {
                    return Ok(());
                };
                let entry = self.reader.save_command(command, name, base)?;
                Ok(self.push(Some(entry))?)
            }
        }
    }

    fn enter(&mut self, mut own: Entry, replay: Option<Replay>) -> Result<(), SinkError> {
        self.reader.shorten(&mut own, &Known::default())?;
        self.open.push(OpenDirectory {
            own,
            builder: PageBuilder::new(),
        });
        let Some(replay) = replay else {
            return Ok(());
        };
        let lost = || SinkError::BaseLost {
            page: replay.page.short(),
        };
        let pages = self.set.reading.pages;
        let mut cursor = Cursor::open(pages, &replay.page)?.ok_or_else(lost)?;
        for _ in 0..replay.count {
            let entry = cursor.take(pages)?.ok_or_else(lost)?;
            self.push(Some(entry))?;
        }
        // The last take reads one ahead: a hole there is behind what was wanted, any other is not.
        Ok(())
    }

    fn push(&mut self, entry: Option<Entry>) -> Result<(), SinkError> {
        let upload = &self.set.reading.upload;
        match (entry, self.open.last_mut()) {
            (Some(entry), Some(directory)) => {
                directory.builder.push(entry, &mut |page| upload.page(page))
            }
            _ => Ok(()),
        }
    }

    fn leave(&mut self) -> Result<(), SinkError> {
        let Some(OpenDirectory { mut own, builder }) = self.open.pop() else {
            return Ok(());
        };
        let upload = &self.set.reading.upload;
        let root = builder.finish(&mut |page| upload.page(page))?;
        if self.open.is_empty() {
            self.built = Some(Built { root, own });
            return Ok(());
        }
        own.content = Content::Directory(root);
        self.push(Some(own))
    }

    fn linked(&mut self, capture: &Capture, link: LinkKey) -> Result<(), SinkError> {
        let first = if link.last {
            self.linked.remove(&link.id)
        } else {
            self.linked.get(&link.id).cloned()
        };
        let entry = match first {
            Some(first) => Some(self.reader.save_again(&first, capture)?),
            // The name before it vanished: this one is read for itself.
            None => self.reader.save(capture)?,
        };
        if let (Some(entry), false) = (&entry, link.last) {
            self.linked.insert(link.id, entry.clone());
        }
        self.push(entry)
    }

    fn wait(&mut self, reply: &Receiver<Reply>) -> Reply {
        loop {
            match reply.recv_timeout(LOOK) {
                Ok(reply) => return reply,
                Err(RecvTimeoutError::Timeout) => self.checkpoint_if_due()?,
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(self.set.reading.stop.reason("reader"));
                }
            }
        }
    }

    fn checkpoint_if_due(&mut self) -> Result<(), SinkError> {
        self.set.reading.stop.check()?;
        let sent = self.set.storage.figures().sent_bytes;
        if self.open.is_empty() || !self.timer.is_due(sent) {
            return Ok(());
        }
        let upload = &self.set.reading.upload;
        let root = unfinished_root(&self.open, &mut |page| upload.page(page))?;
        upload.flush()?;
        let counts = self.set.reading.tally.counts();
        self.set.storage.checkpoint(root, counts)?;
        if let Some(root) = root {
            let facts = TreeFacts {
                scanned_ms: self.set.scanned_ms,
                entries: counts.entries,
                bytes: counts.protected_bytes,
            };
            let kept = self
                .set
                .reading
                .pages
                .with_state(|s| s.remember(root, facts));
            if let Err(e) = kept {
                tracing::debug!("checkpoint not remembered: {e}");
            }
        }
        self.timer.made(self.set.storage.figures().sent_bytes);
        Ok(())
    }
}
