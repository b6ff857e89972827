//! Pages by name. Neighbours in a walk lie in the same block, so decoded blocks are kept: a walk in tree order reads
//! each block once. Memory: 8 MiB.

use std::collections::HashMap;

use bytes::Bytes;
use common::ids::{ChunkId, PageId};
use common::object::segment::Slot;
use parking_lot::Mutex;

use super::lookup::LookupError;
use super::the_store::Store;
use crate::volume::Location;

const CACHE_BYTES: usize = 8 << 20;

/// A decoded block of pages.
struct Decoded {
    slots: Vec<Slot>,
    plain: Bytes,
    used: u64,
}

/// Decoded blocks, the longest unused leaves first.
#[derive(Default)]
pub struct PageCache {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    blocks: HashMap<(u32, u32), Decoded>,
    bytes: usize,
    clock: u64,
}

impl Inner {
    fn get(&mut self, location: Location) -> Option<(Slot, Bytes)> {
        self.clock += 1;
        let clock = self.clock;
        let block = self.blocks.get_mut(&(location.volume, location.unit))?;
        block.used = clock;
        slice(&block.slots, &block.plain, location.slot)
    }

    fn put(&mut self, location: Location, slots: Vec<Slot>, plain: Bytes) {
        while self.bytes + plain.len() > CACHE_BYTES && !self.blocks.is_empty() {
            let oldest = self
                .blocks
                .iter()
                .min_by_key(|(_, b)| b.used)
                .map(|(k, _)| *k);
            if let Some(block) = oldest.and_then(|key| self.blocks.remove(&key)) {
                self.bytes -= block.plain.len();
            }
        }
        self.bytes += plain.len();
        let block = Decoded {
            slots,
            plain,
            used: self.clock,
        };
        if let Some(old) = self.blocks.insert((location.volume, location.unit), block) {
            self.bytes -= old.plain.len();
        }
    }
}

/// The bytes of one slot.
pub fn slice(slots: &[Slot], plain: &Bytes, slot: u16) -> Option<(Slot, Bytes)> {
    let found = *slots.get(usize::from(slot))?;
    let start: usize = slots[..usize::from(slot)]
        .iter()
        .map(|s| s.len as usize)
        .sum();
    let end = start.checked_add(found.len as usize)?;
    (end <= plain.len()).then(|| (found, plain.slice(start..end)))
}

impl Store {
    /// The bytes of a committed page.
    ///
    /// # Errors
    /// [`LookupError`]
    pub fn page(&self, id: &PageId) -> Result<Bytes, LookupError> {
        self.content(&(*id).into())
    }

    /// The plain bytes of a page or chunk; its block stays in the cache.
    ///
    /// # Errors
    /// [`LookupError`]
    pub fn content(&self, id: &ChunkId) -> Result<Bytes, LookupError> {
        let location = self.locate(id)?.ok_or(LookupError::Absent(*id))?;
        if let Some((slot, bytes)) = self.page_cache().inner.lock().get(location)
            && slot.id == *id
        {
            return Ok(bytes);
        }
        let segment = match self.read_block(location, &[*id]) {
            Ok(block) => block.segment,
            Err(error) => return self.salvaged(location, id).ok_or(error),
        };
        let mut plain = Vec::new();
        let decoded = segment.decode(&mut plain);
        decoded.map_err(|_| self.damaged(location, &[*id], "payload does not decode"))?;
        let plain = Bytes::from(plain);
        let found = slice(&segment.slots, &plain, location.slot).filter(|(slot, _)| slot.id == *id);
        let (_, bytes) = found
            .ok_or_else(|| self.damaged(location, &[*id], "the block holds something else"))?;
        self.page_cache()
            .inner
            .lock()
            .put(location, segment.slots, plain);
        Ok(bytes)
    }

    /// The bytes of a slot of a damaged block, when they are still right.
    fn salvaged(&self, location: Location, id: &ChunkId) -> Option<Bytes> {
        let found = self.salvage(location)?;
        let (slot, bytes) = slice(&found.segment.slots, &found.segment.payload, location.slot)?;
        (slot.id == *id && found.is_good(location.slot)).then_some(bytes)
    }
}
