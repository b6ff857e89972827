//! Restore: the stream of a snapshot's entries and segments in, files out.
//!
//! One thread follows the stream and makes directories; a few workers decode, check, write and publish files. Everything
//! is done relative to open directory handles below the target folder, one name at a time, following no link. A file
//! shows under its final name only when it is whole and every chunk was checked against its name.

pub mod command;
pub mod connection;
pub mod context;
pub mod copy;
pub mod directory;
pub mod extra;
pub mod file;
pub mod finish;
pub mod handles;
mod items;
pub mod links;
pub mod order;
pub mod outcome;
pub mod pieces;
pub mod policy;
pub mod publish;
pub mod remove;
pub mod run;
pub mod source;
pub mod special;
pub mod spool;
pub mod target;
pub mod temp;
pub mod tree;
pub mod workers;

pub use connection::Connection;
pub use context::RestoreContext;
pub use outcome::{RestoreOutcome, Status};
pub use run::run;
pub use source::{Message, RestoreSource, StreamError};

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod commands_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod connection_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod hostile_tests;
#[cfg(test)]
pub mod test_server;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
pub(crate) mod tests;
