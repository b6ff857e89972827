//! Verification on arrival: every chunk and page is decoded and hashed before it is appended, on a small pool of
//! threads. Invariant: nothing unverified ever reaches a volume, so nobody can store content under a false name.

use std::sync::Arc;

use common::codec::DecodeError;
use common::ids::ChunkId;
use common::object::page;
use common::object::segment::{OpenError, Segment};
use crossbeam_channel::{Receiver, Sender, bounded, select};

use super::sorted_index::IdMap;
use crate::format::block::Kind;

/// More pieces of work than callers may have waiting: they hold permits, so that submitting never blocks them.
pub const QUEUE: usize = 64 << 10;
/// A buffer longer than this is given back to the system after use.
const KEEP_BYTES: usize = 2 << 20;

/// A segment whose content is what its names say.
#[derive(Debug)]
pub struct Verified {
    /// [`Kind::Segment`] or [`Kind::Pages`].
    pub kind: Kind,
    /// As it came.
    pub segment: Segment,
    /// What its pages name, besides pages earlier in it: page slot and target.
    pub needs: Vec<(u32, ChunkId)>,
}

/// Why a segment was refused.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// Content and name differ.
    #[error(transparent)]
    Content(#[from] OpenError),
    /// Not a page.
    #[error("page {id} cannot be read")]
    Page {
        /// Its announced name.
        id: ChunkId,
        /// What is wrong.
        source: DecodeError,
    },
}

/// Checks a segment; `plain` is scratch space.
///
/// # Errors
/// [`VerifyError`]
pub fn verify(kind: Kind, segment: Segment, plain: &mut Vec<u8>) -> Result<Verified, VerifyError> {
    segment.open(plain)?;
    let needs = if kind == Kind::Pages {
        needs(&segment, plain)?
    } else {
        Vec::new()
    };
    if plain.capacity() > KEEP_BYTES {
        *plain = Vec::new();
    }
    Ok(Verified {
        kind,
        segment,
        needs,
    })
}

/// What the pages of a segment name, besides pages earlier in it.
///
/// # Errors
/// [`VerifyError::Page`]
pub fn needs(segment: &Segment, plain: &[u8]) -> Result<Vec<(u32, ChunkId)>, VerifyError> {
    let mut rest = plain;
    let mut earlier: IdMap<()> = IdMap::default();
    let mut needs = Vec::new();
    for (slot, n) in segment.slots.iter().zip(0u32..) {
        let (bytes, tail) = rest
            .split_at_checked(slot.len as usize)
            .unwrap_or((rest, &[]));
        rest = tail;
        let links = page::links(bytes).map_err(|source| VerifyError::Page {
            id: slot.id,
            source,
        })?;
        let targets = links.iter().map(common::object::link::Link::target);
        needs.extend(targets.filter(|t| !earlier.contains_key(t)).map(|t| (n, t)));
        earlier.insert(slot.id, ());
    }
    Ok(needs)
}

type Work = Box<dyn FnOnce(&mut Vec<u8>) + Send>;

/// Threads that verify and look up. What is urgent overtakes.
pub struct Pool {
    urgent: Sender<Work>,
    work: Sender<Work>,
}

impl Pool {
    /// Starts one thread per core. They end when the pool is dropped.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let threads = std::thread::available_parallelism()
            .map_or(2, usize::from)
            .min(32);
        let (urgent, urgent_work) = bounded::<Work>(QUEUE);
        let (work, queue) = bounded::<Work>(QUEUE);
        for _ in 0..threads {
            let (urgent, queue) = (urgent_work.clone(), queue.clone());
            let thread = std::thread::Builder::new().name("verify".to_owned());
            let spawned = thread.spawn(move || run(&urgent, &queue));
            spawned.expect("a daemon that starts can start its threads");
        }
        Arc::new(Self { urgent, work })
    }

    /// Does something soon.
    pub fn urgent(&self, work: impl FnOnce(&mut Vec<u8>) + Send + 'static) {
        // The threads live as long as the sender.
        let _ = self.urgent.send(Box::new(work));
    }

    /// Does something in turn.
    pub fn submit(&self, work: impl FnOnce(&mut Vec<u8>) + Send + 'static) {
        let _ = self.work.send(Box::new(work));
    }
}

fn run(urgent: &Receiver<Work>, queue: &Receiver<Work>) {
    let mut scratch = Vec::new();
    loop {
        let work = match urgent.try_recv() {
            Ok(work) => Ok(work),
            Err(_) => select! {
                recv(urgent) -> work => work,
                recv(queue) -> work => work,
            },
        };
        let Ok(work) = work else { return };
        work(&mut scratch);
    }
}
