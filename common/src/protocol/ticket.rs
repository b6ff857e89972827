//! Tickets: what a Director allows a client at a Storage Daemon, signed, checked there without asking the Director.
//!
//! Stored in the ticket: everything the snapshot will say that a client must not choose. Encoding: a protobuf message
//! and an Ed25519 signature over `holdfast ticket v1` and its bytes.

use prost::Message;

use crate::codec::DecodeError;

/// Prefix of the signed bytes: a ticket's signature is good for nothing else.
pub const CONTEXT: &[u8] = b"holdfast ticket v1\0";

/// A signed ticket on the wire.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct SignedTicket {
    /// [`Ticket`] bytes, exactly as signed.
    #[prost(bytes = "vec", tag = "1")]
    pub ticket: Vec<u8>,
    /// Ed25519 signature (64 bytes).
    #[prost(bytes = "vec", tag = "2")]
    pub signature: Vec<u8>,
}

impl SignedTicket {
    /// The bytes that are signed.
    #[must_use]
    pub fn signed_bytes(ticket: &[u8]) -> Vec<u8> {
        [CONTEXT, ticket].concat()
    }

    /// Reads a peer's bytes; trusts nothing yet.
    ///
    /// # Errors
    /// Not a signed ticket.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode(bytes).map_err(|_| DecodeError::Range { what: "ticket" })
    }
}

/// What is allowed.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Ticket {
    /// `backup` (append, and read pages of its own base) or `restore` (read what one root reaches).
    #[prost(string, tag = "1")]
    pub what: String,
    /// JobId.
    #[prost(uint64, tag = "2")]
    pub job_id: u64,
    /// Term.
    #[prost(uint64, tag = "3")]
    pub term: u64,
    /// UUID of the client whose certificate may use it (16 bytes).
    #[prost(bytes = "vec", tag = "4")]
    pub client_id: Vec<u8>,
    /// UUID of the Storage Daemon it is for (16 bytes).
    #[prost(bytes = "vec", tag = "5")]
    pub storage_id: Vec<u8>,
    /// Not after: milliseconds since the epoch.
    #[prost(int64, tag = "6")]
    pub expires_ms: i64,
    /// Backup: pool to write to.
    #[prost(string, tag = "7")]
    pub pool: String,
    /// Backup: series (16 bytes).
    #[prost(bytes = "vec", tag = "8")]
    pub series: Vec<u8>,
    /// Backup: number in the series.
    #[prost(uint64, tag = "9")]
    pub number: u64,
    /// Backup: base snapshot (32 bytes), empty when none.
    #[prost(bytes = "vec", tag = "10")]
    pub base: Vec<u8>,
    /// Backup: roots whose pages may be read (base and resume; 32 bytes each). Restore: the one root to read.
    #[prost(bytes = "vec", repeated, tag = "11")]
    pub roots: Vec<Vec<u8>>,
    /// Job's name.
    #[prost(string, tag = "12")]
    pub job: String,
    /// Client's name.
    #[prost(string, tag = "13")]
    pub client: String,
    /// FileSet as text.
    #[prost(string, tag = "14")]
    pub fileset: String,
    /// Level.
    #[prost(string, tag = "15")]
    pub level: String,
    /// Why this level.
    #[prost(string, tag = "16")]
    pub level_reason: String,
    /// Start by the Director's clock: milliseconds since the epoch.
    #[prost(int64, tag = "17")]
    pub started_ms: i64,
    /// Keep until: milliseconds since the epoch, 0 = for ever.
    #[prost(int64, tag = "18")]
    pub keep_until_ms: i64,
}
