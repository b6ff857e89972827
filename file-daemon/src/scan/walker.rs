//! Walker: lists and looks at everything a FileSet selects, in name order, depth first, from `/`.
//!
//! Never skips an lstat, never follows a link, never leaves a file system unasked, never enters Holdfast's own folders.
//! What it cannot see it says ([`Event::Lost`], [`Event::Broken`]); it never just leaves it out.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use common::fileset::FileSet;
use common::name::Shown;
use common::object::entry::Kind;

use crate::attributes::look::{Looked, look};
use crate::runlog::RunLog;
use crate::select::{Contents, Decision, Facts, Reason, Selector, Verdict};

use super::commands::{CommandHere, Commands};
use super::directory::{Directory, is_cache_tag};
use super::level::{Level, Levels};
use super::listing::{Batch, Entering, Event};
use super::names::{NameReader, Names};
use super::tally::{Tally, one};

/// What the walk needs to know.
#[derive(Debug)]
pub struct Plan {
    /// The compiled FileSet.
    pub selector: Selector,
    /// Its commands.
    pub commands: Commands,
}

/// The receiver of the batches went away: the run has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped;

/// A walk under way.
pub struct Walker<'a> {
    plan: &'a Plan,
    log: &'a RunLog,
    tally: &'a Tally,
    out: &'a mut dyn FnMut(Batch) -> Result<(), Stopped>,
    batch: Batch,
    levels: Levels,
    path: Vec<u8>,
    reader: NameReader,
}

impl Plan {
    /// Of a FileSet that was compiled.
    #[must_use]
    pub fn new(fileset: &FileSet, selector: Selector) -> Self {
        Self {
            selector,
            commands: Commands::of(fileset),
        }
    }
}

/// Walks everything. Each batch goes to `out`.
///
/// # Errors
/// `out` said so.
pub fn walk(
    plan: &Plan,
    (log, tally): (&RunLog, &Tally),
    out: &mut dyn FnMut(Batch) -> Result<(), Stopped>,
) -> Result<(), Stopped> {
    let mut walker = Walker {
        plan,
        log,
        tally,
        out,
        batch: Batch::default(),
        levels: Levels::default(),
        path: b"/".to_vec(),
        reader: NameReader::default(),
    };
    walker.enter_root()?;
    while walker.step()? {}
    walker.hand_over()
}

