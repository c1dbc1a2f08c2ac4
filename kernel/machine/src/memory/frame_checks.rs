//! What free frames hold in a kernel with checks: poison, or zeroes.
//!
//! Law: a frame that its owner gives up is filled with [`POISON`], and whoever takes it next finds every byte
//! of it unchanged; a frame that was zeroed ahead of need is still all zeroes. Anything else is a write
//! after the frame was freed, by its last owner or through a stale translation, and stops the machine with a
//! sentence that names the frame and that owner. A frame that nobody ever had is not looked at.
//! Without the feature `checks` nothing here does anything.

use crate::checks::broken;

use super::frame::{self, Frame, FrameOwner, OWNERS};

/// What a free frame is filled with: no canonical address, and no small number.
pub const POISON: u8 = 0xd7;

/// Fills a frame that is about to be given up.
pub(super) fn poison(frame: &mut Frame) {
    if cfg!(feature = "checks") {
        frame.bytes_mut().fill(POISON);
    }
}

/// Stops the machine if the frame had an owner and does not hold poison.
pub(super) fn expect_poison(frame: &mut Frame) {
    if cfg!(feature = "checks") && frame::last_owner(frame.number()) != FrameOwner::Reserved {
        expect(frame, POISON);
    }
}

/// Stops the machine if the frame, zeroed ahead of need, does not hold zeroes.
pub(super) fn expect_zeroes(frame: &mut Frame) {
    if cfg!(feature = "checks") {
        expect(frame, 0);
    }
}

fn expect(frame: &mut Frame, byte: u8) {
    let Some(offset) = frame.bytes_mut().iter().position(|found| *found != byte) else {
        return;
    };
    let found = frame.bytes_mut()[offset];
    let last = frame::last_owner(frame.number());
    let name = OWNERS[last as usize].1;
    broken(format_args!(
        "frame {:#x} was written after it was freed: byte {offset:#x} is {found:#04x}; its last owner was: {name}",
        frame.number()
    ));
}
