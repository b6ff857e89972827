//! The chunker, version 1: gear hash with normalised cutting (FastCDC, Xia et al. 2016). Where a file is cut depends on
//! its content alone, so an insertion moves no later boundary.
//!
//! Format: the gear table is the BLAKE3 output stream of `holdfast chunker gear v1`; minimum = average / 4, maximum =
//! average * 4 (8 MiB at most); before the average a boundary needs log2(average) + 2 high zero bits, after it
//! log2(average) - 2. Changing any of it needs a new version: stored entries name the version they were cut with.

use std::sync::LazyLock;

use super::attribute::Cut;
use super::segment::MAX_CHUNK_BYTES;

/// The only version so far.
pub const VERSION: u8 = 1;
/// Smallest average: 128 KiB.
pub const MIN_AVG_LOG2: u8 = 17;
/// Largest average: 4 MiB.
pub const MAX_AVG_LOG2: u8 = 22;
/// Average of ordinary files: 256 KiB.
pub const DEFAULT_AVG_LOG2: u8 = 18;

static GEAR: LazyLock<[u64; 256]> = LazyLock::new(|| {
    let mut stream = blake3::Hasher::new()
        .update(b"holdfast chunker gear v1")
        .finalize_xof();
    std::array::from_fn(|_| {
        let mut word = [0; 8];
        stream.fill(&mut word);
        u64::from_le_bytes(word)
    })
});

/// How a file of this size is cut when no base says otherwise: 256 KiB up to 16 GiB, then growing so that a list stays
/// near 65,536 chunks, up to 4 MiB.
#[must_use]
pub fn cut_for_size(size_bytes: u64) -> Cut {
    let doublings = (size_bytes >> 34).checked_ilog2().map_or(0, |log| log + 1);
    let avg_log2 = (u32::from(DEFAULT_AVG_LOG2) + doublings).min(u32::from(MAX_AVG_LOG2));
    Cut {
        version: VERSION,
        avg_log2: avg_log2 as u8,
    }
}

/// Finds boundaries with one set of parameters.
#[derive(Debug, Clone, Copy)]
pub struct Chunker {
    min: usize,
    avg: usize,
    max: usize,
    mask_before: u64,
    mask_after: u64,
}

impl Chunker {
    /// A chunker of these parameters, or `None` when this program does not know them.
    #[must_use]
    pub fn new(cut: Cut) -> Option<Self> {
        if cut.version != VERSION || !(MIN_AVG_LOG2..=MAX_AVG_LOG2).contains(&cut.avg_log2) {
            return None;
        }
        let avg = 1usize << cut.avg_log2;
        let high = |bits: u8| !(u64::MAX >> bits);
        Some(Self {
            min: avg / 4,
            avg,
            max: (avg * 4).min(MAX_CHUNK_BYTES),
            mask_before: high(cut.avg_log2 + 2),
            mask_after: high(cut.avg_log2 - 2),
        })
    }

    /// Longest chunk: a buffer of this size always holds a boundary.
    #[must_use]
    pub fn max_bytes(&self) -> usize {
        self.max
    }

    /// Shortest chunk that is not a file's last: files up to this size are one chunk.
    #[must_use]
    pub fn min_bytes(&self) -> usize {
        self.min
    }

    /// Length of the first chunk of `data`. The caller gives [`Chunker::max_bytes`] bytes or all that is left.
    #[must_use]
    pub fn first(&self, data: &[u8]) -> usize {
        if data.len() <= self.min {
            return data.len();
        }
        let end = data.len().min(self.max);
        let middle = end.min(self.avg);
        let (mut hash, mut at) = (0u64, self.min);
        for &byte in &data[self.min..middle] {
            hash = (hash << 1).wrapping_add(GEAR[usize::from(byte)]);
            at += 1;
            if hash & self.mask_before == 0 {
                return at;
            }
        }
        for &byte in &data[middle.max(self.min)..end] {
            hash = (hash << 1).wrapping_add(GEAR[usize::from(byte)]);
            at += 1;
            if hash & self.mask_after == 0 {
                return at;
            }
        }
        end
    }
}

#[cfg(test)]
#[path = "chunker_tests.rs"]
mod tests;
