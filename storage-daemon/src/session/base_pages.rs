//! Which pages a backup session may read: those its ticket's roots reach, as it walks them. A page may be asked for once
//! a page that names it was given.
//!
//! Eight bytes of an id are kept: to read a foreign page a client would have to find a page of its own base that names
//! another id with the same eight bytes.

use std::collections::HashSet;

use common::ids::{ChunkId, PageId};
use common::object::page;

/// Most ids held: the unread edge of a walk through a tree of many millions of files.
const MAX_HELD: usize = 1 << 20;

/// The walk has left more pages unread than are kept track of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {MAX_HELD} pages of the base are open at once; walk it depth first")]
pub struct TooWide;

/// See the module.
#[derive(Debug, Default)]
pub struct BasePages {
    allowed: HashSet<u64>,
}

fn key(id: &ChunkId) -> u64 {
    id.0.first_chunk::<8>()
        .map_or(0, |b| u64::from_le_bytes(*b))
}

impl BasePages {
    /// Starts at these roots.
    #[must_use]
    pub fn new(roots: &[PageId]) -> Self {
        Self {
            allowed: roots.iter().map(|r| key(&(*r).into())).collect(),
        }
    }

    /// Whether a page may be given.
    #[must_use]
    pub fn allows(&self, id: &ChunkId) -> bool {
        self.allowed.contains(&key(id))
    }

    /// Notes that a page was given: what it names may follow.
    ///
    /// # Errors
    /// [`TooWide`]
    pub fn given(&mut self, bytes: &[u8]) -> Result<(), TooWide> {
        let Ok(links) = page::links(bytes) else {
            return Ok(());
        };
        for link in links {
            if let Some(page) = link.page() {
                if self.allowed.len() >= MAX_HELD {
                    return Err(TooWide);
                }
                self.allowed.insert(key(&page.into()));
            }
        }
        Ok(())
    }
}
