//! Run: one comparison from its order to its outcome.
//!
//! A window is collected, then compared entry by entry. A file longer than a window stays open in the books, not on disk.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::ids::ChunkId;
use common::name::Shown;
use common::object::attribute::marks;
use common::object::entry::{Entry, Kind};
use common::protocol::fault::{Fault, code};
use common::protocol::orders::{RestoreOrder, Severity};
use common::protocol::restore::{AttributeValue, ChunkNames, Item, Lost};

use super::difference::{Difference, attributes};
use super::links::LiveGroups;
use super::live::{capture, holds, open};
use super::outcome::{CompareOutcome, Findings};
use crate::attributes::Capturer;
use crate::restore::context::Shared;
use crate::restore::directory::{Directory, Role, State};
use crate::restore::handles::Handles;
use crate::restore::order::Plan;
use crate::restore::pieces::{Coverage, Layout};
use crate::restore::target::{self, Missing};
use crate::restore::tree::Tree;
use crate::restore::{Message, RestoreContext, RestoreSource, Status};

const PROGRESS_EVERY: Duration = Duration::from_millis(300);

/// A file whose content is being compared.
struct Ongoing {
    directory: Arc<Directory>,
    name: Vec<u8>,
    layout: Layout,
    content_bytes: u64,
    seen: Coverage,
    differences: Vec<Difference>,
}

struct Comparison<'a> {
    shared: &'a Shared<'a>,
    tree: Tree<'a>,
    capturer: Capturer,
    groups: LiveGroups,
    findings: Findings,
    /// Entries of this window with the directory they are in.
    entries: Vec<(u64, Arc<Directory>, Box<Entry>)>,
    names: Vec<ChunkNames>,
    lost: Vec<Lost>,
    ongoing: HashMap<u64, Ongoing>,
}

/// Compares the snapshot with what lies at the order's target folder.
pub fn run(
    order: &RestoreOrder,
    source: &mut dyn RestoreSource,
    context: &RestoreContext,
) -> CompareOutcome {
    let order = RestoreOrder {
        mode: "compare".into(),
        exact: false,
        ..order.clone()
    };
    let opened = Plan::new(&order, &context.permit)
        .map_err(|e| crate::chain(&e))
        .and_then(|plan| {
            let root = target::open(&plan, &context.permit, Missing::Fail);
            root.map(|root| (plan, root)).map_err(|e| crate::chain(&e))
        });
    let (plan, root) = match opened {
        Ok(opened) => opened,
        Err(text) => return failed(Findings::default(), code::REFUSED, text),
    };
    let shared = Shared::new(&plan, context, Handles::new(root));
    let tree = match Tree::new(&shared) {
        Ok(tree) => tree,
        Err(e) => return failed(Findings::default(), code::INTERNAL, e.to_string()),
    };
    let mut comparison = Comparison {
        shared: &shared,
        tree,
        capturer: Capturer::default(),
        groups: LiveGroups::default(),
        findings: Findings::default(),
        entries: Vec::new(),
        names: Vec::new(),
        lost: Vec::new(),
        ongoing: HashMap::new(),
    };
    let broken = comparison.follow(source).err();
    comparison.conclude(broken)
}

fn failed(findings: Findings, code: &str, text: String) -> CompareOutcome {
    let fault = Some(Fault {
        code: code.to_owned(),
        text,
        retry: false,
    });
    CompareOutcome {
        status: Status::Error,
        findings,
        fault,
    }
}

