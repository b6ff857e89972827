//! Compare: a snapshot with the files that are on disk now, without bringing its content over.
//!
//! The stream carries entries and the names of their chunks; live files are read and hashed here. Never changes anything.

pub mod difference;
pub mod links;
pub mod live;
pub mod outcome;
pub mod run;

pub use outcome::CompareOutcome;
pub use run::run;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
