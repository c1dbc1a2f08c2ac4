//! Unpredictable bytes.

use std::fmt;

use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

/// No unpredictable bytes can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntropyError;

impl fmt::Display for EntropyError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the system's random number generator gives no bytes")
    }
}

impl std::error::Error for EntropyError {}

/// A source of bytes fit for keys.
pub trait Entropy: Send + Sync {
    /// Fills the buffer; never blocks.
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyError>;
}

/// The generator of the system below `std`: the C function or system call `getrandom`. Crate `getrandom`
/// would look for a file `/dev/urandom` where there is no dynamic linker to find the function.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyError> {
        let mut done = 0;
        while done < buffer.len() {
            match getrandom(&mut buffer[done..], GetRandomFlags::empty()) {
                Ok(count) if count > 0 => done += count,
                Err(error) if error == Errno::INTR => {}
                Ok(_) | Err(_) => return Err(EntropyError),
            }
        }
        Ok(())
    }
}
