//! The 8254 interval timer: channel 2 as a counter, channel 0 as a source of many interrupts.
//!
//! Law: the last resort for calibration. Channel 2 raises no interrupt; its gate is opened, the
//! speaker behind it stays silent. Its 16 bits wrap every 55 ms: whoever uses it must read it more
//! often than that. Channel 0 interrupts on ISA line 0 in [`storm`], for tests; otherwise it is left as firmware had it,
//! behind a masked line.
//!
//! Source: Intel 82C54 datasheet (order 231244): control word, counter latch command, mode 2.

use crate::port::Port;

use super::tsc::{Counter, FEMTOSECONDS_PER_SECOND, Reference};

/// Ticks per second: 105/88 MHz, rounded.
pub const FREQUENCY_HZ: u64 = 1_193_182;

const CHANNEL_0: Port<u8> = Port::new(0x40);
const CHANNEL_2: Port<u8> = Port::new(0x42);
const COMMAND: Port<u8> = Port::new(0x43);
const SPEAKER: Port<u8> = Port::new(0x61);

const SPEAKER_GATE_2: u8 = 1;
const SPEAKER_DATA: u8 = 2;
const CHANNEL_2_LOW_HIGH_RATE_GENERATOR: u8 = 0b1011_0100;
const CHANNEL_0_LOW_HIGH_RATE_GENERATOR: u8 = 0b0011_0100;
/// Counting starts with the count, which does not come.
const CHANNEL_0_ONE_SHOT: u8 = 0b0011_0000;
const CHANNEL_2_LATCH: u8 = 0b1000_0000;

/// Lets channel 0 interrupt every `ticks` of [`FREQUENCY_HZ`]; `None` stops it.
pub fn storm(ticks: Option<u16>) {
    match ticks {
        Some(ticks) => {
            COMMAND.write(CHANNEL_0_LOW_HIGH_RATE_GENERATOR);
            for byte in ticks.to_le_bytes() {
                CHANNEL_0.write(byte);
            }
        }
        None => COMMAND.write(CHANNEL_0_ONE_SHOT),
    }
}

/// The running channel.
#[derive(Debug)]
pub struct Pit(());

impl Pit {
    /// Starts channel 2 with its longest period, 65 536 ticks.
    pub fn start() -> Self {
        SPEAKER.write(SPEAKER.read() & !SPEAKER_DATA | SPEAKER_GATE_2);
        COMMAND.write(CHANNEL_2_LOW_HIGH_RATE_GENERATOR);
        CHANNEL_2.write(0);
        CHANNEL_2.write(0);
        Self(())
    }
}

impl Reference for Pit {
    fn period_fs(&self) -> u64 {
        FEMTOSECONDS_PER_SECOND / FREQUENCY_HZ
    }
}

impl Counter for Pit {
    fn mask(&self) -> u64 {
        0xffff
    }
    fn read(&mut self) -> u64 {
        COMMAND.write(CHANNEL_2_LATCH);
        let low = CHANNEL_2.read();
        let high = CHANNEL_2.read();
        // The hardware counts down.
        u64::from(!u16::from_le_bytes([low, high]))
    }
}
