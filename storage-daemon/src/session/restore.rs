//! A restore: walks from the root of its ticket with a selection and streams what it finds, window by window.
//!
//! Memory does not grow with the tree or with a file: per level of depth one page, and one window. At most two windows
//! are unanswered. Directories that only lead to something selected are sent as implied, when that something is found.
//! Invariant: everything sent was reached from the ticket's root; no id is taken from the client.

use std::collections::VecDeque;
use std::sync::Arc;

use common::ids::PageId;
use common::object::entry::{Content, Entry, Kind};
use common::object::link::{Link, ListRef};
use common::object::page::Page;
use common::protocol::fault::{Fault, code};
use common::protocol::frame::FrameType;
use common::protocol::restore::{Item, OpenRestore, RestoreEnd};
use common::protocol::ticket::Ticket;
use common::walk::{PageSource, Roots, Step, Walk};
use crossbeam_channel::Receiver;

use super::backup::chain;
use super::outbox::{Gone, Outbox};
use super::selection::{Selector, Verdict};
use super::window::{Mode, Window};
use crate::store::Store;
use crate::store::lookup::LookupError;

/// Windows that may be unanswered.
const UNANSWERED: u64 = 2;
/// Deepest directory: bounds the memory of one walk, a frame and a name each.
const MAX_DEPTH: usize = 1 << 16;
/// Deepest tree of list pages.
const MAX_LIST_DEPTH: usize = 8;

/// Pages for a walk.
pub struct StorePages<'a>(pub &'a Store);

impl PageSource for StorePages<'_> {
    type Error = LookupError;
    fn page(&mut self, id: PageId) -> Result<bytes::Bytes, LookupError> {
        self.0.page(&id)
    }
}

/// What a restore was asked for, checked against its ticket.
#[derive(Debug)]
pub struct Plan {
    root: PageId,
    not_in: Option<PageId>,
    selector: Selector,
    mode: Mode,
}

impl Plan {
    /// Checks a request: its root must be the ticket's and present; a tree to compare with must be in the ticket too, or
    /// be a snapshot of the same client.
    ///
    /// # Errors
    /// Refused, not found, or malformed.
    pub fn new(store: &Store, ticket: &Ticket, request: &OpenRestore) -> Result<Self, Fault> {
        let root = ticket
            .roots
            .first()
            .and_then(|r| PageId::from_slice(r).ok());
        let root = root.ok_or_else(|| Fault::new(code::TICKET, "the ticket names no root"))?;
        let mode = match request.mode.as_str() {
            "content" | "" => Mode::Content,
            "names" => Mode::Names,
            "chunks" => Mode::Chunks,
            other => {
                return Err(Fault::new(
                    code::UNKNOWN,
                    format!("restore mode {other:?} is not known"),
                ));
            }
        };
        let selection = request.selection.clone().unwrap_or_default();
        let selector =
            Selector::new(&selection).map_err(|e| Fault::new(code::MALFORMED, chain(&e)))?;
        let not_in = match selection.not_in_root.as_slice() {
            [] => None,
            bytes => Some(other_root(store, ticket, root, bytes)?),
        };
        for id in [Some(root), not_in].into_iter().flatten() {
            if !matches!(store.locate(&id.into()), Ok(Some(_))) {
                return Err(Fault::new(
                    code::NOT_FOUND,
                    format!("root page {id} is not present"),
                ));
            }
        }
        Ok(Self {
            root,
            not_in,
            selector,
            mode,
        })
    }
}

fn other_root(store: &Store, ticket: &Ticket, root: PageId, bytes: &[u8]) -> Result<PageId, Fault> {
    let refused = || {
        Fault::new(
            code::REFUSED,
            "the tree to compare with is not in the ticket",
        )
    };
    let other = PageId::from_slice(bytes).map_err(|_| refused())?;
    let in_ticket = ticket.roots.iter().any(|r| r == bytes);
    let client = |root: &PageId| {
        store
            .snapshots()
            .of_root(root)
            .map(|s| s.snapshot.client_id)
    };
    let same_client = client(&root).is_some() && client(&root) == client(&other);
    if in_ticket || same_client {
        Ok(other)
    } else {
        Err(refused())
    }
}

