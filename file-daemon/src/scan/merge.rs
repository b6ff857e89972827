//! Merge: compares what the walker found with the base's pages, in one pass, and says what the new tree is made of.
//!
//! The new tree is whole by construction: an entry is in it because it was seen, or because it could not be looked at
//! and is carried forward, marked. Names only the base has are gone. Never reuses content that `lstat` does not vouch
//! for: same kind, size, mtime, ctime and inode, and changed long enough before the base was scanned.

use std::sync::Arc;

use common::ids::PageId;
use common::object::attribute::{Stat, marks};
use common::object::entry::{Content, Entry, Kind};

use super::base::BasePages;
use super::directory::Directory;
use super::frame::{Found, Frame, Source, Tree};
use super::links::LinkGroups;
use super::listing::{Batch, Entering, Event};
use super::moved::Moved;
use super::own::{absent, same_attributes};
use super::step::{Capture, Replay, Step};
use super::tally::{Tally, one};
use crate::attributes::Capturer;
use crate::attributes::look::Looked;
use crate::runlog::RunLog;
use crate::sink::error::SinkError;

/// What a merge works with.
#[derive(Clone, Copy)]
pub struct Setting<'a> {
    /// Pages of the trees.
    pub pages: &'a BasePages,
    /// The base.
    pub base: Option<Tree>,
    /// The checkpoint of an earlier try, preferred where it is finished.
    pub resume: Option<Tree>,
    /// The run's log.
    pub log: &'a RunLog,
    /// The run's counts.
    pub tally: &'a Tally,
}

/// Receiver of the steps.
pub type Out<'a> = &'a mut dyn FnMut(Step) -> Result<(), SinkError>;

/// A merge under way.
pub struct Merge<'a> {
    pub(super) set: Setting<'a>,
    pub(super) out: Out<'a>,
    pub(super) frames: Vec<Frame>,
    /// How many frames, from the root down, are open; those below are clean.
    pub(super) open: usize,
    pub(super) capturer: Capturer,
    links: LinkGroups,
    moved: Moved,
    /// An include that is not mounted was carried forward: nothing of it counts until it is left.
    passing_over: bool,
}

impl<'a> Merge<'a> {
    /// At the beginning.
    #[must_use]
    pub fn new(set: Setting<'a>, out: Out<'a>) -> Self {
        Self {
            set,
            out,
            frames: Vec::new(),
            open: 0,
            capturer: Capturer::default(),
            links: LinkGroups::default(),
            moved: Moved::default(),
            passing_over: false,
        }
    }

    /// Takes in a batch of the walker.
    ///
    /// # Errors
    /// The storage is lost, or the receiver said so.
    pub fn take(&mut self, batch: &Batch) -> Result<(), SinkError> {
        batch
            .events
            .iter()
            .try_for_each(|event| self.event(batch, event))
    }

    fn event(&mut self, batch: &Batch, event: &Event) -> Result<(), SinkError> {
        if self.passing_over {
            self.passing_over = !matches!(event, Event::Leave);
            return Ok(());
        }
        let directory = |n: &u32| &batch.directories[*n as usize];
        match event {
            Event::Item {
                directory: at,
                name,
                looked,
            } => self.item(directory(at), batch.name_of(name), looked),
            Event::Enter {
                within,
                name,
                looked,
                open,
                entering,
            } => {
                let place = (within.as_ref().map(directory), open.as_ref().map(directory));
                self.enter(batch.name_of(name), looked.as_deref(), place, *entering)
            }
            Event::Leave => self.leave(),
            Event::Lost { name, looked, .. } => self.lost(batch.name_of(name), looked.as_deref()),
            Event::Broken { .. } => {
                if let Some(frame) = self.frames.last_mut() {
                    frame.keep_rest = true;
                }
                Ok(())
            }
            Event::Command { name, ordinal } => self.command(batch.name_of(name), *ordinal),
        }
    }

