//! The Holdfast File Daemon: scans a client machine, sends what is new, and brings it back.
//!
//! Read bottom up: what a FileSet selects, how attributes are read and set, the local state, the storage's port, the scan,
//! the two pipelines, the daemon around them.

#![cfg_attr(test, allow(clippy::disallowed_methods))]

pub mod failure;
pub mod config;
pub mod select;
pub mod attributes;
pub mod runlog;
pub mod sink;
pub mod state;
pub mod scan;
pub mod estimate;
pub mod backup;
pub mod restore;
pub mod compare;
pub mod daemon;

pub use failure::chain;
