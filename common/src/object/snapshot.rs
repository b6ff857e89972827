//! Snapshot: what one run stored, as one small immutable object; and notes, the later decisions about it.
//!
//! Encoding: magic `HFSN`/`HFNT`, version byte, then a protobuf message: numbered fields, unknown ones ignored, so that
//! later versions add without breaking readers. A snapshot's name is the BLAKE3 of these bytes.

use prost::Message;

use crate::codec::{DecodeError, Reader};
use crate::ids::{PageId, SnapshotId};

const SNAPSHOT_MAGIC: [u8; 4] = *b"HFSN";
const NOTE_MAGIC: [u8; 4] = *b"HFNT";
const VERSION: u8 = 1;

/// Counts of a run; bytes unless the name says otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Message, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Entries of any kind in the snapshot.
    #[prost(uint64, tag = "1")]
    pub entries: u64,
    /// Regular files in the snapshot.
    #[prost(uint64, tag = "2")]
    pub files: u64,
    /// Directories in the snapshot.
    #[prost(uint64, tag = "3")]
    pub directories: u64,
    /// Content bytes of all files in the snapshot: protected.
    #[prost(uint64, tag = "4")]
    pub protected_bytes: u64,
    /// Content bytes read from the client in this run.
    #[prost(uint64, tag = "5")]
    pub read_bytes: u64,
    /// Bytes sent to storage, as sent.
    #[prost(uint64, tag = "6")]
    pub sent_bytes: u64,
    /// Bytes added to volumes.
    #[prost(uint64, tag = "7")]
    pub stored_bytes: u64,
    /// Files whose content was read in this run.
    #[prost(uint64, tag = "8")]
    pub files_read: u64,
    /// Entries new since the base.
    #[prost(uint64, tag = "9")]
    pub new_entries: u64,
    /// Entries changed since the base.
    #[prost(uint64, tag = "10")]
    pub changed_entries: u64,
    /// Entries of the base that are gone.
    #[prost(uint64, tag = "11")]
    pub removed_entries: u64,
    /// Files that could not be saved: each is a warning.
    #[prost(uint64, tag = "12")]
    pub unsaved: u64,
    /// Files that vanished while the run went on: notices.
    #[prost(uint64, tag = "13")]
    pub vanished: u64,
    /// Files that changed while they were read.
    #[prost(uint64, tag = "14")]
    pub changed_while_read: u64,
}

/// What one run stored.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Snapshot {
    /// Top page of the tree whose root is `/` (32 bytes).
    #[prost(bytes = "vec", tag = "1")]
    pub root: Vec<u8>,
    /// JobId of the run.
    #[prost(uint64, tag = "2")]
    pub job_id: u64,
    /// Name of the job.
    #[prost(string, tag = "3")]
    pub job: String,
    /// UUID of the client (16 bytes).
    #[prost(bytes = "vec", tag = "4")]
    pub client_id: Vec<u8>,
    /// Name of the client.
    #[prost(string, tag = "5")]
    pub client: String,
    /// UUID of the series (16 bytes).
    #[prost(bytes = "vec", tag = "6")]
    pub series: Vec<u8>,
    /// Number in the series, from 1, never reused; 0 = incomplete, outside the series.
    #[prost(uint64, tag = "7")]
    pub number: u64,
    /// Level that was run: `full`, `differential`, `incremental`.
    #[prost(string, tag = "8")]
    pub level: String,
    /// Why this level, in words.
    #[prost(string, tag = "9")]
    pub level_reason: String,
    /// The FileSet as text.
    #[prost(string, tag = "10")]
    pub fileset: String,
    /// Start, by the Director's clock: milliseconds since the epoch.
    #[prost(int64, tag = "11")]
    pub started_ms: i64,
    /// End of the scan, by the Storage Daemon's clock: milliseconds since the epoch.
    #[prost(int64, tag = "12")]
    pub finished_ms: i64,
    /// Counts.
    #[prost(message, optional, tag = "13")]
    pub counts: Option<Counts>,
    /// Base snapshot (32 bytes), empty when none.
    #[prost(bytes = "vec", tag = "14")]
    pub base: Vec<u8>,
    /// Name of the pool it was written to.
    #[prost(string, tag = "15")]
    pub pool: String,
    /// Volumes this run wrote to, by name.
    #[prost(string, repeated, tag = "16")]
    pub volumes: Vec<String>,
    /// Keep until: milliseconds since the epoch, 0 = for ever (until a note says otherwise).
    #[prost(int64, tag = "17")]
    pub keep_until_ms: i64,
    /// Attributes of `/` itself: an encoded entry, empty when not captured.
    #[prost(bytes = "vec", tag = "18")]
    pub root_entry: Vec<u8>,
    /// Whether this is the snapshot of an unfinished run.
    #[prost(bool, tag = "19")]
    pub incomplete: bool,
    /// Operating system of the client, e.g. `linux`.
    #[prost(string, tag = "20")]
    pub system: String,
    /// Host name of the client.
    #[prost(string, tag = "21")]
    pub host: String,
    /// Start of the scan by the client's clock, the one that is compared with its files' times; 0 = unknown.
    #[prost(int64, tag = "22")]
    pub scanned_ms: i64,
}

