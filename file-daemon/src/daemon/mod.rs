//! The daemon: its conversation with the Director, and the runs it works on.
//!
//! Async only here and in the session; the work is done on threads. A run outlives the connection to the Director: its end
//! is told until the Director says it heard it.

pub mod permits;
pub mod runs;
pub mod teller;
pub mod backup_run;
pub mod restore_run;
pub mod questions;
pub mod service;
pub mod serve;

#[cfg(test)]
mod tests;
