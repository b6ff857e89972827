//! One session's way into the volumes: it appends what was verified, and commits.
//!
//! Write order, never broken: data and pages synced, commit block of the data volume synced, commit block of the page
//! volume synced, index, and only then a snapshot block. Data commits first, so a page never counts before what it names.
//! Invariants: ids count for others only through [`SessionWriter::commit`]; after a failed sync the volume goes to
//! "error" and the session ends; no space ends the session, but nothing that was committed is touched.

use std::collections::BTreeSet;
use std::sync::Arc;

use common::ids::{ChunkId, SessionId};
use parking_lot::RwLock;

use super::index::ChunkIndex as _;
use super::sorted_index::IdMap;
use super::the_store::{Store, StoreError};
use super::verify::Verified;
use crate::format::block::Kind;
use crate::format::label::Holds;
use crate::volume::{Location, VolumeWriter};

/// A commit is made at least each so many ids ...
const COMMIT_IDS: usize = 56 << 10;
/// ... or bytes.
const COMMIT_BYTES: u64 = 1 << 30;

/// Free space is looked at each time a session has stored so much.
const CHECK_SPACE_BYTES: u64 = 16 << 20;

/// Ids a session has appended and not committed.
pub type Pending = Arc<RwLock<IdMap<Location>>>;

/// See the module.
pub struct SessionWriter {
    store: Arc<Store>,
    session: SessionId,
    pool: String,
    data: Option<VolumeWriter>,
    pages: Option<VolumeWriter>,
    pending: Pending,
    uncommitted_bytes: u64,
    stored_bytes: u64,
    space_checked_at: u64,
    volumes: BTreeSet<String>,
    ended: bool,
}

impl SessionWriter {
    /// A session that has written nothing yet.
    #[must_use]
    pub fn new(store: Arc<Store>, session: SessionId, pool: &str) -> Self {
        Self {
            store,
            session,
            pool: pool.to_owned(),
            data: None,
            pages: None,
            pending: Pending::default(),
            uncommitted_bytes: 0,
            stored_bytes: 0,
            space_checked_at: 0,
            volumes: BTreeSet::new(),
            ended: false,
        }
    }

    /// What the session may count on besides the index.
    #[must_use]
    pub fn pending(&self) -> Pending {
        self.pending.clone()
    }

    /// Volume bytes of this session so far.
    #[must_use]
    pub fn stored_bytes(&self) -> u64 {
        self.stored_bytes
    }

    /// Names of the volumes it wrote to.
    #[must_use]
    pub fn volumes(&self) -> Vec<String> {
        self.volumes.iter().cloned().collect()
    }

    /// Appends a verified segment. Pages need everything they name to be present.
    ///
    /// # Errors
    /// [`StoreError`]; after any but `Missing` and `NearlyFull` the session has ended.
    pub fn append(&mut self, verified: &Verified) -> Result<(), StoreError> {
        self.check_needs(verified)?;
        if self.is_repeated(verified) {
            return Ok(());
        }
        let due = self.pending.read().len() >= COMMIT_IDS || self.uncommitted_bytes >= COMMIT_BYTES;
        if due {
            self.commit()?;
        }
        self.check_space()?;
        let appended = self.append_block(verified);
        appended.map_err(|error| self.end(error))
    }

    /// Sent again after a lost connection, and still here.
    fn is_repeated(&self, verified: &Verified) -> bool {
        let pending = self.pending.read();
        verified
            .segment
            .slots
            .iter()
            .all(|slot| pending.contains_key(&slot.id))
    }

    /// Ends in order while there is still room for commits and seals.
    fn check_space(&mut self) -> Result<(), StoreError> {
        if self.stored_bytes < self.space_checked_at {
            return Ok(());
        }
        self.space_checked_at = self.stored_bytes + CHECK_SPACE_BYTES;
        let space = self.store.volumes().space()?;
        if space.free > space.reserve() {
            return Ok(());
        }
        self.commit()?;
        Err(StoreError::NearlyFull {
            free: space.free,
            reserve: space.reserve(),
        })
    }

