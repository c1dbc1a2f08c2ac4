//! A stack of frame numbers with room for `N`.

use lib_buddy::FrameNumber;

/// The frames, the one that was put in last on top.
pub(crate) struct Magazine<const N: usize> {
    frames: [FrameNumber; N],
    len: usize,
}

impl<const N: usize> Magazine<N> {
    pub(crate) const EMPTY: Self = Self {
        frames: [0; N],
        len: 0,
    };

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len == N
    }

    /// Puts a frame on top; false when there is no room.
    #[must_use]
    pub(crate) fn push(&mut self, frame: FrameNumber) -> bool {
        let Some(slot) = self.frames.get_mut(self.len) else {
            return false;
        };
        *slot = frame;
        self.len += 1;
        true
    }

    /// Takes the frame on top: the one that a processor's caches most likely still hold.
    pub(crate) fn pop(&mut self) -> Option<FrameNumber> {
        self.len = self.len.checked_sub(1)?;
        Some(self.frames[self.len])
    }

    /// Takes up to `count` frames from the bottom, the coldest ones, and hands each to `visit`.
    pub(crate) fn take_coldest(&mut self, count: usize, mut visit: impl FnMut(FrameNumber)) {
        let count = count.min(self.len);
        self.frames[..count].iter().for_each(|frame| visit(*frame));
        self.frames.copy_within(count..self.len, 0);
        self.len -= count;
    }
}
