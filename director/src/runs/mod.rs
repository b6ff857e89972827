//! Runs: executions of jobs, from the queue to their outcome. `machine` decides (pure); the rest gathers facts and acts.
//!
//! A run lives in the catalog; what is in memory (progress, mailbox) can be lost at any time. Never does a run need a
//! hand after a crash: a Director that starts asks the Storage Daemons what became of what it had begun, and settles.

pub mod machine;

mod patience;
mod live;
mod log;

mod engine;
mod follow;
mod record;

mod plan;
mod ingest;
mod backup;
mod commit;

mod point;
mod restore;

mod queue;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;

pub use engine::{RunError, Runs, RunsParts, StartBackup};
pub use live::{Live, LiveState};
pub use plan::own_folders_on;
pub use point::{PointError, ResolvedPoint};
pub use restore::RestorePlan;
