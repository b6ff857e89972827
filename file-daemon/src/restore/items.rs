//! Intake: follows the stream, decides about each entry, hands work to the workers, and settles windows.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use common::ids::ChunkId;
use common::name::Shown;
use common::object::attribute::marks;
use common::object::entry::{Content, Entry, Kind, check_name};
use common::protocol::orders::Severity;
use common::protocol::restore::{AttributeValue, Delivery, Item, Lost, RestoreEnd};

use super::context::Shared;
use super::directory::{Directory, Role, State};
use super::file::{Pending, Stage};
use super::finish::finish;
use super::links::{Groups, Member};
use super::order::Mode;
use super::policy::{Choice, choose};
use super::publish::Before;
use super::tree::{Numbered, Tree, found_of};
use super::workers::{Job, Queue};
use crate::attributes::Applier;

/// Entries without content handed over at once.
const BATCH: usize = 64;

/// The stream's side of a restore.
pub struct Intake<'a> {
    shared: &'a Shared<'a>,
    queue: &'a Queue<'a>,
    tree: Tree<'a>,
    groups: Groups,
    applier: Applier,
    /// Files whose content is awaited.
    pending: HashMap<u64, Arc<Pending>>,
    /// Entries whose large attributes are awaited.
    awaiting: HashMap<u64, (Numbered, Box<Entry>)>,
    /// Directories named in this window.
    named: HashMap<u64, Arc<Directory>>,
    /// Directories that ended, in order.
    ended: Vec<Arc<Directory>>,
    batch: Vec<Arc<Pending>>,
    current: Vec<u8>,
    /// Entries and losses that came.
    came: (u64, u64),
}

impl<'a> Intake<'a> {
    /// Before the first message.
    #[must_use]
    pub fn new(shared: &'a Shared<'a>, queue: &'a Queue<'a>, tree: Tree<'a>) -> Self {
        Self {
            shared,
            queue,
            tree,
            groups: Groups::default(),
            applier: Applier::default(),
            pending: HashMap::new(),
            awaiting: HashMap::new(),
            named: HashMap::new(),
            ended: Vec::new(),
            batch: Vec::new(),
            current: Vec::new(),
            came: (0, 0),
        }
    }

    /// What is worked on, for progress.
    #[must_use]
    pub fn current(&self) -> &[u8] {
        &self.current
    }

