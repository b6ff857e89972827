//! Commit and seal: what makes blocks count, and what ends a volume.
//!
//! A commit names every block with chunks or pages that its session appended to this volume since its last commit. Each
//! is named with its header checksum, which covers place, payload checksum and slot table: a commit covers exactly what
//! it names. Blocks of few slots are listed with their ids, so that an index is rebuilt without a read for each of
//! them; for the others the slot table is read where it lies. A seal lists the volume's commits; its last 16 bytes are
//! the last of the volume and lead to its start. Invariant: blocks named by no commit of their own volume are not present.

use common::codec::{DecodeError, Reader, put_varint};
use common::ids::ChunkId;
use common::object::segment::MAX_SLOTS;

use super::block::{ALIGN, HEADER_BYTES, Kind};

/// Blocks of at most so many slots are listed with their ids.
pub const MAX_LISTED: u32 = 64;
/// The last bytes of a sealed volume, after the seal's offset.
const SEALED: [u8; 8] = *b"HFSEALED";
/// Bytes at the end of a volume that say whether and where it is sealed.
pub const FOOTER_BYTES: usize = 16;
/// Longest varint of 32 bits.
const MAX_VARINT: usize = 5;
/// Most bytes of a block's line without ids.
const MAX_LINE: usize = 3 * MAX_VARINT + 4;
/// Fewest bytes of a block's line, which bounds how many lines a payload can hold.
const MIN_LINE: usize = 7;

/// One block that a commit makes count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedBlock {
    /// Offset in units of [`ALIGN`].
    pub unit: u32,
    /// Length in units of [`ALIGN`].
    pub units: u16,
    /// [`Kind::Segment`] or [`Kind::Pages`].
    pub kind: Kind,
    /// Entries of its slot table.
    pub slots: u32,
    /// Its header checksum.
    pub checksum: u32,
    /// Ids in slot order; a commit holds them only when [`CommittedBlock::is_listed`].
    pub ids: Vec<ChunkId>,
}

impl CommittedBlock {
    /// Whether a commit lists its ids.
    #[must_use]
    pub fn is_listed(&self) -> bool {
        self.slots <= MAX_LISTED
    }

    fn encode(&self, gap: u32, out: &mut Vec<u8>) {
        put_varint(out, gap.into());
        put_varint(out, self.units.into());
        put_varint(
            out,
            u64::from(self.slots) << 1 | u64::from(self.kind == Kind::Pages),
        );
        out.extend_from_slice(&self.checksum.to_le_bytes());
        if self.is_listed() {
            self.ids.iter().for_each(|id| out.extend_from_slice(&id.0));
        }
    }

    fn decode(r: &mut Reader<'_>, end_of_last: u32) -> Result<Self, DecodeError> {
        let range = DecodeError::Range { what: "commit" };
        let unit = end_of_last
            .checked_add(r.varint32("commit: offset")?)
            .ok_or(range)?;
        let units = u16::try_from(r.varint32("commit: length")?).map_err(|_| range)?;
        let what = r.varint32("commit: slots")?;
        let kind = if what & 1 == 1 {
            Kind::Pages
        } else {
            Kind::Segment
        };
        let mut block = Self {
            unit,
            units,
            kind,
            slots: what >> 1,
            checksum: r.u32("commit: checksum")?,
            ids: Vec::new(),
        };
        if units == 0 || block.slots == 0 || block.slots as usize > MAX_SLOTS {
            return Err(range);
        }
        if block.is_listed() {
            let bytes = r.bytes(block.slots as usize * ChunkId::LEN, "commit: ids")?;
            let (ids, _) = bytes.as_chunks::<32>();
            block.ids = ids.iter().copied().map(ChunkId).collect();
        }
        Ok(block)
    }

    /// Where it ends, in units.
    fn end(&self) -> Option<u32> {
        self.unit.checked_add(self.units.into())
    }
}

/// Payload of a commit block.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Commit {
    /// Offset of the volume's commit before this one, in units of [`ALIGN`]; `None` for the first.
    pub before: Option<u32>,
    /// Snapshot and note blocks since the commit before, ascending, offsets in units of [`ALIGN`].
    pub others: Vec<u32>,
    /// Blocks in volume order.
    pub blocks: Vec<CommittedBlock>,
}

