//! Restore data messages. The Storage Daemon walks the tree and streams it in windows of bounded size; the File Daemon
//! writes. One window: Items (entries in walk order), AttributeValue, then Delivery in media order, WindowEnd. The
//! sender keeps at most two windows unanswered.

use bytes::{Buf, Bytes};
use prost::Message;

use super::orders::Selection;
use crate::codec::{DecodeError, Reader, put_prefixed, put_varint};
use crate::ids::ChunkId;
use crate::object::entry::Entry;
use crate::object::link::ChunkRef;
use crate::object::page::{Page, encode_leaf};
use crate::object::segment::{Codec, MAX_SLOTS, Segment, decode_slots};

/// Opens a restore connection; answered by Opened, then the stream.
#[derive(Clone, PartialEq, Message)]
pub struct OpenRestore {
    /// Protocol major.
    #[prost(uint32, tag = "1")]
    pub major: u32,
    /// Protocol minor.
    #[prost(uint32, tag = "2")]
    pub minor: u32,
    /// Signed ticket.
    #[prost(bytes = "vec", tag = "3")]
    pub ticket: Vec<u8>,
    /// Which entries.
    #[prost(message, optional, tag = "4")]
    pub selection: Option<Selection>,
    /// `content` (all), `names` (Items only: dry run), `chunks` (Items and ChunkNames: compare).
    #[prost(string, tag = "5")]
    pub mode: String,
}

/// One step of the walk.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// An entry of directory `parent` (0 = the root `/`). Directories become parents under their own number.
    Entry {
        /// Its number, ascending from 1 over the whole restore.
        number: u64,
        /// Number of its directory.
        parent: u64,
        /// The entry; a directory's content link is meaningless here.
        entry: Box<Entry>,
        /// Whether it is only the path to something selected: made when missing, its attributes not applied to what exists.
        implied: bool,
    },
    /// All below directory `number` has been sent.
    DirectoryEnd {
        /// The directory.
        number: u64,
    },
}

/// Some steps of the walk.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Items(pub Vec<Item>);

impl Items {
    /// Raw bytes: per item a kind byte (0 end, 1 entry, 2 implied entry), numbers, and the entry as a page of one.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.0.len() * 160);
        for item in &self.0 {
            match item {
                Item::DirectoryEnd { number } => {
                    out.push(0);
                    put_varint(&mut out, *number);
                }
                Item::Entry {
                    number,
                    parent,
                    entry,
                    implied,
                } => {
                    out.push(1 + u8::from(*implied));
                    put_varint(&mut out, *number);
                    put_varint(&mut out, *parent);
                    put_prefixed(&mut out, &encode_leaf(std::slice::from_ref(entry)));
                }
            }
        }
        out
    }

    /// Reads raw bytes.
    ///
    /// # Errors
    /// Malformed.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(body);
        let mut items = Vec::new();
        while !r.is_empty() {
            let kind = r.u8("item kind")?;
            let number = r.varint("item number")?;
            items.push(match kind {
                0 => Item::DirectoryEnd { number },
                1 | 2 => {
                    let parent = r.varint("item parent")?;
                    let page = Page::decode(
                        r.prefixed(crate::object::page::MAX_PAGE_BYTES, "item entry")?,
                    )?;
                    let Page::Leaf(mut entries) = page else {
                        return Err(DecodeError::Range { what: "item entry" });
                    };
                    let (Some(entry), true) = (entries.pop(), entries.is_empty()) else {
                        return Err(DecodeError::Range { what: "item entry" });
                    };
                    Item::Entry {
                        number,
                        parent,
                        entry: Box::new(entry),
                        implied: kind == 2,
                    }
                }
                _ => return Err(DecodeError::Range { what: "item kind" }),
            });
        }
        Ok(Self(items))
    }
}

/// The value of an attribute that is stored as a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeValue {
    /// The entry.
    pub number: u64,
    /// The attribute.
    pub tag: u32,
    /// Its value.
    pub value: Vec<u8>,
}

impl AttributeValue {
    /// Raw bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.value.len() + 16);
        put_varint(&mut out, self.number);
        put_varint(&mut out, u64::from(self.tag));
        out.extend_from_slice(&self.value);
        out
    }

    /// Reads raw bytes.
    ///
    /// # Errors
    /// Truncated.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(body);
        let (number, tag) = (r.varint("item number")?, r.varint32("attribute tag")?);
        Ok(Self {
            number,
            tag,
            value: r.bytes(r.remaining(), "attribute value")?.to_vec(),
        })
    }
}

