//! Block: the unit of a volume. A header that knows its own place, a slot table, a payload, zeroes up to 4 KiB.
//!
//! ```text
//!  0 magic "HFBL" | 4 version u8 | 5 kind u8 | 6 codec u8 | 7 zero u8 | 8 slots u32 | 12 plain bytes u32
//! 16 payload bytes u32 | 20 payload checksum u32 | 24 volume uuid | 40 own offset u64 | 48 session u64
//! 56 sequence u64 | 64 checksum of the previous block's header u32 | 68 zero u64 | 76 header checksum u32
//! 80 slot table | payload | zeroes
//! ```
//! Invariants: the header checksum covers bytes 0..76 and the slot table; a block that was copied, swapped or taken
//! from an older state of the volume does not fit its place; decoding never trusts a length and never panics.

use common::codec::{DecodeError, Reader};
use common::ids::SessionId;
use common::object::segment::{
    Codec, MAX_SEGMENT_BYTES, MAX_SLOTS, SLOT_BYTES, Slot, decode_slots,
};
use uuid::Uuid;

/// Blocks start on multiples of this.
pub const ALIGN: u64 = 4096;
/// Bytes of the fixed header.
pub const HEADER_BYTES: usize = 80;
/// Longest payload of any block.
pub const MAX_PAYLOAD_BYTES: usize = 24 << 20;

const MAGIC: [u8; 4] = *b"HFBL";
const VERSION: u8 = 1;
const CHECKED: usize = 76;

/// What a block holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// First block of a volume: [`super::label::Label`].
    Label = 1,
    /// Chunks of content, as they came.
    Segment = 2,
    /// Pages, as they came.
    Pages = 3,
    /// Ids and places since the last commit: [`super::commit::Commit`].
    Commit = 4,
    /// A [`common::object::snapshot::Snapshot`].
    Snapshot = 5,
    /// A [`common::object::snapshot::Note`].
    Note = 6,
    /// Last block of a full volume: [`super::commit::Seal`].
    Seal = 7,
}

impl Kind {
    /// From its stored byte.
    ///
    /// # Errors
    /// Unknown value.
    pub fn from_u8(byte: u8) -> Result<Self, DecodeError> {
        Ok(match byte {
            1 => Self::Label,
            2 => Self::Segment,
            3 => Self::Pages,
            4 => Self::Commit,
            5 => Self::Snapshot,
            6 => Self::Note,
            7 => Self::Seal,
            _ => return Err(DecodeError::Range { what: "block kind" }),
        })
    }

    /// Whether blocks of this kind have a slot table.
    #[must_use]
    pub fn has_slots(self) -> bool {
        matches!(self, Self::Segment | Self::Pages)
    }
}

/// Where a block stands: what makes it this block and no copy of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Volume it belongs to.
    pub volume: Uuid,
    /// Its own offset, a multiple of [`ALIGN`].
    pub offset: u64,
    /// Ordinal in the volume; the label is 0.
    pub sequence: u64,
    /// Header checksum of the block before; 0 for the label.
    pub previous: u32,
}

/// A decoded header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What the block holds.
    pub kind: Kind,
    /// How its payload is coded.
    pub codec: Codec,
    /// Entries of the slot table.
    pub slots: u32,
    /// Sum of the slots' plain lengths; 0 without slots.
    pub plain_bytes: u32,
    /// Stored bytes of the payload.
    pub payload_bytes: u32,
    /// CRC-32 of the payload.
    pub payload_checksum: u32,
    /// Session that wrote it; 0 = the daemon itself.
    pub session: SessionId,
    /// Where it stands.
    pub place: Place,
    /// CRC-32 of header and slot table.
    pub checksum: u32,
}

/// What a block says besides its place and payload.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// What it holds.
    pub kind: Kind,
    /// How the payload is coded.
    pub codec: Codec,
    /// Who writes it.
    pub session: SessionId,
    /// Slot table.
    pub slots: &'a [Slot],
}

