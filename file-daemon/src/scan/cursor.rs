//! Cursor: the entries of one base directory in name order, page by page. Memory: one leaf and the index above it.

use std::vec::IntoIter;

use common::ids::PageId;
use common::object::entry::Entry;
use common::object::page::{IndexEntry, Page};

use super::base::BasePages;
use crate::sink::error::SinkError;

/// Deepest index of a directory: far beyond any real one.
const MOST_LEVELS: usize = 16;

/// Where a pass over a base directory is.
#[derive(Debug, Default)]
pub struct Cursor {
    above: Vec<IntoIter<IndexEntry>>,
    leaf: IntoIter<Entry>,
    next: Option<Entry>,
    holes: u64,
}

impl Cursor {
    /// Starts at the first entry. `None` = its top page is gone.
    ///
    /// # Errors
    /// The storage is lost.
    pub fn open(pages: &BasePages, top: &PageId) -> Result<Option<Self>, SinkError> {
        let mut cursor = Self::default();
        if !cursor.descend(pages, top)? {
            return Ok(None);
        }
        cursor.advance(pages)?;
        Ok(Some(cursor))
    }

    /// The entry at hand.
    #[must_use]
    pub fn peek(&self) -> Option<&Entry> {
        self.next.as_ref()
    }

    /// Takes the entry at hand and goes on.
    ///
    /// # Errors
    /// The storage is lost.
    pub fn take(&mut self, pages: &BasePages) -> Result<Option<Entry>, SinkError> {
        let taken = self.next.take();
        self.advance(pages)?;
        Ok(taken)
    }

    /// Pages that were missing so far: entries between are unknown.
    #[must_use]
    pub fn holes(&self) -> u64 {
        self.holes
    }

    fn advance(&mut self, pages: &BasePages) -> Result<(), SinkError> {
        loop {
            self.next = self.leaf.next();
            if self.next.is_some() {
                return Ok(());
            }
            let below = loop {
                let Some(level) = self.above.last_mut() else {
                    return Ok(());
                };
                match level.next() {
                    Some(line) => break line.page,
                    None => self.above.pop(),
                };
            };
            if !self.descend(pages, &below)? {
                self.holes += 1;
            }
        }
    }

    /// Opens a page and the first pages below it, down to a leaf; `false` = missing or not a directory's.
    fn descend(&mut self, pages: &BasePages, top: &PageId) -> Result<bool, SinkError> {
        let mut at = *top;
        loop {
            match pages.page(&at)? {
                Some(Page::Leaf(entries)) => {
                    self.leaf = entries.into_iter();
                    return Ok(true);
                }
                Some(Page::Index(lines)) if self.above.len() < MOST_LEVELS => {
                    let mut lines = lines.into_iter();
                    let Some(first) = lines.next() else {
                        return Ok(false);
                    };
                    at = first.page;
                    self.above.push(lines);
                }
                _ => return Ok(false),
            }
        }
    }
}
