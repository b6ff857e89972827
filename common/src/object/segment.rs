//! Segment: chunks that arrived together, joined and compressed as one frame. Unit of compression, transfer and I/O.
//!
//! A segment is a slot table (id and plain length of each chunk, in order) and a payload. The payload travels and is
//! stored exactly as the client made it. Invariant: nothing counts as present before [`Segment::open`] decoded it and
//! re-hashed every chunk.

use std::cell::RefCell;

use bytes::Bytes;

use crate::codec::{DecodeError, Reader};
use crate::ids::ChunkId;

/// Longest chunk.
pub const MAX_CHUNK_BYTES: usize = 8 << 20;
/// A segment is closed once it holds this many plain bytes.
pub const SEGMENT_BYTES: usize = 1 << 20;
/// Most plain bytes of one segment: one chunk more than a full one.
pub const MAX_SEGMENT_BYTES: usize = MAX_CHUNK_BYTES + SEGMENT_BYTES;
/// Most chunks of one segment.
pub const MAX_SLOTS: usize = 16 << 10;
/// Bytes of one slot on wire and disk.
pub const SLOT_BYTES: usize = 36;

/// How a payload is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Codec {
    /// As it is.
    Stored = 0,
    /// One LZ4 block.
    Lz4 = 1,
    /// One zstd frame.
    Zstd = 2,
}

impl Codec {
    /// From its stored byte.
    ///
    /// # Errors
    /// Unknown value.
    pub fn from_u8(byte: u8) -> Result<Self, DecodeError> {
        match byte {
            0 => Ok(Self::Stored),
            1 => Ok(Self::Lz4),
            2 => Ok(Self::Zstd),
            _ => Err(DecodeError::Range { what: "codec" }),
        }
    }
}

/// One chunk in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// Name of the chunk (or page).
    pub id: ChunkId,
    /// Plain bytes, at least 1.
    pub len: u32,
}

/// A segment as it travels and lies on a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// How the payload is coded.
    pub codec: Codec,
    /// Chunks in payload order.
    pub slots: Vec<Slot>,
    /// Coded bytes.
    pub payload: Bytes,
}

/// Why a segment was refused.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The payload does not decode to the announced length.
    #[error("payload does not decode to the {expected} bytes announced")]
    Undecodable {
        /// Announced plain bytes.
        expected: usize,
    },
    /// A chunk's bytes do not have the announced name.
    #[error("chunk {id} in slot {slot} has other content than its name says")]
    WrongContent {
        /// Announced id.
        id: ChunkId,
        /// Its ordinal.
        slot: usize,
    },
}

impl Segment {
    /// Sum of the slots' plain lengths.
    #[must_use]
    pub fn plain_bytes(&self) -> usize {
        self.slots.iter().map(|s| s.len as usize).sum()
    }

    /// Appends the slot table.
    pub fn encode_slots(&self, out: &mut Vec<u8>) {
        for slot in &self.slots {
            out.extend_from_slice(&slot.id.0);
            out.extend_from_slice(&slot.len.to_le_bytes());
        }
    }

    /// Decodes into `plain` (reused between calls) and checks every chunk against its name.
    ///
    /// # Errors
    /// [`OpenError`]
    pub fn open(&self, plain: &mut Vec<u8>) -> Result<(), OpenError> {
        self.decode(plain)?;
        let mut rest = plain.as_slice();
        for (slot, Slot { id, len }) in self.slots.iter().enumerate() {
            let (chunk, tail) = rest.split_at(*len as usize);
            if ChunkId::of(chunk) != *id {
                return Err(OpenError::WrongContent { id: *id, slot });
            }
            rest = tail;
        }
        Ok(())
    }

    /// Decodes into `plain` without hashing: for bytes whose names are checked elsewhere.
    ///
    /// # Errors
    /// [`OpenError::Undecodable`]
    pub fn decode(&self, plain: &mut Vec<u8>) -> Result<(), OpenError> {
        decode_payload(self.codec, &self.payload, self.plain_bytes(), plain)
    }

    /// Decodes a payload that is known to be altered as far as it goes; the rest is zeroes. Which slots are right is for
    /// their names to say.
    #[must_use]
    pub fn decode_damaged(&self) -> Vec<u8> {
        let mut plain = vec![0; self.plain_bytes()];
        match self.codec {
            Codec::Stored => {
                let len = plain.len().min(self.payload.len());
                plain[..len].copy_from_slice(&self.payload[..len]);
            }
            // Whatever came before the error is in the buffer.
            Codec::Lz4 => {
                let _ = lz4_flex::block::decompress_into(&self.payload, &mut plain);
            }
            Codec::Zstd => {
                if let Ok(mut decoder) = zstd::stream::read::Decoder::new(self.payload.as_ref()) {
                    let _ = std::io::Read::read_exact(&mut decoder, &mut plain);
                }
            }
        }
        plain
    }
}

/// Decodes a payload of exactly `expected` plain bytes into `plain`.
///
/// # Errors
/// [`OpenError::Undecodable`]
pub fn decode_payload(
    codec: Codec,
    payload: &[u8],
    expected: usize,
    plain: &mut Vec<u8>,
) -> Result<(), OpenError> {
    let got = match codec {
        Codec::Stored => {
            plain.clear();
            plain.extend_from_slice(payload);
            Some(payload.len())
        }
        Codec::Lz4 => {
            plain.resize(expected, 0);
            lz4_flex::block::decompress_into(payload, plain).ok()
        }
        Codec::Zstd => {
            plain.clear();
            plain.reserve(expected);
            decode_zstd(payload, plain)
        }
    };
    if got == Some(expected) {
        Ok(())
    } else {
        Err(OpenError::Undecodable { expected })
    }
}

/// Decodes one frame into the capacity of `plain`, with a decoder that each thread keeps: its tables are 100 KiB.
fn decode_zstd(payload: &[u8], plain: &mut Vec<u8>) -> Option<usize> {
    thread_local! {
        static DECODER: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
    }
    DECODER.with_borrow_mut(|kept| {
        let decoder = match kept {
            Some(decoder) => decoder,
            None => kept.insert(zstd::bulk::Decompressor::new().ok()?),
        };
        decoder.decompress_to_buffer(payload, plain).ok()
    })
}

/// Reads a slot table of a peer or a volume.
///
/// # Errors
/// Empty, over a limit, or truncated.
pub fn decode_slots(r: &mut Reader<'_>, count: u32) -> Result<Vec<Slot>, DecodeError> {
    let count = count as usize;
    if count == 0 || count > MAX_SLOTS || r.remaining() < count * SLOT_BYTES {
        return Err(DecodeError::Range { what: "slot count" });
    }
    let mut plain = 0usize;
    let mut slots = Vec::with_capacity(count);
    for _ in 0..count {
        let slot = Slot {
            id: ChunkId(r.array("slot id")?),
            len: r.u32("slot length")?,
        };
        plain = plain.saturating_add(slot.len as usize);
        if slot.len == 0 || slot.len as usize > MAX_CHUNK_BYTES || plain > MAX_SEGMENT_BYTES {
            return Err(DecodeError::Range {
                what: "slot length",
            });
        }
        slots.push(slot);
    }
    Ok(slots)
}
