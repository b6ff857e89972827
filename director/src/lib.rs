//! The Director: schedules, keeps the catalog, is the authority of the installation, talks to its daemons.

pub mod authority;
pub mod catalog;
pub mod daemons;
