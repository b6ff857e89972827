//! Server-sent events of one run: `event:` is `progress`, `log` or `end`, `data:` one JSON object, `id:` the last log seq.
//!
//! The stream starts with the log lines after `after` (or `Last-Event-ID`) and the newest progress, goes on live with at
//! most two `progress` a second and a comment line each 15 s, and ends after `end`.

use serde::{Deserialize, Serialize};

use super::runs::{LogLine, Run, RunStatus};
use super::text::PathText;

/// Where to start.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EventsQuery {
    /// Log lines with a greater number; absent = no old lines.
    pub after: Option<u64>,
}

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// `progress`
    Progress(Progress),
    /// `log`
    Log(LogLine),
    /// `end`: the run as it ended.
    End(Box<Run>),
}

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Status.
    pub status: RunStatus,
    /// Entries done.
    pub entries: u64,
    /// Files done.
    #[serde(default)]
    pub files: u64,
    /// Content bytes done (backup: looked at or read; restore: written).
    pub bytes: u64,
    /// Bytes read from the client's disk.
    #[serde(default)]
    pub read_bytes: u64,
    /// Bytes sent.
    #[serde(default)]
    pub sent_bytes: u64,
    /// Content bytes per second, over the last seconds.
    pub rate: u64,
    /// Seconds to go, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta_s: Option<u64>,
    /// Entries expected; 0 = unknown.
    #[serde(default)]
    pub expected_entries: u64,
    /// Bytes expected; 0 = unknown.
    #[serde(default)]
    pub expected_bytes: u64,
    /// What it works on.
    #[serde(default)]
    pub current: PathText,
    /// What it waits for; empty when it moves.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub waiting: String,
}
