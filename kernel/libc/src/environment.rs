//! The environment of the one "process" that the kernel is: fixed when it was built.
//!
//! Both backtrace variables are off: `std` could only print addresses, since it looks for names in
//! a file; the kernel's own dump and the engine's traps have names.

use core::ffi::{CStr, c_char, c_int};

use crate::error::fail;

/// A variable as `NAME=value`.
type Variable = &'static CStr;

const VARIABLES: [Variable; 2] = [c"RUST_BACKTRACE=0", c"RUST_LIB_BACKTRACE=0"];

/// The list that C walks: pointers to variables, then null.
#[repr(transparent)]
struct List([*const c_char; VARIABLES.len() + 1]);

// SAFETY: the pointers are to constants, and nothing writes through them.
unsafe impl Sync for List {}

static LIST: List = List([
    VARIABLES[0].as_ptr(),
    VARIABLES[1].as_ptr(),
    core::ptr::null(),
]);

/// The list under the name that `std::env::vars` reads.
#[repr(transparent)]
struct Environment(*const *const c_char);

// SAFETY: points to `LIST`, which is constant.
unsafe impl Sync for Environment {}

#[unsafe(no_mangle)]
static environ: Environment = Environment((&raw const LIST).cast());

/// The value part of a variable called `name`.
fn value_of(variable: Variable, name: &CStr) -> Option<*const c_char> {
    let value = variable
        .to_bytes()
        .strip_prefix(name.to_bytes())?
        .strip_prefix(b"=")?;
    Some(value.as_ptr().cast())
}

/// # Safety
/// `name` must be a string that ends in a zero byte.
#[unsafe(no_mangle)]
unsafe extern "C" fn getenv(name: *const c_char) -> *const c_char {
    // SAFETY: the caller passes a C string.
    let name = unsafe { CStr::from_ptr(name) };
    VARIABLES
        .iter()
        .find_map(|variable| value_of(variable, name))
        .unwrap_or(core::ptr::null())
}

#[unsafe(no_mangle)]
extern "C" fn setenv(_name: *const c_char, _value: *const c_char, _overwrite: c_int) -> c_int {
    fail(libc::ENOMEM)
}

#[unsafe(no_mangle)]
extern "C" fn unsetenv(_name: *const c_char) -> c_int {
    fail(libc::ENOMEM)
}
