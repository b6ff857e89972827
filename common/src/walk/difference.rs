//! The difference of two trees, as steps that a visitor pulls. With no base it is everything a root reaches.
//!
//! Depth first in name order. After a step about a directory that differs below comes [`Step::Enter`], its entries, and
//! [`Step::Leave`]; [`Walk::prune`] right after the directory's step leaves all that out. Equal subtrees and equal pages
//! of large directories are stepped over unread. A removed directory is entered too: everything below it is removed.
//!
//! `done` is a third tree that an earlier walk from the same base has already told (a checkpoint of the same run): what
//! it held is not told again. In a directory marked unfinished, absent names are unknown, so nothing is removed there.

use std::collections::HashSet;

use super::cursor::{Cursor, Unit};
use super::source::{PageSource, WalkError};
use crate::ids::PageId;
use crate::object::attribute::marks;
use crate::object::entry::{Content, Entry, Kind};

/// The trees of a walk, by root page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Roots {
    /// What is; `None` = the empty tree.
    pub new: Option<PageId>,
    /// What was; `None` = the empty tree.
    pub base: Option<PageId>,
    /// What has been told already.
    pub done: Option<PageId>,
    /// Whether the new root itself is of an unfinished run.
    pub unfinished: bool,
    /// Whether the done root is of an unfinished run (it always is, today).
    pub done_unfinished: bool,
}

/// One step of a walk.
#[allow(
    clippy::large_enum_variant,
    reason = "a step is moved once, a box would be allocated per entry"
)]
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// A name that the base does not have.
    Added(Entry),
    /// A name that both have, with other attributes, kind or content (for directories: attributes).
    Changed {
        /// As it was.
        old: Entry,
        /// As it is.
        new: Entry,
    },
    /// A name that only the base has.
    Removed(Entry),
    /// A directory that is itself unchanged, or told already, but differs somewhere below.
    Same(Entry),
    /// Into the directory of the step before.
    Enter,
    /// Out of it.
    Leave,
}

/// One directory being walked.
#[derive(Debug)]
struct Frame {
    new: Option<Cursor>,
    base: Option<Cursor>,
    done: Option<Cursor>,
    removals: bool,
}

/// A walk in progress.
#[derive(Debug)]
pub struct Walk {
    stack: Vec<Frame>,
    /// The directory of the last step, to be entered next.
    pending: Option<Frame>,
    hinted: HashSet<PageId>,
}

impl Walk {
    /// Starts at the roots; the first steps are about the root's entries.
    #[must_use]
    pub fn new(roots: Roots) -> Self {
        let same_as = |other: Option<PageId>| roots.new.is_some() && roots.new == other;
        let told = same_as(roots.done) && roots.unfinished == roots.done_unfinished;
        let equal = roots.new == roots.base;
        let frame = Frame {
            new: roots.new.map(Cursor::new),
            base: roots.base.map(Cursor::new),
            done: roots.done.map(Cursor::new),
            removals: !roots.unfinished,
        };
        Self {
            stack: if told || equal {
                Vec::new()
            } else {
                vec![frame]
            },
            pending: None,
            hinted: HashSet::new(),
        }
    }

    /// Everything below one root.
    #[must_use]
    pub fn reach(root: PageId) -> Self {
        Self::new(Roots {
            new: Some(root),
            ..Roots::default()
        })
    }

    /// Directories open around the current step.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.stack.len()
    }

    /// Leaves out everything below the directory of the last step.
    pub fn prune(&mut self) {
        self.pending = None;
    }

    /// Whether the last step will be followed by [`Step::Enter`].
    #[must_use]
    pub fn will_enter(&self) -> bool {
        self.pending.is_some()
    }

    /// The next step; `None` = the end.
    ///
    /// # Errors
    /// A page cannot be had. The walk may go on after [`Walk::abandon`].
    pub fn next<S: PageSource>(
        &mut self,
        source: &mut S,
    ) -> Result<Option<Step>, WalkError<S::Error>> {
        if let Some(frame) = self.pending.take() {
            self.stack.push(frame);
            return Ok(Some(Step::Enter));
        }
        while let Some(frame) = self.stack.last_mut() {
            match advance(frame, source, &mut self.hinted)? {
                Advance::End => {
                    self.stack.pop();
                    // The root's own frame was never entered by a step.
                    return Ok(if self.stack.is_empty() {
                        None
                    } else {
                        Some(Step::Leave)
                    });
                }
                Advance::Nothing => {}
                Advance::Told(step, below) => {
                    self.pending = below;
                    return Ok(Some(step));
                }
            }
        }
        Ok(None)
    }

    /// After an error: gives up the directory it happened in; the next step is its [`Step::Leave`] (or the end).
    pub fn abandon(&mut self) {
        if let Some(frame) = self.stack.last_mut() {
            *frame = Frame {
                new: None,
                base: None,
                done: None,
                removals: false,
            };
        }
    }
}

#[allow(clippy::large_enum_variant, reason = "lives for one call")]
enum Advance {
    End,
    Nothing,
    Told(Step, Option<Frame>),
}

/// Looks at the smallest name among the three cursors.
fn advance<S: PageSource>(
    frame: &mut Frame,
    source: &mut S,
    hinted: &mut HashSet<PageId>,
) -> Result<Advance, WalkError<S::Error>> {
    if frame.done.is_none() && skip_equal_pages(frame) {
        return Ok(Advance::Nothing);
    }
    let opened = open_all(frame, source)?;
    if opened {
        hint(frame, source, hinted);
    }
    let Some(name) = smallest_name(frame) else {
        return Ok(Advance::End);
    };
    let mut take = |cursor: &mut Option<Cursor>| match cursor {
        Some(c) if c.unit() == Some(Unit::Entry(&name)) => c.next(source),
        _ => Ok(None),
    };
    let (new, base, done) = (
        take(&mut frame.new)?,
        take(&mut frame.base)?,
        take(&mut frame.done)?,
    );
    Ok(compare(new, base, done.as_ref(), frame.removals))
}

