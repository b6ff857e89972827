//! Appends blocks to one volume: segments and pages, then the commit that makes them count, at last the seal.
//!
//! Invariants: a block that would not leave room for its commit and the seal is refused; after a failed sync nothing is
//! appended any more; what was rolled back was named by no commit.

use std::sync::Arc;

use common::ids::{ChunkId, SessionId};
use common::object::segment::{Codec, Segment};

use super::Location;
use super::pacer::{PACE_BYTES, Pacer, SyncError, SyncGate};
use crate::device::DeviceError;
use crate::format::block::{self, ALIGN, Head, Kind, Place};
use crate::format::commit::{Commit, CommittedBlock, MAX_LISTED, Seal};
use crate::format::label::Label;

/// Why a volume cannot take something.
#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    /// The device failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// It could not be made durable: the volume's tail is unknown.
    #[error("cannot make volume {volume} durable")]
    Sync {
        /// Its name.
        volume: String,
        /// Why.
        source: SyncError,
    },
}

impl VolumeError {
    /// Whether space is exhausted.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Device(e) if e.is_full())
    }
}

/// Where the next block goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tip {
    /// Its offset.
    pub offset: u64,
    /// Its sequence.
    pub sequence: u64,
    /// Header checksum of the block before.
    pub previous: u32,
}

/// What a volume's seal will list.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// Commits so far.
    pub commits: Vec<u32>,
    /// Snapshots and notes listed by those commits.
    pub others: Vec<u32>,
    /// Snapshots and notes since the last commit.
    pub new_others: Vec<u32>,
}

/// The one writer of a volume.
pub struct VolumeWriter {
    /// What the volume is.
    pub label: Arc<Label>,
    gate: Arc<SyncGate>,
    max_bytes: u64,
    tip: Tip,
    committed: Tip,
    history: History,
    /// Not committed; with ids when a commit lists them.
    blocks: Vec<CommittedBlock>,
    listed: usize,
    unpaced: u64,
    has_failed: bool,
}

impl VolumeWriter {
    /// Writes on at `tip`.
    #[must_use]
    pub fn new(
        label: Arc<Label>,
        gate: Arc<SyncGate>,
        max_bytes: u64,
        tip: Tip,
        history: History,
    ) -> Self {
        Self {
            label,
            gate,
            max_bytes,
            tip,
            committed: tip,
            history,
            blocks: Vec::new(),
            listed: 0,
            unpaced: 0,
            has_failed: false,
        }
    }

    /// Starts an empty volume with its label, durable.
    ///
    /// # Errors
    /// Not stored.
    pub fn create(
        label: &Arc<Label>,
        gate: Arc<SyncGate>,
        max_bytes: u64,
    ) -> Result<Self, VolumeError> {
        let tip = Tip {
            offset: 0,
            sequence: 0,
            previous: 0,
        };
        let mut writer = Self::new(label.clone(), gate, max_bytes, tip, History::default());
        writer.append(Kind::Label, SessionId(0), &label.to_bytes())?;
        writer.sync()?;
        writer.committed = writer.tip;
        Ok(writer)
    }