/// Why bytes are not the block expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// Not a block at all, or one this version does not read.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Header or slot table were altered.
    #[error("checksum of the block header does not match")]
    HeaderChecksum,
    /// The payload was altered.
    #[error("checksum of the payload does not match")]
    PayloadChecksum,
    /// A block of another volume.
    #[error("block belongs to volume {0}")]
    OtherVolume(Uuid),
    /// A block of another offset.
    #[error("block belongs to offset {0}")]
    OtherOffset(u64),
    /// A block of another time: its sequence or predecessor is not what stands before it.
    #[error("block does not follow the block before it (sequence {0})")]
    OtherSequence(u64),
}

/// Length of a block on its volume, padding included.
#[must_use]
pub fn stored_bytes(slots: usize, payload_bytes: usize) -> u64 {
    let bytes = HEADER_BYTES as u64 + slots as u64 * SLOT_BYTES as u64 + payload_bytes as u64;
    bytes.next_multiple_of(ALIGN)
}

/// Header and slot table of a block with this payload, and the header as a reader will see it.
///
/// # Panics
/// When slots or payload are over the limits, which whoever received them has checked.
#[must_use]
pub fn encode(head: Head<'_>, place: Place, payload: &[u8]) -> (Header, Vec<u8>) {
    assert!(
        head.slots.len() <= MAX_SLOTS && payload.len() <= MAX_PAYLOAD_BYTES,
        "limits of a block are checked on arrival"
    );
    let mut header = Header {
        kind: head.kind,
        codec: head.codec,
        slots: head.slots.len() as u32,
        plain_bytes: head
            .slots
            .iter()
            .fold(0, |sum, s| sum.saturating_add(s.len)),
        payload_bytes: payload.len() as u32,
        payload_checksum: crc32fast::hash(payload),
        session: head.session,
        place,
        checksum: 0,
    };
    let mut out = Vec::with_capacity(HEADER_BYTES + head.slots.len() * SLOT_BYTES);
    out.extend_from_slice(&header.checked_bytes());
    out.extend_from_slice(&[0; 4]);
    for slot in head.slots {
        out.extend_from_slice(&slot.id.0);
        out.extend_from_slice(&slot.len.to_le_bytes());
    }
    header.checksum = checksum(&out);
    out[CHECKED..HEADER_BYTES].copy_from_slice(&header.checksum.to_le_bytes());
    (header, out)
}

fn checksum(head: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&head[..CHECKED]);
    crc.update(&head[HEADER_BYTES..]);
    crc.finalize()
}

impl Header {
    fn checked_bytes(&self) -> [u8; CHECKED] {
        let mut out = [0; CHECKED];
        out[..4].copy_from_slice(&MAGIC);
        out[4..8].copy_from_slice(&[VERSION, self.kind as u8, self.codec as u8, 0]);
        out[8..12].copy_from_slice(&self.slots.to_le_bytes());
        out[12..16].copy_from_slice(&self.plain_bytes.to_le_bytes());
        out[16..20].copy_from_slice(&self.payload_bytes.to_le_bytes());
        out[20..24].copy_from_slice(&self.payload_checksum.to_le_bytes());
        out[24..40].copy_from_slice(self.place.volume.as_bytes());
        out[40..48].copy_from_slice(&self.place.offset.to_le_bytes());
        out[48..56].copy_from_slice(&self.session.0.to_le_bytes());
        out[56..64].copy_from_slice(&self.place.sequence.to_le_bytes());
        out[64..68].copy_from_slice(&self.place.previous.to_le_bytes());
        out
    }

