//! THE walk, PURE: what a root reaches, and the difference of two roots. Visitors are everyone else's.
//!
//! Ingest into the catalog, rebuild, restore, copy, verify and mark are all loops over [`Walk::next`]. Pages come from a
//! [`PageSource`]; nothing here knows where they lie. Memory: per level of depth one leaf of each tree and the rest of
//! its index pages; the depth is on the heap, not on the stack.

pub mod cursor;
pub mod difference;
pub mod source;

pub use difference::{Roots, Step, Walk};
pub use source::{PageSource, WalkError};
