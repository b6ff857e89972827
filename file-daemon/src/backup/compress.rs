//! Compression on threads of their own, each with its contexts kept.
//!
//! Adaptive: a probe of the first 64 KiB by lz4 finds what does not compress; the rest is packed at level 1, or at 3 while
//! the sender waits for the network. A fixed level stays possible, so that comparisons are fair.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use common::object::segment::{Codec, Segment, Slot};
use crossbeam_channel::{Receiver, Sender};

use super::budget::Permit;

/// Bytes the probe looks at.
const PROBE_BYTES: usize = 64 << 10;
/// Level while compression is what takes long.
const FAST: i32 = 1;
/// Level while the network is what takes long.
const STRONG: i32 = 3;
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

/// What the compressors know of the pipeline.
#[derive(Debug, Default)]
pub struct Pressure {
    /// The sender waits for the network or the storage.
    pub sending: AtomicBool,
}

/// Compresses until the queue ends. `level` 0 = adaptive.
pub fn work(jobs: &Receiver<Job>, pressure: &Pressure, level: u32) {
    let mut packer = Packer::default();
    while let Ok(job) = jobs.recv() {
        let slow_sender = jobs.len() < MANY_WAIT && pressure.sending.load(Ordering::Relaxed);
        let level = match i32::try_from(level) {
            Ok(level) if level > 0 => level,
            _ if is_incompressible(&job.plain) => 0,
            _ if slow_sender => STRONG,
            _ => FAST,
        };
        let (codec, payload) = packer.pack(job.plain, level);
        drop(job.permits);
        let segment = Segment {
            codec,
            slots: job.slots,
            payload,
        };
        // The sender is gone only when the run has stopped.
        let _ = job.done.send(segment);
    }
}

/// zstd contexts by level.
#[derive(Default)]
struct Packer {
    contexts: Vec<(i32, zstd::bulk::Compressor<'static>)>,
}

impl Packer {
    /// Level 0 = stored. What would not get smaller is stored too.
    fn pack(&mut self, plain: Vec<u8>, level: i32) -> (Codec, Bytes) {
        let packed = (level > 0)
            .then(|| self.context(level.min(19)))
            .flatten()
            .and_then(|context| context.compress(&plain).ok());
        match packed {
            Some(packed) if packed.len() + packed.len() / 64 < plain.len() => {
                (Codec::Zstd, packed.into())
            }
            _ => (Codec::Stored, plain.into()),
        }
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
            let (got, payload) = packer.pack(plain.clone(), level);
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
