//! Pages of a Storage Daemon for a walk on a blocking thread: fetched by name in batches, ahead of the walk, each
//! checked against its name.
//!
//! At most 32 MiB of pages are kept and one batch is under way. Never a page whose bytes do not hash to its name.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use common::ids::PageId;
use common::protocol::control::{Body, PageRequest};
use common::walk::PageSource;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::registry::{Daemon, DaemonError};

/// Pages asked for at once.
const BATCH: usize = 128;
/// Hints remembered.
const MAX_HINTS: usize = 4096;
/// Bytes of pages kept.
const CACHE_BYTES: usize = 32 << 20;
/// Nothing is fetched ahead while this much of what was fetched is unread.
const AHEAD_BYTES: usize = 8 << 20;
/// A batch is answered within this.
const LIMIT: Duration = Duration::from_secs(60);

/// Why a page cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// The Storage Daemon is away or answered with a fault.
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    /// It does not have it.
    #[error("the Storage Daemon does not have page {0}")]
    Absent(PageId),
    /// Its bytes are others.
    #[error("the Storage Daemon sent bytes that are not page {0}")]
    Corrupt(PageId),
    /// It answered fewer pages than it must.
    #[error("the Storage Daemon answered a page request with nothing")]
    Empty,
    /// The Director stops.
    #[error("the Director stops")]
    Stopping,
}

type Batch = Result<Vec<Bytes>, DaemonError>;

/// A [`PageSource`] over a conversation. Not to be used on an async thread: it blocks.
#[derive(Debug)]
pub struct RemotePages {
    daemon: Daemon,
    runtime: Handle,
    cache: Cache,
    hints: VecDeque<PageId>,
    hinted: HashSet<PageId>,
    under_way: Option<UnderWay>,
}

#[derive(Debug)]
struct UnderWay {
    ids: Vec<PageId>,
    answer: oneshot::Receiver<Batch>,
}

impl RemotePages {
    /// Pages of this daemon; call inside the runtime, then move to a blocking thread.
    #[must_use]
    pub fn new(daemon: Daemon) -> Self {
        Self {
            daemon,
            runtime: Handle::current(),
            cache: Cache::default(),
            hints: VecDeque::new(),
            hinted: HashSet::new(),
            under_way: None,
        }
    }

    /// Sends the next batch: `first`, then hints.
    fn ask(&mut self, first: Option<PageId>) {
        let mut ids: Vec<PageId> = first.into_iter().collect();
        while ids.len() < BATCH {
            let Some(id) = self.hints.pop_front() else {
                break;
            };
            self.hinted.remove(&id);
            if first != Some(id) && !self.cache.holds(id) {
                ids.push(id);
            }
        }
        if ids.is_empty() {
            return;
        }
        let (answered, answer) = oneshot::channel();
        let (daemon, request) = (self.daemon.clone(), request(&ids));
        self.runtime.spawn(async move {
            // The walk may be over before the answer.
            let _ = answered.send(fetch(&daemon, request).await);
        });
        self.under_way = Some(UnderWay { ids, answer });
    }

    /// Waits for the batch under way. What did not fit into the answer is wanted again.
    fn take(&mut self, batch: UnderWay, wanted: PageId) -> Result<(), PageError> {
        let pages = batch
            .answer
            .blocking_recv()
            .map_err(|_| PageError::Stopping)??;
        if pages.is_empty() {
            return Err(PageError::Empty);
        }
        for (&id, bytes) in batch.ids.iter().zip(&pages) {
            if bytes.is_empty() {
                if id == wanted {
                    return Err(PageError::Absent(id));
                }
            } else if PageId::of(bytes) == id {
                self.cache.insert(id, bytes);
            } else {
                return Err(PageError::Corrupt(id));
            }
        }
        for &id in batch.ids.iter().skip(pages.len()).rev() {
            if self.hinted.insert(id) {
                self.hints.push_front(id);
            }
        }
        Ok(())
    }
}

impl PageSource for RemotePages {
    type Error = PageError;

    fn page(&mut self, id: PageId) -> Result<Bytes, PageError> {
        loop {
            if let Some(bytes) = self.cache.get(id) {
                if self.under_way.is_none() && self.cache.unread < AHEAD_BYTES {
                    self.ask(None);
                }
                return Ok(bytes);
            }
            match self.under_way.take() {
                Some(batch) => self.take(batch, id)?,
                None => self.ask(Some(id)),
            }
        }
    }

    fn will_need(&mut self, ids: &[PageId]) {
        for &id in ids {
            if self.hints.len() >= MAX_HINTS {
                break;
            }
            let coming = self.under_way.iter().any(|batch| batch.ids.contains(&id));
            if !coming && !self.cache.holds(id) && self.hinted.insert(id) {
                self.hints.push_back(id);
            }
        }
        if self.under_way.is_none() && self.cache.unread < AHEAD_BYTES {
            self.ask(None);
        }
    }
}

fn request(ids: &[PageId]) -> PageRequest {
    PageRequest {
        pages: ids.iter().map(|id| id.0.to_vec()).collect(),
    }
}

async fn fetch(daemon: &Daemon, request: PageRequest) -> Batch {
    match daemon.request(Body::PageRequest(request), LIMIT).await? {
        Body::PageReply(reply) => Ok(reply.pages),
        _ => Err(DaemonError::Answer {
            daemon: daemon.name.clone(),
            expected: "PageReply",
        }),
    }
}

/// Pages by name, the oldest dropped when there are too many bytes.
#[derive(Debug, Default)]
struct Cache {
    pages: HashMap<PageId, Kept>,
    order: VecDeque<PageId>,
    bytes: usize,
    /// Bytes of pages not asked for yet.
    unread: usize,
}

#[derive(Debug)]
struct Kept {
    bytes: Bytes,
    read: bool,
}

impl Cache {
    fn holds(&self, id: PageId) -> bool {
        self.pages.contains_key(&id)
    }

    fn get(&mut self, id: PageId) -> Option<Bytes> {
        let kept = self.pages.get_mut(&id)?;
        if !std::mem::replace(&mut kept.read, true) {
            self.unread -= kept.bytes.len();
        }
        Some(kept.bytes.clone())
    }

    fn insert(&mut self, id: PageId, bytes: &Bytes) {
        if self.holds(id) {
            return;
        }
        // Cut out of the message it came in, which would stay in memory whole.
        let bytes = Bytes::copy_from_slice(bytes);
        self.bytes += bytes.len();
        self.unread += bytes.len();
        self.order.push_back(id);
        self.pages.insert(id, Kept { bytes, read: false });
        while self.bytes > CACHE_BYTES {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            if let Some(kept) = self.pages.remove(&oldest) {
                self.bytes -= kept.bytes.len();
                self.unread -= if kept.read { 0 } else { kept.bytes.len() };
            }
        }
    }
}
