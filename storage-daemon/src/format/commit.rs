//! Commit and seal: what makes blocks count, and what ends a volume.
//!
//! A commit lists every block with chunks or pages that its session appended to this volume since its last commit, with
//! the ids in slot order. A seal lists the volume's commits, so that all ids of a full volume are found with a few
//! reads; its last 16 bytes are the last of the volume and lead to its start. Invariant: blocks named by no commit of
//! their own volume are not present.

use common::codec::{DecodeError, Reader};
use common::ids::ChunkId;

use super::block::{ALIGN, HEADER_BYTES, Kind};

/// The last bytes of a sealed volume, after the seal's offset.
const SEALED: [u8; 8] = *b"HFSEALED";
/// Bytes at the end of a volume that say whether and where it is sealed.
pub const FOOTER_BYTES: usize = 16;

/// One block that a commit makes count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedBlock {
    /// Offset in units of [`ALIGN`].
    pub unit: u32,
    /// Length in units of [`ALIGN`].
    pub units: u16,
    /// [`Kind::Segment`] or [`Kind::Pages`].
    pub kind: Kind,
    /// Ids in slot order.
    pub ids: Vec<ChunkId>,
}

/// Payload of a commit block.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Commit {
    /// The volume's commit before this one; `None` for the first.
    pub before: Option<CommitPlace>,
    /// Snapshot and note blocks since the commit before, offsets in units of [`ALIGN`].
    pub others: Vec<u32>,
    /// Blocks in volume order.
    pub blocks: Vec<CommittedBlock>,
}

impl Commit {
    /// Bytes of a payload with so many other blocks, blocks and ids.
    #[must_use]
    pub fn payload_bytes(others: usize, blocks: usize, ids: usize) -> usize {
        16 + others * 4 + blocks * 12 + ids * ChunkId::LEN
    }

    /// The payload.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let ids = self.blocks.iter().map(|b| b.ids.len()).sum();
        let bytes = Self::payload_bytes(self.others.len(), self.blocks.len(), ids);
        let mut out = Vec::with_capacity(bytes);
        let before = self.before.unwrap_or(CommitPlace { unit: 0, ids: 0 });
        for n in [
            before.unit,
            before.ids,
            self.others.len() as u32,
            self.blocks.len() as u32,
        ] {
            out.extend_from_slice(&n.to_le_bytes());
        }
        self.others
            .iter()
            .for_each(|unit| out.extend_from_slice(&unit.to_le_bytes()));
        for block in &self.blocks {
            out.extend_from_slice(&block.unit.to_le_bytes());
            out.extend_from_slice(&block.units.to_le_bytes());
            out.extend_from_slice(&[block.kind as u8, 0]);
            out.extend_from_slice(&(block.ids.len() as u32).to_le_bytes());
            block.ids.iter().for_each(|id| out.extend_from_slice(&id.0));
        }
        out
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// Malformed.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let before = CommitPlace {
            unit: r.u32("commit: before")?,
            ids: r.u32("commit: before")?,
        };
        let others = r.u32("commit: others")? as usize;
        let count = r.u32("commit: blocks")? as usize;
        let range = DecodeError::Range { what: "commit" };
        let lines = others
            .saturating_mul(4)
            .saturating_add(count.saturating_mul(12));
        if lines > r.remaining() {
            return Err(range);
        }
        let others = (0..others)
            .map(|_| r.u32("commit: other"))
            .collect::<Result<_, _>>()?;
        let mut blocks = Vec::with_capacity(count);
        for _ in 0..count {
            let (unit, units) = (r.u32("commit: offset")?, r.u16("commit: length")?);
            let [kind, zero] = r.array("commit: kind")?;
            let kind = Kind::from_u8(kind)?;
            let ids = r.u32("commit: ids")? as usize;
            if zero != 0 || !kind.has_slots() || ids > r.remaining() / ChunkId::LEN {
                return Err(range);
            }
            let (ids, _) = r
                .bytes(ids * ChunkId::LEN, "commit: ids")?
                .as_chunks::<32>();
            let ids = ids.iter().copied().map(ChunkId).collect();
            blocks.push(CommittedBlock {
                unit,
                units,
                kind,
                ids,
            });
        }
        r.finish("commit")?;
        let before = (before.unit != 0).then_some(before);
        Ok(Self {
            before,
            others,
            blocks,
        })
    }
}

/// Where a commit block lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitPlace {
    /// Offset in units of [`ALIGN`].
    pub unit: u32,
    /// Ids it lists.
    pub ids: u32,
}

/// Payload of a seal block.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seal {
    /// All commits of the volume in order.
    pub commits: Vec<CommitPlace>,
    /// Offsets of snapshot and note blocks, in units of [`ALIGN`].
    pub others: Vec<u32>,
}

impl Seal {
    /// Bytes of the block of a seal with so many lines.
    #[must_use]
    pub fn stored_bytes(commits: usize, others: usize) -> u64 {
        let bytes = HEADER_BYTES + 8 + commits * 8 + others * 4 + FOOTER_BYTES;
        (bytes as u64).next_multiple_of(ALIGN)
    }

    /// The payload of a seal block at `offset`: fills its block to the last byte.
    #[must_use]
    pub fn to_bytes(&self, offset: u64) -> Vec<u8> {
        let whole = Self::stored_bytes(self.commits.len(), self.others.len());
        let len = whole as usize - HEADER_BYTES;
        let mut out = Vec::with_capacity(len);
        out.extend_from_slice(&(self.commits.len() as u32).to_le_bytes());
        out.extend_from_slice(&(self.others.len() as u32).to_le_bytes());
        for commit in &self.commits {
            out.extend_from_slice(&commit.unit.to_le_bytes());
            out.extend_from_slice(&commit.ids.to_le_bytes());
        }
        self.others
            .iter()
            .for_each(|unit| out.extend_from_slice(&unit.to_le_bytes()));
        out.resize(len - FOOTER_BYTES, 0);
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
        let commits = r.u32("seal: commits")? as usize;
        let others = r.u32("seal: others")? as usize;
        let lines = commits
            .saturating_mul(8)
            .saturating_add(others.saturating_mul(4));
        if lines.saturating_add(FOOTER_BYTES) > r.remaining() {
            return Err(DecodeError::Range { what: "seal" });
        }
        let mut seal = Self::default();
        for _ in 0..commits {
            seal.commits.push(CommitPlace {
                unit: r.u32("seal: commit")?,
                ids: r.u32("seal: commit")?,
            });
        }
        for _ in 0..others {
            seal.others.push(r.u32("seal: other")?);
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
