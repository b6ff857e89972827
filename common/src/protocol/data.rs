//! Backup data messages between a File Daemon and a Storage Daemon.
//!
//! Raw messages carry ids and payloads without a copy; the rest are protobuf. Order on one connection: Open, then any
//! mix of Ask, Segment, Pages, PageGet, Checkpoint, at last Commit. Several connections of one session (`connection`
//! 0, 1, ...) share it; only connection 0 says Checkpoint and Commit, after all Acks arrived.

use bytes::{Buf, Bytes};
use prost::Message;

use crate::codec::{DecodeError, Reader};
use crate::ids::ChunkId;
use crate::object::segment::{Codec, Segment, decode_slots};
use crate::object::snapshot::Counts;

/// Most ids of one Ask or PageGet.
pub const MAX_ASK: usize = 4096;

/// Opens a data connection.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Open {
    /// Protocol major.
    #[prost(uint32, tag = "1")]
    pub major: u32,
    /// Protocol minor.
    #[prost(uint32, tag = "2")]
    pub minor: u32,
    /// Signed ticket.
    #[prost(bytes = "vec", tag = "3")]
    pub ticket: Vec<u8>,
    /// Ordinal of this connection in its session.
    #[prost(uint32, tag = "4")]
    pub connection: u32,
}

/// Answer to Open.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Opened {
    /// Session number.
    #[prost(uint64, tag = "1")]
    pub session: u64,
    /// Most payload bytes that may be under way without an Ack.
    #[prost(uint64, tag = "2")]
    pub window_bytes: u64,
    /// Whether the base is present and whole; when not, the client must treat the run as having no base.
    #[prost(bool, tag = "3")]
    pub base_present: bool,
    /// Whether the ticket's second root (a checkpoint to resume from) is present.
    #[prost(bool, tag = "4")]
    pub resume_present: bool,
    /// `scanned_ms` of the base's snapshot, for a client that lost its own note of it; 0 = unknown.
    #[prost(int64, tag = "5")]
    pub base_scanned_ms: i64,
}

/// Ids, numbered: "which of these do you have?"
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Number of the batch, from 0, ascending.
    pub batch: u32,
    /// 1..=[`MAX_ASK`] ids.
    pub ids: Vec<ChunkId>,
}

impl Ask {
    /// Raw bytes: batch u32, ids.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(4 + self.ids.len() * 32);
        out.extend_from_slice(&self.batch.to_le_bytes());
        self.ids.iter().for_each(|id| out.extend_from_slice(&id.0));
        out
    }

    /// Reads raw bytes.
    ///
    /// # Errors
    /// Not a whole number of ids, none, or too many.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(body);
        let batch = r.u32("ask batch")?;
        let (ids, rest) = r.bytes(r.remaining(), "ids")?.as_chunks::<32>();
        if !rest.is_empty() || ids.is_empty() || ids.len() > MAX_ASK {
            return Err(DecodeError::Range {
                what: "number of ids",
            });
        }
        Ok(Self {
            batch,
            ids: ids.iter().copied().map(ChunkId).collect(),
        })
    }
}

/// Answer to Ask: bit i (lowest first) of byte i/8 set = present, need not be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Number of the batch.
    pub batch: u32,
    /// One bit per id of the Ask.
    pub have: Vec<u8>,
}

impl Answer {
    /// Raw bytes: batch u32, bitmap.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(4 + self.have.len());
        out.extend_from_slice(&self.batch.to_le_bytes());
        out.extend_from_slice(&self.have);
        out
    }

    /// Reads raw bytes.
    ///
    /// # Errors
    /// Too long.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(body);
        let batch = r.u32("answer batch")?;
        let have = r.bytes(r.remaining(), "answer")?;
        if have.len() > MAX_ASK.div_ceil(8) {
            return Err(DecodeError::Range {
                what: "answer length",
            });
        }
        Ok(Self {
            batch,
            have: have.to_vec(),
        })
    }

    /// Whether id `n` of the Ask is present; beyond the answer = no.
    #[must_use]
    pub fn has(&self, n: usize) -> bool {
        self.have
            .get(n / 8)
            .is_some_and(|byte| byte >> (n % 8) & 1 == 1)
    }
}

