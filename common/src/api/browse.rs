//! The catalog's files: one directory at a point in time, a search, all versions of a path.
//!
//! Which snapshot, in all three: `job_id` (the tree as of that run), else `as_of` (the newest snapshot not later), else
//! the newest; of `job` when given, else of the client's job whose snapshot holds the path, the newest first.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::text::{EntryKind, PathText};
use crate::ids::JobId;

/// One directory.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct BrowseQuery {
    /// Client; may be absent with `job_id`.
    pub client: Option<String>,
    /// Job.
    pub job: Option<String>,
    /// The tree as of this run.
    pub job_id: Option<JobId>,
    /// The tree as of this instant.
    pub as_of: Option<DateTime<Utc>>,
    /// Absolute path, escaped form; default `/`. A path that is no directory is listed alone.
    pub path: Option<PathText>,
    /// 1..=1000.
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub cursor: Option<String>,
}

/// The snapshot an answer is from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct At {
    /// Client.
    pub client: String,
    /// Job.
    pub job: String,
    /// Run that stored it.
    pub job_id: JobId,
    /// Its point in time.
    pub as_of: DateTime<Utc>,
}

/// A directory's entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// The snapshot.
    pub at: At,
    /// The directory (or the file that was asked for).
    pub path: PathText,
    /// By name bytes.
    pub entries: Vec<Entry>,
    /// Cursor of the next page; absent = that was all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Name (browse) or absolute path (find), escaped form.
    pub name: PathText,
    /// Hex of its bytes when `name` is not literally them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hex: Option<String>,
    /// What it is.
    pub kind: EntryKind,
    /// Content bytes.
    pub size: u64,
    /// Last change of the content.
    pub mtime: DateTime<Utc>,
    /// Permission bits with setuid, setgid, sticky.
    pub mode: u32,
    /// Owner's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Group's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gid: Option<u32>,
    /// Owner's name on the client.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub owner: String,
    /// Group's name on the client.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// Where a symbolic link points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<PathText>,
    /// Run that saved this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved_by: Option<JobId>,
    /// Carried over from the base because it could not be looked at in this run.
    #[serde(default)]
    pub stale: bool,
}

/// A search over all names.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct FindQuery {
    /// A glob: without `/` over names, with `/` over absolute paths; a text without `*?[` is found anywhere in a name.
    pub pattern: String,
    /// Of this client; absent = of all.
    pub client: Option<String>,
    /// Job.
    pub job: Option<String>,
    /// In the tree as of this run; absent with `as_of` absent = in every snapshot kept.
    pub job_id: Option<JobId>,
    /// In the trees as of this instant.
    pub as_of: Option<DateTime<Utc>>,
    /// Only below this path.
    pub path: Option<PathText>,
    /// 1..=1000.
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub cursor: Option<String>,
}

/// What was found: by client and job; within a job directory by directory, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Hits, the newest version of each path.
    pub items: Vec<Hit>,
    /// Cursor of the next page; absent = that was all. A page may be short, even empty, when the search went on long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// One path found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hit {
    /// Client.
    pub client: String,
    /// Job.
    pub job: String,
    /// The entry; `name` is the absolute path.
    pub entry: Entry,
    /// Newest run whose snapshot holds this version.
    pub job_id: JobId,
    /// Whether it is gone from the newest snapshot.
    #[serde(default)]
    pub removed: bool,
}

/// All versions of one path.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct VersionsQuery {
    /// Client.
    pub client: String,
    /// Absolute path, escaped form.
    pub path: PathText,
    /// Job; absent = all jobs of the client.
    pub job: Option<String>,
    /// 1..=1000.
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub cursor: Option<String>,
}

/// Versions, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// Versions.
    pub items: Vec<Version>,
    /// Cursor of the next page; absent = that was all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// One version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Job.
    pub job: String,
    /// Run that saved it first.
    pub job_id: JobId,
    /// Point in time of that run.
    pub as_of: DateTime<Utc>,
    /// Newest run whose snapshot still holds it.
    pub last_job_id: JobId,
    /// The entry; absent = the path was removed in this run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<Entry>,
}
