//! What is still right in a damaged block. A flipped bit hurts one chunk of a segment, or what follows it; the names of
//! the others still match, and a name that matches is proof enough.

use bytes::Bytes;
use common::ids::ChunkId;
use common::object::segment::{Codec, Segment, Slot};

use super::the_store::Store;
use crate::volume::{Location, scan};

/// A block whose checksum does not match, decoded as far as it goes.
pub struct Salvaged {
    /// All its slots, with a plain payload of which only the good ones count.
    pub segment: Segment,
    /// Per slot, whether its content has its name.
    good: Vec<bool>,
}

impl Salvaged {
    /// Whether this slot's content is right.
    #[must_use]
    pub fn is_good(&self, slot: u16) -> bool {
        self.good.get(usize::from(slot)).copied().unwrap_or(false)
    }

    /// The names that are not right any more.
    pub fn lost(&self) -> impl Iterator<Item = (ChunkId, u16)> + '_ {
        let slots = self.segment.slots.iter().zip(0u16..);
        slots
            .filter(|(_, n)| !self.is_good(*n))
            .map(|(slot, n)| (slot.id, n))
    }
}

impl Store {
    /// Reads a damaged block once more and keeps what is right. `None` = not even its slot table can be read.
    #[must_use]
    pub fn salvage(&self, location: Location) -> Option<Salvaged> {
        let volumes = self.volumes().list();
        let volume = volumes.iter().find(|v| v.label.number == location.volume)?;
        let file = self.volumes().file(location.volume).ok()?;
        let head = scan::read_head(file.as_ref(), volume.label.uuid, location.offset());
        let (header, slots) = head.ok()?.ok()?;
        // Header and slot table matched their checksum: the length is within the limits of a block.
        let mut payload = vec![0; header.payload_bytes as usize];
        let at = location.offset() + header.head_bytes() as u64;
        // What cannot be read stays zero, and its names do not match.
        let _ = file.read(at, &mut payload);
        let coded = Segment {
            codec: header.codec,
            slots,
            payload: Bytes::from(payload),
        };
        let plain = Bytes::from(coded.decode_damaged());
        let mut rest = plain.clone();
        let is_good = |slot: &Slot| {
            let len = (slot.len as usize).min(rest.len());
            let bytes = rest.split_to(len);
            ChunkId::of(&bytes) == slot.id
        };
        let good = coded.slots.iter().map(is_good).collect();
        Some(Salvaged {
            segment: Segment {
                codec: Codec::Stored,
                slots: coded.slots,
                payload: plain,
            },
            good,
        })
    }
}