    /// End of what was appended.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.tip.offset
    }

    /// Blocks that no commit names yet.
    #[must_use]
    pub fn has_uncommitted(&self) -> bool {
        !self.blocks.is_empty()
    }

    /// Whether its tail is unknown: nothing may be appended or cut any more.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.has_failed || self.gate.has_failed()
    }

    /// Whether a block of this size fits, and after it its commit and the seal.
    #[must_use]
    pub fn has_room(&self, slots: usize, payload_bytes: usize) -> bool {
        let others = self.history.new_others.len() + 1;
        let listed = self.listed + slots.min(MAX_LISTED as usize);
        let commit = Commit::most_bytes(others, self.blocks.len() + 1, listed);
        let seal = Seal::most_stored_bytes(
            self.history.commits.len() + 1,
            self.history.others.len() + others,
        );
        let needed =
            block::stored_bytes(slots, payload_bytes) + block::stored_bytes(0, commit) + seal;
        self.tip.offset + needed <= self.max_bytes
    }

    /// Appends a segment or a run of pages and returns the place of its first slot.
    ///
    /// # Errors
    /// Not stored.
    pub fn append_segment(
        &mut self,
        kind: Kind,
        session: SessionId,
        segment: &Segment,
    ) -> Result<Location, VolumeError> {
        let head = Head {
            kind,
            codec: segment.codec,
            session,
            slots: &segment.slots,
        };
        let offset = self.tip.offset;
        let bytes = self.put(head, &segment.payload)?;
        let location = Location {
            volume: self.label.number,
            unit: unit(offset),
            units: (bytes / ALIGN) as u16,
            slot: 0,
        };
        self.adopt(CommittedBlock {
            unit: location.unit,
            units: location.units,
            kind,
            slots: segment.slots.len() as u32,
            checksum: self.tip.previous,
            ids: segment.slots.iter().map(|s| s.id).collect(),
        });
        Ok(location)
    }

    /// Appends a block without slots: label, snapshot, note.
    ///
    /// # Errors
    /// Not stored.
    pub fn append(
        &mut self,
        kind: Kind,
        session: SessionId,
        payload: &[u8],
    ) -> Result<(), VolumeError> {
        let offset = self.tip.offset;
        self.put(
            Head {
                kind,
                codec: Codec::Stored,
                session,
                slots: &[],
            },
            payload,
        )?;
        if matches!(kind, Kind::Snapshot | Kind::Note) {
            self.history.new_others.push(unit(offset));
        }
        Ok(())
    }

    /// Appends the commit of everything since the last; not durable before [`VolumeWriter::sync`]. Returns its offset,
    /// or `None` when there is nothing to commit.
    ///
    /// # Errors
    /// Not stored.
    pub fn append_commit(&mut self, session: SessionId) -> Result<Option<u64>, VolumeError> {
        if self.blocks.is_empty() {
            return Ok(None);
        }
        let commit = Commit {
            before: self.history.commits.last().copied(),
            others: self.history.new_others.clone(),
            blocks: std::mem::take(&mut self.blocks),
        };
        let offset = self.tip.offset;
        if let Err(error) = self.append(Kind::Commit, session, &commit.to_bytes()) {
            self.blocks = commit.blocks;
            return Err(error);
        }
        self.history.commits.push(unit(offset));
        self.history.others.append(&mut self.history.new_others);
        self.listed = 0;
        Ok(Some(offset))
    }

    /// Takes a block that stands in the volume into the next commit.
    pub fn adopt(&mut self, mut block: CommittedBlock) {
        if block.is_listed() {
            self.listed += block.ids.len();
        } else {
            block.ids = Vec::new();
        }
        self.blocks.push(block);
    }

    /// Makes all appended bytes durable. After an error the volume takes nothing more.
    ///
    /// # Errors
    /// [`VolumeError::Sync`]
    pub fn sync(&mut self) -> Result<(), VolumeError> {
        if let Err(source) = self.gate.sync() {
            self.has_failed = true;
            let volume = self.label.name();
            return Err(VolumeError::Sync { volume, source });
        }
        self.unpaced = 0;
        Ok(())
    }

    /// Notes that everything so far is durable and must never be rolled back.
    pub fn settle(&mut self) {
        self.committed = self.tip;
    }

    /// Appends the seal, durable. Everything must be committed before.
    ///
    /// # Errors
    /// The volume is as it was, or unknown after a failed sync.
    pub fn seal(&mut self) -> Result<(), VolumeError> {
        let mut others = self.history.others.clone();
        others.extend(&self.history.new_others);
        let seal = Seal {
            commits: self.history.commits.clone(),
            others,
        };
        self.append(Kind::Seal, SessionId(0), &seal.to_bytes(self.tip.offset))?;
        self.sync()?;
        self.settle();
        Ok(())
    }

    /// Gives up everything since the last commit: for an append that found no space.
    ///
    /// # Errors
    /// The volume cannot be used any more.
    pub fn roll_back(&mut self) -> Result<(), VolumeError> {
        self.gate.file().truncate(self.committed.offset)?;
        self.tip = self.committed;
        self.blocks.clear();
        self.listed = 0;
        self.history
            .new_others
            .retain(|unit| u64::from(*unit) * ALIGN < self.committed.offset);
        Ok(())
    }

    /// Asks for a background sync when enough was appended since the last.
    pub fn pace(&mut self, pacer: &Pacer) {
        if self.unpaced >= PACE_BYTES {
            self.unpaced = 0;
            pacer.nudge(&self.gate);
        }
    }

    fn put(&mut self, head: Head<'_>, payload: &[u8]) -> Result<u64, VolumeError> {
        let place = Place {
            volume: self.label.uuid,
            offset: self.tip.offset,
            sequence: self.tip.sequence,
            previous: self.tip.previous,
        };
        let (header, head) = block::encode(head, place, payload);
        let bytes = header.stored_bytes();
        let padding = bytes as usize - head.len() - payload.len();
        const ZEROES: [u8; ALIGN as usize] = [0; ALIGN as usize];
        let stored = self
            .gate
            .file()
            .append(place.offset, &[&head, payload, &ZEROES[..padding]]);
        if let Err(error) = stored {
            self.has_failed |= !error.is_full();
            return Err(error.into());
        }
        self.tip = Tip {
            offset: place.offset + bytes,
            sequence: place.sequence + 1,
            previous: header.checksum,
        };
        self.unpaced += bytes;
        Ok(bytes)
    }
}

fn unit(offset: u64) -> u32 {
    u32::try_from(offset / ALIGN).expect("volumes are far smaller than 16 TiB")
}

/// Every id of committed blocks with its place.
pub fn locations(
    volume: u32,
    blocks: &[CommittedBlock],
) -> impl Iterator<Item = (ChunkId, Location)> + '_ {
    blocks.iter().flat_map(move |block| {
        block.ids.iter().zip(0u16..).map(move |(id, slot)| {
            (
                *id,
                Location {
                    volume,
                    unit: block.unit,
                    units: block.units,
                    slot,
                },
            )
        })
    })
}
