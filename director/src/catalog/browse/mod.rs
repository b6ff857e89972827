//! Browsing: the tree as of a snapshot, a path's history, names by pattern.
//!
//! Invariants: nothing above the head of a series is shown; every answer is bounded and paged by name; no tree is ever
//! held in memory. docs/catalog.md explains the queries.

mod directories;
mod entries;
mod find;
mod page;
mod pattern;
mod saved;
mod size;
mod versions;

pub use entries::{Cursor, DirId, FileEntry, Found};
pub use find::{FoundPage, Match, Search};
pub use page::Listing;
pub use pattern::{NamePattern, PatternError};
pub use saved::SavedPage;
pub use size::SubtreeSize;
pub use versions::Version;
