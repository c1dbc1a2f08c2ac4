//! `syscall`: futexes above all (futex(2)), and the two other calls that crates make by number.
//!
//! `std` waits with `FUTEX_WAIT_BITSET`, whose timeout is a point in time on the monotonic clock,
//! or on the wall clock with `FUTEX_CLOCK_REALTIME`. `FUTEX_WAIT` takes a duration. All futexes
//! are private to the one address space, so `FUTEX_PRIVATE_FLAG` changes nothing.

use core::ffi::{c_int, c_long, c_void};
use core::sync::atomic::AtomicU32;

use kernel_core::futex::{self, WaitOutcome};
use kernel_core::{thread, time};
use libc::timespec;

use crate::error::fail_long;
use crate::random::getrandom;
use crate::timespec::{realtime_to_monotonic_ns, timespec_to_ns};

/// The mask of a waiter or a waker that does not choose (`FUTEX_BITSET_MATCH_ANY`).
const MASK_ANY: u32 = u32::MAX;

/// The word at `address`, which C names by an integer.
///
/// # Safety
/// An address that is aligned and not null must be that of a `u32` that lives as long as the call
/// and is accessed atomically.
unsafe fn futex_word<'a>(address: usize) -> Result<&'a AtomicU32, c_int> {
    let word = core::ptr::with_exposed_provenance_mut::<u32>(address);
    if word.is_null() {
        return Err(libc::EFAULT);
    }
    if !word.is_aligned() {
        return Err(libc::EINVAL);
    }
    // SAFETY: by contract.
    Ok(unsafe { AtomicU32::from_ptr(word) })
}

/// The absolute monotonic deadline that a wait's timeout means; `None` for no timeout.
///
/// # Safety
/// `timeout` must be zero or the address of a `timespec`.
unsafe fn wait_deadline(operation: c_int, timeout: usize) -> Result<Option<u64>, c_int> {
    let timeout = core::ptr::with_exposed_provenance::<timespec>(timeout);
    // SAFETY: by contract.
    let Some(timeout) = (unsafe { timeout.as_ref() }) else {
        return Ok(None);
    };
    let timeout_ns = timespec_to_ns(timeout).ok_or(libc::EINVAL)?;
    let now_ns = time::monotonic_ns();
    let deadline_ns = if operation & libc::FUTEX_CMD_MASK == libc::FUTEX_WAIT {
        now_ns.saturating_add(timeout_ns)
    } else if operation & libc::FUTEX_CLOCK_REALTIME != 0 {
        realtime_to_monotonic_ns(timeout_ns, time::realtime_ns(), now_ns)
    } else {
        timeout_ns
    };
    Ok(Some(deadline_ns))
}

fn wait(
    word: &AtomicU32,
    expected: u32,
    deadline_ns: Option<u64>,
    mask: u32,
) -> Result<c_long, c_int> {
    match futex::wait(word, expected, deadline_ns, mask) {
        WaitOutcome::Woken => Ok(0),
        WaitOutcome::Mismatch => Err(libc::EAGAIN),
        WaitOutcome::TimedOut => Err(libc::ETIMEDOUT),
    }
}

/// The arguments of futex(2) that are used here, as `syscall` passes them.
struct FutexCall {
    word: usize,
    operation: c_int,
    value: u32,
    timeout: usize,
    mask: u32,
}

/// # Safety
/// As futex(2): see [`futex_word`] and [`wait_deadline`].
unsafe fn futex_call(call: &FutexCall) -> Result<c_long, c_int> {
    let command = call.operation & libc::FUTEX_CMD_MASK;
    let mask = match command {
        libc::FUTEX_WAIT | libc::FUTEX_WAKE => MASK_ANY,
        libc::FUTEX_WAIT_BITSET | libc::FUTEX_WAKE_BITSET if call.mask != 0 => call.mask,
        libc::FUTEX_WAIT_BITSET | libc::FUTEX_WAKE_BITSET => return Err(libc::EINVAL),
        _ => return Err(libc::ENOSYS),
    };
    // SAFETY: by contract.
    let word = unsafe { futex_word(call.word)? };
    if matches!(command, libc::FUTEX_WAKE | libc::FUTEX_WAKE_BITSET) {
        return Ok(c_long::from(futex::wake(word, call.value, mask)));
    }
    // SAFETY: by contract.
    let deadline_ns = unsafe { wait_deadline(call.operation, call.timeout)? };
    wait(word, call.value, deadline_ns, mask)
}

/// Variadic in C. On this ABI integers travel alike in both forms, and an argument that the
/// caller did not pass is read as some value that the call in question does not use.
///
/// # Safety
/// As the call that `number` names.
#[unsafe(no_mangle)]
unsafe extern "C" fn syscall(
    number: c_long,
    first: usize,
    second: usize,
    third: usize,
    fourth: usize,
    _fifth: usize,
    sixth: usize,
) -> c_long {
    match number {
        libc::SYS_futex => {
            let call = FutexCall {
                word: first,
                operation: second as c_int,
                value: third as u32,
                timeout: fourth,
                mask: sixth as u32,
            };
            // SAFETY: by contract.
            unsafe { futex_call(&call) }.unwrap_or_else(|error| fail_long(error) as c_long)
        }
        libc::SYS_gettid => c_long::from(thread::current().as_u32()),
        libc::SYS_getrandom => {
            let buffer = core::ptr::with_exposed_provenance_mut::<c_void>(first);
            // SAFETY: by contract, the arguments are those of getrandom(2).
            unsafe { getrandom(buffer, second, third as u32) as c_long }
        }
        _ => fail_long(libc::ENOSYS) as c_long,
    }
}
