//! Random bytes for the kernel's generator.
//!
//! Law: never worse for having more sources: the firmware's generator, if it has one, and the
//! jitter of the time-stamp counter go through SHA-256 together. The kernel adds its own.

use lib_bundle::sha256;
use uefi::boot;
use uefi::proto::rng::Rng;

use core::time::Duration;

use super::cpu;

const JITTER_SAMPLES: usize = 256;

/// 64 bytes, different at every start.
pub(super) fn collect() -> [u8; 64] {
    let (firmware, jitter) = (firmware_bytes(), jitter_bytes());
    let mut entropy = [0; 64];
    for (number, half) in entropy.chunks_exact_mut(32).enumerate() {
        half.copy_from_slice(&sha256(&[&[number as u8], &firmware, &jitter]));
    }
    entropy
}

/// From `EFI_RNG_PROTOCOL`; zeros if there is none.
fn firmware_bytes() -> [u8; 64] {
    let mut bytes = [0; 64];
    if let Ok(handle) = boot::get_handle_for_protocol::<Rng>()
        && let Ok(mut generator) = boot::open_protocol_exclusive::<Rng>(handle)
        && generator.get_rng(None, &mut bytes).is_err()
    {
        // Nothing is assumed about what a generator that failed has written.
        bytes = [0; 64];
    }
    bytes
}

/// How long one microsecond of waiting took, again and again: the low bits are noise.
fn jitter_bytes() -> [u8; JITTER_SAMPLES * 8] {
    let mut bytes = [0; JITTER_SAMPLES * 8];
    for sample in bytes.chunks_exact_mut(8) {
        boot::stall(Duration::from_micros(1));
        sample.copy_from_slice(&cpu::time_stamp().to_le_bytes());
    }
    bytes
}
