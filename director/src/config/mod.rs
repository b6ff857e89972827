//! Configuration of the Director: `director.toml` and `conf.d/*.toml`, one table per resource in administrators' words.
//!
//! Tables are read with their places (`common::config`), checked each on its own (one file per resource) and against each
//! other (`resolve`). All errors are found at once. Never does a file with an error change what is in use, and what the
//! API writes goes through the same check.

pub mod calendar;
mod catalog;
mod client;
mod context;
mod director;
mod fileset;
mod job;
mod pool;
mod schedule;
mod storage;
mod user;

mod load;
mod resolve;

mod edit;
mod live;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]
mod tests;

pub use catalog::CatalogSettings;
pub use client::Client;
pub use director::{Director, Limits};
pub use edit::{Draft, EditError};
pub use fileset::{FileSet, includes_of_text, selection_of_text};
pub use job::Job;
pub use live::{LiveConfig, ReloadReport};
pub use load::{Config, load};
pub use pool::Pool;
pub use schedule::{Missed, Schedule, ScheduledRun};
pub use storage::Storage;
pub use user::{ApiRole, User};
