//! Control messages: one envelope each way on the connection a daemon keeps open to its Director.
//!
//! `request` numbers a message that wants an answer (from 1, per side); `reply_to` names the request it answers. A body
//! this version does not know decodes to `None` and is answered with [`super::fault::code::UNKNOWN`].

use prost::Message;

use super::fault::Fault;
use super::orders::{
    BackupOrder, BrowseOrder, CancelOrder, EstimateOrder, EstimateReply, LogLines, Progress,
    RestoreOrder, RunEnd,
};

/// One control message.
#[derive(Clone, PartialEq, Message)]
pub struct Envelope {
    /// Number of this request; 0 = no answer wanted.
    #[prost(uint64, tag = "1")]
    pub request: u64,
    /// Request this answers; 0 = none.
    #[prost(uint64, tag = "2")]
    pub reply_to: u64,
    /// What is said.
    #[prost(
        oneof = "Body",
        tags = "10, 11, 12, 13, 20, 21, 22, 23, 24, 25, 30, 31, 32, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50"
    )]
    pub body: Option<Body>,
}

/// Bodies of control messages.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Body {
    /// Daemon, first message.
    #[prost(message, tag = "10")]
    Hello(Hello),
    /// Director's answer to Hello.
    #[prost(message, tag = "11")]
    Welcome(Welcome),
    /// Either side: a request could not be done.
    #[prost(message, tag = "12")]
    Fault(Fault),
    /// Either side: done, nothing to tell.
    #[prost(message, tag = "13")]
    Done(Done),
    /// Director to File Daemon: start; answered by Done, then Progress, LogLines, RunEnd.
    #[prost(message, tag = "20")]
    Backup(BackupOrder),
    /// Director to File Daemon: start; answered by Done, then Progress, LogLines, RunEnd.
    #[prost(message, tag = "21")]
    Restore(RestoreOrder),
    /// Director to File or Storage Daemon: stop a run; answered by Done.
    #[prost(message, tag = "22")]
    Cancel(CancelOrder),
    /// Director to File Daemon: what would be saved; answered by EstimateReply.
    #[prost(message, tag = "23")]
    Estimate(EstimateOrder),
    /// Answer to Estimate.
    #[prost(message, tag = "24")]
    EstimateReply(EstimateReply),
    /// Director to File Daemon: list a live directory or test a path; answered by EstimateReply.
    #[prost(message, tag = "25")]
    Browse(BrowseOrder),
    /// File Daemon: how far a run is.
    #[prost(message, tag = "30")]
    Progress(Progress),
    /// Either daemon: lines for a run's log.
    #[prost(message, tag = "31")]
    LogLines(LogLines),
    /// File Daemon: a run is over on its side; repeated after a reconnect until answered by Done.
    #[prost(message, tag = "32")]
    RunEnd(RunEnd),
    /// Storage Daemon: a session reached a point.
    #[prost(message, tag = "40")]
    Session(SessionEvent),
    /// Director to Storage Daemon: what became of a run; answered by SessionState.
    #[prost(message, tag = "41")]
    SessionQuery(SessionQuery),
    /// Answer to SessionQuery.
    #[prost(message, tag = "42")]
    SessionState(SessionState),
    /// Director to Storage Daemon: pages by name; answered by PageReply.
    #[prost(message, tag = "43")]
    PageRequest(PageRequest),
    /// Answer to PageRequest.
    #[prost(message, tag = "44")]
    PageReply(PageReply),
    /// Director to Storage Daemon: snapshots present; answered by SnapshotReply.
    #[prost(message, tag = "45")]
    SnapshotRequest(SnapshotRequest),
    /// Answer to SnapshotRequest.
    #[prost(message, tag = "46")]
    SnapshotReply(SnapshotReply),
    /// Director to Storage Daemon: append a note about a snapshot; answered by Done.
    #[prost(message, tag = "47")]
    Note(NoteOrder),
    /// Storage Daemon: its volumes and space, on connect and when they change.
    #[prost(message, tag = "48")]
    StorageReport(StorageReport),
    /// Director to every daemon: certificates no longer valid.
    #[prost(message, tag = "49")]
    Revoked(Revoked),
    /// Director to Storage Daemon: send a StorageReport now.
    #[prost(message, tag = "50")]
    ReportRequest(Done),
}

/// Nothing to tell.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Done {}

/// Who a daemon is and what it can, beyond its certificate.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Hello {
    /// Protocol major.
    #[prost(uint32, tag = "1")]
    pub major: u32,
    /// Protocol minor.
    #[prost(uint32, tag = "2")]
    pub minor: u32,
    /// Software version.
    #[prost(string, tag = "3")]
    pub version: String,
    /// Label of the daemon, as it was enrolled.
    #[prost(string, tag = "4")]
    pub name: String,
    /// Host name.
    #[prost(string, tag = "5")]
    pub host: String,
    /// Operating system, e.g. `linux`.
    #[prost(string, tag = "6")]
    pub system: String,
    /// Its clock: milliseconds since the epoch.
    #[prost(int64, tag = "7")]
    pub now_ms: i64,
    /// Storage Daemon: addresses (`host:port`) where File Daemons reach it.
    #[prost(string, repeated, tag = "8")]
    pub addresses: Vec<String>,
    /// Whether it may read and restore everything (root or the capabilities for it).
    #[prost(bool, tag = "9")]
    pub privileged: bool,
    /// Folders of Holdfast itself on this machine (volumes, state, database): never backed up.
    #[prost(bytes = "vec", repeated, tag = "10")]
    pub own_folders: Vec<Vec<u8>>,
    /// JobIds of runs it still works on or has an unanswered RunEnd for.
    #[prost(uint64, repeated, tag = "11")]
    pub running: Vec<u64>,
}

