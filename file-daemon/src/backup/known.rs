//! Chunks of a file that its base entry names: storage has them, they are never asked for.

use std::collections::HashSet;

use common::ids::ChunkId;
use common::object::entry::{Content, Entry};
use common::object::link::Link;
use common::object::page::Page;

use crate::scan::base::BasePages;
use crate::sink::error::SinkError;

/// Ids remembered of one file: a terabyte at the largest average size.
const MOST_IDS: usize = 256 << 10;

/// Ids of one base entry.
#[derive(Debug, Default)]
pub struct Known {
    ids: HashSet<ChunkId>,
}

impl Known {
    /// Of a base entry; a long list is read from its pages.
    ///
    /// # Errors
    /// The storage is lost.
    pub fn of(entry: Option<&Entry>, pages: &BasePages) -> Result<Self, SinkError> {
        let mut known = Self::default();
        let Some(entry) = entry else {
            return Ok(known);
        };
        known.add(&entry.links().collect::<Vec<_>>());
        if let Content::List(list) = &entry.content {
            let mut open = vec![list.page];
            while let Some(page) = open.pop() {
                let Some(Page::List(links)) = pages.page(&page)? else {
                    continue;
                };
                known.add(&links);
                if known.ids.len() < MOST_IDS {
                    open.extend(links.iter().filter_map(Link::page));
                }
            }
        }
        Ok(known)
    }

    /// Whether the base has it.
    #[must_use]
    pub fn has(&self, id: &ChunkId) -> bool {
        self.ids.contains(id)
    }

    fn add(&mut self, links: &[Link]) {
        let chunks = links.iter().filter(|link| link.page().is_none());
        self.ids.extend(chunks.map(Link::target));
    }
}
