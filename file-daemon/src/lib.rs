//! The Holdfast File Daemon: scans a client machine, sends what is new, and brings it back.
//!
//! Read bottom up: what a FileSet selects, how attributes are read and set, the scan, the two pipelines.

pub mod attributes;
pub mod restore;
pub mod select;
