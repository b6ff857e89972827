//! Random numbers from a seed, the same on every machine and in every version: a failure can be run again.
//!
//! The generator is SplitMix64 (Steele, Lea and Flood, 2014). It is for making test data, never for secrets.

/// A stream of numbers.
#[derive(Debug, Clone)]
pub struct Seed(u64);

impl Seed {
    /// From a number.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The seed of this test run: `HOLDFAST_SEED`, else `otherwise`. Printed, so that a failure names it.
    #[must_use]
    pub fn of_run(otherwise: u64) -> Self {
        let seed = std::env::var("HOLDFAST_SEED")
            .ok()
            .map_or(otherwise, |text| {
                text.parse().expect("HOLDFAST_SEED is a number")
            });
        eprintln!("seed {seed}");
        Self(seed)
    }

    /// A stream of its own for `what`, so that more of one thing does not change another.
    #[must_use]
    pub fn fork(&self, what: &str) -> Self {
        let hash = blake3::hash(what.as_bytes());
        let mut first = [0; 8];
        first.copy_from_slice(&hash.as_bytes()[..8]);
        Self(self.0 ^ u64::from_le_bytes(first))
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 .. `end`, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.number() % end
    }

    /// One of `items`.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        let index = self.below(items.len() as u64);
        &items[usize::try_from(index).expect("an index of a slice")]
    }

    /// `len` bytes that do not compress.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(len + 8);
        while out.len() < len {
            out.extend_from_slice(&self.number().to_le_bytes());
        }
        out.truncate(len);
        out
    }

    /// `len` bytes that compress like prose.
    pub fn text(&mut self, len: usize) -> Vec<u8> {
        const WORDS: [&str; 16] = [
            "holdfast", "volume", "page", "chunk", "snapshot", "series", "client", "the", "a",
            "of", "stored", "read", "1977", "\n", "hash", "root",
        ];
        let mut out = Vec::with_capacity(len + 16);
        while out.len() < len {
            out.extend_from_slice(self.pick(&WORDS).as_bytes());
            out.push(b' ');
        }
        out.truncate(len);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_for_ever() {
        let mut seed = Seed::new(1);
        assert_eq!(seed.number(), 0x910a_2dec_8902_5cc1);
        assert_eq!(
            Seed::new(1).fork("a").bytes(3),
            Seed::new(1).fork("a").bytes(3)
        );
        assert_ne!(
            Seed::new(1).fork("a").bytes(8),
            Seed::new(1).fork("b").bytes(8)
        );
        assert_eq!(seed.text(1000).len(), 1000);
    }
}
