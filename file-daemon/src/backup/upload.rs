//! Upload: the way of chunks and pages into the packer, shared by readers and tree.

use std::sync::Arc;

use bytes::Bytes;
use common::ids::ChunkId;
use common::object::link::ChunkRef;
use common::object::page_builder::BuiltPage;
use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;

use super::budget::{Budget, Permit};
use super::known::Known;
use super::seen::Seen;
use crate::scan::base::BasePages;
use crate::sink::error::SinkError;
use crate::sink::stop::Stop;

/// Bytes of content in flight.
pub const IN_FLIGHT_BYTES: usize = 48 << 20;
/// Loads that wait for the packer.
const QUEUE: usize = 256;

/// A chunk on its way.
#[derive(Debug)]
pub struct Piece {
    /// Its name.
    pub id: ChunkId,
    /// Its bytes: a slice of its reader's slab.
    pub bytes: Bytes,
    /// Their place in the budget.
    pub permit: Permit,
}

/// What the packer takes, in order.
#[derive(Debug)]
pub enum Load {
    /// Content: asked for, and sent when storage lacks it.
    Chunk(Piece),
    /// A page: sent after everything before it.
    Page(BuiltPage),
    /// Answered once everything before it was sent.
    Flush(Sender<()>),
}

/// The entrance to the packer. Cheap to clone.
#[derive(Clone)]
pub struct Upload<'a> {
    queue: Sender<Load>,
    budget: Arc<Budget>,
    seen: Arc<Mutex<Seen>>,
    pages: &'a BasePages,
    stop: &'a Stop,
}

impl<'a> Upload<'a> {
    /// An entrance and the queue it leads to.
    #[must_use]
    pub fn new(pages: &'a BasePages, stop: &'a Stop) -> (Self, Receiver<Load>) {
        let (queue, loads) = bounded(QUEUE);
        let upload = Self {
            queue,
            budget: Budget::new(IN_FLIGHT_BYTES),
            seen: Arc::default(),
            pages,
            stop,
        };
        (upload, loads)
    }

    /// Uploads a chunk (1 byte to 8 MiB) unless the base has it or it went by before.
    ///
    /// # Errors
    /// The run was stopped.
    pub fn chunk(&self, plain: Bytes, known: &Known) -> Result<ChunkRef, SinkError> {
        let (id, len) = (ChunkId::of(&plain), plain.len());
        self.offer((id, len), || plain, known)
    }

    /// As [`Upload::chunk`]; copies only what has to be uploaded.
    ///
    /// # Errors
    /// The run was stopped.
    pub fn chunk_of(&self, plain: &[u8], known: &Known) -> Result<ChunkRef, SinkError> {
        let (id, len) = (ChunkId::of(plain), plain.len());
        self.offer((id, len), || Bytes::copy_from_slice(plain), known)
    }

    fn offer(
        &self,
        (id, len): (ChunkId, usize),
        bytes: impl FnOnce() -> Bytes,
        known: &Known,
    ) -> Result<ChunkRef, SinkError> {
        if !known.has(&id) && self.seen.lock().add(id) {
            let permit = self.budget.acquire(len, self.stop)?;
            let bytes = bytes();
            self.send(Load::Chunk(Piece { id, bytes, permit }))?;
        }
        let len = u32::try_from(len).expect("a chunk is at most 8 MiB");
        Ok(ChunkRef { id, len })
    }

    /// Uploads a page unless it is one of the base's, and keeps it for the next run.
    ///
    /// # Errors
    /// The run was stopped.
    pub fn page(&self, page: BuiltPage) -> Result<(), SinkError> {
        if self.pages.is_base(&page.id) {
            return Ok(());
        }
        self.pages.keep(&page.id, &page.bytes);
        if self.seen.lock().add(ChunkId::from(page.id)) {
            self.send(Load::Page(page))?;
        }
        Ok(())
    }

    /// Returns once everything uploaded so far was sent.
    ///
    /// # Errors
    /// The run was stopped.
    pub fn flush(&self) -> Result<(), SinkError> {
        let (done, sent) = bounded(1);
        self.send(Load::Flush(done))?;
        self.stop.recv(&sent, "packer")
    }

    fn send(&self, load: Load) -> Result<(), SinkError> {
        self.stop.check()?;
        self.stop.send(&self.queue, load, "packer")
    }
}