impl Snapshot {
    /// The root page.
    ///
    /// # Errors
    /// When the field is not 32 bytes.
    pub fn root_page(&self) -> Result<PageId, DecodeError> {
        PageId::from_slice(&self.root).map_err(|_| DecodeError::Range { what: "root page" })
    }

    /// The stored bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        sealed(SNAPSHOT_MAGIC, self)
    }

    /// Reads stored bytes.
    ///
    /// # Errors
    /// When they are not a snapshot this version reads.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        open(SNAPSHOT_MAGIC, "snapshot", bytes)
    }

    /// Name of the snapshot.
    #[must_use]
    pub fn id(&self) -> SnapshotId {
        SnapshotId::of(&self.to_bytes())
    }
}

/// A later decision about a snapshot, appended to a volume.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Note {
    /// The snapshot (32 bytes).
    #[prost(bytes = "vec", tag = "1")]
    pub snapshot: Vec<u8>,
    /// The Storage Daemon's sequence: later notes win.
    #[prost(uint64, tag = "2")]
    pub sequence: u64,
    /// When, by the Storage Daemon's clock: milliseconds since the epoch.
    #[prost(int64, tag = "3")]
    pub at_ms: i64,
    /// `release`, `keep_until`, `hold`, `unhold`, `lock`, `damaged`, `verified`.
    #[prost(string, tag = "4")]
    pub what: String,
    /// For `keep_until` and `lock`: milliseconds since the epoch.
    #[prost(int64, tag = "5")]
    pub until_ms: i64,
    /// Why, in words.
    #[prost(string, tag = "6")]
    pub reason: String,
}

impl Note {
    /// The stored bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        sealed(NOTE_MAGIC, self)
    }

    /// Reads stored bytes.
    ///
    /// # Errors
    /// When they are not a note this version reads.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        open(NOTE_MAGIC, "note", bytes)
    }
}

fn sealed(magic: [u8; 4], message: &impl Message) -> Vec<u8> {
    let mut out = Vec::with_capacity(5 + message.encoded_len());
    out.extend_from_slice(&magic);
    out.push(VERSION);
    message.encode_raw(&mut out);
    out
}

fn open<M: Message + Default>(
    magic: [u8; 4],
    what: &'static str,
    bytes: &[u8],
) -> Result<M, DecodeError> {
    let mut r = Reader::new(bytes);
    if r.array::<4>(what)? != magic {
        return Err(DecodeError::Magic { what });
    }
    let version = r.u8(what)?;
    if version != VERSION {
        return Err(DecodeError::Version {
            what,
            version: version.into(),
        });
    }
    let body = r.bytes(r.remaining(), what)?;
    M::decode(body).map_err(|_| DecodeError::Range { what })
}