/// A directory on the way from the root.
struct Directory {
    entry: Option<Entry>,
    /// Its number once it was sent.
    number: Option<u64>,
    path_len: usize,
}

/// A restore in progress.
pub struct Restore {
    store: Arc<Store>,
    outbox: Outbox,
    done: Receiver<u64>,
    plan: Plan,
    window: Window,
    sent: u64,
    answered: u64,
    numbers: u64,
    path: Vec<u8>,
    directories: Vec<Directory>,
    /// The directory of the last step, entered next.
    entered: Option<Directory>,
}

impl Restore {
    /// Prepares to stream; `done` gets the number of each window the client has written.
    #[must_use]
    pub fn new(store: Arc<Store>, plan: Plan, outbox: Outbox, done: Receiver<u64>) -> Self {
        let window = Window::new(plan.mode);
        Self {
            store,
            outbox,
            done,
            plan,
            window,
            sent: 0,
            answered: 0,
            numbers: 0,
            path: Vec::new(),
            directories: vec![Directory {
                entry: None,
                number: Some(0),
                path_len: 0,
            }],
            entered: None,
        }
    }

    /// Streams everything.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn run(mut self) -> Result<(), Gone> {
        let mut walk = match self.plan.not_in {
            None => Walk::reach(self.plan.root),
            base => Walk::new(Roots {
                new: Some(self.plan.root),
                base,
                ..Roots::default()
            }),
        };
        let store = self.store.clone();
        let mut pages = StorePages(&store);
        loop {
            match walk.next(&mut pages) {
                Ok(None) => break,
                Ok(Some(step)) => self.step(step, &mut walk)?,
                Err(error) => {
                    self.lose_directory(chain(&error));
                    walk.abandon();
                }
            }
            if self.window.is_full() {
                self.send_window()?;
            }
        }
        if !self.window.is_empty() {
            self.send_window()?;
        }
        let totals = self.window.totals;
        let (entries, bytes, lost) = (totals.entries, totals.bytes, totals.lost);
        self.outbox.message(
            FrameType::RestoreEnd,
            &RestoreEnd {
                entries,
                bytes,
                lost,
            },
        )
    }

    fn step(&mut self, step: Step, walk: &mut Walk) -> Result<(), Gone> {
        match step {
            Step::Added(entry) | Step::Changed { new: entry, .. } => {
                self.visit(entry, Verdict::In, walk)
            }
            Step::Same(entry) => self.visit(entry, Verdict::Through, walk),
            Step::Removed(_) => {
                walk.prune();
                Ok(())
            }
            Step::Enter => {
                self.directories.extend(self.entered.take());
                Ok(())
            }
            Step::Leave => {
                self.leave();
                Ok(())
            }
        }
    }

    /// Judges an entry; `most` is what the difference lets it be at best.
    fn visit(&mut self, entry: Entry, most: Verdict, walk: &mut Walk) -> Result<(), Gone> {
        let parent_len = self.directories.last().map_or(0, |d| d.path_len);
        self.path.truncate(parent_len);
        self.path.push(b'/');
        self.path.extend_from_slice(&entry.name);
        let verdict = self.plan.selector.judge(&self.path);
        let chosen = verdict == Verdict::In && most == Verdict::In;
        if entry.kind == Kind::Directory {
            self.visit_directory(entry, verdict, chosen, walk);
            return Ok(());
        }
        if chosen {
            self.send_entry(entry)?;
        }
        Ok(())
    }

    fn visit_directory(&mut self, entry: Entry, verdict: Verdict, chosen: bool, walk: &mut Walk) {
        if verdict == Verdict::Out || self.directories.len() >= MAX_DEPTH {
            if verdict != Verdict::Out {
                self.lose_directory("directories are nested too deep".into());
            }
            walk.prune();
            return;
        }
        let path_len = self.path.len();
        let mut directory = Directory {
            entry: None,
            number: None,
            path_len,
        };
        if chosen {
            self.imply_directories();
            directory.number = Some(self.push_entry(entry, false));
        } else {
            directory.entry = Some(entry);
        }
        if walk.will_enter() {
            self.entered = Some(directory);
        } else if let Some(number) = directory.number {
            self.window.item(Item::DirectoryEnd { number });
        }
    }

    fn leave(&mut self) {
        let Some(directory) = self.directories.pop() else {
            return;
        };
        if let Some(number) = directory.number {
            self.window.item(Item::DirectoryEnd { number });
        }
    }

    /// Sends the directories on the way that were not sent yet.
    fn imply_directories(&mut self) {
        for at in 0..self.directories.len() {
            if self.directories[at].number.is_some() {
                continue;
            }
            let Some(entry) = self.directories[at].entry.take() else {
                continue;
            };
            let parent = self.directories[..at]
                .last()
                .and_then(|d| d.number)
                .unwrap_or(0);
            let number = self.number();
            let entry = Box::new(entry);
            self.window.item(Item::Entry {
                number,
                parent,
                entry,
                implied: true,
            });
            self.directories[at].number = Some(number);
        }
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn push_entry(&mut self, entry: Entry, implied: bool) -> u64 {
        let number = self.number();
        let parent = self.directories.last().and_then(|d| d.number).unwrap_or(0);
        for (tag, value) in &entry.attribute_chunks {
            self.window.attribute(number, *tag, value.id);
        }
        self.window.item(Item::Entry {
            number,
            parent,
            entry: Box::new(entry),
            implied,
        });
        number
    }

    fn send_entry(&mut self, entry: Entry) -> Result<(), Gone> {
        self.imply_directories();
        let content = entry.content.clone();
        let number = self.push_entry(entry, false);
        match content {
            Content::None | Content::Directory(_) => Ok(()),
            Content::Chunks(chunks) => {
                let mut offset = 0;
                for chunk in chunks {
                    self.window.piece(chunk, number, offset);
                    offset += u64::from(chunk.len);
                }
                Ok(())
            }
            Content::List(list) if self.plan.mode == Mode::Names => {
                let _ = list;
                Ok(())
            }
            Content::List(list) => self.send_list(number, list),
        }
    }

    /// The content of a long file; windows are sent on the way, so that memory stays bounded.
    fn send_list(&mut self, number: u64, list: ListRef) -> Result<(), Gone> {
        let mut stack: Vec<VecDeque<Link>> = vec![VecDeque::from([Link::List(list)])];
        let mut offset = 0;
        while let Some(links) = stack.last_mut() {
            match links.pop_front() {
                None => {
                    stack.pop();
                }
                Some(Link::Chunk(chunk)) => {
                    self.window.piece(chunk, number, offset);
                    offset += u64::from(chunk.len);
                    if self.window.is_full() {
                        self.send_window()?;
                    }
                }
                Some(Link::List(below)) if stack.len() <= MAX_LIST_DEPTH => {
                    match self.list_page(below.page) {
                        Ok(links) => stack.push(links.into()),
                        Err(reason) => {
                            self.window.lose(number, reason);
                            offset += below.bytes;
                        }
                    }
                }
                Some(_) => self.window.lose(number, "its chunk list is not one".into()),
            }
        }
        Ok(())
    }

    fn list_page(&self, page: PageId) -> Result<Vec<Link>, String> {
        let bytes = self.store.page(&page).map_err(|e| chain(&e))?;
        match Page::decode(&bytes) {
            Ok(Page::List(links)) => Ok(links),
            Ok(_) => Err(format!("page {page} is not a chunk list")),
            Err(error) => Err(format!("page {page} cannot be read: {error}")),
        }
    }

    fn lose_directory(&mut self, reason: String) {
        self.imply_directories();
        let number = self.directories.last().and_then(|d| d.number).unwrap_or(0);
        self.window.lose(number, reason);
    }

    fn send_window(&mut self) -> Result<(), Gone> {
        while self.sent - self.answered >= UNANSWERED {
            let number = self.done.recv().map_err(|_| Gone)?;
            self.answered = self.answered.max(number.min(self.sent));
        }
        self.sent += 1;
        self.window.send(self.sent, &self.store, &self.outbox)
    }
}
