//! Compression on threads of their own, each with its contexts kept.
//!
//! Adaptive: a probe of the first 64 KiB by lz4 finds what does not compress. Segments of small files are packed at level 3:
//! opening and reading such files takes longer than packing them well. The rest is packed at level 1, or at 3 while the
//! sender waits for the network. A fixed level stays possible, so that comparisons are fair.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use common::object::segment::{Codec, SEGMENT_BYTES, Segment, Slot};
use crossbeam_channel::{Receiver, Sender};

use parking_lot::Mutex;

use super::budget::Permit;

/// Bytes the probe looks at.
const PROBE_BYTES: usize = 64 << 10;
/// Level while compression is what takes long.
const FAST: i32 = 1;
/// Level while the network is what takes long.
const STRONG: i32 = 3;
/// Chunks of this average size or less are small files.
const SMALL_BYTES: usize = 64 << 10;
/// Buffers kept for the next segments.
const SPARE: usize = 8;
/// With so many segments waiting for compression it is the slow part.
const MANY_WAIT: usize = 2;

/// A segment to be compressed.
#[derive(Debug)]
pub struct Job {
    /// Its chunks.
    pub slots: Vec<Slot>,
    /// Their bytes, joined.
    pub plain: Vec<u8>,
    /// Their places in the budget, given back when the plain bytes are gone.
    pub permits: Vec<Permit>,
    /// Who waits for the segment.
    pub done: Sender<Segment>,
}

/// Buffers of segments that are packed, for those to come: fresh memory costs the system a cleared page each time.
#[derive(Debug, Default)]
pub struct Spare(Mutex<Vec<Vec<u8>>>);

impl Spare {
    /// An empty buffer with room for a segment.
    #[must_use]
    pub fn take(&self) -> Vec<u8> {
        let kept = self.0.lock().pop();
        kept.unwrap_or_else(|| Vec::with_capacity(SEGMENT_BYTES + SMALL_BYTES))
    }

    fn give(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut kept = self.0.lock();
        if kept.len() < SPARE && buffer.capacity() <= 2 * SEGMENT_BYTES {
            kept.push(buffer);
        }
    }
}

/// What the compressors know of the pipeline.
#[derive(Debug, Default)]
pub struct Pressure {
    /// The sender waits for the network or the storage.
    pub sending: AtomicBool,
}

/// Compresses until the queue ends. `level` 0 = adaptive.
pub fn work(jobs: &Receiver<Job>, (pressure, spare): (&Pressure, &Spare), level: u32) {
    let mut packer = Packer::default();
    while let Ok(job) = jobs.recv() {
        let level = match i32::try_from(level) {
            Ok(level) if level > 0 => level,
            _ if is_incompressible(&job.plain) => 0,
            _ if job.plain.len() <= job.slots.len() * SMALL_BYTES => STRONG,
            _ if jobs.len() < MANY_WAIT && pressure.sending.load(Ordering::Relaxed) => STRONG,
            _ => FAST,
        };
        let (codec, payload) = packer.pack(&job.plain, level);
        drop(job.permits);
        spare.give(job.plain);
        let segment = Segment {
            codec,
            slots: job.slots,
            payload,
        };
        // The sender is gone only when the run has stopped.
        let _ = job.done.send(segment);
    }
}

/// zstd contexts by level, and the buffer they write to.
#[derive(Default)]
struct Packer {
    contexts: Vec<(i32, zstd::bulk::Compressor<'static>)>,
    packed: Vec<u8>,
}

impl Packer {
    /// Level 0 = stored. What would not get smaller is stored too.
    fn pack(&mut self, plain: &[u8], level: i32) -> (Codec, Bytes) {
        let len = if level > 0 {
            self.compress(plain, level.min(19))
        } else {
            None
        };
        match len {
            Some(len) if len + len / 64 < plain.len() => {
                (Codec::Zstd, Bytes::copy_from_slice(&self.packed[..len]))
            }
            _ => (Codec::Stored, Bytes::copy_from_slice(plain)),
        }
    }

    /// Compresses into the kept buffer; the length of the frame.
    fn compress(&mut self, plain: &[u8], level: i32) -> Option<usize> {
        let mut packed = std::mem::take(&mut self.packed);
        packed.resize(
            zstd::zstd_safe::compress_bound(plain.len()).max(packed.len()),
            0,
        );
        let len = self
            .context(level)
            .and_then(|c| c.compress_to_buffer(plain, &mut packed[..]).ok());
        self.packed = packed;
        len
    }

    fn context(&mut self, level: i32) -> Option<&mut zstd::bulk::Compressor<'static>> {
        let at = match self.contexts.iter().position(|(l, _)| *l == level) {
            Some(at) => at,
            None => {
                let context = zstd::bulk::Compressor::new(level).ok()?;
                self.contexts.push((level, context));
                self.contexts.len() - 1
            }
        };
        self.contexts.get_mut(at).map(|(_, context)| context)
    }
}

fn is_incompressible(plain: &[u8]) -> bool {
    let head = &plain[..plain.len().min(PROBE_BYTES)];
    // Short segments are too small to judge, and cheap.
    head.len() == PROBE_BYTES && lz4_flex::block::compress(head).len() > head.len() / 100 * 97
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use common::ids::ChunkId;

    #[test]
    fn every_level_opens_again_and_noise_is_stored() {
        let noise: Vec<u8> = (0u64..20_000)
            .flat_map(|n| *blake3::hash(&n.to_le_bytes()).as_bytes())
            .collect();
        let text = b"the same line again and again\n".repeat(10_000);
        let mut packer = Packer::default();
        for (plain, level, codec) in [
            (&noise, 1, Codec::Stored),
            (&text, 1, Codec::Zstd),
            (&text, 3, Codec::Zstd),
            (&text, 0, Codec::Stored),
        ] {
            let (got, payload) = packer.pack(plain, level);
            assert_eq!(got, codec);
            let segment = Segment {
                codec: got,
                slots: vec![Slot {
                    id: ChunkId::of(plain),
                    len: plain.len() as u32,
                }],
                payload,
            };
            let mut out = Vec::new();
            segment.open(&mut out).unwrap();
            assert_eq!(&out, plain);
        }
        assert!(is_incompressible(&noise));
        assert!(!is_incompressible(&text));
    }
}
