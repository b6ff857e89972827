//! Before a backup: what would be saved, and which rule decides about a path. Both ask the client.

use serde::{Deserialize, Serialize};

use super::text::PathText;

/// What would a job save?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EstimateRequest {
    /// Job.
    pub job: String,
    /// One of its clients; may be absent when it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// How many paths to list, at most 10,000.
    #[serde(default)]
    pub list: u32,
}

/// What would be saved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// Client that was asked.
    pub client: String,
    /// Entries of any kind.
    pub entries: u64,
    /// Regular files.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// Content bytes.
    pub bytes: u64,
    /// Paths, as many as asked for.
    #[serde(default)]
    pub paths: Vec<PathText>,
    /// What was noticed: unreadable, mounts left out.
    #[serde(default)]
    pub remarks: Vec<String>,
}

/// Which rule decides?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilesetTest {
    /// Client that is asked.
    pub client: String,
    /// Absolute path on it, escaped form.
    pub path: PathText,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilesetVerdict {
    /// FileSet.
    pub fileset: String,
    /// The path.
    pub path: PathText,
    /// Whether it would be saved.
    pub saved: bool,
    /// The rule or the fact that decides, with `file:line`, in words.
    pub reason: String,
}
