//! What a client may do here: backup and restore sessions. Pure decisions in `machine` and `selection`; one thread per
//! session does the work; the connections at the edge are asynchronous and only pass frames.
//!
//! Invariants: nothing before a valid ticket; a backup session reads only pages of its own base; a restore reads only
//! what the root of its ticket reaches.

pub mod machine;
pub mod selection;

pub mod outbox;

pub mod backup;
pub mod base_pages;
pub mod registry;

pub mod restore;
pub mod window;

pub mod authority;
pub mod backup_connection;
pub mod connection;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod throughput_tests;