    /// The target's directories.
    #[must_use]
    pub fn tree(&self) -> &Tree<'a> {
        &self.tree
    }

    /// One step of the walk.
    pub fn item(&mut self, item: Item) {
        match item {
            Item::DirectoryEnd { number } => {
                let ended = self.tree.end(number);
                self.ended.extend(ended);
            }
            Item::Entry {
                number,
                parent,
                entry,
                implied,
            } => {
                self.came.0 += 1;
                let Some(parent) = self.tree.numbered(parent).cloned() else {
                    let e = io::Error::other("the Storage Daemon sent it outside of any directory");
                    return self.shared.failed(&entry.name, &e);
                };
                if check_name(&entry.name).is_err() {
                    let e = io::Error::other(
                        "the Storage Daemon sent a name that could leave its directory",
                    );
                    return self.shared.failed(&entry.name, &e);
                }
                if self.tree.removes_extra() {
                    parent.directory.remember(&entry.name);
                }
                // A folder above an include stands in the snapshot, but what else it holds was never looked at: to take
                // it for whole would make `exact` remove everything beside the include.
                let role = if implied || entry.marks & marks::IMPLIED != 0 {
                    Role::Implied
                } else {
                    Role::Selected
                };
                if entry.kind == Kind::Directory {
                    self.directory(number, &parent, entry, role);
                } else if entry.attribute_chunks.is_empty() {
                    self.other(number, &parent, entry);
                } else {
                    self.awaiting.insert(number, (parent, entry));
                }
            }
        }
    }

    /// A large attribute. The last one of an entry lets it go on.
    pub fn attribute(&mut self, value: &AttributeValue) {
        if let Some(directory) = self.named.get(&value.number) {
            if let Some(entry) = directory.entry.lock().as_deref_mut() {
                inline(entry, value);
            }
            return;
        }
        let Some((_, entry)) = self.awaiting.get_mut(&value.number) else {
            return;
        };
        inline(entry, value);
        if entry.attribute_chunks.is_empty()
            && let Some((parent, entry)) = self.awaiting.remove(&value.number)
        {
            self.other(value.number, &parent, entry);
        }
    }

    /// Content: what of it nobody waits for is not looked at.
    pub fn delivery(&mut self, delivery: Delivery) {
        let wanted = |n: &u64| self.pending.get(n).map(Arc::clone);
        let pieces: Vec<_> = delivery
            .placements
            .iter()
            .filter_map(|p| Some((p.slot, p.offset, wanted(&p.number)?)))
            .collect();
        if !pieces.is_empty() {
            self.queue.push(Job::Deliver(delivery.segment, pieces));
        }
    }

    /// Whether as much came as the sender says it sent.
    #[must_use]
    pub fn is_complete(&self, end: &RestoreEnd) -> bool {
        (end.entries, end.lost) == self.came
    }

    /// The storage cannot deliver something.
    pub fn lost(&mut self, lost: &Lost) {
        self.came.1 += 1;
        if let Some(pending) = self.pending.remove(&lost.number) {
            if pending.give_up(self.shared) {
                self.shared.lost(&pending.path(), &lost.reason);
            }
        } else if let Some((parent, entry)) = self.awaiting.remove(&lost.number) {
            self.shared
                .lost(&parent.directory.path_of(&entry.name), &lost.reason);
        } else {
            let open = self.tree.numbered(lost.number).map(|n| &n.directory);
            if let Some(directory) = self.named.get(&lost.number).or(open) {
                directory.mark_incomplete();
                self.shared.lost(&directory.path(), &lost.reason);
            }
        }
    }

    /// Everything of a window is here: waits until it is written, links, finishes directories.
    pub fn settle_window(&mut self) {
        self.flush();
        self.queue.drain();
        self.groups.link(self.shared);
        for (_, (parent, entry)) in std::mem::take(&mut self.awaiting) {
            let e = io::Error::other("the Storage Daemon did not send all of its attributes");
            self.shared
                .failed(&parent.directory.path_of(&entry.name), &e);
        }
        self.pending
            .retain(|_, pending| pending.stage() == Stage::Unfinished);
        self.named.clear();
        for directory in std::mem::take(&mut self.ended) {
            if directory.is_busy() {
                self.ended.push(directory);
            } else {
                finish(self.shared, &mut self.applier, &directory);
            }
        }
    }

    /// The stream is over, well or not: what is unfinished is given up and named, directories are finished.
    pub fn finish(&mut self, why: &str) {
        self.settle_window();
        for (_, pending) in std::mem::take(&mut self.pending) {
            if pending.give_up(self.shared) {
                self.shared
                    .failed(&pending.path(), &io::Error::other(why.to_owned()));
            }
        }
        self.groups.link(self.shared);
        let (open, prefix) = self.tree.rest();
        for directory in std::mem::take(&mut self.ended).into_iter().chain(open) {
            finish(self.shared, &mut self.applier, &directory);
        }
        for directory in prefix {
            finish(self.shared, &mut self.applier, &directory);
        }
        self.groups.set_late_flags(self.shared);
    }

    fn directory(&mut self, number: u64, parent: &Numbered, entry: Box<Entry>, role: Role) {
        let Some(directory) = self.tree.begin(number, parent, entry, role) else {
            return;
        };
        self.named.insert(number, Arc::clone(&directory));
        if directory.implied {
            return;
        }
        match self.tree.ensure(&directory) {
            State::Absent => self
                .tree
                .would(&parent.directory, &directory.name, "make directory"),
            State::Kept => {
                self.shared.tally.kept.fetch_add(1, Relaxed);
            }
            State::Made(_) | State::Failed => {}
        }
    }

    /// Anything but a directory, its attributes complete.
    fn other(&mut self, number: u64, parent: &Numbered, entry: Box<Entry>) {
        let directory = &parent.directory;
        if entry.marks & marks::COMMAND != 0 && self.shared.plan.commands.is_some() {
            let path = [b"/", directory.path_of(&entry.name).as_slice()].concat();
            if let Some(command) = self.shared.plan.command_for(&path) {
                return self.hand_over(number, parent, entry, command);
            }
            let text = format!(
                "{} was saved from a command, and no command is configured to take it back: it becomes a file",
                Shown(&path)
            );
            self.shared.line(Severity::Notice, text);
        }
        let tally = &self.shared.tally;
        match self.tree.ensure(directory) {
            State::Made(_) | State::Absent => {}
            State::Kept => {
                tally.kept.fetch_add(1, Relaxed);
                return;
            }
            State::Failed => {
                tally.failed.fetch_add(1, Relaxed);
                return;
            }
        }
        self.current = directory.path_of(&entry.name);
        match self.before(directory, &entry) {
            Err(e) => self.shared.failed(&self.current, &e),
            Ok(None) => {
                tally.kept.fetch_add(1, Relaxed);
                if self.shared.plan.mode == Mode::DryRun {
                    self.tree.would(directory, &entry.name, "keep");
                }
            }
            Ok(Some(before)) if self.shared.plan.mode == Mode::DryRun => {
                self.dry(directory, &entry, before)
            }
            Ok(Some(before)) => self.start(number, Arc::clone(directory), entry, before),
        }
    }

    /// The output of a command, for the command that takes it back. What lies at its path is no matter.
    fn hand_over(&mut self, number: u64, parent: &Numbered, entry: Box<Entry>, command: &[String]) {
        self.current = parent.directory.path_of(&entry.name);
        let shared = self.shared;
        let program = command.first().map_or("", String::as_str);
        let permitted = shared.context.permit_commands.as_ref();
        if permitted.is_some_and(|all| !all.iter().any(|p| p == program)) {
            let text = format!(
                "this client does not permit the command {program:?}: see permit_commands in its client.toml"
            );
            return shared.refused(&self.current, &io::Error::other(text));
        }
        if shared.plan.mode == Mode::DryRun {
            let (path, bytes) = (Shown(&self.current), entry.content_bytes());
            shared.line(Severity::Info, format!("would give {path} to {program:?}"));
            shared.tally.files.fetch_add(1, Relaxed);
            shared.tally.bytes.fetch_add(bytes, Relaxed);
            return;
        }
        let directory = Arc::clone(&parent.directory);
        self.await_content(
            number,
            Pending::for_command(directory, entry, command.to_vec()),
        );
    }

    /// What stands at the name, or `None` when the policy keeps it.
    fn before(&self, directory: &Arc<Directory>, entry: &Entry) -> io::Result<Option<Before>> {
        // A directory that a dry run would make holds nothing.
        if directory.made().is_none() {
            return Ok(Some(Before::Free));
        }
        let Some(found) = self.tree.existing(directory, &entry.name)? else {
            return Ok(Some(Before::Free));
        };
        let choice = choose(self.shared.plan.replace, &found_of(&found), entry);
        Ok((choice == Choice::Replace).then_some(Before::Taken))
    }

    fn dry(&self, directory: &Directory, entry: &Entry, before: Before) {
        let verb = if before == Before::Free {
            "restore"
        } else {
            "replace"
        };
        self.tree.would(directory, &entry.name, verb);
        let tally = &self.shared.tally;
        let count = if entry.kind == Kind::File {
            &tally.files
        } else {
            &tally.others
        };
        count.fetch_add(1, Relaxed);
        tally.bytes.fetch_add(entry.content_bytes(), Relaxed);
    }

    fn start(&mut self, number: u64, directory: Arc<Directory>, entry: Box<Entry>, before: Before) {
        let unsaved = entry.kind == Kind::File
            && entry.stat.size > 0
            && entry.content == Content::None
            && entry.extents.is_none();
        if unsaved {
            let e = io::Error::other("its content could not be read when it was backed up");
            return self.shared.failed(&self.current, &e);
        }
        self.await_content(number, Pending::new(directory, entry, before));
    }

    fn await_content(&mut self, number: u64, pending: Option<Arc<Pending>>) {
        let Some(pending) = pending else {
            let e = io::Error::other("its extents contradict its content");
            return self.shared.failed(&self.current, &e);
        };
        if self.groups.join(self.shared, &pending) == Member::Further {
            return;
        }
        if pending.has_content() {
            self.pending.insert(number, pending);
            return;
        }
        self.batch.push(pending);
        if self.batch.len() >= BATCH {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if !self.batch.is_empty() {
            self.queue.push(Job::Make(std::mem::take(&mut self.batch)));
        }
    }

    /// Says what a run that stops leaves out.
    pub fn name_unfinished(&self) {
        let count = self.pending.len();
        if count > 0 {
            let first = self
                .pending
                .values()
                .next()
                .map(|p| p.path())
                .unwrap_or_default();
            let text = format!(
                "{count} files were under way and are not restored, among them {}",
                Shown(&first)
            );
            (self.shared.context.log)(Severity::Notice, text);
        }
    }
}

/// Puts a large attribute back after checking it against its name; a wrong one stays missing.
fn inline(entry: &mut Entry, value: &AttributeValue) {
    let id = ChunkId::of(&value.value);
    let named = entry
        .attribute_chunks
        .iter()
        .any(|(tag, chunk)| *tag == value.tag && chunk.id == id);
    if named {
        // A value that does not decode stays in the list of what is missing.
        let _ = entry.inline_attribute(value.tag, &value.value);
    }
}
