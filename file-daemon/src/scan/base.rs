//! Pages of the base: from the local state, and from storage where the state lost them.
//!
//! Every page is checked against its name. Pages seen here are those the storage holds for the base: a page built again
//! byte for byte is not sent again.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use common::ids::PageId;
use common::object::link::Link;
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
/// Pages storage was made to offer; it refuses to keep track of more than a million.
const MOST_OFFERED: usize = 900_000;

/// The pages of one run's base and resume trees, and the keeper of its new ones.
pub struct BasePages {
    state: Mutex<SeriesState>,
    storage: Arc<dyn Storage>,
    hints: Mutex<VecDeque<PageId>>,
    /// Pages storage gives: the roots, and what pages it gave name. Asking for another ends the session.
    offered: Mutex<IdMap<()>>,
    seen: Mutex<IdMap<u64>>,
}

impl BasePages {
    /// Over a series' state and its storage, which gives the trees of these roots.
    #[must_use]
    pub fn new(
        state: SeriesState,
        storage: Arc<dyn Storage>,
        roots: impl IntoIterator<Item = PageId>,
    ) -> Self {
        let roots = roots.into_iter().map(|root| (short_key(&root.0), ()));
        Self {
            offered: Mutex::new(roots.collect()),
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

    /// Asks storage for a page and for those that are likely wanted next. A page that only a local page names is not
    /// given: then what lies below it is read again.
    fn fetch(&self, id: &PageId) -> Result<Option<Bytes>, SinkError> {
        if !self.offered.lock().contains_key(&short_key(&id.0)) {
            return Ok(None);
        }
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
        let (mut hints, mut offered) = (self.hints.lock(), self.offered.lock());
        for link in links {
            let Some(page) = link.page().filter(|_| offered.len() < MOST_OFFERED) else {
                continue;
            };
            offered.insert(short_key(&page.0), ());
            let is_list = matches!(link, Link::List(_));
            if !is_list && hints.len() < MOST_HINTS {
                hints.push_back(page);
            }
        }
    }
}

fn second_key(id: &PageId) -> u64 {
    let bytes: [u8; 8] = std::array::from_fn(|n| id.0[n + 8]);
    u64::from_le_bytes(bytes)
}
