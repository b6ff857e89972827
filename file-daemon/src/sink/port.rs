//! The port: what a backup asks of its storage. Blocking calls for pipeline threads; the session turns them into frames.
//!
//! Order is kept: what was sent before is stored before. Dropping the other side of an answer means the run has stopped.

use bytes::Bytes;
use common::ids::{ChunkId, PageId};
use common::object::segment::Segment;
use common::object::snapshot::Counts;
use common::protocol::data::{Answer, Commit};
use crossbeam_channel::Receiver;

use super::error::SinkError;

/// Bytes of the conversation so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// Sent, as sent.
    pub sent_bytes: u64,
    /// Added to volumes, as acknowledged.
    pub stored_bytes: u64,
}

/// Storage of one run. Implemented by the session on the network, and in memory by tests.
pub trait Storage: Send + Sync {
    /// Asks which of these ids are present. Many batches may be under way; answers come in order.
    ///
    /// # Errors
    /// The storage is lost or refused.
    fn ask(&self, ids: Vec<ChunkId>) -> Result<Receiver<Answer>, SinkError>;

    /// Sends content. Waits while too much is unacknowledged.
    ///
    /// # Errors
    /// As [`Storage::ask`].
    fn send_segment(&self, segment: Segment) -> Result<(), SinkError>;

    /// Sends pages; everything they name was sent before.
    ///
    /// # Errors
    /// As [`Storage::ask`].
    fn send_pages(&self, segment: Segment) -> Result<(), SinkError>;

    /// Those of the pages that are present, in order: of the run's base and resume trees only.
    ///
    /// # Errors
    /// As [`Storage::ask`].
    fn pages(&self, ids: &[PageId]) -> Result<Vec<(PageId, Bytes)>, SinkError>;

    /// Makes everything sent durable; with a root, remembers it as what the run can be resumed from.
    ///
    /// # Errors
    /// As [`Storage::ask`].
    fn checkpoint(&self, root: Option<PageId>, counts: Counts) -> Result<(), SinkError>;

    /// Makes the tree a snapshot and returns its stored bytes once it is durable.
    ///
    /// # Errors
    /// As [`Storage::ask`].
    fn commit(&self, commit: Commit) -> Result<Vec<u8>, SinkError>;

    /// Bytes so far.
    fn figures(&self) -> Figures;
}
