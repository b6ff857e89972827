//! Chunk lists: the content of a long file as a tree of pages, so that a file of any size has a bounded entry and a
//! changed region rewrites one list page.
//!
//! Rule of version 1: up to [`INLINE_CHUNKS`] chunks stand in the entry. Longer: list pages that end at a chunk whose id
//! has seven zero bits after at least [`MIN_LINKS`], or at [`MAX_LINKS`]; list index pages above follow the same rule.

use super::entry::Content;
use super::link::{ChunkRef, Link, ListRef};
use super::page::{PageKind, encode_list};
use super::page_builder::BuiltPage;
use crate::ids::PageId;

/// Most chunks an entry names itself.
pub const INLINE_CHUNKS: usize = 16;
/// A list page is not ended below this many links.
pub const MIN_LINKS: usize = 256;
/// A list page is ended at this many links.
pub const MAX_LINKS: usize = 1024;

/// Collects the chunks of one file in order. Memory: one open page per level.
#[derive(Debug, Default)]
pub struct ListBuilder {
    levels: Vec<Vec<Link>>,
    chunks: Vec<ChunkRef>,
}

impl ListBuilder {
    /// An empty file.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next chunk; `emit` gets each page that this ends.
    ///
    /// # Errors
    /// Whatever `emit` returns.
    pub fn push<E>(
        &mut self,
        chunk: ChunkRef,
        emit: &mut impl FnMut(BuiltPage) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.levels.is_empty() {
            self.chunks.push(chunk);
            if self.chunks.len() <= INLINE_CHUNKS {
                return Ok(());
            }
            for chunk in std::mem::take(&mut self.chunks) {
                self.add(0, Link::Chunk(chunk), emit)?;
            }
            return Ok(());
        }
        self.add(0, Link::Chunk(chunk), emit)
    }

    /// Ends the file.
    ///
    /// # Errors
    /// Whatever `emit` returns.
    pub fn finish<E>(
        mut self,
        emit: &mut impl FnMut(BuiltPage) -> Result<(), E>,
    ) -> Result<Content, E> {
        if self.levels.is_empty() {
            let chunks = self.chunks;
            return Ok(if chunks.is_empty() {
                Content::None
            } else {
                Content::Chunks(chunks)
            });
        }
        let mut level = 0;
        loop {
            let is_top = level + 1 == self.levels.len();
            let only_link = self.levels[level].len() == 1;
            if is_top && level > 0 && only_link {
                let Some(Link::List(list)) = self.levels[level].pop() else {
                    unreachable!("upper levels hold lists")
                };
                return Ok(Content::List(list));
            }
            if !self.levels[level].is_empty() {
                self.end_page(level, emit)?;
            }
            level += 1;
        }
    }

    fn add<E>(
        &mut self,
        level: usize,
        link: Link,
        emit: &mut impl FnMut(BuiltPage) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.levels.len() == level {
            self.levels.push(Vec::new());
        }
        self.levels[level].push(link);
        let len = self.levels[level].len();
        let boundary = link.target().0[0] & 0x7f == 0;
        if len >= MAX_LINKS || (len >= MIN_LINKS && boundary) {
            self.end_page(level, emit)
        } else {
            Ok(())
        }
    }

    fn end_page<E>(
        &mut self,
        level: usize,
        emit: &mut impl FnMut(BuiltPage) -> Result<(), E>,
    ) -> Result<(), E> {
        let links = std::mem::take(&mut self.levels[level]);
        let kind = if level == 0 {
            PageKind::List
        } else {
            PageKind::ListIndex
        };
        let bytes = encode_list(kind, &links);
        let id = PageId::of(&bytes);
        let list = sum(id, &links);
        emit(BuiltPage { id, bytes })?;
        self.add(level + 1, Link::List(list), emit)
    }
}

fn sum(page: PageId, links: &[Link]) -> ListRef {
    links.iter().fold(
        ListRef {
            page,
            bytes: 0,
            chunks: 0,
        },
        |sum, link| match link {
            Link::Chunk(c) => ListRef {
                bytes: sum.bytes + u64::from(c.len),
                chunks: sum.chunks + 1,
                ..sum
            },
            Link::List(l) => ListRef {
                bytes: sum.bytes + l.bytes,
                chunks: sum.chunks + l.chunks,
                ..sum
            },
            _ => sum,
        },
    )
}