    fn append_block(&mut self, verified: &Verified) -> Result<(), StoreError> {
        let holds = if verified.kind == Kind::Pages {
            Holds::Pages
        } else {
            Holds::Data
        };
        let (slots, payload) = (verified.segment.slots.len(), verified.segment.payload.len());
        let (store, session) = (self.store.clone(), self.session);
        let writer = self.writer(holds, slots, payload)?;
        let before = writer.bytes();
        let place = writer.append_segment(verified.kind, session, &verified.segment)?;
        store.volumes().grown(writer);
        let grown = writer.bytes() - before;
        self.stored_bytes += grown;
        self.uncommitted_bytes += grown;
        let mut pending = self.pending.write();
        for (slot, n) in verified.segment.slots.iter().zip(0u16..) {
            pending.insert(slot.id, Location { slot: n, ..place });
        }
        Ok(())
    }

    fn check_needs(&self, verified: &Verified) -> Result<(), StoreError> {
        if self.ended {
            return Err(StoreError::Ended);
        }
        let pending = self.pending.read();
        for (slot, target) in &verified.needs {
            if !pending.contains_key(target) && self.store.locate(target)?.is_none() {
                let page = verified
                    .segment
                    .slots
                    .get(*slot as usize)
                    .map_or(*target, |s| s.id);
                return Err(StoreError::Missing {
                    page,
                    target: *target,
                });
            }
        }
        Ok(())
    }

