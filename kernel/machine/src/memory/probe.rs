//! Loads and stores at addresses that a test has mapped.
//!
//! Law: they ask for a [`Licence`], which exists only in test images, since nothing keeps the address from being
//! anybody's. Accesses are volatile: each reaches memory, in order.

use crate::cpu::provoke::Licence;

/// Loads a word.
pub fn load(_: &Licence, address: usize) -> u64 {
    // SAFETY: the test has mapped the word readable; any value is valid.
    unsafe { (address as *const u64).read_volatile() }
}

/// Stores a word.
pub fn store(_: &Licence, address: usize, value: u64) {
    // SAFETY: the test has mapped the word writable and for itself.
    unsafe { (address as *mut u64).write_volatile(value) }
}