    fn item(
        &mut self,
        directory: &Arc<Directory>,
        name: &[u8],
        looked: &Looked,
    ) -> Result<(), SinkError> {
        let found = self.look_up(name)?;
        if let Some((entry, is_primary)) = self.vouched(&found, looked, 0) {
            let same = |e: &Entry| e.kind == looked.kind && looked.stat.unchanged_since(&e.stat);
            self.standing(&found, looked.kind, found.base.as_ref().is_some_and(same))?;
            self.set.tally.entry(entry);
            if is_primary && self.is_clean() {
                self.count_match();
                return Ok(());
            }
            let entry = entry.clone();
            self.open_all()?;
            return (self.out)(Step::Entry(entry));
        }
        self.open_all()?;
        let standing = self.standing_of_capture(&found, looked.kind)?;
        let same_kind = |e: &Entry| e.kind == looked.kind;
        let base = found
            .resume
            .filter(same_kind)
            .or(found.base.filter(same_kind));
        let link = match looked.kind {
            Kind::File => self.links.key(looked),
            _ => None,
        };
        (self.out)(Step::Capture(Box::new(Capture {
            directory: Arc::clone(directory),
            name: name.to_vec(),
            looked: *looked,
            base,
            standing,
            link,
        })))
    }

    fn enter(
        &mut self,
        name: &[u8],
        looked: Option<&Looked>,
        place: (Option<&Arc<Directory>>, Option<&Arc<Directory>>),
        entering: Entering,
    ) -> Result<(), SinkError> {
        if self.frames.is_empty() {
            return self.enter_root(looked, place);
        }
        let found = self.look_up(name)?;
        let path = || {
            place
                .0
                .map_or_else(|| b"/".to_vec(), |within| within.path_of(name))
        };
        if self.is_unmounted(&found, looked, entering, &path)? {
            self.passing_over = true;
            return self.carry(found, name, looked);
        }
        let wanted = if entering == Entering::Implied {
            marks::IMPLIED
        } else {
            0
        };
        let looked_or_none = looked.copied().unwrap_or_else(absent);
        let vouched = self
            .vouched(&found, &looked_or_none, wanted)
            .map(|(e, is_primary)| (e.clone(), is_primary));
        let (own, own_is_base) = match vouched {
            Some((own, is_primary)) if looked.is_some() => (own, is_primary),
            _ => {
                let place = if looked.is_some() {
                    place
                } else {
                    (None, None)
                };
                let fresh = self.own_entry(name, &looked_or_none, place, wanted);
                self.inherit(fresh, &found)
            }
        };
        let same = found
            .base
            .as_ref()
            .is_some_and(|e| same_attributes(e, &own));
        let frame = self.frame(&found, own, (own_is_base, looked))?;
        self.standing(&found, Kind::Directory, same)?;
        if !own_is_base {
            self.open_all()?;
        }
        self.push(frame, &found)
    }

    fn enter_root(
        &mut self,
        looked: Option<&Looked>,
        place: (Option<&Arc<Directory>>, Option<&Arc<Directory>>),
    ) -> Result<(), SinkError> {
        let own = self.own_entry(b"root", &looked.copied().unwrap_or_else(absent), place, 0);
        let pages = self.set.pages;
        let frame = Frame {
            own,
            own_is_base: true,
            resume: Source::open(pages, self.set.resume.map(|t| t.root))?,
            base: Source::open(pages, self.set.base.map(|t| t.root))?,
            counts: true,
            matched: 0,
            keep_rest: false,
        };
        // A checkpoint's root is never finished.
        let unfinished = frame.resume.is_some() || frame.base.is_none();
        self.frames.push(frame);
        if unfinished { self.open_all() } else { Ok(()) }
    }

    fn push(&mut self, frame: Frame, found: &Found) -> Result<(), SinkError> {
        let unfinished = found
            .resume
            .as_ref()
            .is_some_and(|e| e.marks & marks::UNFINISHED != 0);
        let open = unfinished || frame.primary().is_none() || frame.holes() > 0;
        self.frames.push(frame);
        if open { self.open_all() } else { Ok(()) }
    }

    /// The frame of a directory, with what it is compared with.
    fn frame(
        &mut self,
        found: &Found,
        own: Entry,
        (own_is_base, looked): (bool, Option<&Looked>),
    ) -> Result<Frame, SinkError> {
        let page = |e: &Option<Entry>| match e.as_ref().map(|e| &e.content) {
            Some(Content::Directory(page)) => Some(*page),
            _ => None,
        };
        let pages = self.set.pages;
        let resume = Source::open(pages, page(&found.resume))?;
        let here = page(&found.base);
        let moved = match (here, looked, self.set.base) {
            (None, Some(looked), Some(base))
                if looked
                    .birth
                    .is_some_and(|b| b.as_nanos() < base.trusted_before_ns) =>
            {
                self.moved.find(pages, &base.root, looked)?
            }
            _ => None,
        };
        Ok(Frame {
            own,
            own_is_base,
            resume,
            base: Source::open(pages, here.or(moved))?,
            counts: here.is_some() && self.counts() || self.set.base.is_none(),
            matched: 0,
            keep_rest: false,
        })
    }

