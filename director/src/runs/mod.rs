//! Runs: executions of jobs, from the queue to their outcome. `machine` decides (pure); the rest gathers facts and acts.
//!
//! A run lives in the catalog; what is in memory (progress, mailbox) can be lost at any time. Never does a run need a
//! hand after a crash: a Director that starts asks the Storage Daemons what became of what it had begun, and settles.

pub mod machine;

mod live;
mod log;
mod patience;

mod engine;
mod follow;
mod record;

mod backup;
mod settle;
mod commit;
mod ingest;
mod plan;

mod point;
mod restore;

mod queue;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
pub(crate) mod testing;

pub use engine::{RunError, Runs, RunsParts, StartBackup};
pub use live::{Live, LiveState};
pub use plan::own_folders_on;
pub use point::{PointError, ResolvedPoint, resolve};
pub use restore::{RestoreError, RestorePlan};
