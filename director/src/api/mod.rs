//! The HTTP API: thin. Requests in, runs, catalog and configuration asked, answers as `common::api` defines them.
//!
//! Never an answer without a bound, never a change without an audit entry, never an error that is not problem+json.

pub mod access;
mod app;
mod caller;
mod error;
mod input;

mod browse;
mod checks;
mod clients;
mod config;
mod details;
mod events;
mod find;
mod jobs;
mod protect;
mod restores;
mod runs;
mod snapshots;
mod status;
mod storages;
mod users;

mod router;

pub use app::{App, AppParts};
pub use error::ApiError;
pub use router::router;
