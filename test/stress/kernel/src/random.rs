//! Random numbers from a seed: the same seed, the same numbers.

/// Marsaglia's xorshift with a multiplied result (Vigna, "An experimental exploration of Marsaglia's xorshift
/// generators, scrambled", 2016).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator of its own for each `number`.
    pub fn new(seed: u64, number: u64) -> Self {
        let mixed =
            (seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        Self(mixed | 1)
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        ((self.next() >> 33) as usize) % end.max(1)
    }

    /// A length from 1 to `max`, small ones as likely as large ones.
    pub fn length(&mut self, max: usize) -> usize {
        let magnitude = self.below(max.ilog2() as usize + 1);
        (1 + self.below(2 << magnitude)).min(max)
    }
}