/// The Director's answer.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Welcome {
    /// Protocol major.
    #[prost(uint32, tag = "1")]
    pub major: u32,
    /// Protocol minor.
    #[prost(uint32, tag = "2")]
    pub minor: u32,
    /// Software version.
    #[prost(string, tag = "3")]
    pub version: String,
    /// Current term: orders and tickets of a lower one are refused.
    #[prost(uint64, tag = "4")]
    pub term: u64,
    /// A side that hears nothing for three of these gives the connection up.
    #[prost(uint32, tag = "5")]
    pub heartbeat_ms: u32,
    /// Ed25519 public key that checks tickets (32 bytes).
    #[prost(bytes = "vec", tag = "6")]
    pub ticket_key: Vec<u8>,
    /// The Director's clock: milliseconds since the epoch.
    #[prost(int64, tag = "7")]
    pub now_ms: i64,
    /// Serial numbers of revoked certificates.
    #[prost(bytes = "vec", repeated, tag = "8")]
    pub revoked: Vec<Vec<u8>>,
    /// Folders of the Director on its host; kept out of backups by a File Daemon on the same host.
    #[prost(bytes = "vec", repeated, tag = "9")]
    pub own_folders: Vec<Vec<u8>>,
}

/// Certificates no longer valid: the whole list.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Revoked {
    /// Serial numbers.
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub serials: Vec<Vec<u8>>,
}

/// What happened to a backup session on a Storage Daemon.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct SessionEvent {
    /// JobId.
    #[prost(uint64, tag = "1")]
    pub job_id: u64,
    /// `opened`, `checkpoint`, `committed`, `closed`.
    #[prost(string, tag = "2")]
    pub what: String,
    /// `checkpoint`: root page of the finished directories so far (32 bytes).
    #[prost(bytes = "vec", tag = "3")]
    pub root: Vec<u8>,
    /// `committed`: the snapshot's stored bytes.
    #[prost(bytes = "vec", tag = "4")]
    pub snapshot: Vec<u8>,
    /// `closed`: why, when not after a commit.
    #[prost(message, optional, tag = "5")]
    pub fault: Option<Fault>,
}

/// What became of a run?
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct SessionQuery {
    /// JobId.
    #[prost(uint64, tag = "1")]
    pub job_id: u64,
}

/// What a Storage Daemon knows of a run.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct SessionState {
    /// `none`, `open`, `checkpoint` (closed with a checkpoint), `committed`.
    #[prost(string, tag = "1")]
    pub state: String,
    /// Root of the last checkpoint, empty when none.
    #[prost(bytes = "vec", tag = "2")]
    pub checkpoint: Vec<u8>,
    /// The snapshot's stored bytes when committed.
    #[prost(bytes = "vec", tag = "3")]
    pub snapshot: Vec<u8>,
}

/// Pages by name, at most 256 at once.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct PageRequest {
    /// 32 bytes each.
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub pages: Vec<Vec<u8>>,
}

/// The first pages of those asked for, in order, as many as fit 3 MiB (at least one); an empty entry = not present.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct PageReply {
    /// Page bytes, to be checked against their names.
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub pages: Vec<bytes::Bytes>,
}

/// Snapshots present on a Storage Daemon, in the order of their commits.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct SnapshotRequest {
    /// Where to go on: `next` of the last reply, 0 to start.
    #[prost(uint64, tag = "1")]
    pub from: u64,
}

/// Some snapshots.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct SnapshotReply {
    /// Stored bytes.
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub snapshots: Vec<Vec<u8>>,
    /// Where to go on; 0 = that was all.
    #[prost(uint64, tag = "2")]
    pub next: u64,
    /// Ids of snapshots that were released.
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub released: Vec<Vec<u8>>,
}

/// A decision about a snapshot. The Storage Daemon sets sequence and time.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct NoteOrder {
    /// The snapshot (32 bytes).
    #[prost(bytes = "vec", tag = "1")]
    pub snapshot: Vec<u8>,
    /// As [`crate::object::snapshot::Note::what`].
    #[prost(string, tag = "2")]
    pub what: String,
    /// Milliseconds since the epoch, where `what` has a date.
    #[prost(int64, tag = "3")]
    pub until_ms: i64,
    /// Why, in words.
    #[prost(string, tag = "4")]
    pub reason: String,
    /// Term of the order.
    #[prost(uint64, tag = "5")]
    pub term: u64,
}

/// A volume as its Storage Daemon sees it.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct VolumeReport {
    /// Name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// UUID (16 bytes).
    #[prost(bytes = "vec", tag = "2")]
    pub uuid: Vec<u8>,
    /// `data` or `pages`.
    #[prost(string, tag = "3")]
    pub holds: String,
    /// Bytes of its file.
    #[prost(uint64, tag = "4")]
    pub bytes: u64,
    /// `append`, `full` (sealed), `error`.
    #[prost(string, tag = "5")]
    pub status: String,
    /// Pool.
    #[prost(string, tag = "6")]
    pub pool: String,
    /// Made at: milliseconds since the epoch.
    #[prost(int64, tag = "7")]
    pub created_ms: i64,
}

/// Volumes and space of a Storage Daemon.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct StorageReport {
    /// All volumes.
    #[prost(message, repeated, tag = "1")]
    pub volumes: Vec<VolumeReport>,
    /// Bytes free for new volumes.
    #[prost(uint64, tag = "2")]
    pub free_bytes: u64,
    /// Bytes of the file system.
    #[prost(uint64, tag = "3")]
    pub total_bytes: u64,
    /// Chunks and pages in the index.
    #[prost(uint64, tag = "4")]
    pub chunks: u64,
}
