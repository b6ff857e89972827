//! Pages of the base: from the local state, and from storage where the state lost them.
//!
//! Every page is checked against its name. Pages seen here are those the storage holds for the base: a page built again
//! byte for byte is not sent again.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use common::ids::PageId;
use common::object::page::{self, Page};
use parking_lot::Mutex;

use crate::sink::error::SinkError;
use crate::sink::port::Storage;
use crate::state::page_file::{IdMap, short_key};
use crate::state::series::SeriesState;

/// Pages asked of storage at once.
const FETCH: usize = 128;
/// Pages noted to be asked for next.
const MOST_HINTS: usize = 4096;

/// The pages of one run's base and resume trees, and the keeper of its new ones.
pub struct BasePages {
    state: Mutex<SeriesState>,
    storage: Arc<dyn Storage>,
    hints: Mutex<VecDeque<PageId>>,
    seen: Mutex<IdMap<u64>>,
}

impl BasePages {
    /// Over a series' state and its storage.
    #[must_use]
    pub fn new(state: SeriesState, storage: Arc<dyn Storage>) -> Self {
        Self {
            state: Mutex::new(state),
            storage,
            hints: Mutex::default(),
            seen: Mutex::default(),
        }
    }

    /// A page of a base tree, decoded. `None` = neither here nor in storage, or not readable by this version.
    ///
    /// # Errors
    /// The storage is lost.
    pub fn page(&self, id: &PageId) -> Result<Option<Page>, SinkError> {
        let local = self.state.lock().page(id);
        let bytes = match local {
            Some(bytes) => bytes,
            None => match self.fetch(id)? {
                Some(bytes) => bytes,
                None => return Ok(None),
            },
        };
        self.seen.lock().insert(short_key(&id.0), second_key(id));
        Ok(Page::decode(&bytes).ok())
    }

    /// Whether this page was met in a base tree: storage has it and all it names.
    #[must_use]
    pub fn is_base(&self, id: &PageId) -> bool {
        self.seen.lock().get(&short_key(&id.0)) == Some(&second_key(id))
    }

    /// Keeps a new page for the next run. A state that cannot be written costs time then, nothing now.
    pub fn keep(&self, id: &PageId, bytes: &[u8]) {
        if let Err(e) = self.state.lock().keep(id, bytes) {
            tracing::debug!("page not kept: {e}");
        }
    }

    /// Gives the state back, to publish the new tree.
    pub fn with_state<T>(&self, act: impl FnOnce(&mut SeriesState) -> T) -> T {
        act(&mut self.state.lock())
    }

    /// Asks storage for a page and for those that are likely wanted next.
    fn fetch(&self, id: &PageId) -> Result<Option<Bytes>, SinkError> {
        let mut wanted = vec![*id];
        {
            let (state, mut hints) = (self.state.lock(), self.hints.lock());
            while wanted.len() < FETCH
                && let Some(hint) = hints.pop_front()
            {
                if hint != *id && !state.knows(&hint) {
                    wanted.push(hint);
                }
            }
        }
        let mut found = None;
        for (got, bytes) in self.storage.pages(&wanted)? {
            if PageId::of(&bytes) != got {
                continue;
            }
            self.hint(&bytes);
            self.keep(&got, &bytes);
            if got == *id {
                found = Some(bytes);
            }
        }
        Ok(found)
    }

    fn hint(&self, bytes: &[u8]) {
        let links = page::links(bytes).unwrap_or_default();
        let mut hints = self.hints.lock();
        for link in links {
            let is_list = matches!(link, common::object::link::Link::List(_));
            if let Some(page) = link.page().filter(|_| !is_list && hints.len() < MOST_HINTS) {
                hints.push_back(page);
            }
        }
    }
}

fn second_key(id: &PageId) -> u64 {
    let bytes: [u8; 8] = std::array::from_fn(|n| id.0[n + 8]);
    u64::from_le_bytes(bytes)
}
