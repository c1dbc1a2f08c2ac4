//! The two 8259 interrupt controllers of the PC, put to rest.
//!
//! Law: interrupts come through the I/O APICs only. The 8259s are moved away from the exception
//! vectors, because a masked controller can still raise a spurious IRQ 7 or 15 on its way there,
//! and then masked for good. [`VECTORS`] stay reserved for those spurious interrupts.
//!
//! Source: Intel 8259A datasheet (order 231468): initialisation words, OCW1..3, "Spurious
//! interrupts".

use core::ops::Range;

use crate::port::{Port, io_delay};

/// Vectors that belong to the 8259s: nothing else may be given one of them.
pub const VECTORS: Range<u8> = 0x20..0x30;

const PRIMARY_COMMAND: Port<u8> = Port::new(0x20);
const PRIMARY_DATA: Port<u8> = Port::new(0x21);
const SECONDARY_COMMAND: Port<u8> = Port::new(0xa0);
const SECONDARY_DATA: Port<u8> = Port::new(0xa1);

const ICW1_INIT_EXPECT_ICW4: u8 = 0x11;
const ICW3_PRIMARY_CASCADE_ON_IRQ2: u8 = 1 << 2;
const ICW3_SECONDARY_IDENTITY: u8 = 2;
const ICW4_8086_MODE: u8 = 1;
const OCW2_END_OF_INTERRUPT: u8 = 0x20;
const OCW3_READ_IN_SERVICE: u8 = 0x0b;
const MASK_ALL: u8 = 0xff;

/// Moves both controllers to [`VECTORS`] and masks every line. Call once, with interrupts off.
pub fn remap_and_mask() {
    let sequence = [
        (PRIMARY_DATA, MASK_ALL),
        (SECONDARY_DATA, MASK_ALL),
        (PRIMARY_COMMAND, ICW1_INIT_EXPECT_ICW4),
        (SECONDARY_COMMAND, ICW1_INIT_EXPECT_ICW4),
        (PRIMARY_DATA, VECTORS.start),
        (SECONDARY_DATA, VECTORS.start + 8),
        (PRIMARY_DATA, ICW3_PRIMARY_CASCADE_ON_IRQ2),
        (SECONDARY_DATA, ICW3_SECONDARY_IDENTITY),
        (PRIMARY_DATA, ICW4_8086_MODE),
        (SECONDARY_DATA, ICW4_8086_MODE),
        (PRIMARY_DATA, MASK_ALL),
        (SECONDARY_DATA, MASK_ALL),
    ];
    for (port, value) in sequence {
        port.write(value);
        io_delay();
    }
}

/// Handles an interrupt that arrived on a vector of [`VECTORS`]. True if it was spurious, as every such
/// interrupt should be; false means that a line was raised in spite of its mask.
pub fn handle(vector: u8) -> bool {
    match vector.wrapping_sub(VECTORS.start) {
        line @ 0..8 => handle_line(PRIMARY_COMMAND, line, &[PRIMARY_COMMAND]),
        line @ 8..16 => {
            let acknowledged = [SECONDARY_COMMAND, PRIMARY_COMMAND];
            let spurious = handle_line(SECONDARY_COMMAND, line - 8, &acknowledged);
            if spurious {
                // The primary did see its cascade line, so it alone wants an acknowledgement.
                PRIMARY_COMMAND.write(OCW2_END_OF_INTERRUPT);
            }
            spurious
        }
        _ => true,
    }
}

fn handle_line(controller: Port<u8>, line: u8, acknowledge: &[Port<u8>]) -> bool {
    controller.write(OCW3_READ_IN_SERVICE);
    let in_service = controller.read();
    let spurious = in_service & (1 << line) == 0;
    if !spurious {
        acknowledge
            .iter()
            .for_each(|port| port.write(OCW2_END_OF_INTERRUPT));
    }
    spurious
}
