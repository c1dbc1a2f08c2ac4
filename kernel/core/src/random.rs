//! The kernel's generator of random bytes.
//!
//! Law: a generator with fast key erasure, seeded from the loader's entropy, the processor's generator
//! and timing; the processor's generator alone is never handed out. It is mixed in again every
//! [`RESEED_BYTES`].
//!
//! Small requests are served from a stock that each CPU keeps, since a key's first block alone costs as much as many of them. A
//! byte of a stock is erased when it is handed out, so earlier output cannot be learnt from it either. Its lock and
//! the generator's are taken one after the other, never together.

use contract_boot::BootInfo;
use kernel_machine::cpu::{self, CPUS_MAX};
use kernel_machine::platform::hardware_random::{HardwareRandom, collect_jitter};
use kernel_machine::sync::IrqLock;
use lib_csprng::Csprng;
use zeroize::Zeroizing;

use crate::{fault, platform};

const RESEED_BYTES: usize = 1 << 20;
/// Bytes made under one hold of the lock, so that interrupts are not off for long.
const STEP_BYTES: usize = 1024;

/// Requests of up to so many bytes come from the stock.
const SMALL_BYTES_MAX: usize = 64;
const STOCK_BYTES: usize = 512;

/// Bytes that were made ahead: the last `left` of them, those before are zero.
struct Stock {
    bytes: [u8; STOCK_BYTES],
    left: usize,
}

impl Stock {
    const EMPTY: Self = Self {
        bytes: [0; STOCK_BYTES],
        left: 0,
    };

    /// Hands out, if there is enough.
    fn take(&mut self, output: &mut [u8]) -> bool {
        if self.left < output.len() {
            return false;
        }
        let start = STOCK_BYTES - self.left;
        let taken = &mut self.bytes[start..start + output.len()];
        output.copy_from_slice(taken);
        taken.fill(0);
        self.left -= output.len();
        true
    }
}

static STOCKS: [IrqLock<Stock>; CPUS_MAX] = [const { IrqLock::new(Stock::EMPTY) }; CPUS_MAX];

struct Generator {
    csprng: Csprng,
    hardware: HardwareRandom,
    bytes_since_reseed: usize,
}

static GENERATOR: IrqLock<Option<Generator>> = IrqLock::new(None);

pub(crate) fn init(info: &BootInfo) {
    let mut hardware = HardwareRandom::new(platform::features());
    let mut csprng = Csprng::from_seed(&info.entropy);
    csprng.reseed(&fresh_material(&mut hardware));
    *GENERATOR.lock() = Some(Generator {
        csprng,
        hardware,
        bytes_since_reseed: 0,
    });
}

fn fresh_material(hardware: &mut HardwareRandom) -> [u8; 256] {
    let mut words = [0u64; 32];
    collect_jitter(&mut words);
    for word in &mut words[..8] {
        *word ^= hardware.next_u64().unwrap_or(0);
    }
    let mut bytes = [0; 256];
    for (chunk, word) in bytes.chunks_exact_mut(8).zip(words) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

/// Fills `output` with random bytes fit for keys.
pub fn fill(output: &mut [u8]) {
    if output.len() <= SMALL_BYTES_MAX {
        fill_small(output);
    } else {
        fill_large(output);
    }
}

/// From the stock of this CPU, or of the one on which the caller just was.
fn fill_small(output: &mut [u8]) {
    // The caller's memory may fault; under a lock nothing may.
    let mut bytes = Zeroizing::new([0; SMALL_BYTES_MAX]);
    let taken = &mut bytes[..output.len()];
    let stock = &STOCKS[cpu::index() as usize];
    // Declared apart from the question: the lock is not held while more is made.
    let mut is_enough = stock.lock().take(taken);
    while !is_enough {
        let mut fresh = Zeroizing::new([0; STOCK_BYTES]);
        fill_step(&mut *fresh);
        let mut stock = stock.lock();
        stock.bytes.copy_from_slice(&*fresh);
        stock.left = STOCK_BYTES;
        is_enough = stock.take(taken);
    }
    output.copy_from_slice(taken);
}

fn fill_large(output: &mut [u8]) {
    for step in output.chunks_mut(STEP_BYTES) {
        // The caller's memory may fault; under the lock nothing may.
        let mut bytes = [0; STEP_BYTES];
        fill_step(&mut bytes[..step.len()]);
        step.copy_from_slice(&bytes[..step.len()]);
    }
}

fn fill_step(output: &mut [u8]) {
    let mut guard = GENERATOR.lock();
    let Some(generator) = guard.as_mut() else {
        drop(guard);
        fault::stop("random bytes were asked for before there were any");
    };
    generator.bytes_since_reseed += output.len();
    if generator.bytes_since_reseed >= RESEED_BYTES {
        generator.bytes_since_reseed = 0;
        let material = fresh_material(&mut generator.hardware);
        generator.csprng.reseed(&material);
    }
    generator.csprng.fill(output);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stock_hands_out_each_byte_once_and_erases_it() {
        let mut stock = Stock {
            bytes: core::array::from_fn(|index| (index / 16) as u8 + 1),
            left: STOCK_BYTES,
        };
        for number in 1..=STOCK_BYTES / 16 {
            let mut output = [0; 16];
            assert!(stock.take(&mut output));
            assert_eq!(output, [number as u8; 16]);
            assert_eq!(stock.bytes[..number * 16], [0; STOCK_BYTES][..number * 16]);
        }
        assert!(!stock.take(&mut [0]));
        assert!(stock.take(&mut []));
    }
}
