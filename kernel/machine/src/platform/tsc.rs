//! The time-stamp counter: the machine's clock once its frequency is known.
//!
//! Law: the frequency comes from CPUID where that is plausible and not contradicted by a steady
//! measurement against a hardware timer; else from the measurement. One sample is never trusted: on
//! a busy host a single one was wrong by a factor of 3.5. See [`sampling`] for how samples are
//! taken.
//!
//! Source: Intel SDM vol. 3, section 18.17 (time-stamp counter, and how CPUID leaves 0x15 and 0x16
//! give its frequency); leaf 0x4000_0010 as hypervisors agreed on it (EAX: kHz of the TSC).

pub mod conversion;
pub mod sampling;
pub mod skew;

use core::arch::asm;

pub use conversion::{MonotonicClock, TickScale};
pub use sampling::{Counter, Measurement, Reference, Stuck};

use super::features::TscClaims;
use super::hpet::Hpet;
use super::pit::Pit;
use super::pm_timer::PmTimer;

/// Femtoseconds in a second: periods are integers in this unit.
pub const FEMTOSECONDS_PER_SECOND: u64 = 1_000_000_000_000_000;

/// Frequencies outside this range are garbage.
const PLAUSIBLE_HZ: core::ops::RangeInclusive<u64> = 10_000_000..=20_000_000_000;
/// A measurement whose samples differ by more than this does not overrule CPUID.
const STEADY_PPM: u32 = 2_000;
/// CPUID and a steady measurement that differ by more than this disagree.
const DISAGREEMENT_PPM: u64 = 5_000;

/// Reads the counter. Earlier loads have completed, later instructions have not started.
pub fn read() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: `rdtsc` reads a counter. Not `nomem`, so that the compiler keeps it in place.
    unsafe {
        asm!("lfence", "rdtsc", "lfence", out("eax") low, out("edx") high,
             options(nostack, preserves_flags));
    }
    u64::from(high) << 32 | u64::from(low)
}

/// Who told the frequency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TscSource {
    /// The hypervisor's CPUID leaf 0x4000_0010.
    Hypervisor,
    /// CPUID leaf 0x15: crystal frequency and ratio.
    Crystal,
    /// CPUID leaf 0x16: base frequency, rounded to 1 MHz. Used only when nothing else answers.
    BaseFrequency,
    /// Measured against the HPET.
    Hpet,
    /// Measured against the ACPI power-management timer.
    PmTimer,
    /// Measured against the 8254.
    Pit,
}

/// The frequency and how much to believe it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TscFrequency {
    /// Ticks per second.
    pub hz: u64,
    /// Who told it.
    pub source: TscSource,
    /// Distance between the samples, in parts per million; 0 for what CPUID says.
    pub spread_ppm: u32,
    /// Another source that said something else, and what. Worth a line in the log.
    pub contradicted_by: Option<(TscSource, u64)>,
}

/// Nothing tells the frequency: no plausible CPUID leaf, no timer that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoTscFrequency;

impl core::fmt::Display for NoTscFrequency {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.write_str(
            "the time-stamp counter's frequency is unknown: CPUID does not tell it, and neither HPET, \
             ACPI timer nor 8254 is running",
        )
    }
}

impl core::error::Error for NoTscFrequency {}

/// Finds the frequency; takes about 40 ms. Call with interrupts off, on one CPU.
pub fn calibrate(
    claims: &TscClaims,
    hpet: Option<&mut Hpet>,
    pm_timer: Option<&mut PmTimer>,
) -> Result<TscFrequency, NoTscFrequency> {
    decide(claims, measure_best(hpet, pm_timer))
}

type Measured = (TscSource, Measurement);

fn measure_best(hpet: Option<&mut Hpet>, pm_timer: Option<&mut PmTimer>) -> Option<Measured> {
    let mut best = None;
    if let Some(hpet) = hpet {
        best = steadier(best, TscSource::Hpet, measure(hpet));
    }
    if let (Some(pm_timer), false) = (pm_timer, is_steady(best)) {
        best = steadier(best, TscSource::PmTimer, measure(pm_timer));
    }
    if !is_steady(best) {
        best = steadier(best, TscSource::Pit, measure(&mut Pit::start()));
    }
    best
}

fn measure(reference: &mut impl Reference) -> Result<Measurement, Stuck> {
    sampling::measure_tsc(&mut read, reference)
}

fn is_steady(measured: Option<Measured>) -> bool {
    measured.is_some_and(|(_, measurement)| measurement.spread_ppm <= STEADY_PPM)
}

