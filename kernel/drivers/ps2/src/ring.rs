//! A queue of bounded length that needs no memory beside itself.

/// At most `MAX` values, first in, first out.
pub(crate) struct Ring<T, const MAX: usize> {
    values: [Option<T>; MAX],
    start: usize,
    len: usize,
}

impl<T: Copy, const MAX: usize> Ring<T, MAX> {
    /// Nothing.
    pub(crate) const fn new() -> Self {
        Self {
            values: [None; MAX],
            start: 0,
            len: 0,
        }
    }

    /// Adds a value; false if there is no room.
    pub(crate) fn push(&mut self, value: T) -> bool {
        let has_room = self.len < MAX;
        if has_room {
            self.values[(self.start + self.len) % MAX] = Some(value);
            self.len += 1;
        }
        has_room
    }

    /// Adds a value; the oldest goes if there is no room.
    pub(crate) fn push_over(&mut self, value: T) {
        if self.len == MAX {
            self.pop();
        }
        self.push(value);
    }

    /// Takes the oldest value.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let value = self.values[self.start].take()?;
        self.start = (self.start + 1) % MAX;
        self.len -= 1;
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use proptest::prelude::*;
    use std::collections::VecDeque;
    use std::vec::Vec;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_short_queue(steps: Vec<(u8, u16)>) {
            let mut ring: Ring<u16, 5> = Ring::new();
            let mut model = VecDeque::new();
            for (step, value) in steps {
                match step % 3 {
                    0 => {
                        prop_assert_eq!(ring.push(value), model.len() < 5);
                        model.push_back(value);
                        model.truncate(5);
                    }
                    1 => {
                        ring.push_over(value);
                        model.push_back(value);
                        while model.len() > 5 {
                            model.pop_front();
                        }
                    }
                    _ => prop_assert_eq!(ring.pop(), model.pop_front()),
                }
            }
        }
    }
}
