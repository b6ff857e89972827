//! A folder protected with one request: writes FileSet, schedule and job, checks and takes them into use.

use serde::{Deserialize, Serialize};

use super::jobs::Job;
use super::text::PathText;

/// Protects folders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Protect {
    /// Absolute folders, at least one.
    pub dirs: Vec<PathText>,
    /// Name of job, FileSet and schedule; absent = made from the first folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Client; absent = the only one there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// `HH:MM` in the Director's zone, each day; absent = no schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daily: Option<String>,
    /// How long snapshots are kept, e.g. `30d`; absent = the pool's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<String>,
    /// Rules of the FileSet, e.g. `exclude *.tmp`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protected {
    /// The job, with its next run.
    pub job: Job,
    /// Files written, absolute.
    pub files: Vec<String>,
    /// What a person should know: client not connected, folder inside a mount that is left out.
    #[serde(default)]
    pub remarks: Vec<String>,
}