fn steadier(
    best: Option<Measured>,
    source: TscSource,
    next: Result<Measurement, Stuck>,
) -> Option<Measured> {
    let next = next
        .ok()
        .filter(|next| PLAUSIBLE_HZ.contains(&next.hz))
        .map(|next| (source, next));
    best.into_iter()
        .chain(next)
        .min_by_key(|(_, measurement)| measurement.spread_ppm)
}

/// Weighs what CPUID claims against what was measured.
fn decide(claims: &TscClaims, measured: Option<Measured>) -> Result<TscFrequency, NoTscFrequency> {
    let exact = plausible(TscSource::Hypervisor, claims.hypervisor_hz)
        .or(plausible(TscSource::Crystal, claims.crystal_hz));
    let rough = plausible(TscSource::BaseFrequency, claims.base_hz);
    match (exact, measured) {
        (Some(claim), None) => Ok(claimed(claim)),
        (Some(claim), Some(measured)) => Ok(weigh(claim, measured)),
        (None, Some((source, measurement))) => Ok(TscFrequency {
            hz: measurement.hz,
            source,
            spread_ppm: measurement.spread_ppm,
            contradicted_by: None,
        }),
        (None, None) => rough.map(claimed).ok_or(NoTscFrequency),
    }
}

fn plausible(source: TscSource, hz: Option<u64>) -> Option<(TscSource, u64)> {
    hz.filter(|hz| PLAUSIBLE_HZ.contains(hz))
        .map(|hz| (source, hz))
}

fn claimed((source, hz): (TscSource, u64)) -> TscFrequency {
    TscFrequency {
        hz,
        source,
        spread_ppm: 0,
        contradicted_by: None,
    }
}

fn weigh(claim: (TscSource, u64), (source, measurement): Measured) -> TscFrequency {
    let distance_ppm = claim.1.abs_diff(measurement.hz) * 1_000_000 / measurement.hz;
    if distance_ppm <= DISAGREEMENT_PPM {
        return claimed(claim);
    }
    if measurement.spread_ppm > STEADY_PPM {
        return TscFrequency {
            contradicted_by: Some((source, measurement.hz)),
            ..claimed(claim)
        };
    }
    TscFrequency {
        hz: measurement.hz,
        source,
        spread_ppm: measurement.spread_ppm,
        contradicted_by: Some(claim),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(crystal_hz: Option<u64>) -> TscClaims {
        TscClaims {
            hypervisor_hz: None,
            crystal_hz,
            base_hz: Some(3_000_000_000),
        }
    }

    fn measured(hz: u64, spread_ppm: u32) -> Option<Measured> {
        Some((TscSource::Hpet, Measurement { hz, spread_ppm }))
    }

    #[test]
    fn an_agreeing_claim_is_taken_exactly() {
        let found = decide(&claims(Some(2_400_000_000)), measured(2_400_900_000, 100)).unwrap();
        assert_eq!(
            (found.hz, found.source),
            (2_400_000_000, TscSource::Crystal)
        );
        assert_eq!(found.contradicted_by, None);
    }

    #[test]
    fn a_steady_measurement_overrules_a_wrong_claim() {
        let found = decide(&claims(Some(4_800_000_000)), measured(2_400_000_000, 100)).unwrap();
        assert_eq!((found.hz, found.source), (2_400_000_000, TscSource::Hpet));
        assert_eq!(
            found.contradicted_by,
            Some((TscSource::Crystal, 4_800_000_000))
        );
    }

    #[test]
    fn a_shaky_measurement_does_not_overrule() {
        let found = decide(
            &claims(Some(2_400_000_000)),
            measured(8_000_000_000, 90_000),
        )
        .unwrap();
        assert_eq!(found.hz, 2_400_000_000);
        assert_eq!(
            found.contradicted_by,
            Some((TscSource::Hpet, 8_000_000_000))
        );
    }

    #[test]
    fn garbage_claims_are_ignored_and_nothing_is_an_error() {
        for garbage in [0, 1, 9_999_999, 20_000_000_001, u64::MAX] {
            let found = decide(&claims(Some(garbage)), measured(1_000_000_000, 1)).unwrap();
            assert_eq!(found.hz, 1_000_000_000);
        }
        let rough = decide(&claims(None), None).unwrap();
        assert_eq!(rough.source, TscSource::BaseFrequency);
        assert_eq!(decide(&TscClaims::default(), None), Err(NoTscFrequency));
    }

    #[test]
    fn the_counter_advances() {
        let first = read();
        assert!(read() > first);
    }
}
