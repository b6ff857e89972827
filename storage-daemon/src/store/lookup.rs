//! What is present, where it lies, and reading it. Damaged = absent: what cannot be read leaves the index, so the next
//! run that has it stores it anew.

use common::ids::ChunkId;

use super::IndexError;
use super::index::ChunkIndex as _;
use super::salvage::Salvaged;
use super::sorted_index::IdMap;
use super::the_store::Store;
use crate::volume::{Block, Location, ReadError};

/// Why content cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// It is not here.
    #[error("{0} is not present")]
    Absent(ChunkId),
    /// It was here and is damaged.
    #[error("damaged block in volume {volume} at offset {offset}: {reason}")]
    Damaged {
        /// Name of the volume.
        volume: String,
        /// Offset of the block.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
    /// Reading failed; it may be there.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The index failed.
    #[error(transparent)]
    Index(#[from] IndexError),
}

impl LookupError {
    /// Whether the content is lost here, as opposed to out of reach for now.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Absent(_) | Self::Damaged { .. } | Self::Read(_))
    }
}

impl Store {
    /// Where a committed id lies; nothing when its volume is not here, or it was found damaged there.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn locate(&self, id: &ChunkId) -> Result<Option<Location>, IndexError> {
        let found = self.index().get(id)?;
        let is_good = |place: &Location| {
            self.volumes().has(place.volume) && !self.damaged_ids().covers(id, *place)
        };
        Ok(found.filter(is_good))
    }

    /// One bit per id: committed, or in `pending`.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn have(&self, ids: &[ChunkId], pending: &IdMap<Location>) -> Result<Vec<u8>, IndexError> {
        let mut bits = vec![0u8; ids.len().div_ceil(8)];
        for (n, id) in ids.iter().enumerate() {
            if pending.contains_key(id) || self.locate(id)?.is_some() {
                bits[n / 8] |= 1 << (n % 8);
            }
        }
        Ok(bits)
    }

    /// Reads the block of a location in which `wanted` should lie; a damaged block's ids leave the index.
    ///
    /// # Errors
    /// [`LookupError`]
    pub fn read_block(&self, location: Location, wanted: &[ChunkId]) -> Result<Block, LookupError> {
        self.volumes().read(location).map_err(|error| match error {
            ReadError::Damaged { source, .. } => {
                self.damaged(location, wanted, &source.to_string())
            }
            other => other.into(),
        })
    }

    /// Takes what is lost of a damaged block out of the index, and says so.
    pub fn damaged(&self, location: Location, wanted: &[ChunkId], reason: &str) -> LookupError {
        let volume = self.volumes().name(location.volume);
        let salvaged = self.salvage(location);
        let lost = salvaged.iter().flat_map(Salvaged::lost);
        let mut ids: Vec<(ChunkId, Location)> = lost
            .map(|(id, slot)| (id, Location { slot, ..location }))
            .collect();
        // Without its slot table all that was looked for in it is lost.
        for id in wanted.iter().filter(|_| salvaged.is_none()) {
            if let Ok(Some(place)) = self.index().get(id)
                && place.unit == location.unit
                && place.volume == location.volume
            {
                ids.push((*id, place));
            }
        }
        if let Err(error) = self.damaged_ids().add(&ids) {
            tracing::error!(%error, "the list of damaged ids could not be written");
        }
        if let Err(error) = self.index().remove(&ids) {
            tracing::error!(%error, "damaged ids could not be taken out of the index");
        }
        tracing::error!(
            volume,
            offset = location.offset(),
            reason,
            ids = ids.len(),
            "damaged block"
        );
        LookupError::Damaged {
            volume,
            offset: location.offset(),
            reason: reason.to_owned(),
        }
    }
}
