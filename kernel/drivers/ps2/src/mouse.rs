//! From a mouse's bytes to what it did.
//!
//! Law: a packet is three bytes, four with a wheel. The first has a bit that is always set, by which the start of
//! a packet is found again after garbage; a packet whose counters have overflowed is dropped.
//!
//! Source: Microsoft, "PS/2 mouse" (IntelliMouse packets).

const ALWAYS_SET: u8 = 1 << 3;
const NEGATIVE_X: u8 = 1 << 4;
const NEGATIVE_Y: u8 = 1 << 5;
const OVERFLOW: u8 = 0b1100_0000;
const BUTTONS: u8 = 0b111;

/// What one packet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Movement {
    /// Counts to the right.
    pub right: i16,
    /// Counts down.
    pub down: i16,
    /// Steps of the wheel towards the person.
    pub wheel: i8,
    /// The buttons that are held: bit 0 the left, 1 the right, 2 the middle one.
    pub buttons: u8,
}

/// Collects packets.
#[derive(Debug)]
pub struct Packets {
    bytes: [u8; 4],
    len: usize,
    packet_len: usize,
}

impl Packets {
    /// Of a mouse with or without wheel.
    pub fn new(has_wheel: bool) -> Self {
        Self {
            bytes: [0; 4],
            len: 0,
            packet_len: if has_wheel { 4 } else { 3 },
        }
    }

    /// Takes a byte; answers when it completes a packet.
    pub fn feed(&mut self, byte: u8) -> Option<Movement> {
        if self.len == 0 && byte & ALWAYS_SET == 0 {
            return None;
        }
        self.bytes[self.len] = byte;
        self.len += 1;
        if self.len < self.packet_len {
            return None;
        }
        self.len = 0;
        movement(self.bytes, self.packet_len > 3)
    }

    /// Forgets a packet that has begun.
    pub fn reset(&mut self) {
        self.len = 0;
    }
}

fn movement([first, x, y, wheel]: [u8; 4], has_wheel: bool) -> Option<Movement> {
    if first & OVERFLOW != 0 {
        return None;
    }
    // Numbers of nine bits, whose sign is in the first byte.
    let signed = |low: u8, sign: u8| {
        let high = if first & sign != 0 { 256 } else { 0 };
        i16::from(low) - high
    };
    Some(Movement {
        right: signed(x, NEGATIVE_X),
        down: -signed(y, NEGATIVE_Y),
        wheel: if has_wheel { wheel as i8 } else { 0 },
        buttons: first & BUTTONS,
    })
}

/// A mouse's state after a movement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MouseEvent {
    /// Pixels from the left edge of the screen.
    pub x_px: u32,
    /// Pixels from the upper edge of the screen.
    pub y_px: u32,
    /// Steps of the wheel towards the person.
    pub wheel: i8,
    /// The buttons that are held: bit 0 the left, 1 the right, 2 the middle one.
    pub buttons: u8,
}

impl MouseEvent {
    /// After one more movement, on a screen of this size.
    pub fn after(self, movement: Movement, (width_px, height_px): (u32, u32)) -> Self {
        let moved = |at: u32, by: i16, size: u32| {
            at.saturating_add_signed(i32::from(by))
                .min(size.saturating_sub(1))
        };
        Self {
            x_px: moved(self.x_px, movement.right, width_px),
            y_px: moved(self.y_px, movement.down, height_px),
            wheel: movement.wheel,
            buttons: movement.buttons,
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use proptest::prelude::*;
    use std::vec::Vec;

    use super::*;

    fn movements(has_wheel: bool, bytes: &[u8]) -> Vec<Movement> {
        let mut packets = Packets::new(has_wheel);
        bytes
            .iter()
            .filter_map(|byte| packets.feed(*byte))
            .collect()
    }

    #[test]
    fn packets_are_decoded() {
        let moved = Movement {
            right: 5,
            down: -3,
            wheel: 0,
            buttons: 1,
        };
        assert_eq!(movements(false, &[0x09, 5, 3]), [moved]);
        let wheel = Movement {
            right: -1,
            down: 2,
            wheel: -1,
            buttons: 0,
        };
        assert_eq!(movements(true, &[0x38, 0xff, 0xfe, 0xff]), [wheel]);
        // Overflowed.
        assert_eq!(movements(false, &[0x48, 5, 3]), []);
    }

    #[test]
    fn the_start_of_a_packet_is_found_again() {
        assert_eq!(movements(false, &[0, 0x10, 0xc1, 0x08, 1, 0]).len(), 1);
    }

    #[test]
    fn the_pointer_stays_on_the_screen() {
        let movement = |right, down| Movement {
            right,
            down,
            wheel: 0,
            buttons: 0,
        };
        let size = (640, 480);
        let at = MouseEvent::default().after(movement(300, 100), size);
        assert_eq!((at.x_px, at.y_px), (300, 100));
        let at = at.after(movement(-301, 400), size);
        assert_eq!((at.x_px, at.y_px), (0, 479));
        let at = at.after(movement(5, 5), (0, 0));
        assert_eq!((at.x_px, at.y_px), (0, 0));
    }

    proptest! {
        #[test]
        fn any_bytes_move_within_bounds(bytes: Vec<u8>, has_wheel: bool) {
            for movement in movements(has_wheel, &bytes) {
                prop_assert!((-256..=256).contains(&movement.right));
                prop_assert!((-256..=256).contains(&movement.down));
                prop_assert!(movement.buttons < 8);
            }
        }
    }
}
