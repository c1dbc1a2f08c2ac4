//! Clocks.
//!
//! Law: the monotonic clock is the time-stamp counter, scaled; it starts near 0 at the loader's end and
//! never stops. The real-time clock is the battery-backed clock's reading at boot plus the monotonic clock, until it is set
//! ([`set_realtime_ns`]). Who waits for a moment of the real-time clock waits as long as it was away when the wait began.
//! Before [`init`] both show 0. Units: nanoseconds.
//!
//! The monotonic clock never goes back, whichever CPU reads it. When a CPU starts, its counter is compared with the boot CPU's
//! ([`Skew`]); where they are proved to differ, every reading is made at least the latest one that any CPU gave
//! ([`LATEST_NS`]): slower, since all CPUs write that word, and right. Counters that the comparison cannot tell apart
//! differ by less than a message between CPUs takes, so nobody can see it.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use kernel_machine::platform::hpet::Hpet;
use kernel_machine::platform::pm_timer::PmTimer;
use kernel_machine::platform::rtc::Rtc;
pub use kernel_machine::platform::rtc::RtcError;
use kernel_machine::platform::tsc::skew::{Exchange, Skew};
use kernel_machine::platform::tsc::{self, MonotonicClock, TickScale};
use spin::Once;

use crate::{fault, platform};

static CLOCK: Once<MonotonicClock> = Once::new();
static TSC_HZ: Once<u64> = Once::new();
/// Unix time at which the monotonic clock showed 0, modulo 2^64.
static REAL_TIME_OFFSET_NS: AtomicU64 = AtomicU64::new(0);
/// The battery-backed clock, for one at a time.
static BATTERY_CLOCK: spin::Mutex<Option<Rtc>> = spin::Mutex::new(None);
/// Whether counters differ, so that readings must be compared with [`LATEST_NS`].
static IS_GUARDED: AtomicBool = AtomicBool::new(false);
/// The latest reading while [`IS_GUARDED`].
static LATEST_NS: AtomicU64 = AtomicU64::new(0);

const NS_PER_SECOND: u64 = 1_000_000_000;
/// Exchanges of one comparison at most: on a busy host each may take a time slice of the host.
const EXCHANGES_MAX: u32 = 8;
/// A comparison ends when the answer is this narrow, in fractions of a second.
const NARROW_PER_SECOND: u64 = 100_000;
/// How the two CPUs take turns: even numbers are the asker's turn, odd ones the answerer's, and [`OVER`] ends it.
static TURN: AtomicU32 = AtomicU32::new(0);
const OVER: u32 = u32::MAX - 1;
static ANSWER: AtomicU64 = AtomicU64::new(0);

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
    let mut clock = Rtc::new(century_register);
    let seconds = clock.read_unix_seconds().unwrap_or_else(|error| {
        log::warn!("the clock is taken as 1970-01-01: {error}");
        0
    });
    *BATTERY_CLOCK.lock() = Some(clock);
    set_realtime_ns(
        u64::try_from(seconds)
            .unwrap_or(0)
            .saturating_mul(NS_PER_SECOND),
    );
}

/// Why the battery-backed clock was not read or set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatteryClockError {
    /// Somebody else reads or sets it now.
    Busy,
    /// The clock itself.
    Clock(RtcError),
}

/// What the battery-backed clock shows, in seconds since 1970-01-01 UTC.
///
/// # Errors
/// See [`BatteryClockError`].
pub fn read_battery_clock_s() -> Result<i64, BatteryClockError> {
    with_battery_clock(Rtc::read_unix_seconds)
}

/// Sets the battery-backed clock.
///
/// # Errors
/// See [`BatteryClockError`].
pub fn write_battery_clock_s(seconds: i64) -> Result<(), BatteryClockError> {
    with_battery_clock(|clock| clock.write_unix_seconds(seconds))
}

