//! Notes: later decisions about snapshots, appended to a page volume and durable before they count.

use std::sync::Arc;

use common::clock::now_ms;
use common::ids::{SessionId, SnapshotId};
use common::object::snapshot::Note;

use super::ingest::SessionWriter;
use super::the_store::{Store, StoreError};
use crate::format::block::Kind;

/// What is decided about a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// As [`Note::what`].
    pub what: String,
    /// Milliseconds since the epoch, where `what` has a date.
    pub until_ms: i64,
    /// Why, in words.
    pub reason: String,
}

impl Store {
    /// Appends a note about a snapshot that is present; `None` when it is not.
    ///
    /// # Errors
    /// Not stored.
    pub fn note(self: &Arc<Self>, decision: &Decision) -> Result<Option<Note>, StoreError> {
        let Some(stored) = self.snapshots().get(&decision.snapshot) else {
            return Ok(None);
        };
        let _one_at_a_time = self.note_order.lock();
        let note = Note {
            snapshot: decision.snapshot.0.to_vec(),
            sequence: self.snapshots().next_note(),
            at_ms: now_ms(),
            what: decision.what.clone(),
            until_ms: decision.until_ms,
            reason: decision.reason.clone(),
        };
        let bytes = note.to_bytes();
        let mut writer = SessionWriter::new(self.clone(), SessionId(0), &stored.snapshot.pool);
        writer.append_other(Kind::Note, &bytes)?;
        writer.close();
        self.snapshots()
            .add_note(&bytes)
            .expect("a note made by this program reads back");
        Ok(Some(note))
    }
}
