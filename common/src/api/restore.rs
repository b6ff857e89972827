//! Restores: what from which point in time, to where, and what happens to what is there.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::runs::Run;
use super::text::PathText;
use crate::ids::JobId;
use crate::protocol::orders;

/// Which snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Point {
    /// The newest good one.
    Latest,
    /// The newest not later than this instant.
    AsOf(DateTime<Utc>),
    /// The whole tree as of this run.
    JobId(JobId),
    /// Only what this run saved.
    SavedBy(JobId),
}

/// What is done with the selected entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Written.
    #[default]
    Restore,
    /// Listed in the log: what would be written, replaced, kept.
    DryRun,
    /// Compared with what is there; differences in the log, each a warning.
    Compare,
}

/// What happens to a file that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Replace {
    /// Replaced.
    #[default]
    Always,
    /// Replaced when the restored one has the later mtime.
    IfNewer,
    /// Replaced when the restored one has the earlier mtime.
    IfOlder,
    /// Replaced when size or mtime differ.
    IfChanged,
    /// Kept.
    Never,
}

impl From<Replace> for orders::Replace {
    fn from(replace: Replace) -> Self {
        match replace {
            Replace::Always => Self::Always,
            Replace::IfNewer => Self::IfNewer,
            Replace::IfOlder => Self::IfOlder,
            Replace::IfChanged => Self::IfChanged,
            Replace::Never => Self::Never,
        }
    }
}

impl Mode {
    /// The word in JSON and orders.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Restore => "restore",
            Self::DryRun => "dry-run",
            Self::Compare => "compare",
        }
    }
}

/// Where to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Below this absolute folder on the target client; made when missing.
    Dir(PathText),
    /// Where the files were.
    InPlace,
}

/// Starts a restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestoreRequest {
    /// Client the files are of; may be absent when `point` names a run or `job` has one client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// Job; needed only when several jobs of the client hold what is asked for and the newest is not meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// Which snapshot.
    pub point: Point,
    /// Absolute paths, each with all below. Empty = everything. A path the snapshot does not hold is 404.
    #[serde(default)]
    pub paths: Vec<PathText>,
    /// Globs over absolute paths.
    #[serde(default)]
    pub globs: Vec<String>,
    /// Regular expressions over absolute paths.
    #[serde(default)]
    pub regexes: Vec<String>,
    /// Paths left out, each with all below.
    #[serde(default)]
    pub excluded: Vec<PathText>,
    /// Client that takes the files; absent = the one they are of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_client: Option<String>,
    /// Where to.
    pub to: Target,
    /// Leading path dropped, e.g. `/home/a`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strip: Option<PathText>,
    /// Path put in front of what is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<PathText>,
    /// What happens to existing files.
    #[serde(default)]
    pub replace: Replace,
    /// Remove what the snapshot does not hold, inside the restored folders.
    #[serde(default)]
    pub exact: bool,
    /// What is done.
    #[serde(default)]
    pub mode: Mode,
}

/// A restore that was started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RestoreStarted {
    /// Its run; `run.restore` says from what to where.
    pub run: Run,
}
