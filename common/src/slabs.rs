//! Buffers of long frame bodies and blocks, used again: a fresh one costs a page fault for every page of every body.
//!
//! Invariants: a buffer is never lent twice; at most [`KEEP_BYTES`] wait in the whole process, the rest goes back to
//! the system.

use bytes::Bytes;
use parking_lot::Mutex;

/// Bytes that wait for their next use.
const KEEP_BYTES: usize = 12 << 20;
/// Lengths are rounded up to this, so that a buffer fits the next body too.
const STEP_BYTES: usize = 256 << 10;

static FREE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// A buffer on loan; it goes back when the last view of it is gone.
struct Slab(Vec<u8>);

impl AsRef<[u8]> for Slab {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Slab {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.0);
        let mut free = FREE.lock();
        free.push(bytes);
        let mut kept: usize = free.iter().map(Vec::capacity).sum();
        while kept > KEEP_BYTES {
            kept -= free.remove(0).capacity();
        }
    }
}

/// An empty buffer with room for `length` bytes.
#[must_use]
pub fn take(length: usize) -> Vec<u8> {
    let mut bytes = find(length);
    bytes.clear();
    bytes
}

/// A buffer of `length` bytes to be overwritten: what is in them is of no use.
#[must_use]
pub fn take_filled(length: usize) -> Vec<u8> {
    let mut bytes = find(length);
    bytes.resize(length, 0);
    bytes
}

fn find(length: usize) -> Vec<u8> {
    let mut free = FREE.lock();
    // The last one given back is the warmest. One far too long would keep its memory from a body that needs it.
    let most = (2 * length).max(2 * STEP_BYTES);
    let fits = |bytes: &Vec<u8>| (length..=most).contains(&bytes.capacity());
    match free.iter().rposition(fits) {
        Some(at) => free.swap_remove(at),
        None => {
            drop(free);
            Vec::with_capacity(length.next_multiple_of(STEP_BYTES))
        }
    }
}

/// Its content, to be shared; the buffer comes back by itself.
#[must_use]
pub fn lend(bytes: Vec<u8>) -> Bytes {
    Bytes::from_owner(Slab(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_only_when_the_last_view_is_gone() {
        // No other test of this crate has bodies as long as this.
        const LONG: usize = 6 << 20;
        let mut bytes = take(LONG);
        bytes.extend_from_slice(&[7; 1000]);
        let place = bytes.as_ptr();
        let whole = lend(bytes);
        let view = whole.slice(10..20);
        drop(whole);
        let other = take(LONG);
        assert_ne!(other.as_ptr(), place);
        assert_eq!(view, [7; 10][..]);
        drop(view);
        let again = take(LONG);
        assert_eq!(again.as_ptr(), place);
        assert!(again.is_empty());
        drop(lend(again));
        assert_eq!(take_filled(LONG).len(), LONG);
    }
}
