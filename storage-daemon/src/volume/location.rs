//! Where a chunk or page lies: volume number, block, slot. Twelve bytes, as the index keeps it.

use crate::format::block::ALIGN;

/// A place in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Location {
    /// Number of the volume, from 1.
    pub volume: u32,
    /// Offset of the block in units of [`ALIGN`].
    pub unit: u32,
    /// Length of the block in units of [`ALIGN`].
    pub units: u16,
    /// Slot in the block.
    pub slot: u16,
}

impl Location {
    /// Bytes of the encoded form.
    pub const LEN: usize = 12;

    /// Offset of the block in bytes.
    #[must_use]
    pub fn offset(&self) -> u64 {
        u64::from(self.unit) * ALIGN
    }

    /// Length of the block in bytes.
    #[must_use]
    pub fn block_bytes(&self) -> usize {
        usize::from(self.units) * ALIGN as usize
    }

    /// As bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let mut out = [0; Self::LEN];
        out[..4].copy_from_slice(&self.volume.to_le_bytes());
        out[4..8].copy_from_slice(&self.unit.to_le_bytes());
        out[8..10].copy_from_slice(&self.units.to_le_bytes());
        out[10..].copy_from_slice(&self.slot.to_le_bytes());
        out
    }

    /// From bytes.
    #[must_use]
    pub fn from_bytes(b: &[u8; Self::LEN]) -> Self {
        Self {
            volume: u32::from_le_bytes([b[0], b[1], b[2], b[3]]),
            unit: u32::from_le_bytes([b[4], b[5], b[6], b[7]]),
            units: u16::from_le_bytes([b[8], b[9]]),
            slot: u16::from_le_bytes([b[10], b[11]]),
        }
    }
}
