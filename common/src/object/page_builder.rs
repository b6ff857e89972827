//! Builds a directory's pages from its entries in name order, with boundaries chosen by the names themselves, so that
//! a change in a directory of a million entries rewrites one leaf and the few index pages above it.
//!
//! Rule of version 1: a leaf ends after an entry once it holds [`MIN_BYTES`] and the entry's name hashes to a multiple
//! of [`ONE_IN`], or once it holds [`MAX_BYTES`]. Index levels follow the same rule over first names, with at least two
//! lines, until one page is left. An empty directory is one empty leaf.

use super::entry::Entry;
use super::page::{IndexEntry, encode_index, encode_leaf};
use crate::ids::PageId;

/// A leaf is not ended below this many estimated bytes.
pub const MIN_BYTES: usize = 8 << 10;
/// A page is ended at this many estimated bytes in any case.
pub const MAX_BYTES: usize = 48 << 10;
/// One name in this many ends a page.
pub const ONE_IN: u64 = 64;

/// A finished page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltPage {
    /// Its name.
    pub id: PageId,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// FNV-1a over the name, finished with a multiply-xor mix: cheap, fixed for ever, not for security.
fn name_hash(name: &[u8]) -> u64 {
    let h = name.iter().fold(0xcbf2_9ce4_8422_2325u64, |h, b| {
        (h ^ u64::from(*b)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let h = (h ^ (h >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    h ^ (h >> 32)
}

fn ends_page(name: &[u8], bytes: usize) -> bool {
    bytes >= MAX_BYTES || (bytes >= MIN_BYTES && name_hash(name).is_multiple_of(ONE_IN))
}

/// Collects the entries of one directory. A clone can be finished early, for a checkpoint.
#[derive(Debug, Default, Clone)]
pub struct PageBuilder {
    leaf: Vec<Entry>,
    leaf_bytes: usize,
    lines: Vec<IndexEntry>,
}

impl PageBuilder {
    /// An empty directory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next entry in name order. `emit` gets each page that this ends: store children first, so emit at once.
    ///
    /// # Errors
    /// Whatever `emit` returns.
    pub fn push<E>(
        &mut self,
        entry: Entry,
        emit: &mut impl FnMut(BuiltPage) -> Result<(), E>,
    ) -> Result<(), E> {
        debug_assert!(
            self.leaf.last().is_none_or(|last| last.name < entry.name),
            "entries arrive in name order"
        );
        self.leaf_bytes += estimate(&entry);
        let ends = ends_page(&entry.name, self.leaf_bytes);
        self.leaf.push(entry);
        if ends { self.end_leaf(emit) } else { Ok(()) }
    }

    /// Ends the directory and returns its top page, which was emitted last.
    ///
    /// # Errors
    /// Whatever `emit` returns.
    pub fn finish<E>(
        mut self,
        emit: &mut impl FnMut(BuiltPage) -> Result<(), E>,
    ) -> Result<PageId, E> {
        if !self.leaf.is_empty() || self.lines.is_empty() {
            self.end_leaf(emit)?;
        }
        let mut lines = self.lines;
        while lines.len() > 1 {
            lines = index_level(lines, emit)?;
        }
        Ok(lines
            .pop()
            .expect("ending a leaf made at least one line")
            .page)
    }

    fn end_leaf<E>(&mut self, emit: &mut impl FnMut(BuiltPage) -> Result<(), E>) -> Result<(), E> {
        let first_name = self
            .leaf
            .first()
            .map(|e| e.name.clone())
            .unwrap_or_default();
        let bytes = encode_leaf(&self.leaf);
        let id = PageId::of(&bytes);
        self.leaf.clear();
        self.leaf_bytes = 0;
        self.lines.push(IndexEntry {
            first_name,
            page: id,
        });
        emit(BuiltPage { id, bytes })
    }
}

fn index_level<E>(
    lines: Vec<IndexEntry>,
    emit: &mut impl FnMut(BuiltPage) -> Result<(), E>,
) -> Result<Vec<IndexEntry>, E> {
    let mut up = Vec::new();
    let mut page: Vec<IndexEntry> = Vec::new();
    let mut bytes = 0;
    let last = lines.len().saturating_sub(1);
    for (n, line) in lines.into_iter().enumerate() {
        bytes += line.first_name.len() + 36;
        let ends = n == last || (!page.is_empty() && ends_page(&line.first_name, bytes));
        page.push(line);
        if ends {
            let encoded = encode_index(&page);
            let id = PageId::of(&encoded);
            up.push(IndexEntry {
                first_name: page[0].first_name.clone(),
                page: id,
            });
            emit(BuiltPage { id, bytes: encoded })?;
            page.clear();
            bytes = 0;
        }
    }
    Ok(up)
}

/// A cheap, deterministic size of an entry: only fields that are equal for equal entries.
fn estimate(entry: &Entry) -> usize {
    let xattrs: usize = entry
        .xattrs
        .iter()
        .map(|(n, v)| n.len() + v.len() + 4)
        .sum();
    let extents = entry.extents.as_ref().map_or(0, |e| e.len() * 6);
    let unknown: usize = entry.unknown.iter().map(|(_, v)| v.len() + 4).sum();
    let target = entry.target.as_ref().map_or(0, Vec::len);
    64 + entry.name.len()
        + entry.owner.len()
        + entry.group.len()
        + target
        + xattrs
        + extents
        + unknown
        + entry.links().count() * 36
}
