//! Cursor: the entries of one directory in name order, opening its pages only when their entries are wanted, so that
//! two cursors can step over equal pages without reading them.

use std::collections::VecDeque;

use super::source::{PageSource, WalkError, load};
use crate::codec::DecodeError;
use crate::ids::PageId;
use crate::object::entry::{Content, Entry};
use crate::object::page::{IndexEntry, Page};

/// Deepest index: with 200 lines a page, 10^18 entries. More is a forgery.
const MAX_INDEX_DEPTH: usize = 8;

/// What comes next in a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit<'a> {
    /// A page that is not open yet; its first name, when the index said so.
    Page {
        /// The page.
        id: PageId,
        /// `None` for the top page of the directory.
        first_name: Option<&'a [u8]>,
    },
    /// An entry of the open leaf.
    Entry(&'a [u8]),
}

/// A position in one directory.
#[derive(Debug)]
pub struct Cursor {
    top: Option<PageId>,
    index: Vec<VecDeque<IndexEntry>>,
    leaf: VecDeque<Entry>,
}

impl Cursor {
    /// At the start of the directory with this top page; nothing is read yet.
    #[must_use]
    pub fn new(top: PageId) -> Self {
        Self {
            top: Some(top),
            index: Vec::new(),
            leaf: VecDeque::new(),
        }
    }

    /// What comes next; `None` = the end.
    #[must_use]
    pub fn unit(&self) -> Option<Unit<'_>> {
        if let Some(id) = self.top {
            return Some(Unit::Page {
                id,
                first_name: None,
            });
        }
        if let Some(entry) = self.leaf.front() {
            return Some(Unit::Entry(&entry.name));
        }
        let line = self.index.iter().rev().find_map(VecDeque::front)?;
        Some(Unit::Page {
            id: line.page,
            first_name: Some(&line.first_name),
        })
    }

    /// Steps over the page that [`Cursor::unit`] says is next; does nothing before an entry.
    pub fn skip_page(&mut self) {
        if self.top.take().is_none() && self.leaf.is_empty() {
            let _ = self.pop_line();
        }
    }

    /// Opens pages until the next unit is an entry; returns whether there is one.
    ///
    /// # Errors
    /// A page cannot be read or is not a directory page.
    pub fn open<S: PageSource>(&mut self, source: &mut S) -> Result<bool, WalkError<S::Error>> {
        while self.leaf.is_empty() {
            let Some(page) = self
                .top
                .take()
                .or_else(|| self.pop_line().map(|line| line.page))
            else {
                return Ok(false);
            };
            let wrong = |what| WalkError::Decode {
                page,
                source: DecodeError::Range { what },
            };
            match load(source, page)? {
                Page::Leaf(entries) => self.leaf = entries.into(),
                Page::Index(_) if self.index.len() >= MAX_INDEX_DEPTH => {
                    return Err(wrong("index depth"));
                }
                Page::Index(lines) => self.index.push(lines.into()),
                Page::List(_) => return Err(wrong("page kind in a directory")),
            }
        }
        Ok(true)
    }

    /// The next entry.
    ///
    /// # Errors
    /// As [`Cursor::open`].
    pub fn next<S: PageSource>(
        &mut self,
        source: &mut S,
    ) -> Result<Option<Entry>, WalkError<S::Error>> {
        self.open(source)?;
        Ok(self.leaf.pop_front())
    }

    /// Top pages of the directories in the open leaf, from here on.
    pub(super) fn directories_ahead(&self) -> impl Iterator<Item = PageId> + '_ {
        self.leaf.iter().filter_map(|e| match e.content {
            Content::Directory(page) => Some(page),
            _ => None,
        })
    }

    fn pop_line(&mut self) -> Option<IndexEntry> {
        while let Some(lines) = self.index.last_mut() {
            if let Some(line) = lines.pop_front() {
                return Some(line);
            }
            self.index.pop();
        }
        None
    }
}