/// A numbered segment: content (frame type Segment) or pages (frame types Pages, PageData).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// Number on this connection, from 1, ascending by 1 over Segment and Pages together. PageData: the batch.
    pub sequence: u64,
    /// The segment. For pages: slots name pages.
    pub segment: Segment,
}

impl Load {
    /// Everything before the payload: sequence u64, codec u8, 3 zero bytes, slot count u32, slots. The payload follows.
    #[must_use]
    pub fn encode_head(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16 + self.segment.slots.len() * 36);
        out.extend_from_slice(&self.sequence.to_le_bytes());
        out.extend_from_slice(&[self.segment.codec as u8, 0, 0, 0]);
        out.extend_from_slice(&(self.segment.slots.len() as u32).to_le_bytes());
        self.segment.encode_slots(&mut out);
        out
    }

    /// Reads a frame body without copying the payload. The payload may be no longer than its plain bytes plus 64 KiB.
    ///
    /// # Errors
    /// Limits exceeded or truncated.
    pub fn decode(mut body: Bytes) -> Result<Self, DecodeError> {
        let mut r = Reader::new(&body);
        let sequence = r.u64("sequence")?;
        let [codec, ..] = r.array::<4>("codec")?;
        let codec = Codec::from_u8(codec)?;
        let count = r.u32("slot count")?;
        let slots = decode_slots(&mut r, count)?;
        let head = body.len() - r.remaining();
        body.advance(head);
        let segment = Segment {
            codec,
            slots,
            payload: body,
        };
        if segment.payload.len() > segment.plain_bytes() + (64 << 10) {
            return Err(DecodeError::Range {
                what: "payload length",
            });
        }
        Ok(Self { sequence, segment })
    }
}

/// All loads up to `sequence` of this connection are verified and appended (durable only with the next checkpoint or
/// commit); `stored_bytes` is what the volumes grew by for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    /// Last load.
    pub sequence: u64,
    /// Volume bytes so far in this session.
    pub stored_bytes: u64,
}

impl Ack {
    /// Raw bytes: two u64.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        [self.sequence.to_le_bytes(), self.stored_bytes.to_le_bytes()].concat()
    }

    /// Reads raw bytes.
    ///
    /// # Errors
    /// Not 16 bytes.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(body);
        let ack = Self {
            sequence: r.u64("ack")?,
            stored_bytes: r.u64("ack")?,
        };
        r.finish("ack").map(|()| ack)
    }
}

/// Everything sent so far shall be durable, and `root` be remembered as the run's checkpoint.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Checkpoint {
    /// Root page of the finished directories; empty = only make durable.
    #[prost(bytes = "vec", tag = "1")]
    pub root: Vec<u8>,
    /// Counts so far.
    #[prost(message, optional, tag = "2")]
    pub counts: Option<Counts>,
}

/// Answer to Checkpoint.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Checkpointed {}

/// The tree is whole: make it a snapshot.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Commit {
    /// Root page (32 bytes).
    #[prost(bytes = "vec", tag = "1")]
    pub root: Vec<u8>,
    /// Counts; the Storage Daemon sets `stored_bytes` itself.
    #[prost(message, optional, tag = "2")]
    pub counts: Option<Counts>,
    /// As in the snapshot.
    #[prost(bytes = "vec", tag = "3")]
    pub root_entry: Vec<u8>,
    /// As in the snapshot.
    #[prost(string, tag = "4")]
    pub system: String,
    /// As in the snapshot.
    #[prost(string, tag = "5")]
    pub host: String,
    /// As in the snapshot.
    #[prost(int64, tag = "6")]
    pub scanned_ms: i64,
}

/// The snapshot is durable in a volume.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Receipt {
    /// Its stored bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub snapshot: Vec<u8>,
}
