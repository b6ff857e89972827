//! The writing side of an ingest.

use super::super::connect::Catalog;
use super::super::error::CatalogError;
use super::super::series::{Number, SeriesId};
use super::rows::Rows;

/// What becomes of rows that an earlier try left under the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leftovers {
    /// Deleted first: the walk tells everything.
    Discard,
    /// Kept: the walk tells only what an earlier one of the same run has not (its `done` root).
    Keep,
}

/// What an ingest wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IngestCounts {
    /// Versions.
    pub versions: u64,
    /// Removals.
    pub removals: u64,
    /// Directories seen for the first time.
    pub directories: u64,
}

/// An ingest in progress.
#[derive(Debug)]
pub struct Ingest {}

impl Ingest {
    /// Starts writing rows of snapshot `number` of a series, whose lease the caller holds.
    ///
    /// # Errors
    /// The catalog cannot be written; the number is published already.
    pub async fn begin(
        catalog: &Catalog,
        (series, number): (SeriesId, Number),
        leftovers: Leftovers,
    ) -> Result<(Self, Rows), CatalogError> {
        let _ = (catalog, series, number, leftovers);
        Ok((Self {}, Rows {}))
    }

    /// Waits until everything sent is committed. The [`Rows`] must have been closed.
    ///
    /// # Errors
    /// The catalog could not be written, or the walk did not close its end.
    pub async fn finish(self) -> Result<IngestCounts, CatalogError> {
        Ok(IngestCounts::default())
    }

    /// Stops, and deletes every row under this number.
    ///
    /// # Errors
    /// The catalog cannot be written.
    pub async fn abort(self) -> Result<(), CatalogError> {
        Ok(())
    }
}