/// Where a chunk of a delivered segment belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// Slot in the segment.
    pub slot: u32,
    /// Entry it belongs to.
    pub number: u64,
    /// Offset in the entry's content stream (not counting holes).
    pub offset: u64,
}

/// A segment as it lies on the volume, and what of it belongs where. Slots that are not placed are not wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The segment.
    pub segment: Segment,
    /// At least one.
    pub placements: Vec<Placement>,
}

impl Delivery {
    /// Everything before the payload: codec, slot count, slots, placement count, placements.
    #[must_use]
    pub fn encode_head(&self) -> Vec<u8> {
        let mut out =
            Vec::with_capacity(16 + self.segment.slots.len() * 36 + self.placements.len() * 8);
        out.push(self.segment.codec as u8);
        out.extend_from_slice(&(self.segment.slots.len() as u32).to_le_bytes());
        self.segment.encode_slots(&mut out);
        put_varint(&mut out, self.placements.len() as u64);
        for p in &self.placements {
            put_varint(&mut out, u64::from(p.slot));
            put_varint(&mut out, p.number);
            put_varint(&mut out, p.offset);
        }
        out
    }

    /// Reads a frame body without copying the payload.
    ///
    /// # Errors
    /// Malformed, or a placement outside the slots.
    pub fn decode(mut body: Bytes) -> Result<Self, DecodeError> {
        let mut r = Reader::new(&body);
        let codec = Codec::from_u8(r.u8("codec")?)?;
        let count = r.u32("slot count")?;
        let slots = decode_slots(&mut r, count)?;
        let wanted = r.varint("placements")?;
        let range = DecodeError::Range { what: "placements" };
        // A chunk may belong to many files, but each placement takes at least 3 bytes of the body.
        if wanted == 0 || wanted > (r.remaining() / 3) as u64 || slots.len() > MAX_SLOTS {
            return Err(range);
        }
        let mut placements = Vec::with_capacity(wanted as usize);
        for _ in 0..wanted {
            let p = Placement {
                slot: r.varint32("slot")?,
                number: r.varint("item number")?,
                offset: r.varint("offset")?,
            };
            if p.slot as usize >= slots.len() {
                return Err(range);
            }
            placements.push(p);
        }
        let head = body.len() - r.remaining();
        body.advance(head);
        Ok(Self {
            segment: Segment {
                codec,
                slots,
                payload: body,
            },
            placements,
        })
    }
}

/// Names of an entry's chunks, in order from content offset `offset`, for comparing a live file without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkNames {
    /// The entry.
    pub number: u64,
    /// Content offset of the first.
    pub offset: u64,
    /// Chunks.
    pub chunks: Vec<ChunkRef>,
}

impl ChunkNames {
    /// Raw bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.chunks.len() * 36 + 20);
        put_varint(&mut out, self.number);
        put_varint(&mut out, self.offset);
        for c in &self.chunks {
            out.extend_from_slice(&c.id.0);
            out.extend_from_slice(&c.len.to_le_bytes());
        }
        out
    }

    /// Reads raw bytes.
    ///
    /// # Errors
    /// Malformed.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(body);
        let (number, offset) = (r.varint("item number")?, r.varint("offset")?);
        let mut chunks = Vec::with_capacity(r.remaining() / 36);
        while !r.is_empty() {
            chunks.push(ChunkRef {
                id: ChunkId(r.array("chunk id")?),
                len: r.u32("chunk length")?,
            });
        }
        Ok(Self {
            number,
            offset,
            chunks,
        })
    }
}

/// Content or a subtree that cannot be delivered.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Lost {
    /// The entry (a file: its content; a directory: something below it).
    #[prost(uint64, tag = "1")]
    pub number: u64,
    /// What is damaged, in words: volume, offset.
    #[prost(string, tag = "2")]
    pub reason: String,
}

/// A window of the stream.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Window {
    /// From 1.
    #[prost(uint64, tag = "1")]
    pub number: u64,
}

/// All was sent.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct RestoreEnd {
    /// Entries sent.
    #[prost(uint64, tag = "1")]
    pub entries: u64,
    /// Content bytes sent, plain.
    #[prost(uint64, tag = "2")]
    pub bytes: u64,
    /// Lost messages sent.
    #[prost(uint64, tag = "3")]
    pub lost: u64,
}
