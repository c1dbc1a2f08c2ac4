//! The kernel's generator of random bytes.
//!
//! Law: a generator with fast key erasure, seeded from the loader's entropy, the processor's generator
//! and timing; the processor's generator alone is never handed out. It is mixed in again every
//! [`RESEED_BYTES`].

use contract_boot::BootInfo;
use kernel_machine::platform::hardware_random::{HardwareRandom, collect_jitter};
use kernel_machine::sync::IrqLock;
use lib_csprng::Csprng;

use crate::{fault, platform};

const RESEED_BYTES: usize = 1 << 20;
/// Bytes made under one hold of the lock, so that interrupts are not off for long.
const STEP_BYTES: usize = 1024;

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
