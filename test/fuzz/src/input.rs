//! Bytes as a row of decisions.

/// What is left of an input. Where nothing is left, every decision is the first possible one, so that shorter inputs mean simpler
/// cases.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    left: &'a [u8],
}

impl<'a> Input<'a> {
    /// All of these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes }
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    /// The next two bytes.
    pub fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    /// The next eight bytes.
    pub fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    /// A number below `bound`, which is 1 to 65,536.
    pub fn below(&mut self, bound: usize) -> usize {
        let number = if bound <= 256 {
            usize::from(self.byte())
        } else {
            usize::from(self.u16())
        };
        number % bound
    }

    /// One of these.
    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// Yes in one of `bound` cases.
    pub fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == bound - 1
    }

    /// A number of any size: those where something may go over are likely.
    pub fn number(&mut self) -> u64 {
        match self.below(8) {
            0..=3 => self.byte().into(),
            4 => self.u16().into(),
            5 => 1 << self.below(64),
            6 => (1 << self.below(64)) - 1,
            _ => self.u64(),
        }
    }

    /// So many bytes, or as many as are left.
    pub fn bytes(&mut self, len_bytes_max: usize) -> &'a [u8] {
        let (taken, left) = self.left.split_at(len_bytes_max.min(self.left.len()));
        self.left = left;
        taken
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        self.bytes(usize::MAX)
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let taken = self.bytes(N);
        let mut array = [0; N];
        array[..taken.len()].copy_from_slice(taken);
        array
    }
}

#[cfg(test)]
mod tests {
    use super::Input;

    #[test]
    fn what_is_not_there_is_zero() {
        let mut input = Input::new(&[7, 1]);
        assert_eq!((input.byte(), input.u16(), input.u64()), (7, 1, 0));
        assert!(input.is_empty() && input.rest().is_empty());
        assert_eq!(input.one_of(&['a', 'b']), 'a');
        assert!(!input.one_in(3));
    }
}
