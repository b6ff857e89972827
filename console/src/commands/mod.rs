//! The commands: each asks the Director (or the machine) and shows the answer.

mod clients;
mod config;
mod context;
mod files;
mod find;
mod follow;
mod machine;
mod perform;
mod protect;
mod restore;
mod runs;
mod status;
mod users;

use context::Context;
pub use perform::run;
