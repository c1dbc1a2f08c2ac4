//! Clocks.
//!
//! Law: the monotonic clock is the time-stamp counter, scaled; it starts near 0 at the loader's end and
//! never stops. The real-time clock is the battery-backed clock's reading at boot plus the monotonic clock. Before
//! [`init`] both show 0. Units: nanoseconds.

use kernel_machine::platform::hpet::Hpet;
use kernel_machine::platform::pm_timer::PmTimer;
use kernel_machine::platform::rtc::Rtc;
use kernel_machine::platform::tsc::{self, MonotonicClock, TickScale};
use spin::Once;

use crate::{fault, platform};

static CLOCK: Once<MonotonicClock> = Once::new();
static TSC_HZ: Once<u64> = Once::new();
/// Unix time at which the monotonic clock showed 0.
static REAL_TIME_OFFSET_NS: Once<u64> = Once::new();

pub(crate) fn init() {
    let found = platform::platform();
    let mut hpet = found
        .hpet_address
        .and_then(|address| Hpet::start(address).ok());
    let mut pm_timer = found.pm_timer.map(PmTimer::new);
    let claims = &platform::features().tsc_claims;
    let frequency = tsc::calibrate(claims, hpet.as_mut(), pm_timer.as_mut())
        .unwrap_or_else(|error| fault::stop_with(format_args!("{error}")));
    let Some(scale) = TickScale::new(frequency.hz) else {
        fault::stop("the time-stamp counter's frequency cannot be");
    };
    CLOCK.call_once(|| MonotonicClock::new(tsc::read(), scale));
    TSC_HZ.call_once(|| frequency.hz);
    log::info!(
        "counter at {} kHz by {:?}, spread {} ppm",
        frequency.hz / 1000,
        frequency.source,
        frequency.spread_ppm
    );
    if let Some((source, hz)) = frequency.contradicted_by {
        log::warn!("{source:?} says {} kHz instead", hz / 1000);
    }
    read_real_time(found.rtc_century_register);
}

fn read_real_time(century_register: Option<u8>) {
    let seconds = match Rtc::new(century_register).read_unix_seconds() {
        Ok(seconds) => u64::try_from(seconds).unwrap_or(0),
        Err(error) => {
            log::warn!("the clock is taken as 1970-01-01: {error}");
            0
        }
    };
    let offset = seconds
        .saturating_mul(1_000_000_000)
        .saturating_sub(monotonic_ns());
    REAL_TIME_OFFSET_NS.call_once(|| offset);
}

/// Time since boot.
pub fn monotonic_ns() -> u64 {
    CLOCK.get().map_or(0, MonotonicClock::now_ns)
}

/// Time since 1970-01-01 UTC.
pub fn realtime_ns() -> u64 {
    REAL_TIME_OFFSET_NS
        .get()
        .map_or(0, |offset| offset + monotonic_ns())
}

pub(crate) fn clock() -> Option<&'static MonotonicClock> {
    CLOCK.get()
}

pub(crate) fn tsc_hz() -> u64 {
    TSC_HZ.get().copied().unwrap_or(0)
}