impl Comparison<'_> {
    fn follow(&mut self, source: &mut dyn RestoreSource) -> Result<(), String> {
        let broken = |e| crate::chain(&e);
        let mut told = Instant::now();
        while !self.shared.stopped() {
            match source.next().map_err(broken)? {
                Message::Items(items) => items.0.into_iter().for_each(|item| self.item(item)),
                Message::AttributeValue(value) => self.attribute(&value),
                Message::ChunkNames(names) => self.names.push(names),
                Message::Delivery(_) => {}
                Message::Lost(lost) => self.lost.push(lost),
                Message::WindowEnd(window) => {
                    self.window();
                    source.window_done(window.number).map_err(broken)?;
                }
                Message::End(_) => return Ok(()),
            }
            if told.elapsed() >= PROGRESS_EVERY {
                told = Instant::now();
                let outcome = CompareOutcome {
                    status: Status::Ok,
                    findings: Findings::default(),
                    fault: None,
                };
                let counts = CompareOutcome {
                    findings: self.counts_only(),
                    ..outcome
                }
                .counts();
                (self.shared.context.progress)(counts, b"");
            }
        }
        Ok(())
    }

    fn counts_only(&self) -> Findings {
        let f = &self.findings;
        Findings {
            compared: f.compared,
            identical: f.identical,
            files: f.files,
            directories: f.directories,
            read_bytes: f.read_bytes,
            ..Findings::default()
        }
    }

    fn item(&mut self, item: Item) {
        match item {
            Item::DirectoryEnd { number } => {
                self.tree.end(number);
            }
            Item::Entry {
                number,
                parent,
                entry,
                implied,
            } => {
                let Some(parent) = self.tree.numbered(parent).cloned() else {
                    return;
                };
                let directory = Arc::clone(&parent.directory);
                if entry.kind == Kind::Directory {
                    let role = if implied {
                        Role::Implied
                    } else {
                        Role::Selected
                    };
                    let begun = self.tree.begin(number, &parent, entry.clone(), role);
                    if begun.is_none_or(|d| d.implied) {
                        return;
                    }
                }
                if entry.marks & marks::COMMAND != 0 && self.shared.plan.commands.is_some() {
                    let path = directory.path_of(&entry.name);
                    let text = format!(
                        "{} was saved from a command: there is no file to compare it with",
                        Shown(&path)
                    );
                    return self.shared.line(Severity::Notice, text);
                }
                self.entries.push((number, directory, entry));
            }
        }
    }

    fn attribute(&mut self, value: &AttributeValue) {
        // Numbers ascend over the stream.
        let at = self
            .entries
            .binary_search_by_key(&value.number, |(number, ..)| *number);
        let Some((_, _, entry)) = at.ok().and_then(|at| self.entries.get_mut(at)) else {
            return;
        };
        let id = ChunkId::of(&value.value);
        if entry
            .attribute_chunks
            .iter()
            .any(|(tag, chunk)| *tag == value.tag && chunk.id == id)
        {
            // What does not decode stays missing and is a difference.
            let _ = entry.inline_attribute(value.tag, &value.value);
        }
    }

    /// Compares everything of a window.
    fn window(&mut self) {
        for (number, directory, entry) in std::mem::take(&mut self.entries) {
            self.entry(number, &directory, &entry);
        }
        for lost in std::mem::take(&mut self.lost) {
            if let Some(ongoing) = self.ongoing.remove(&lost.number) {
                self.settle(ongoing, Some(Difference::Lost));
            } else {
                let path = self
                    .tree
                    .numbered(lost.number)
                    .map_or_else(Vec::new, |n| n.directory.path());
                self.findings.note(|| path, vec![Difference::Lost]);
            }
        }
        for names in std::mem::take(&mut self.names) {
            self.content(&names);
        }
    }

    fn entry(&mut self, number: u64, directory: &Arc<Directory>, entry: &Entry) {
        match entry.kind {
            Kind::File => self.findings.files += 1,
            Kind::Directory => self.findings.directories += 1,
            _ => {}
        }
        let (differences, there) = self.differences(directory, entry);
        let layout = Layout::new(
            entry.extents.as_deref(),
            entry.content_bytes(),
            entry.stat.size,
        );
        if there
            && entry.kind == Kind::File
            && entry.content_bytes() > 0
            && let Some(layout) = layout
        {
            let ongoing = Ongoing {
                directory: Arc::clone(directory),
                name: entry.name.clone(),
                layout,
                content_bytes: entry.content_bytes(),
                seen: Coverage::default(),
                differences,
            };
            self.ongoing.insert(number, ongoing);
            return;
        }
        self.findings
            .note(|| directory.path_of(&entry.name), differences);
    }

    /// In what attributes differ, and whether there is a live file with content to compare.
    fn differences(
        &mut self,
        directory: &Arc<Directory>,
        entry: &Entry,
    ) -> (Vec<Difference>, bool) {
        match self.tree.ensure(directory) {
            State::Made(_) => {}
            State::Absent => return (vec![Difference::Missing], false),
            State::Kept | State::Failed => return (vec![Difference::Unreadable], false),
        }
        let live = self
            .shared
            .handles
            .of(directory)
            .and_then(|handle| capture(&mut self.capturer, &handle, &entry.name));
        match live {
            Ok(None) => (vec![Difference::Missing], false),
            Ok(Some((live, looked))) => {
                let mut found = attributes(entry, &live);
                if self.groups.differs(entry, &looked) {
                    found.push(Difference::Links);
                }
                let missing = entry.attribute_chunks.iter().any(|_| true);
                found.extend(missing.then_some(Difference::Lost));
                (found, live.kind == entry.kind)
            }
            Err(e) => {
                let path = directory.path_of(&entry.name);
                self.shared.line(
                    Severity::Warning,
                    format!("cannot read {}: {e}", Shown(&path)),
                );
                (vec![Difference::Unreadable], false)
            }
        }
    }

    fn content(&mut self, names: &ChunkNames) {
        let Some(ongoing) = self.ongoing.get_mut(&names.number) else {
            return;
        };
        let bytes: u64 = names.chunks.iter().map(|c| u64::from(c.len)).sum();
        let same = ongoing.same(self.shared, names);
        self.findings.read_bytes += bytes;
        ongoing.seen.add(names.offset, bytes);
        let whole = ongoing.seen.is_whole(ongoing.content_bytes);
        let differs = match same {
            Ok(true) => None,
            Ok(false) => Some(Difference::Content),
            Err(e) => {
                let path = ongoing.directory.path_of(&ongoing.name);
                self.shared.line(
                    Severity::Warning,
                    format!("cannot read {}: {e}", Shown(&path)),
                );
                Some(Difference::Unreadable)
            }
        };
        if (whole || differs.is_some())
            && let Some(ongoing) = self.ongoing.remove(&names.number)
        {
            self.settle(ongoing, differs);
        }
    }

    fn settle(&mut self, ongoing: Ongoing, differs: Option<Difference>) {
        let mut differences = ongoing.differences;
        differences.extend(differs);
        self.findings
            .note(|| ongoing.directory.path_of(&ongoing.name), differences);
    }

    fn conclude(mut self, broken: Option<String>) -> CompareOutcome {
        if broken.is_none() && !self.shared.stopped() {
            self.window();
            for (_, ongoing) in std::mem::take(&mut self.ongoing) {
                self.settle(ongoing, Some(Difference::Lost));
            }
        }
        for line in self.findings.lines() {
            (self.shared.context.log)(Severity::Warning, line);
        }
        (self.shared.context.log)(Severity::Info, self.findings.summary());
        if self.shared.context.stop.is_cancelled() {
            let outcome = failed(
                self.findings,
                code::CANCELED,
                "the comparison was canceled".into(),
            );
            return CompareOutcome {
                status: Status::Canceled,
                ..outcome
            };
        }
        if let Some(text) = broken {
            return failed(self.findings, code::STORAGE, text);
        }
        let same = self.findings.identical == self.findings.compared;
        let status = if same { Status::Ok } else { Status::Warnings };
        CompareOutcome {
            status,
            findings: self.findings,
            fault: None,
        }
    }
}

impl Ongoing {
    fn same(&self, shared: &Shared<'_>, names: &ChunkNames) -> io::Result<bool> {
        let directory = shared.handles.of(&self.directory)?;
        let file = File::from(open(&directory, &self.name)?);
        holds(&file, &self.layout, names.offset, &names.chunks)
    }
}
