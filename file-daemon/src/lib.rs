//! The Holdfast File Daemon: scans a client machine, sends what is new, and brings it back.
//!
//! Read bottom up: what a FileSet selects, how attributes are read and set, the local state, the scan, the storage's port,
//! the two pipelines.

pub mod select;
pub mod attributes;
pub mod runlog;
pub mod sink;
pub mod state;
pub mod scan;
