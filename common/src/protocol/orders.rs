//! What a Director orders a File Daemon to do, and what comes back while it does it.

use prost::Message;

use super::fault::Fault;
use crate::fileset::{Command, FileSet};
use crate::object::snapshot::Counts;

/// A Storage Daemon and how to reach it.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct StorageTarget {
    /// Its UUID (16 bytes): the certificate must say so.
    #[prost(bytes = "vec", tag = "1")]
    pub id: Vec<u8>,
    /// Its label.
    #[prost(string, tag = "2")]
    pub name: String,
    /// `host:port`, all tried in order, failures named.
    #[prost(string, repeated, tag = "3")]
    pub addresses: Vec<String>,
}

/// A tree to compare with while scanning.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct BaseTree {
    /// Snapshot id (32 bytes), empty for a checkpoint.
    #[prost(bytes = "vec", tag = "1")]
    pub snapshot: Vec<u8>,
    /// Root page (32 bytes).
    #[prost(bytes = "vec", tag = "2")]
    pub root: Vec<u8>,
}

/// Start a backup.
#[derive(Clone, PartialEq, Message)]
pub struct BackupOrder {
    /// JobId.
    #[prost(uint64, tag = "1")]
    pub job_id: u64,
    /// Term.
    #[prost(uint64, tag = "2")]
    pub term: u64,
    /// Job's name.
    #[prost(string, tag = "3")]
    pub job: String,
    /// `full`, `differential`, `incremental`: a Full reads every file, the others reuse unchanged entries.
    #[prost(string, tag = "4")]
    pub level: String,
    /// What to save.
    #[prost(message, optional, tag = "5")]
    pub fileset: Option<FileSet>,
    /// Where to.
    #[prost(message, optional, tag = "6")]
    pub storage: Option<StorageTarget>,
    /// Signed ticket for the Storage Daemon.
    #[prost(bytes = "vec", tag = "7")]
    pub ticket: Vec<u8>,
    /// Base of the run: unchanged entries are reused from it; also a Full has one, to know deletions and keep ids.
    #[prost(message, optional, tag = "8")]
    pub base: Option<BaseTree>,
    /// Checkpoint of an earlier try of this run: a second base, preferred where it is finished.
    #[prost(message, optional, tag = "9")]
    pub resume: Option<BaseTree>,
    /// zstd level 1..=19, or 0 = adaptive.
    #[prost(uint32, tag = "10")]
    pub compression: u32,
    /// Checkpoint at least each so many seconds; 0 = default (60).
    #[prost(uint32, tag = "11")]
    pub checkpoint_s: u32,
    /// UUID of the series (16 bytes): names the local state.
    #[prost(bytes = "vec", tag = "12")]
    pub series: Vec<u8>,
    /// Folders of Holdfast on this host that must never be saved.
    #[prost(bytes = "vec", repeated, tag = "13")]
    pub own_folders: Vec<Vec<u8>>,
}

/// What happens to a file that exists where one is restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum Replace {
    /// Replaced by the restored one.
    Always = 0,
    /// Replaced when the restored one has the later mtime.
    IfNewer = 1,
    /// Replaced when the restored one has the earlier mtime.
    IfOlder = 2,
    /// Replaced when size or mtime differ.
    IfChanged = 3,
    /// Kept, content and metadata.
    Never = 4,
}

/// Which entries of a tree.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Selection {
    /// Absolute paths as bytes; each stands for itself and all below. Empty = everything.
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub paths: Vec<Vec<u8>>,
    /// Globs over absolute paths (`*` does not cross `/`); only matching files (and directories above them). Empty = all.
    #[prost(string, repeated, tag = "2")]
    pub globs: Vec<String>,
    /// Regular expressions over absolute paths, as globs.
    #[prost(string, repeated, tag = "3")]
    pub regexes: Vec<String>,
    /// Paths (with all below) left out.
    #[prost(bytes = "vec", repeated, tag = "4")]
    pub excluded: Vec<Vec<u8>>,
    /// When set: only entries that differ from the tree of this root page (`--saved-by`).
    #[prost(bytes = "vec", tag = "5")]
    pub not_in_root: Vec<u8>,
}

/// Start a restore.
#[derive(Clone, PartialEq, Message)]
pub struct RestoreOrder {
    /// JobId.
    #[prost(uint64, tag = "1")]
    pub job_id: u64,
    /// Term.
    #[prost(uint64, tag = "2")]
    pub term: u64,
    /// Where from.
    #[prost(message, optional, tag = "3")]
    pub storage: Option<StorageTarget>,
    /// Signed ticket for the Storage Daemon.
    #[prost(bytes = "vec", tag = "4")]
    pub ticket: Vec<u8>,
    /// What.
    #[prost(message, optional, tag = "5")]
    pub selection: Option<Selection>,
    /// Folder that takes the tree; made when missing. `/` = in place.
    #[prost(bytes = "vec", tag = "6")]
    pub to: Vec<u8>,
    /// Leading path parts dropped.
    #[prost(bytes = "vec", tag = "7")]
    pub strip: Vec<u8>,
    /// Path put in front of what is left, below `to`.
    #[prost(bytes = "vec", tag = "8")]
    pub prefix: Vec<u8>,
    /// What happens to existing files.
    #[prost(enumeration = "Replace", tag = "9")]
    pub replace: i32,
    /// Remove what the tree does not hold, inside the restored folders.
    #[prost(bool, tag = "10")]
    pub exact: bool,
    /// `restore`, `dry-run`, `compare`.
    #[prost(string, tag = "11")]
    pub mode: String,
    /// Entries expected, for progress; 0 = unknown.
    #[prost(uint64, tag = "12")]
    pub expected_entries: u64,
    /// Content bytes expected, for progress; 0 = unknown.
    #[prost(uint64, tag = "13")]
    pub expected_bytes: u64,
    /// Commands of the job's FileSet as it is now: in place, saved output goes into the `write` program of its path.
    #[prost(message, repeated, tag = "14")]
    pub commands: Vec<Command>,
    /// FileSet of the snapshot, without its commands: `exact` removes only what it would have saved. `exact` is refused
    /// without.
    #[prost(message, optional, tag = "15")]
    pub fileset: Option<FileSet>,
    /// Folders of Holdfast on the client's host: `exact` never removes anything there.
    #[prost(bytes = "vec", repeated, tag = "16")]
    pub own_folders: Vec<Vec<u8>>,
}