    fn leave(&mut self) -> Result<(), SinkError> {
        self.rest()?;
        let is_open = !self.is_clean();
        let Some(mut frame) = self.frames.pop() else {
            return Ok(());
        };
        if is_open {
            self.open -= 1;
        }
        let page = if is_open { None } else { frame.primary() };
        if self.frames.is_empty() {
            let own = Box::new(frame.own);
            return (self.out)(page.map_or(Step::Leave, |page| Step::Same { own, page }));
        }
        one(&self.set.tally.entries);
        one(&self.set.tally.directories);
        let Some(page) = page else {
            return (self.out)(Step::Leave);
        };
        if frame.own_is_base && self.is_clean() {
            self.count_match();
            return Ok(());
        }
        frame.own.content = Content::Directory(page);
        (self.out)(Step::Entry(frame.own))
    }

    /// What the base has beyond the last name: gone, or kept when the directory could not be listed to its end.
    fn rest(&mut self) -> Result<(), SinkError> {
        while let Some(frame) = self.frames.last() {
            let next = |s: &Option<Source>| {
                s.as_ref()
                    .and_then(|s| s.cursor.peek())
                    .map(|e| e.name.clone())
            };
            let (resume, base) = (next(&frame.resume), next(&frame.base));
            let keep = frame.keep_rest;
            let Some(name) = [resume, base].into_iter().flatten().min() else {
                break;
            };
            let found = self.look_up(&name)?;
            if keep {
                self.carry(found, &name, None)?;
            } else {
                self.open_all_if_primary(&found)?;
                self.gone(found)?;
            }
        }
        Ok(())
    }

    fn lost(&mut self, name: &[u8], looked: Option<&Looked>) -> Result<(), SinkError> {
        if self.frames.is_empty() {
            let own = Entry::new(b"root".to_vec(), Kind::Directory, Stat::default());
            return self.bare(own);
        }
        let found = self.look_up(name)?;
        self.carry(found, name, looked)
    }

    /// Keeps what a tree has of a name that could not be looked at; without one, its attributes alone.
    fn carry(
        &mut self,
        found: Found,
        name: &[u8],
        looked: Option<&Looked>,
    ) -> Result<(), SinkError> {
        let from_primary = self.is_primary_resume() == found.resume.is_some();
        let known = found.resume.filter(|e| e.marks & marks::UNFINISHED == 0);
        if let Some(mut entry) = known.or(found.base) {
            self.count_below(&entry)?;
            if from_primary && entry.marks & marks::STALE != 0 && self.is_clean() {
                self.count_match();
                return Ok(());
            }
            self.open_all()?;
            entry.marks |= marks::STALE;
            return (self.out)(Step::Entry(entry));
        }
        let Some(looked) = looked else {
            return Ok(());
        };
        self.open_all()?;
        let mut entry = looked.entry(name.to_vec());
        self.capturer.owner_names(&mut entry);
        entry.marks |= marks::UNREAD;
        one(&self.set.tally.new_entries);
        self.set.tally.entry(&entry);
        if entry.kind != Kind::Directory {
            return (self.out)(Step::Entry(entry));
        }
        self.bare(entry)
    }

    /// A directory without content.
    fn bare(&mut self, own: Entry) -> Result<(), SinkError> {
        let own = Box::new(own);
        (self.out)(Step::Enter { own, replay: None })?;
        (self.out)(Step::Leave)
    }

    fn command(&mut self, name: &[u8], ordinal: usize) -> Result<(), SinkError> {
        let found = self.look_up(name)?;
        self.standing(&found, Kind::File, false)?;
        self.open_all()?;
        (self.out)(Step::Command {
            name: name.to_vec(),
            ordinal,
            base: found.base.filter(|e| e.kind == Kind::File),
        })
    }

