//! Ids that were handed to the packer in this run: need not be asked for or sent again.
//!
//! Bounded: two generations; when the young one is full the old one is forgotten. Forgetting costs a question.

use std::collections::HashSet;

use common::ids::ChunkId;

/// Ids per generation: about 6 MiB.
const GENERATION: usize = 128 << 10;

/// A bounded set of ids.
#[derive(Debug, Default)]
pub struct Seen {
    young: HashSet<ChunkId>,
    old: HashSet<ChunkId>,
}

impl Seen {
    /// Whether it was added before and is not forgotten.
    #[must_use]
    pub fn has(&self, id: &ChunkId) -> bool {
        self.young.contains(id) || self.old.contains(id)
    }

    /// Adds an id; whether it was not there.
    pub fn add(&mut self, id: ChunkId) -> bool {
        if self.has(&id) {
            return false;
        }
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_ids_are_forgotten_and_young_ones_are_not() {
        let id = |n: u32| ChunkId::of(&n.to_le_bytes());
        let mut seen = Seen::default();
        let many = 2 * GENERATION as u32 + 10;
        for n in 0..many {
            assert!(seen.add(id(n)));
        }
        assert!(!seen.has(&id(0)));
        assert!(!seen.add(id(many - 1)));
        assert!(seen.young.len() + seen.old.len() <= 2 * GENERATION);
    }
}
