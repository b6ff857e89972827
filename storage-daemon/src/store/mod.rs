//! What is present, and where: the index over the volumes, ingest into them, pages and snapshots.
//!
//! Invariant: everything here that is not in a volume is derived from volumes and can be thrown away.

pub mod damaged;
pub mod index;
pub mod ingest;
pub mod lookup;
pub mod notes;
pub mod pages;
pub mod recovery;
pub mod run;
pub mod salvage;
pub mod snapshot_log;
pub mod snapshots;
pub mod sorted_index;
pub mod the_store;
pub mod verify;
pub mod wholeness;

pub use index::{ChunkIndex, IndexError, Mark};
pub use the_store::{Store, StoreConfig, StoreError};

#[cfg(test)]
mod damage_tests;
#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;
