//! The Holdfast File Daemon: scans a client machine, sends what is new, and brings it back.
//!
//! Read bottom up: what a FileSet selects, how attributes are read and set, the local state, the scan, the storage's port,
//! the two pipelines.

#![cfg_attr(test, allow(clippy::disallowed_methods))]

pub mod attributes;
pub mod backup;
pub mod compare;
pub mod estimate;
pub mod restore;
pub mod runlog;
pub mod scan;
pub mod select;
pub mod sink;
pub mod state;

/// An error with all its causes on one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
