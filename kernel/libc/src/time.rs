//! Clocks and sleeping.
//!
//! Two clocks stand behind all names: the monotonic one (also "raw", "coarse" and "boot time",
//! since the machine does not sleep) and the wall clock. CPU-time clocks are not provided.

use core::ffi::c_int;

use kernel_core::{thread, time};
use libc::{clockid_t, timespec};

use crate::error::{fail, set_errno};
use crate::timespec::{ns_to_timespec, realtime_to_monotonic_ns, timespec_to_ns};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Clock {
    Monotonic,
    Realtime,
}

impl Clock {
    fn from_id(id: clockid_t) -> Option<Self> {
        match id {
            libc::CLOCK_MONOTONIC
            | libc::CLOCK_MONOTONIC_RAW
            | libc::CLOCK_MONOTONIC_COARSE
            | libc::CLOCK_BOOTTIME => Some(Self::Monotonic),
            libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE => Some(Self::Realtime),
            _ => None,
        }
    }

    fn now_ns(self) -> u64 {
        match self {
            Self::Monotonic => time::monotonic_ns(),
            Self::Realtime => time::realtime_ns(),
        }
    }

    /// The monotonic deadline of a point in time on this clock.
    fn deadline_ns(self, target_ns: u64) -> u64 {
        match self {
            Self::Monotonic => target_ns,
            Self::Realtime => {
                realtime_to_monotonic_ns(target_ns, time::realtime_ns(), time::monotonic_ns())
            }
        }
    }
}

/// # Safety
/// `now` must be valid for a write.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: clockid_t, now: *mut timespec) -> c_int {
    let Some(clock) = Clock::from_id(clock) else {
        return fail(libc::EINVAL);
    };
    // SAFETY: the caller passes a place for the answer.
    unsafe { now.write(ns_to_timespec(clock.now_ns())) };
    0
}

/// # Safety
/// `resolution` must be null or valid for a write.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_getres(clock: clockid_t, resolution: *mut timespec) -> c_int {
    if Clock::from_id(clock).is_none() {
        return fail(libc::EINVAL);
    }
    if !resolution.is_null() {
        // SAFETY: the caller passes a place for the answer.
        unsafe { resolution.write(ns_to_timespec(1)) };
    }
    0
}

/// Sleeps to the end: nothing interrupts a sleep, so `remaining` is never written.
///
/// # Safety
/// `request` must be a `timespec`.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_nanosleep(
    clock: clockid_t,
    flags: c_int,
    request: *const timespec,
    _remaining: *mut timespec,
) -> c_int {
    let Some(clock) = Clock::from_id(clock) else {
        return libc::EINVAL;
    };
    // SAFETY: by contract.
    let Some(request_ns) = timespec_to_ns(unsafe { &*request }) else {
        return libc::EINVAL;
    };
    let deadline_ns = if flags & libc::TIMER_ABSTIME != 0 {
        clock.deadline_ns(request_ns)
    } else {
        time::monotonic_ns().saturating_add(request_ns)
    };
    thread::sleep_until(deadline_ns);
    0
}

/// # Safety
/// `request` must be a `timespec`.
#[unsafe(no_mangle)]
unsafe extern "C" fn nanosleep(request: *const timespec, remaining: *mut timespec) -> c_int {
    // SAFETY: by contract.
    match unsafe { clock_nanosleep(libc::CLOCK_MONOTONIC, 0, request, remaining) } {
        0 => 0,
        error => {
            set_errno(error);
            -1
        }
    }
}
