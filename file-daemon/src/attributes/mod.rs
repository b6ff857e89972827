//! Attributes of files: captured into an [`common::object::entry::Entry`], and applied to what a restore made.
//!
//! Everything is read and set on open handles, or by name relative to an open directory without following links:
//! never by a path from the root.

pub mod apply;
pub mod capture;
pub mod flags;
pub mod look;
pub mod owners;
pub mod sparse;
pub mod xattrs;

pub use apply::{Applier, Present, Shortfall, Subject};
pub use capture::{CaptureError, Capturer, Place};
pub use look::{Looked, look};

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
