//! Ingest: a walk becomes rows, while the run goes on. Rows never come from a client's word: they
//! are read from pages.
//!
//! [`Ingest::begin`] gives two ends: [`Rows`] goes to the thread that walks, [`Ingest`] stays in
//! async code and is finished or aborted. In between: a bounded channel, directories interned per
//! batch, and binary COPY of the batch before. What is written is invisible until
//! [`super::Catalog::publish`] moves the head.
//!
//! ```text
//! thread: walk -> steps -> Rows --batch--> intern directories, sort, encode --bytes--> COPY
//! ```

mod batch;
mod copy;
mod directories;
mod rows;
mod untold;
mod writer;

pub use rows::{Rows, RowsError, WalkRowsError};
pub use writer::{Ingest, IngestCounts, Leftovers};

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
