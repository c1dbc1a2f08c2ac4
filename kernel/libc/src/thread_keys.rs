//! Thread-specific keys (`pthread_key_*`).
//!
//! Values live in the thread's local state, destructors in one table for all threads. Key 0 is
//! never given out (`std` uses it as "none"), and a deleted key is not given out again: its old
//! values in other threads would reappear under the new owner. `std` uses a handful of keys in
//! the life of the kernel, so the table does not run out.

use core::ffi::{c_int, c_uint, c_void};
use core::sync::atomic::{AtomicUsize, Ordering};

use kernel_core::thread;

/// How many keys a thread's local state has room for.
const KEYS_MAX: usize = 64;

/// How often destructors that set values again are run again (`PTHREAD_DESTRUCTOR_ITERATIONS`).
const DESTRUCTOR_ROUNDS_MAX: usize = 4;

/// The next key to give out.
static NEXT_KEY: AtomicUsize = AtomicUsize::new(1);

/// The destructor of each key as an address; zero for none. Published by the store that follows
/// the claim of the key, which happens before any thread can learn the key.
static DESTRUCTORS: [AtomicUsize; KEYS_MAX] = [const { AtomicUsize::new(0) }; KEYS_MAX];

type Destructor = unsafe extern "C" fn(*mut c_void);

/// Claims a key that no one has had; `None` when all are spent.
fn claim_key() -> Option<usize> {
    NEXT_KEY
        .try_update(Ordering::Relaxed, Ordering::Relaxed, |key| {
            (key < KEYS_MAX).then_some(key + 1)
        })
        .ok()
}

/// The calling thread's value of `key`, if the key was ever given out.
fn value_of(key: c_uint) -> Option<&'static AtomicUsize> {
    let index = usize::try_from(key).ok()?;
    if index == 0 || index >= NEXT_KEY.load(Ordering::Relaxed) {
        return None;
    }
    thread::local().keys.get(index)
}

fn destructor_of(key: usize) -> Option<Destructor> {
    let address = DESTRUCTORS[key].load(Ordering::Acquire);
    if address == 0 {
        return None;
    }
    let function = core::ptr::with_exposed_provenance::<()>(address);
    // SAFETY: only `pthread_key_create` stores here, and what it stores is such a function.
    Some(unsafe { core::mem::transmute::<*const (), Destructor>(function) })
}

/// Runs the destructor of every value that is set, and says whether there was one.
fn run_destructor_round() -> bool {
    let mut ran = false;
    for (key, value) in thread::local().keys.iter().enumerate() {
        let value = value.swap(0, Ordering::Relaxed);
        if value == 0 {
            continue;
        }
        if let Some(destructor) = destructor_of(key) {
            ran = true;
            // SAFETY: the key's creator promised that its destructor takes every value set.
            unsafe { destructor(core::ptr::with_exposed_provenance_mut(value)) };
        }
    }
    ran
}

/// Runs the calling thread's key destructors until none sets a value again, at most four times.
pub(crate) fn run_key_destructors() {
    for _ in 0..DESTRUCTOR_ROUNDS_MAX {
        if !run_destructor_round() {
            return;
        }
    }
}

/// # Safety
/// `key` must be valid for a write, and `destructor` safe to call with every value set later.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_key_create(key: *mut c_uint, destructor: Option<Destructor>) -> c_int {
    let Some(claimed) = claim_key() else {
        return libc::EAGAIN;
    };
    let address = destructor.map_or(0, |function| (function as *const ()).expose_provenance());
    DESTRUCTORS[claimed].store(address, Ordering::Release);
    // SAFETY: the caller passes a place for the key; the table is far shorter than `c_uint`.
    unsafe { key.write(claimed as c_uint) };
    0
}

#[unsafe(no_mangle)]
extern "C" fn pthread_key_delete(key: c_uint) -> c_int {
    if value_of(key).is_none() {
        return libc::EINVAL;
    }
    DESTRUCTORS[key as usize].store(0, Ordering::Release);
    0
}

#[unsafe(no_mangle)]
extern "C" fn pthread_setspecific(key: c_uint, value: *const c_void) -> c_int {
    let Some(place) = value_of(key) else {
        return libc::EINVAL;
    };
    place.store(value.expose_provenance(), Ordering::Relaxed);
    0
}

#[unsafe(no_mangle)]
extern "C" fn pthread_getspecific(key: c_uint) -> *mut c_void {
    let value = value_of(key).map_or(0, |place| place.load(Ordering::Relaxed));
    core::ptr::with_exposed_provenance_mut(value)
}