impl Commit {
    /// Most bytes of a payload with so many other blocks, blocks and listed ids.
    #[must_use]
    pub fn most_bytes(others: usize, blocks: usize, listed: usize) -> usize {
        (3 + others) * MAX_VARINT + blocks * MAX_LINE + listed * ChunkId::LEN
    }

    /// The payload. Of a block that is listed all ids must be there.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, self.before.unwrap_or(0).into());
        put_ascending(&mut out, &self.others);
        put_varint(&mut out, self.blocks.len() as u64);
        let mut end = 0;
        for block in &self.blocks {
            block.encode(block.unit.saturating_sub(end), &mut out);
            end = block.end().unwrap_or(u32::MAX);
        }
        out
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// Malformed.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let range = DecodeError::Range { what: "commit" };
        let mut r = Reader::new(bytes);
        let before = r.varint32("commit: before")?;
        let others = ascending(&mut r)?;
        let count = r.varint32("commit: blocks")? as usize;
        if count > r.remaining() / MIN_LINE {
            return Err(range);
        }
        let mut blocks = Vec::with_capacity(count);
        let mut end = 0;
        for _ in 0..count {
            let block = CommittedBlock::decode(&mut r, end)?;
            end = block.end().ok_or(range)?;
            blocks.push(block);
        }
        r.finish("commit")?;
        Ok(Self {
            before: (before != 0).then_some(before),
            others,
            blocks,
        })
    }
}

/// How many, and each as difference to the one before.
fn put_ascending(out: &mut Vec<u8>, units: &[u32]) {
    put_varint(out, units.len() as u64);
    let mut last = 0;
    for unit in units {
        put_varint(out, unit.saturating_sub(last).into());
        last = *unit;
    }
}

fn ascending(r: &mut Reader<'_>) -> Result<Vec<u32>, DecodeError> {
    let range = DecodeError::Range { what: "offsets" };
    let count = r.varint32("offsets")? as usize;
    if count > r.remaining() {
        return Err(range);
    }
    let mut units = Vec::with_capacity(count);
    let mut last = 0u32;
    for _ in 0..count {
        last = last.checked_add(r.varint32("offset")?).ok_or(range)?;
        units.push(last);
    }
    Ok(units)
}

/// Payload of a seal block.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seal {
    /// Offsets of all commits of the volume, ascending, in units of [`ALIGN`].
    pub commits: Vec<u32>,
    /// Offsets of snapshot and note blocks, ascending, in units of [`ALIGN`].
    pub others: Vec<u32>,
}

impl Seal {
    /// Most bytes of the block of a seal with so many lines.
    #[must_use]
    pub fn most_stored_bytes(commits: usize, others: usize) -> u64 {
        let bytes = HEADER_BYTES + (2 + commits + others) * MAX_VARINT + FOOTER_BYTES;
        (bytes as u64).next_multiple_of(ALIGN)
    }

    /// The payload of a seal block at `offset`: fills its block to the last byte.
    #[must_use]
    pub fn to_bytes(&self, offset: u64) -> Vec<u8> {
        let mut out = Vec::new();
        put_ascending(&mut out, &self.commits);
        put_ascending(&mut out, &self.others);
        let whole = (HEADER_BYTES + out.len() + FOOTER_BYTES).next_multiple_of(ALIGN as usize);
        out.resize(whole - HEADER_BYTES - FOOTER_BYTES, 0);
        out.extend_from_slice(&offset.to_le_bytes());
        out.extend_from_slice(&SEALED);
        out
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// Malformed.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let seal = Self {
            commits: ascending(&mut r)?,
            others: ascending(&mut r)?,
        };
        if r.remaining() < FOOTER_BYTES {
            return Err(DecodeError::Range { what: "seal" });
        }
        Ok(seal)
    }

    /// The seal's offset from a volume's last bytes; `None` = not sealed.
    #[must_use]
    pub fn offset_from_footer(footer: &[u8; FOOTER_BYTES]) -> Option<u64> {
        let (offset, magic) = footer.split_first_chunk::<8>()?;
        (magic == SEALED).then(|| u64::from_le_bytes(*offset))
    }
}

#[cfg(test)]
#[path = "commit_tests.rs"]
mod tests;
