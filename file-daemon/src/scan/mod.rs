//! Scan: the walk over the client's files in name order, merged with the base's pages.
//!
//! Two stages on two threads. The *walker* lists and looks (`getdents`, `statx`) and knows nothing of the base; the
//! *merge* compares with the base's pages and says what the new tree is made of, as [`step::Step`]s. Never an entry
//! without its `lstat`, never a path longer than one name in a system call, never a tree in memory.

pub mod tally;
pub mod names;
pub mod directory;
pub mod listing;
pub mod commands;
pub mod walker;
pub mod level;
pub mod base;
pub mod cursor;
pub mod subtree;
pub mod step;
pub mod links;
pub mod moved;
pub mod frame;
pub mod merge;
mod standing;
pub mod own;