    /// Whether an id is committed or this session's own.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn has(&self, id: &ChunkId) -> Result<bool, StoreError> {
        Ok(self.pending.read().contains_key(id) || self.store.locate(id)?.is_some())
    }

    /// The volume that takes the next block: the current one, or when that is full the next.
    fn writer(
        &mut self,
        holds: Holds,
        slots: usize,
        payload: usize,
    ) -> Result<&mut VolumeWriter, StoreError> {
        let full = self
            .lane(holds)
            .as_ref()
            .is_some_and(|w| !w.has_room(slots, payload));
        if full {
            self.commit_lanes()?;
            self.seal(holds)?;
        }
        let mut tries = 0;
        while self.lane(holds).is_none() {
            let writer = self.store.acquire(&self.pool, holds)?;
            self.volumes.insert(writer.label.name());
            let fits = writer.has_room(slots, payload);
            *self.lane(holds) = Some(writer);
            tries += 1;
            if !fits && tries > 64 {
                return Err(StoreError::TooLong { bytes: payload });
            }
            if !fits {
                self.seal(holds)?;
            }
        }
        Ok(self
            .lane(holds)
            .as_mut()
            .expect("the loop above filled the lane"))
    }

    fn lane(&mut self, holds: Holds) -> &mut Option<VolumeWriter> {
        match holds {
            Holds::Data => &mut self.data,
            Holds::Pages => &mut self.pages,
        }
    }

    fn seal(&mut self, holds: Holds) -> Result<(), StoreError> {
        if let Some(writer) = self.lane(holds) {
            writer.seal()?;
            let writer = self.lane(holds).take();
            writer.iter().for_each(|w| self.store.volumes().sealed(w));
        }
        Ok(())
    }

    /// Makes everything appended so far durable and present for everyone.
    ///
    /// # Errors
    /// [`StoreError`]: the session has ended.
    pub fn commit(&mut self) -> Result<(), StoreError> {
        if self.ended {
            return Err(StoreError::Ended);
        }
        self.commit_lanes().map_err(|error| self.end(error))
    }

    fn commit_lanes(&mut self) -> Result<(), StoreError> {
        for writer in [&mut self.data, &mut self.pages].into_iter().flatten() {
            if writer.has_uncommitted() {
                writer.sync()?;
            }
        }
        let mut marks = Vec::new();
        let committed = self.commit_blocks(&mut marks);
        // What became durable counts, also when a later lane failed.
        for (volume, mark) in marks {
            let pending = self.pending.read();
            let mine = || {
                let mine = pending.iter().filter(|(_, place)| place.volume == volume);
                mine.map(|(id, place)| (*id, *place))
            };
            self.store.index().insert(&mut mine(), volume, mark)?;
            if let Err(error) = self.store.damaged_ids().stored(mine()) {
                tracing::warn!(%error, "the list of damaged ids could not be written: it names ids that are stored anew");
            }
        }
        committed?;
        self.pending.write().clear();
        self.uncommitted_bytes = 0;
        Ok(())
    }

    /// `marks` gets volume and offset of each commit that is durable.
    fn commit_blocks(&mut self, marks: &mut Vec<(u32, u64)>) -> Result<(), StoreError> {
        for writer in [&mut self.data, &mut self.pages].into_iter().flatten() {
            let before = writer.bytes();
            if let Some(mark) = writer.append_commit(self.session)? {
                writer.sync()?;
                writer.settle();
                self.stored_bytes += writer.bytes() - before;
                marks.push((writer.label.number, mark));
            }
        }
        Ok(())
    }

    /// Stores a snapshot whose tree is committed: the moment a run counts.
    ///
    /// # Errors
    /// [`StoreError`]: the session has ended, and whether the snapshot is there is decided by the volume.
    pub fn snapshot(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.commit()?;
        self.append_other(Kind::Snapshot, bytes)?;
        let added = self.store.snapshots().add_snapshot(bytes);
        added.expect("a snapshot made by this program reads back");
        Ok(())
    }

    /// Appends a snapshot or note, durable.
    ///
    /// # Errors
    /// [`StoreError`]: the session has ended.
    pub(super) fn append_other(&mut self, kind: Kind, bytes: &[u8]) -> Result<(), StoreError> {
        self.append_synced(kind, bytes)
            .map_err(|error| self.end(error))
    }

    fn append_synced(&mut self, kind: Kind, bytes: &[u8]) -> Result<(), StoreError> {
        let session = self.session;
        let writer = self.writer(Holds::Pages, 0, bytes.len())?;
        let before = writer.bytes();
        writer.append(kind, session, bytes)?;
        writer.sync()?;
        writer.settle();
        let grown = writer.bytes() - before;
        self.stored_bytes += grown;
        Ok(())
    }

    /// Ends the session: what is whole is committed, the volumes go back.
    pub fn close(mut self) {
        if !self.ended
            && let Err(error) = self.commit()
        {
            tracing::warn!(session = %self.session, %error, "the last appended blocks of a session could not be committed");
        }
        self.give_back();
    }

    fn give_back(&mut self) {
        let lanes = [self.data.take(), self.pages.take()];
        lanes
            .into_iter()
            .flatten()
            .for_each(|w| self.store.volumes().release(w));
    }

    /// After an error: what was not committed is given back; a volume whose tail is unknown is out of use.
    fn end(&mut self, error: StoreError) -> StoreError {
        self.ended = true;
        self.pending.write().clear();
        let lanes = [self.data.take(), self.pages.take()];
        for mut writer in lanes.into_iter().flatten() {
            if !writer.has_failed() && writer.roll_back().is_ok() {
                self.store.volumes().release(writer);
            } else {
                tracing::error!(volume = writer.label.name(), %error, "volume failed: it is never written again");
                self.store.volumes().failed(&writer.label);
            }
        }
        error
    }
}

impl Drop for SessionWriter {
    fn drop(&mut self) {
        // A writer that was not closed may hold blocks nobody committed, or half of one.
        let lanes = [self.data.take(), self.pages.take()];
        lanes
            .into_iter()
            .flatten()
            .for_each(|w| self.store.volumes().abandon(&w));
    }
}
