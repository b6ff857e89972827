//! Whether a tree can still be counted on: a base with a hole is no base, because a run never asks for what its base
//! names.

use std::collections::HashSet;

use common::ids::{ChunkId, PageId};
use common::object::page;

use super::index::ChunkIndex as _;
use super::lookup::LookupError;
use super::the_store::Store;

/// Why a tree is not whole.
#[derive(Debug, thiserror::Error)]
pub enum Hole {
    /// A page of it cannot be had.
    #[error("page {page} cannot be read")]
    Page {
        /// Which.
        page: PageId,
        /// Why.
        source: LookupError,
    },
    /// A page of it is not one.
    #[error("page {0} does not decode")]
    Decode(PageId),
    /// Something that a page names is damaged or gone.
    #[error("{0} is damaged or gone")]
    Absent(ChunkId),
}

impl Store {
    /// Whether anything was lost that a tree may name: without that no tree needs to be looked at.
    #[must_use]
    pub fn has_losses(&self) -> bool {
        let is_here = |volume: &u32| self.volumes().has(*volume);
        !self.damaged_ids().is_empty() || !self.index().marks().keys().all(is_here)
    }

    /// Reads all pages below a root and looks up everything they name. Reads no content.
    ///
    /// # Errors
    /// The first [`Hole`].
    pub fn check_tree(&self, root: PageId) -> Result<(), Hole> {
        let mut seen: HashSet<PageId> = HashSet::from([root]);
        let mut waiting = vec![root];
        while let Some(page) = waiting.pop() {
            let bytes = self
                .page(&page)
                .map_err(|source| Hole::Page { page, source })?;
            let links = page::links(&bytes).map_err(|_| Hole::Decode(page))?;
            // The first comes off the stack first: in the order of the walk that stored them.
            for link in links.iter().rev() {
                let target = link.target();
                match link.page() {
                    Some(below) if seen.insert(below) => waiting.push(below),
                    Some(_) => {}
                    None if !matches!(self.locate(&target), Ok(Some(_))) => {
                        return Err(Hole::Absent(target));
                    }
                    None => {}
                }
            }
        }
        Ok(())
    }
}
