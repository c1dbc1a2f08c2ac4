//! One timer per CPU, armed with a time of the time-stamp counter.
//!
//! Law: [`ApicTimer`] says how; it is one value for the machine, and [`ApicTimer::arm`] acts on the
//! CPU that runs. Where the CPU has deadline mode, the hardware compares; else the time is turned
//! into a count of the local APIC timer, measured once. A count that does not fit fires early,
//! never late: whoever is woken compares with the clock and arms again.

use super::features::CpuFeatures;
use super::local_apic::{LocalApic, LocalVectors, TimerDivider};
use super::tsc::{self, Stuck, TickScale};

/// By 16 a count of 32 bits lasts a minute on a 1 GHz bus, and a tick is still a fraction of a
/// microsecond.
const DIVIDER: TimerDivider = TimerDivider::By16;

/// How this machine's CPUs time one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApicTimer {
    /// TSC-deadline mode.
    Deadline,
    /// Counting down.
    OneShot {
        /// Ticks of the time-stamp counter.
        tsc: TickScale,
        /// Ticks of the divided timer.
        timer: TickScale,
    },
}

/// The timer cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApicTimerError {
    /// It does not count.
    Stuck,
    /// It, or the time-stamp counter, runs at a frequency, in Hz, that cannot be.
    Frequency(u64),
}

impl core::fmt::Display for ApicTimerError {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Stuck => out.write_str("this CPU's local APIC timer does not count"),
            Self::Frequency(hz) => write!(out, "no timer of this machine can run at {hz} Hz"),
        }
    }
}

impl core::error::Error for ApicTimerError {}

impl ApicTimer {
    /// Chooses the mode, and measures the timer if it must count: about 40 ms, with interrupts off.
    pub fn choose(
        features: &CpuFeatures,
        local_apic: &LocalApic,
        tsc_hz: u64,
    ) -> Result<Self, ApicTimerError> {
        if features.has_tsc_deadline {
            return Ok(Self::Deadline);
        }
        let measured = local_apic
            .measure_timer(DIVIDER, tsc_hz)
            .map_err(|Stuck| ApicTimerError::Stuck)?;
        Ok(Self::OneShot {
            tsc: TickScale::new(tsc_hz).ok_or(ApicTimerError::Frequency(tsc_hz))?,
            timer: TickScale::new(measured.hz).ok_or(ApicTimerError::Frequency(measured.hz))?,
        })
    }

    /// Prepares the timer of the CPU that runs, disarmed. After [`LocalApic::enable`].
    pub fn enable(&self, local_apic: &LocalApic, vectors: LocalVectors) {
        match self {
            Self::Deadline => local_apic.use_tsc_deadline(vectors),
            Self::OneShot { .. } => local_apic.use_one_shot(vectors, DIVIDER),
        }
    }

    /// Fires once on the CPU that runs, when the time-stamp counter reaches `deadline_tsc`, or
    /// earlier; soon if that has passed. Replaces what was armed.
    pub fn arm(&self, local_apic: &LocalApic, deadline_tsc: u64) {
        match self {
            // 0 would disarm.
            Self::Deadline => local_apic.arm_tsc_deadline(deadline_tsc.max(1)),
            Self::OneShot { tsc, timer } => {
                let ticks = deadline_tsc.saturating_sub(tsc::read());
                local_apic.arm_one_shot(count(*tsc, *timer, ticks));
            }
        }
    }
}

/// Ticks of the timer in `tsc_ticks`; at least 1, because 0 would disarm.
fn count(tsc: TickScale, timer: TickScale, tsc_ticks: u64) -> u32 {
    let ticks = timer.ticks_from_ns(tsc.ns_from_ticks(tsc_ticks));
    u32::try_from(ticks).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_follow_the_ratio_of_the_clocks() {
        let tsc = TickScale::new(2_000_000_000).unwrap();
        let timer = TickScale::new(62_500_000).unwrap();
        assert_eq!(count(tsc, timer, 2_000_000_000), 62_500_000);
        assert_eq!(count(tsc, timer, 32_000), 1000);
        assert_eq!(count(tsc, timer, 0), 1);
        assert_eq!(count(tsc, timer, u64::MAX), u32::MAX);
    }
}