/// Nobody waits for the lock: the clock may take milliseconds, and its holder may be preempted.
fn with_battery_clock<T>(
    work: impl FnOnce(&mut Rtc) -> Result<T, RtcError>,
) -> Result<T, BatteryClockError> {
    let mut clock = BATTERY_CLOCK.try_lock().ok_or(BatteryClockError::Busy)?;
    let clock = clock.as_mut().ok_or(BatteryClockError::Busy)?;
    work(clock).map_err(BatteryClockError::Clock)
}

/// Sets the real-time clock, to nanoseconds since 1970-01-01 UTC.
pub fn set_realtime_ns(now_ns: u64) {
    let offset_ns = now_ns.wrapping_sub(monotonic_ns());
    REAL_TIME_OFFSET_NS.store(offset_ns, Ordering::Relaxed);
}

/// Time since boot.
#[inline]
pub fn monotonic_ns() -> u64 {
    let now_ns = CLOCK.get().map_or(0, MonotonicClock::now_ns);
    if IS_GUARDED.load(Ordering::Relaxed) {
        return never_back(&LATEST_NS, now_ns);
    }
    now_ns
}

/// `now_ns`, or the latest that was given if that is later.
fn never_back(latest_ns: &AtomicU64, now_ns: u64) -> u64 {
    latest_ns.fetch_max(now_ns, Ordering::Relaxed).max(now_ns)
}

/// Compares this CPU's counter with that of a CPU that starts and calls [`answer_comparison`]; gives up at
/// `deadline_ns`, since it may not come.
pub(crate) fn compare_counters(deadline_ns: u64) -> Option<Skew> {
    let mut skew = Skew::UNKNOWN;
    for exchange in 0..EXCHANGES_MAX {
        let answerers = 2 * exchange + 1;
        let asked = tsc::read();
        TURN.store(answerers, Ordering::Release);
        while TURN.load(Ordering::Acquire) == answerers {
            if monotonic_ns() > deadline_ns {
                return None;
            }
            core::hint::spin_loop();
        }
        skew = skew.after(Exchange {
            asked,
            answered: ANSWER.load(Ordering::Relaxed),
            returned: tsc::read(),
        });
        if skew.width() < tsc_hz() / NARROW_PER_SECOND {
            break;
        }
    }
    TURN.store(OVER, Ordering::Release);
    Some(skew)
}

/// Before a CPU is started with which counters are to be compared.
pub(crate) fn prepare_comparison() {
    TURN.store(0, Ordering::Release);
}

/// The other side of [`compare_counters`], on the CPU that starts, before others may wait for it.
pub(crate) fn answer_comparison() {
    loop {
        match TURN.load(Ordering::Acquire) {
            OVER => return,
            mine if mine % 2 == 1 => {
                ANSWER.store(tsc::read(), Ordering::Relaxed);
                TURN.store(mine + 1, Ordering::Release);
            }
            _ => core::hint::spin_loop(),
        }
    }
}

/// Draws the consequences of a comparison with the CPU of this index.
pub(crate) fn note_skew(cpu: u32, skew: Skew) {
    if skew.may_be_none() {
        log::debug!(
            "the counter of CPU {cpu} is in step, within {} ticks",
            skew.width()
        );
        return;
    }
    log::warn!(
        "the counter of CPU {cpu} is ahead by {} to {} ticks: readings of the clock are compared from here on",
        skew.at_least,
        skew.at_most
    );
    IS_GUARDED.store(true, Ordering::SeqCst);
}

/// Time since 1970-01-01 UTC.
pub fn realtime_ns() -> u64 {
    let offset_ns = REAL_TIME_OFFSET_NS.load(Ordering::Relaxed);
    offset_ns.wrapping_add(monotonic_ns())
}

pub(crate) fn clock() -> Option<&'static MonotonicClock> {
    CLOCK.get()
}

pub(crate) fn tsc_hz() -> u64 {
    TSC_HZ.get().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_that_lags_does_not_turn_the_clock_back() {
        let latest_ns = AtomicU64::new(0);
        assert_eq!(never_back(&latest_ns, 10), 10);
        assert_eq!(never_back(&latest_ns, 7), 10);
        assert_eq!(never_back(&latest_ns, 11), 11);
    }
}