/// Both trees have the same page next, and no third one asks for a closer look.
fn skip_equal_pages(frame: &mut Frame) -> bool {
    let (Some(new), Some(base)) = (&mut frame.new, &mut frame.base) else {
        return false;
    };
    match (new.unit(), base.unit()) {
        (Some(Unit::Page { id: a, .. }), Some(Unit::Page { id: b, .. })) if a == b => {
            new.skip_page();
            base.skip_page();
            true
        }
        _ => false,
    }
}

/// Opens the cursors that stand before a page whose entries may be the smallest; returns whether one was opened. A page
/// that begins later stays shut, so that it can still be stepped over.
fn open_all<S: PageSource>(frame: &mut Frame, source: &mut S) -> Result<bool, WalkError<S::Error>> {
    let smallest = smallest_name(frame);
    let mut opened = false;
    for cursor in [&mut frame.new, &mut frame.base, &mut frame.done]
        .into_iter()
        .flatten()
    {
        let wanted = match cursor.unit() {
            Some(Unit::Page { first_name, .. }) => {
                first_name.is_none() || first_name <= smallest.as_deref()
            }
            _ => false,
        };
        if wanted {
            opened |= cursor.open(source)?;
        }
    }
    Ok(opened)
}

/// The smallest name that any cursor shows, by an entry or by the first name of a page.
fn smallest_name(frame: &Frame) -> Option<Vec<u8>> {
    let names = [&frame.new, &frame.base, &frame.done]
        .into_iter()
        .flatten()
        .filter_map(|c| match c.unit()? {
            Unit::Entry(name) => Some(name),
            Unit::Page { first_name, .. } => first_name,
        });
    names.min().map(<[u8]>::to_vec)
}

/// Tells the source which directories will differ, as far as the open leaves show.
fn hint<S: PageSource>(frame: &Frame, source: &mut S, hinted: &mut HashSet<PageId>) {
    let ahead = |c: &Option<Cursor>| {
        c.iter()
            .flat_map(Cursor::directories_ahead)
            .collect::<HashSet<_>>()
    };
    let (new, base, done) = (ahead(&frame.new), ahead(&frame.base), ahead(&frame.done));
    let wanted: Vec<PageId> = [&frame.new, &frame.base]
        .into_iter()
        .flatten()
        .flat_map(Cursor::directories_ahead)
        .filter(|id| !(new.contains(id) && (base.contains(id) || done.contains(id))))
        .filter(|id| hinted.insert(*id))
        .collect();
    if hinted.len() > 100_000 {
        hinted.clear();
    }
    if !wanted.is_empty() {
        source.will_need(&wanted);
    }
}

fn compare(
    new: Option<Entry>,
    base: Option<Entry>,
    done: Option<&Entry>,
    removals: bool,
) -> Advance {
    let Some(new) = new else {
        // Gone, or (in an unfinished directory) not reached yet. What `done` told of a name never vanishes again.
        return match base {
            Some(old) if removals => {
                let below = below(None, Some(&old), None);
                Advance::Told(Step::Removed(old), below)
            }
            _ => Advance::Nothing,
        };
    };
    let told = done.is_some_and(|d| same_attributes(d, &new));
    let below = below(Some(&new), base.as_ref(), done);
    match base {
        _ if told && below.is_none() => Advance::Nothing,
        _ if told => Advance::Told(Step::Same(new), below),
        None => Advance::Told(Step::Added(new), below),
        Some(old) if !same_attributes(&old, &new) => {
            Advance::Told(Step::Changed { old, new }, below)
        }
        Some(_) if below.is_some() => Advance::Told(Step::Same(new), below),
        Some(_) => Advance::Nothing,
    }
}

/// Equal in all that a person or a restore would see, the content of files included; not what lies below a directory.
/// The time of last access does not count, nor does the mark of an unfinished directory.
fn same_attributes(a: &Entry, b: &Entry) -> bool {
    let plain = |e: &Entry| {
        let mut e = e.clone();
        e.stat.atime = Default::default();
        e.marks &= !marks::UNFINISHED;
        if e.kind == Kind::Directory {
            e.content = Content::None;
        }
        e
    };
    a == b || plain(a) == plain(b)
}

fn directory(entry: Option<&Entry>) -> Option<PageId> {
    match entry?.content {
        Content::Directory(page) => Some(page),
        _ => None,
    }
}

/// The frame for what is below, when there is a difference to tell.
fn below(new: Option<&Entry>, base: Option<&Entry>, done: Option<&Entry>) -> Option<Frame> {
    let unfinished = |e: Option<&Entry>| e.is_some_and(|e| e.marks & marks::UNFINISHED != 0);
    let (n, b, d) = (directory(new), directory(base), directory(done));
    if n.is_none() && b.is_none() {
        return None;
    }
    // A finished directory that `done` held as a whole is told, and so is what became of one that is no directory now.
    let told = match (new, done) {
        (Some(new), Some(done)) => {
            n == d && new.kind == done.kind && unfinished(Some(new)) == unfinished(Some(done))
        }
        _ => false,
    };
    if told || (n == b && !unfinished(new)) {
        return None;
    }
    Some(Frame {
        new: n.map(Cursor::new),
        base: b.map(Cursor::new),
        done: d.map(Cursor::new),
        removals: !unfinished(new),
    })
}

#[cfg(test)]
#[path = "difference_tests.rs"]
mod tests;
