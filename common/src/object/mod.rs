//! The stored objects, PURE: entry, page, chunk list, snapshot, segment, and the chunker that makes chunks.
//!
//! Bytes in, values out, and back. No I/O, no time of day. docs/volume-format.md describes the same bytes in words;
//! the golden files in `common/tests/golden` hold them still.

pub mod attribute;
pub mod chunker;
pub mod entry;
pub mod link;
pub mod list;
pub mod page;
pub mod page_builder;
pub mod segment;
pub mod snapshot;
