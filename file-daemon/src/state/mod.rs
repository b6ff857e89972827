//! State: what this client remembers of the last tree of each series, so that a run compares without asking anyone.
//!
//! A cache and nothing more: every page is checked against its name when it is read, and what is torn, lost or wrong is
//! fetched from storage. Losing the folder costs time, never a file.

pub mod page_file;
pub mod compact;
pub mod series;
