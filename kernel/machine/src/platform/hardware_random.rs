//! Randomness from the CPU: `rdseed`, `rdrand`, and timing.
//!
//! Law: nothing here is a generator for anybody's keys; it is raw material for the kernel's CSPRNG,
//! which mixes several sources. A source that is absent, gives up, or answers what broken parts
//! answer (all zeros, all ones, the same value again) yields nothing.
//!
//! Source: Intel SDM vol. 1, section 7.3.17 (retries); AMD's erratum on `rdrand` answering all ones
//! after a suspend is why constant answers are refused.

use core::arch::asm;

use super::features::CpuFeatures;
use super::tsc;

/// Retries that the manual asks for before `rdrand` counts as broken.
const RDRAND_TRIES: usize = 10;
/// `rdseed` may run dry for longer.
const RDSEED_TRIES: usize = 100;

/// Instructions for random numbers, checked.
#[derive(Debug)]
pub struct HardwareRandom {
    has_rdseed: bool,
    has_rdrand: bool,
    last: u64,
}

impl HardwareRandom {
    /// What this CPU offers.
    pub fn new(features: &CpuFeatures) -> Self {
        Self {
            has_rdseed: features.has_rdseed,
            has_rdrand: features.has_rdrand,
            last: 0,
        }
    }

    /// 64 bits from `rdseed`, else from `rdrand`; `None` if neither gives anything believable.
    pub fn next_u64(&mut self) -> Option<u64> {
        let seed = self
            .has_rdseed
            .then(|| retry(RDSEED_TRIES, rdseed))
            .flatten();
        let value = seed.or_else(|| {
            self.has_rdrand
                .then(|| retry(RDRAND_TRIES, rdrand))
                .flatten()
        })?;
        self.accept(value)
    }

    /// Refuses what a broken source says; a good one loses one value in 2⁶² by it.
    fn accept(&mut self, value: u64) -> Option<u64> {
        let is_healthy = value != 0 && value != u64::MAX && value != self.last;
        self.last = value;
        is_healthy.then_some(value)
    }
}

fn retry(tries: usize, mut source: impl FnMut() -> Option<u64>) -> Option<u64> {
    (0..tries).find_map(|_| {
        let value = source();
        if value.is_none() {
            core::hint::spin_loop();
        }
        value
    })
}

fn rdseed() -> Option<u64> {
    let (value, ok): (u64, u8);
    // SAFETY: called only where CPUID has the instruction; it writes two registers.
    unsafe {
        asm!("rdseed {}", "setc {}", out(reg) value, out(reg_byte) ok, options(nomem, nostack))
    }
    (ok != 0).then_some(value)
}

fn rdrand() -> Option<u64> {
    let (value, ok): (u64, u8);
    // SAFETY: as in `rdseed`.
    unsafe {
        asm!("rdrand {}", "setc {}", out(reg) value, out(reg_byte) ok, options(nomem, nostack))
    }
    (ok != 0).then_some(value)
}

/// Fills `samples` with time-stamp differences across memory fences: the low bits vary with
/// everything that shares the machine. Worth far less than 64 bits each; to be hashed, and not to
/// be relied on alone.
pub fn collect_jitter(samples: &mut [u64]) {
    let mut last = tsc::read();
    for sample in samples {
        // SAFETY: a fence changes nothing.
        unsafe { asm!("mfence", options(nostack, preserves_flags)) }
        let now = tsc::read();
        *sample = now.wrapping_sub(last);
        last = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without_instructions() -> HardwareRandom {
        HardwareRandom {
            has_rdseed: false,
            has_rdrand: false,
            last: 0,
        }
    }

    #[test]
    fn broken_answers_are_refused() {
        let mut random = without_instructions();
        assert_eq!(random.accept(u64::MAX), None);
        assert_eq!(random.accept(0), None);
        assert_eq!(random.accept(42), Some(42));
        assert_eq!(random.accept(42), None);
        assert_eq!(random.accept(43), Some(43));
    }

    #[test]
    fn no_instruction_is_no_value() {
        assert_eq!(without_instructions().next_u64(), None);
    }

    #[test]
    fn a_dry_source_is_asked_a_bounded_number_of_times() {
        let mut asked = 0;
        let answer = retry(7, || {
            asked += 1;
            None
        });
        assert_eq!((answer, asked), (None, 7));
        assert_eq!(retry(2, || Some(5)), Some(5));
    }

    #[test]
    fn jitter_is_collected() {
        let mut samples = [0; 64];
        collect_jitter(&mut samples);
        assert!(samples.iter().any(|sample| *sample != 0));
    }
}
