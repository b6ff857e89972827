//! Jobs: definitions, with their last result and their next run.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::runs::{Level, RunStatus};
use crate::ids::JobId;

/// A job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Name.
    pub name: String,
    /// Clients, each with its own series.
    pub clients: Vec<String>,
    /// FileSet.
    pub fileset: String,
    /// Schedule, when it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// Pool.
    pub pool: String,
    /// Level when none is asked for.
    pub level: Level,
    /// How long its snapshots are kept, as configured; absent = for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<String>,
    /// Whether the schedule starts it.
    pub enabled: bool,
    /// Its last run, over all clients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<LastRun>,
    /// Next start by the schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_run: Option<DateTime<Utc>>,
}

/// How a job went last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRun {
    /// The run.
    pub job_id: JobId,
    /// Its client.
    pub client: String,
    /// Its status.
    pub status: RunStatus,
    /// Started at, or queued at when it has not started.
    pub at: DateTime<Utc>,
}
