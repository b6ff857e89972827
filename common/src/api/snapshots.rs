//! Snapshots: what can be restored, newest first.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::runs::Level;
use crate::ids::JobId;
use crate::object::snapshot::Counts;

/// Which snapshots.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SnapshotsQuery {
    /// 1..=1000.
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub cursor: Option<String>,
    /// Of this client.
    pub client: Option<String>,
    /// Of this job.
    pub job: Option<String>,
}

/// A snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Its name, hex.
    pub id: String,
    /// Run that stored it.
    pub job_id: JobId,
    /// Job.
    pub job: String,
    /// Client.
    pub client: String,
    /// Number in its series, from 1.
    pub number: u64,
    /// Level that was run.
    pub level: Level,
    /// Why, in words.
    #[serde(default)]
    pub level_reason: String,
    /// The point in time: start of the run, by the Director's clock.
    pub as_of: DateTime<Utc>,
    /// End of the run.
    pub finished_at: DateTime<Utc>,
    /// Counts.
    pub counts: Counts,
    /// Pool.
    pub pool: String,
    /// Kept until; absent = for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_until: Option<DateTime<Utc>>,
    /// Whether part of it cannot be read any more.
    #[serde(default)]
    pub damaged: bool,
    /// Folders and files its FileSet includes.
    #[serde(default)]
    pub includes: Vec<super::text::PathText>,
}
