//! The daemons of this machine: one folder, default configurations, started detached, stopped in order.
//!
//! Invariants: a running daemon is never started twice; nothing is left half started; only processes that are proven to
//! be ours (program and configuration file) get a signal; ports of others are never taken.

mod configure;
mod daemon;
mod defaults;
mod down;
mod enrol;
mod error;
mod layout;
mod listen;
mod ports;
mod process;
mod programs;
mod up;

pub use daemon::Daemon;
pub use down::down;
pub use error::MachineError;
use error::file;
pub use layout::{Layout, default_root};
pub use process::{become_daemon, running};
pub use programs::Programs;
pub use up::{Installation, Running, up};
