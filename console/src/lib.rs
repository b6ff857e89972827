//! The console: commands for operators and administrators, and `up`, which starts a whole installation on one machine.
//!
//! Reads top down: what can be typed, how it is understood, the Director's API, what is shown, the commands, the daemons
//! of this machine. It knows the Director by [`common::api`] alone and holds no state but `console.toml`.
#![cfg_attr(test, allow(clippy::disallowed_methods))]

pub mod arguments;
pub mod commands;
pub mod director;
pub mod machine;
pub mod outcome;
pub mod show;
pub mod typed;

pub use commands::run;
