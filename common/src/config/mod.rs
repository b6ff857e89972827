//! Configuration files: TOML with positions, where every error names file, line, reason and remedy, all at once.
//!
//! A daemon describes its file as a serde structure with `deny_unknown_fields` and [`Spanned`] where a later check needs
//! the place; [`load`] reads it and goes on behind an error, so one look shows everything that is wrong.
//! Invariant: a file with a problem yields no configuration. No `flatten`, no untagged enums: they lose positions.

mod document;
mod problem;
mod secret;
mod suggest;
mod units;

pub use document::{LoadError, Source, load, parse};
pub use problem::{Place, Problem, Problems};
pub use secret::Secret;
pub use suggest::did_you_mean;
pub use toml::Spanned;
pub use units::{Period, Size};