    /// Reads the fixed part. It is not checked yet: read [`Header::head_bytes`] and call [`Header::check`].
    ///
    /// # Errors
    /// Truncated, another magic or version, or a length over its limit.
    pub fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        if r.array::<4>("block magic")? != MAGIC {
            return Err(DecodeError::Magic { what: "block" });
        }
        let [version, kind, codec, zero] = r.array("block header")?;
        if version != VERSION {
            return Err(DecodeError::Version {
                what: "block",
                version: version.into(),
            });
        }
        let header = Self {
            kind: Kind::from_u8(kind)?,
            codec: Codec::from_u8(codec)?,
            slots: r.u32("slot count")?,
            plain_bytes: r.u32("plain bytes")?,
            payload_bytes: r.u32("payload bytes")?,
            payload_checksum: r.u32("payload checksum")?,
            place: Place {
                volume: Uuid::from_bytes(r.array("volume uuid")?),
                offset: r.u64("block offset")?,
                sequence: 0,
                previous: 0,
            },
            session: SessionId(r.u64("session")?),
            checksum: 0,
        };
        let sequence = r.u64("block sequence")?;
        let previous = r.u32("previous checksum")?;
        let zeros = r.u64("block header")?;
        let checksum = r.u32("header checksum")?;
        let place = Place {
            sequence,
            previous,
            ..header.place
        };
        let header = Self {
            place,
            checksum,
            ..header
        };
        if zero != 0 || zeros != 0 || !header.is_within_limits() {
            return Err(DecodeError::Range {
                what: "block header",
            });
        }
        Ok(header)
    }

    fn is_within_limits(&self) -> bool {
        let slots_fit = if self.kind.has_slots() {
            (1..=MAX_SLOTS as u32).contains(&self.slots)
                && self.plain_bytes as usize <= MAX_SEGMENT_BYTES
        } else {
            self.slots == 0 && self.plain_bytes == 0 && self.codec == Codec::Stored
        };
        slots_fit
            && self.payload_bytes as usize <= MAX_PAYLOAD_BYTES
            && self.place.offset.is_multiple_of(ALIGN)
    }

    /// Bytes of header and slot table.
    #[must_use]
    pub fn head_bytes(&self) -> usize {
        HEADER_BYTES + self.slots as usize * SLOT_BYTES
    }

    /// Bytes of the block on its volume, padding included.
    #[must_use]
    pub fn stored_bytes(&self) -> u64 {
        stored_bytes(self.slots as usize, self.payload_bytes as usize)
    }

    /// Offset of the next block.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.place.offset.saturating_add(self.stored_bytes())
    }

    /// Checks header and slot table (`head`: the block's first [`Header::head_bytes`]) and returns the slots.
    ///
    /// # Errors
    /// Altered or truncated.
    pub fn check(&self, head: &[u8]) -> Result<Vec<Slot>, BlockError> {
        let head = head
            .get(..self.head_bytes())
            .ok_or(DecodeError::Truncated { what: "slot table" })?;
        if checksum(head) != self.checksum {
            return Err(BlockError::HeaderChecksum);
        }
        if !self.kind.has_slots() {
            return Ok(Vec::new());
        }
        let slots = decode_slots(&mut Reader::new(&head[HEADER_BYTES..]), self.slots)?;
        let plain: u64 = slots.iter().map(|s| u64::from(s.len)).sum();
        if plain != u64::from(self.plain_bytes) {
            return Err(DecodeError::Range {
                what: "plain bytes",
            }
            .into());
        }
        Ok(slots)
    }

    /// Checks that the block stands where it was written.
    ///
    /// # Errors
    /// [`BlockError::OtherVolume`], [`BlockError::OtherOffset`]
    pub fn check_place(&self, volume: Uuid, offset: u64) -> Result<(), BlockError> {
        if self.place.volume != volume {
            return Err(BlockError::OtherVolume(self.place.volume));
        }
        if self.place.offset != offset {
            return Err(BlockError::OtherOffset(self.place.offset));
        }
        Ok(())
    }

    /// Checks that the block follows the one before it.
    ///
    /// # Errors
    /// [`BlockError::OtherSequence`]
    pub fn check_follows(&self, sequence: u64, previous: u32) -> Result<(), BlockError> {
        if self.place.sequence == sequence && self.place.previous == previous {
            Ok(())
        } else {
            Err(BlockError::OtherSequence(self.place.sequence))
        }
    }

    /// Checks the payload.
    ///
    /// # Errors
    /// [`BlockError::PayloadChecksum`]
    pub fn check_payload(&self, payload: &[u8]) -> Result<(), BlockError> {
        let whole = payload.len() == self.payload_bytes as usize
            && crc32fast::hash(payload) == self.payload_checksum;
        if whole {
            Ok(())
        } else {
            Err(BlockError::PayloadChecksum)
        }
    }
}

#[cfg(test)]
#[path = "block_tests.rs"]
mod tests;
