//! Random numbers from a seed: the same seed, the same numbers.

use lib_csprng::Csprng;

/// A generator.
pub struct Random(Csprng);

impl Random {
    /// A generator of its own for each `number`.
    pub fn new(seed: u64, number: u64) -> Self {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        bytes[8..].copy_from_slice(&number.to_le_bytes());
        Self(Csprng::from_seed(&bytes))
    }

    /// A number below `end`, or 0.
    pub fn below(&mut self, end: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        ((u64::from_le_bytes(bytes) >> 1) as usize) % end.max(1)
    }

    /// One or the other.
    pub fn coin(&mut self) -> bool {
        self.below(2) == 0
    }

    /// So many bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.0.fill(&mut bytes);
        bytes
    }

    /// Another order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for place in (1..items.len()).rev() {
            items.swap(place, self.below(place + 1));
        }
    }
}
