//! The trait of the chunk index: id to place. What it holds is derived from commit blocks; each volume has a mark that
//! says up to which commit the index is complete, so that a start reads only what lies behind the marks.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;

use common::ids::ChunkId;

use crate::volume::Location;

/// Up to where a volume's commits are in the index: offset of the last such commit block.
pub type Mark = u64;

/// Why the index failed.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// A file of it could not be read or written.
    #[error("cannot {operation} {path}")]
    Io {
        /// In words.
        operation: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of it does not hold what was written: the index must be rebuilt.
    #[error("{path} is damaged: the index is rebuilt from the volumes at the next start")]
    Damaged {
        /// Which file.
        path: PathBuf,
    },
}

/// id -> place.
pub trait ChunkIndex: Send + Sync + 'static {
    /// Where an id lies.
    ///
    /// # Errors
    /// The index cannot be read.
    fn get(&self, id: &ChunkId) -> Result<Option<Location>, IndexError>;

    /// Adds what one commit block of a volume names, and moves the volume's mark to it.
    ///
    /// # Errors
    /// What was there before is still there, and the mark has not moved.
    fn insert(
        &self,
        batch: &mut dyn Iterator<Item = (ChunkId, Location)>,
        volume: u32,
        mark: Mark,
    ) -> Result<(), IndexError>;

    /// Takes ids out, when they still lie where they were seen.
    ///
    /// # Errors
    /// The index cannot be read.
    fn remove(&self, batch: &[(ChunkId, Location)]) -> Result<(), IndexError>;

    /// Durable marks, by volume number.
    fn marks(&self) -> HashMap<u32, Mark>;

    /// About how many ids there are.
    fn len(&self) -> u64;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes all of it durable, so that the next start is short.
    ///
    /// # Errors
    /// A start reads more, nothing is lost.
    fn flush(&self) -> Result<(), IndexError>;
}
