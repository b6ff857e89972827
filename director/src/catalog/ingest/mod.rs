//! Ingest: a walk becomes rows, while the run goes on. Rows never come from a client's word: they are read from pages.
//!
//! [`Ingest::begin`] gives two ends: [`Rows`] goes to the thread that walks, [`Ingest`] stays in async code and is
//! finished or aborted. In between a bounded channel and one task that writes by binary COPY. What is written is
//! invisible until [`super::Catalog::publish`] moves the head.

mod rows;
mod directories;
mod encode;
mod writer;

pub use rows::{Rows, RowsError};
pub use writer::{Ingest, IngestCounts, Leftovers};
