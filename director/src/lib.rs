//! The Holdfast Director: schedules jobs, keeps the catalog, tells daemons what to do.
//!
//! Read bottom up: policy decides (pure), configuration, catalog (all SQL), authority and daemons, runs and tasks act,
//! the API speaks HTTP.

pub mod policy;

pub mod config;

pub mod catalog;

pub mod authority;
pub mod daemons;

pub mod runs;
pub mod tasks;

pub mod api;

pub mod server;