    /// An include that is empty now and is not the directory it was: most likely its file system is not mounted.
    fn is_unmounted(
        &self,
        found: &Found,
        looked: Option<&Looked>,
        entering: Entering,
        path: &dyn Fn() -> Vec<u8>,
    ) -> Result<bool, SinkError> {
        let (Entering::Include { empty: true }, Some(looked)) = (entering, looked) else {
            return Ok(false);
        };
        let Some(Entry {
            content: Content::Directory(page),
            stat,
            ..
        }) = &found.base
        else {
            return Ok(false);
        };
        let source = Source::open(self.set.pages, Some(*page))?;
        let had_entries = source.is_some_and(|s| s.cursor.peek().is_some());
        let unmounted = stat.ino != looked.stat.ino && had_entries;
        if unmounted {
            one(&self.set.tally.unsaved);
            self.set.log.warning(format!(
                "include {} is empty and not the folder it was: not mounted? Its last saved state is kept",
                common::name::Shown(&path())
            ));
        }
        Ok(unmounted)
    }

    /// Entries of this name; what comes before it in the trees is gone.
    fn look_up(&mut self, name: &[u8]) -> Result<Found, SinkError> {
        loop {
            let holes = self.frames.last().map_or(0, Frame::holes);
            let pages = self.set.pages;
            let Some(frame) = self.frames.last_mut() else {
                return Ok(Found::default());
            };
            let at_or_before =
                |s: &Source| s.cursor.peek().is_some_and(|e| e.name.as_slice() <= name);
            let mut found = Found::default();
            if let Some(source) = frame.resume.as_mut().filter(|s| at_or_before(s)) {
                found.resume = source.cursor.take(pages)?;
            }
            if let Some(source) = frame.base.as_mut().filter(|s| at_or_before(s)) {
                found.base = source.cursor.take(pages)?;
            }
            // Replay counts entries: it must not go past a hole.
            let has_hole = frame.holes() > holes;
            let gone = Found {
                resume: found.resume.take_if(|e| e.name.as_slice() < name),
                base: found.base.take_if(|e| e.name.as_slice() < name),
            };
            if has_hole {
                self.open_all()?;
            }
            if gone.resume.is_none() && gone.base.is_none() {
                return Ok(found);
            }
            self.open_all_if_primary(&gone)?;
            self.gone(gone)?;
            if found.resume.is_some() || found.base.is_some() {
                return self.other_of(found, name);
            }
        }
    }

    /// One tree was at the name already while the other was before it: brings the other there.
    fn other_of(&mut self, mut found: Found, name: &[u8]) -> Result<Found, SinkError> {
        let more = self.look_up(name)?;
        found.resume = found.resume.or(more.resume);
        found.base = found.base.or(more.base);
        Ok(found)
    }

    /// The entry that says all about what was looked at, and whether it is the primary tree's.
    fn vouched<'f>(
        &self,
        found: &'f Found,
        looked: &Looked,
        wanted_marks: u64,
    ) -> Option<(&'f Entry, bool)> {
        let by = |tree: Option<Tree>, entry: &'f Option<Entry>| {
            let entry = entry.as_ref()?;
            tree?.vouches(entry, looked, wanted_marks).then_some(entry)
        };
        let resume_first = self.is_primary_resume();
        by(self.set.resume, &found.resume)
            .map(|e| (e, resume_first))
            .or_else(|| by(self.set.base, &found.base).map(|e| (e, !resume_first)))
    }

    pub(super) fn is_clean(&self) -> bool {
        self.frames.len() > self.open
    }

    pub(super) fn is_primary_resume(&self) -> bool {
        self.frames.last().is_some_and(|f| f.resume.is_some())
    }

    pub(super) fn counts(&self) -> bool {
        self.frames.last().is_some_and(|f| f.counts)
    }

    pub(super) fn count_match(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.matched += 1;
        }
    }

    fn open_all_if_primary(&mut self, gone: &Found) -> Result<(), SinkError> {
        let primary = if self.is_primary_resume() {
            &gone.resume
        } else {
            &gone.base
        };
        if primary.is_some() {
            self.open_all()
        } else {
            Ok(())
        }
    }

    /// The first difference: opens every directory down to here, with what was equal so far.
    fn open_all(&mut self) -> Result<(), SinkError> {
        while let Some(frame) = self.frames.get(self.open) {
            let replay = frame
                .primary()
                .filter(|_| frame.matched > 0)
                .map(|page: PageId| Replay {
                    page,
                    count: frame.matched,
                });
            let own = Box::new(frame.own.clone());
            self.open += 1;
            (self.out)(Step::Enter { own, replay })?;
        }
        Ok(())
    }
}
