//! Runs: executions of jobs and everything else that moves bytes; each has a JobId, a log, progress and cancel.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::text::PathText;
use crate::ids::JobId;
use crate::object::snapshot::Counts;

/// What is read from the client; what can be restored is the same at every level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Every file.
    Full,
    /// What changed since the last Full.
    Differential,
    /// What changed since the last good snapshot.
    Incremental,
}

/// What a run does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunKind {
    /// Stores a snapshot.
    Backup,
    /// Writes files of a snapshot on a client.
    Restore,
    /// Compares a snapshot with a client's disk.
    Compare,
}

/// How far a run is, or how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunStatus {
    /// Not looked at yet.
    Queued,
    /// Something it needs is not free, see `waiting`.
    Waiting,
    /// Moving.
    Running,
    /// Data is stored, the catalog follows.
    Committing,
    /// Everything.
    Ok,
    /// Done; some files were not saved or restored.
    Warnings,
    /// Failed.
    Error,
    /// Stopped by a person or a limit.
    Canceled,
    /// Broken off; what was stored can be resumed.
    Incomplete,
}

impl RunStatus {
    /// Whether nothing more will happen.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(
            self,
            Self::Ok | Self::Warnings | Self::Error | Self::Canceled | Self::Incomplete
        )
    }

    /// The word in JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Committing => "committing",
            Self::Ok => "ok",
            Self::Warnings => "warnings",
            Self::Error => "error",
            Self::Canceled => "canceled",
            Self::Incomplete => "incomplete",
        }
    }
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl Level {
    /// The word in JSON, orders and snapshots.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Differential => "differential",
            Self::Incremental => "incremental",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl RunKind {
    /// The word in JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Restore => "restore",
            Self::Compare => "compare",
        }
    }
}

impl fmt::Display for RunKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// JobId.
    pub job_id: JobId,
    /// What it does.
    pub kind: RunKind,
    /// Job; empty for a restore that names none.
    #[serde(default)]
    pub job: String,
    /// Client it runs on (restore: the one that takes the files).
    pub client: String,
    /// How far it is.
    pub status: RunStatus,
    /// What it waits for, in words; empty when it moves.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub waiting: String,
    /// Level that is run; absent until decided, and for restores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// Why this level, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub level_reason: String,
    /// Who or what started it: `schedule nightly`, `user admin`.
    #[serde(default)]
    pub started_by: String,
    /// Put into the queue at.
    pub queued_at: DateTime<Utc>,
    /// Started at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<DateTime<Utc>>,
    /// Over at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<DateTime<Utc>>,
    /// Counts, so far or final. The five figures: `files`, `protected_bytes`, `read_bytes`, `sent_bytes`,
    /// `stored_bytes`. Restore: `entries`, `files`, `protected_bytes` = written.
    pub counts: Counts,
    /// Entries expected in the end; 0 = unknown.
    #[serde(default)]
    pub expected_entries: u64,
    /// Content bytes expected in the end; 0 = unknown.
    #[serde(default)]
    pub expected_bytes: u64,
    /// Warnings in the log.
    #[serde(default)]
    pub warnings: u64,
    /// Errors in the log.
    #[serde(default)]
    pub errors: u64,
    /// Why it is `error`, `canceled` or `incomplete`, with the remedy.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Snapshot it stored, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// Number of that snapshot in its series.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// Run whose snapshot was the base.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_job_id: Option<JobId>,
    /// Pool.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pool: String,
    /// Volumes it wrote to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<String>,
    /// Kept until; absent = for ever, or no snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_until: Option<DateTime<Utc>>,
    /// Restore and compare: from what to where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<RestoreOf>,
}

/// What a restore run restores.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreOf {
    /// Client the snapshot is of.
    pub from_client: String,
    /// Run that stored the snapshot.
    pub from_job_id: JobId,
    /// Point in time of the snapshot.
    pub as_of: DateTime<Utc>,
    /// Folder that takes the files; `/` = in place.
    pub to: PathText,
    /// `restore`, `dry-run`, `compare`.
    pub mode: super::restore::Mode,
}

/// Starts runs of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartRun {
    /// Job.
    pub job: String,
    /// One of its clients; absent = all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// Level; absent = the job's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
}

/// What was started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Started {
    /// One per client, at most 1000.
    pub runs: Vec<Run>,
}

/// Which runs. All that is given must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RunsQuery {
    /// 1..=1000.
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub cursor: Option<String>,
    /// Of this job.
    pub job: Option<String>,
    /// On this client.
    pub client: Option<String>,
    /// Of this kind.
    pub kind: Option<RunKind>,
    /// Statuses separated by commas, e.g. `error,incomplete`.
    pub status: Option<String>,
    /// Queued at or after.
    pub since: Option<DateTime<Utc>>,
    /// Queued before.
    pub until: Option<DateTime<Utc>>,
}

/// Stops a run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cancel {
    /// Why, for the log.
    pub reason: String,
}

/// How grave a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// For the record.
    Info,
    /// Worth knowing; changes no status.
    Notice,
    /// Something was not saved or not restored.
    Warning,
    /// The run failed.
    Error,
}

/// One line of a run's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Its number in the run's log, from 1.
    pub seq: u64,
    /// When, by the daemon's clock.
    pub at: DateTime<Utc>,
    /// How grave.
    pub severity: Severity,
    /// Which daemon says it: `director`, `storage local`, `client web01`.
    #[serde(default)]
    pub source: String,
    /// One line, names escaped.
    pub text: String,
}

/// Which lines of a log.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LogQuery {
    /// Lines with a greater number.
    pub after: Option<u64>,
    /// 1..=1000.
    pub limit: Option<u32>,
    /// At least so grave.
    pub severity: Option<Severity>,
}

/// Part of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPage {
    /// In order.
    pub lines: Vec<LogLine>,
    /// Whether more lines are there now.
    pub more: bool,
    /// Whether the run is over (no more lines will come after these when `more` is false).
    pub over: bool,
}