/// Stop a run.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CancelOrder {
    /// JobId.
    #[prost(uint64, tag = "1")]
    pub job_id: u64,
    /// Who or what canceled it.
    #[prost(string, tag = "2")]
    pub reason: String,
}

/// What would a backup save?
#[derive(Clone, PartialEq, Message)]
pub struct EstimateOrder {
    /// The FileSet.
    #[prost(message, optional, tag = "1")]
    pub fileset: Option<FileSet>,
    /// How many paths to list, at most 10,000; 0 = counts only.
    #[prost(uint32, tag = "2")]
    pub list: u32,
    /// Folders of Holdfast on this host.
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub own_folders: Vec<Vec<u8>>,
}

/// Which rule decides about one path?
#[derive(Clone, PartialEq, Message)]
pub struct BrowseOrder {
    /// The FileSet.
    #[prost(message, optional, tag = "1")]
    pub fileset: Option<FileSet>,
    /// Absolute path on the client.
    #[prost(bytes = "vec", tag = "2")]
    pub path: Vec<u8>,
}

/// Answer to EstimateOrder and BrowseOrder.
#[derive(Clone, PartialEq, Message)]
pub struct EstimateReply {
    /// Counts: entries, files, directories, protected_bytes.
    #[prost(message, optional, tag = "1")]
    pub counts: Option<Counts>,
    /// Paths that would be saved, as many as asked for.
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub paths: Vec<Vec<u8>>,
    /// What was noticed: unreadable, skipped mounts; or the rule that decides about the path.
    #[prost(string, repeated, tag = "3")]
    pub remarks: Vec<String>,
}

/// How far a run is.
#[derive(Clone, PartialEq, Message)]
pub struct Progress {
    /// JobId.
    #[prost(uint64, tag = "1")]
    pub job_id: u64,
    /// Counts so far. Restore: entries, files, protected_bytes = written.
    #[prost(message, optional, tag = "2")]
    pub counts: Option<Counts>,
    /// What it works on, a path as bytes.
    #[prost(bytes = "vec", tag = "3")]
    pub current: Vec<u8>,
    /// Entries expected in the end; 0 = unknown.
    #[prost(uint64, tag = "4")]
    pub expected_entries: u64,
    /// Bytes expected in the end; 0 = unknown.
    #[prost(uint64, tag = "5")]
    pub expected_bytes: u64,
    /// What the run waits for, empty when it moves.
    #[prost(string, tag = "6")]
    pub waiting: String,
}

/// How grave a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum Severity {
    /// For the record.
    Info = 0,
    /// Worth knowing; changes no status.
    Notice = 1,
    /// Something was not saved or not restored: status "warnings".
    Warning = 2,
    /// The run failed.
    Error = 3,
}

/// One line of a run's log.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct LogLine {
    /// Milliseconds since the epoch, by the daemon's clock: for display.
    #[prost(int64, tag = "1")]
    pub at_ms: i64,
    /// [`Severity`]
    #[prost(enumeration = "Severity", tag = "2")]
    pub severity: i32,
    /// One line, names shown escaped.
    #[prost(string, tag = "3")]
    pub text: String,
}

/// Lines for a run's log.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct LogLines {
    /// JobId.
    #[prost(uint64, tag = "1")]
    pub job_id: u64,
    /// In order.
    #[prost(message, repeated, tag = "2")]
    pub lines: Vec<LogLine>,
}

/// A run is over on the File Daemon's side.
#[derive(Clone, PartialEq, Message)]
pub struct RunEnd {
    /// JobId.
    #[prost(uint64, tag = "1")]
    pub job_id: u64,
    /// `ok`, `warnings`, `error`, `canceled`, `incomplete` (lost the storage; can be resumed).
    #[prost(string, tag = "2")]
    pub outcome: String,
    /// Counts.
    #[prost(message, optional, tag = "3")]
    pub counts: Option<Counts>,
    /// Snapshot id from the receipt (32 bytes); empty when none or a restore.
    #[prost(bytes = "vec", tag = "4")]
    pub snapshot: Vec<u8>,
    /// Why, when not ok or warnings.
    #[prost(message, optional, tag = "5")]
    pub fault: Option<Fault>,
}
