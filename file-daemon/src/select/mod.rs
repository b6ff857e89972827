//! FileSet matching, PURE: facts about a path in, a decision and the rule behind it out.
//!
//! Never looks at the disk; the scan gives the facts (kind, size, marker names, the no-dump flag) and obeys.
//! docs/filesets.md tells administrators the same story.

pub mod decision;
pub mod error;
mod explain;
pub mod includes;
pub mod rules;
pub mod selector;

pub use decision::{Contents, Decision, Facts, Reason, Verdict};
pub use error::SelectError;
pub use selector::Selector;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