impl Walker<'_> {
    fn enter_root(&mut self) -> Result<(), Stopped> {
        let looked = Directory::root().and_then(|root| root.look().map(|l| (root, l)));
        match looked {
            Ok((root, looked)) => {
                let decision = self.decide(Verdict::Implied, &looked);
                let verdict = if decision.saves() {
                    Verdict::Save
                } else {
                    Verdict::Implied
                };
                self.enter(
                    Some(root),
                    looked,
                    Decision {
                        verdict,
                        ..decision
                    },
                    b"",
                )
            }
            Err(error) => self.lost(b"", None, error),
        }
    }

    /// Goes on by one name; `false` = all done.
    fn step(&mut self) -> Result<bool, Stopped> {
        if self.batch.is_full() {
            self.hand_over()?;
        }
        let Some(level) = self.levels.top() else {
            return Ok(false);
        };
        self.path.truncate(level.path_bytes);
        let Some(name) = level.names.get(level.next) else {
            self.leave();
            return Ok(true);
        };
        level.next += 1;
        if self.path.last() != Some(&b'/') {
            self.path.push(b'/');
        }
        let at = self.path.len();
        self.path.extend_from_slice(name);
        let name = self.path[at..].to_vec();
        self.name(&name)?;
        Ok(true)
    }

    fn leave(&mut self) {
        self.batch.events.push(Event::Leave);
        if let Err(error) = self.levels.pop(&self.path) {
            self.log.warning(format!(
                "the rest of {} cannot be listed, its last state is kept: {error}",
                Shown(&self.path)
            ));
            one(&self.tally.unsaved);
            self.batch.events.push(Event::Broken { error });
            if let Some(level) = self.levels.top() {
                level.next = level.names.len();
            }
        }
    }

    fn name(&mut self, name: &[u8]) -> Result<(), Stopped> {
        let command = self.plan.commands.here(&self.path);
        if let Some(CommandHere::Saved(ordinal)) = command {
            let name = self.batch.name(name);
            self.batch.events.push(Event::Command { name, ordinal });
            return Ok(());
        }
        let Some(level) = self.levels.top() else {
            return Ok(());
        };
        let (verdict, open, mnt_id) = (level.verdict, level.open.clone(), level.mnt_id);
        let looked = match &open {
            Some(directory) => look(directory.as_fd(), name),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        match looked {
            Ok(looked) => self.seen(name, looked, (verdict, mnt_id), command.is_some()),
            Err(_) if command.is_some() => self.enter_missing(name),
            Err(e) if e.kind() == io::ErrorKind::NotFound && verdict == Verdict::Save => {
                self.vanished();
                Ok(())
            }
            Err(e) => self.lost(name, None, e),
        }
    }

    fn seen(
        &mut self,
        name: &[u8],
        looked: Looked,
        (parent, mnt_id): (Verdict, u64),
        way: bool,
    ) -> Result<(), Stopped> {
        let decision = self.decide(parent, &looked);
        let verdict = match decision.verdict {
            Verdict::Exclude if way && looked.kind == Kind::Directory => Verdict::Implied,
            verdict => verdict,
        };
        match verdict {
            Verdict::Exclude => {
                self.left_out(parent, decision.reason);
                Ok(())
            }
            _ if looked.kind == Kind::Directory => {
                let decision = Decision {
                    verdict,
                    ..decision
                };
                if self.is_foreign(&looked, decision, mnt_id) {
                    self.log.notice(format!(
                        "{} is another file system and is kept as an empty folder",
                        Shown(&self.path)
                    ));
                    self.enter_closed(name, looked);
                    return Ok(());
                }
                self.enter_child(name, looked, decision)
            }
            _ => {
                self.item(name, looked);
                Ok(())
            }
        }
    }

    fn item(&mut self, name: &[u8], looked: Looked) {
        let Some(open) = self.levels.top().and_then(|l| l.open.clone()) else {
            return;
        };
        let directory = self.batch.directory(&open);
        let name = self.batch.name(name);
        self.batch.events.push(Event::Item {
            directory,
            name,
            looked,
        });
    }

    fn enter_child(
        &mut self,
        name: &[u8],
        looked: Looked,
        decision: Decision,
    ) -> Result<(), Stopped> {
        let Some(parent) = self.levels.top().and_then(|l| l.open.clone()) else {
            return Ok(());
        };
        match parent.child(name) {
            Ok(directory) => self.enter(Some(directory), looked, decision, name),
            Err(e) if e.kind() == io::ErrorKind::NotFound && !is_include(decision) => {
                self.vanished();
                Ok(())
            }
            Err(e) => self.lost(name, Some(looked), e),
        }
    }

    /// Lists a directory and goes into it.
    fn enter(
        &mut self,
        directory: Option<Arc<Directory>>,
        looked: Looked,
        decision: Decision,
        name: &[u8],
    ) -> Result<(), Stopped> {
        let names = match self.names(directory.as_deref(), decision.verdict) {
            Ok(names) => names,
            Err(e) => return self.lost(name, Some(looked), e),
        };
        let entering = match decision.verdict {
            Verdict::Implied => Entering::Implied,
            _ if is_include(decision) => Entering::Include {
                empty: names.is_empty(),
            },
            _ => Entering::Whole,
        };
        let open = directory.as_ref().map(|d| self.batch.directory(d));
        self.push_enter(name, Some(looked), open, entering);
        self.levels.push(Level {
            open: directory,
            identity: Some((looked.dev, looked.stat.ino)),
            mnt_id: looked.mnt_id,
            verdict: decision.verdict,
            names,
            next: 0,
            path_bytes: self.path.len(),
        });
        Ok(())
    }

    /// A directory whose content is left out.
    fn enter_closed(&mut self, name: &[u8], looked: Looked) {
        self.push_enter(name, Some(looked), None, Entering::Whole);
        self.batch.events.push(Event::Leave);
    }

    /// A directory that is only in the path of a command.
    fn enter_missing(&mut self, name: &[u8]) -> Result<(), Stopped> {
        let names = Names::of(self.plan.commands.names_in(&self.path)).unwrap_or_default();
        self.push_enter(name, None, None, Entering::Implied);
        self.levels.push(Level {
            open: None,
            identity: None,
            mnt_id: 0,
            verdict: Verdict::Implied,
            names,
            next: 0,
            path_bytes: self.path.len(),
        });
        Ok(())
    }

    fn push_enter(
        &mut self,
        name: &[u8],
        looked: Option<Looked>,
        open: Option<u32>,
        entering: Entering,
    ) {
        let above = self.levels.top().and_then(|l| l.open.clone());
        let within = above.map(|d| self.batch.directory(&d));
        let name = self.batch.name(name);
        self.batch.events.push(Event::Enter {
            within,
            name,
            looked: looked.map(Box::new),
            open,
            entering,
        });
    }

    fn names(&mut self, directory: Option<&Directory>, verdict: Verdict) -> io::Result<Names> {
        let path = self.path.as_slice();
        let commands = self.plan.commands.names_in(path);
        let Some(directory) = directory.filter(|_| verdict == Verdict::Save) else {
            let includes = self.plan.selector.names_towards_includes(path);
            return Names::of(includes.into_iter().chain(commands));
        };
        let mut names = self.reader.read(directory.as_fd())?;
        let contents = self
            .plan
            .selector
            .contents(path, &|name| names.contains(name), &|| {
                is_cache_tag(directory)
            });
        if let Contents::OnlyMarker { name, .. } = contents {
            self.log.notice(format!(
                "{} is kept empty: it holds {}",
                Shown(path),
                Shown(&name)
            ));
            names = Names::of([name.as_slice()])?;
        }
        if !commands.is_empty() {
            names.add(commands)?;
        }
        Ok(names)
    }

    fn decide(&self, parent: Verdict, looked: &Looked) -> Decision {
        let facts = Facts {
            kind: looked.kind,
            size_bytes: looked.stat.size,
            nodump: looked.nodump,
        };
        self.plan.selector.decide(parent, &self.path, &facts)
    }

    /// Whether a directory is the root of a mount that is not to be entered.
    fn is_foreign(&self, looked: &Looked, decision: Decision, mnt_id: u64) -> bool {
        let crosses = || {
            let include = self.plan.selector.include_of(&self.path);
            include.is_some_and(|i| i.cross_file_systems)
        };
        looked.mnt_id != mnt_id
            && decision.verdict == Verdict::Save
            && !is_include(decision)
            && !crosses()
    }

    fn left_out(&mut self, parent: Verdict, reason: Reason) {
        if reason == Reason::OwnFolder {
            self.log.notice(format!(
                "{} belongs to Holdfast and is left out",
                Shown(&self.path)
            ));
        } else if parent == Verdict::Implied {
            self.log.warning(format!(
                "nothing below {} is saved: it is no folder, but an include leads through it",
                Shown(&self.path)
            ));
            one(&self.tally.unsaved);
        }
    }

    fn vanished(&mut self) {
        one(&self.tally.vanished);
        self.log.notice(format!(
            "{} vanished before it was saved",
            Shown(&self.path)
        ));
    }

    fn lost(
        &mut self,
        name: &[u8],
        looked: Option<Looked>,
        error: io::Error,
    ) -> Result<(), Stopped> {
        one(&self.tally.unsaved);
        let path = Shown(&self.path);
        self.log
            .warning(if error.kind() == io::ErrorKind::NotFound {
                format!("include {path} does not exist; what was last saved of it is kept")
            } else {
                format!("{path} cannot be read, its last saved state is kept: {error}")
            });
        let name = self.batch.name(name);
        self.batch.events.push(Event::Lost {
            name,
            looked: looked.map(Box::new),
            error,
        });
        Ok(())
    }

    fn hand_over(&mut self) -> Result<(), Stopped> {
        self.tally.current.lock().clone_from(&self.path);
        (self.out)(std::mem::take(&mut self.batch))
    }
}

fn is_include(decision: Decision) -> bool {
    matches!(decision.reason, Reason::Include(_))
}
