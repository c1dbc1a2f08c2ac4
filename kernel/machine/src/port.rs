//! Ports of the I/O address space, typed by width.
//!
//! Law: a [`Port`] is made only inside this crate, by the module that owns the device behind it: which
//! port is harmless to touch is knowledge of that module, and what it exports is safe. Accesses are
//! whole, ordered and never elided.
//!
//! Source: Intel SDM vol. 1, chapter 19 (input/output).

use core::arch::asm;
use core::marker::PhantomData;

mod sealed {
    pub trait Width {}
}

/// What one access to a port transfers: `u8`, `u16` or `u32`.
pub trait Width: sealed::Width + Copy {
    /// One `in` from `port`.
    ///
    /// # Safety
    /// The read must have no effect on memory that Rust knows of.
    unsafe fn read(port: u16) -> Self;
    /// One `out` to `port`.
    ///
    /// # Safety
    /// The write must have no effect on memory that Rust knows of.
    unsafe fn write(port: u16, value: Self);
}

macro_rules! width {
    ($type:ty, $register:tt) => {
        impl sealed::Width for $type {}
        impl Width for $type {
            unsafe fn read(port: u16) -> Self {
                let value;
                // SAFETY: ring 0 may execute `in`; the caller vouches for the device.
                unsafe {
                    asm!(concat!("in ", $register, ", dx"), in("dx") port, out($register) value,
                         options(nostack, preserves_flags));
                }
                value
            }
            unsafe fn write(port: u16, value: Self) {
                // SAFETY: ring 0 may execute `out`; the caller vouches for the device.
                unsafe {
                    asm!(concat!("out dx, ", $register), in("dx") port, in($register) value,
                         options(nostack, preserves_flags));
                }
            }
        }
    };
}

width!(u8, "al");
width!(u16, "ax");
width!(u32, "eax");

/// One port, accessed with one width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port<T> {
    number: u16,
    width: PhantomData<T>,
}

impl<T: Width> Port<T> {
    /// The port `number`. The module that calls this vouches that no access it makes through the port
    /// changes memory that Rust knows of (no DMA engine is programmed behind the kernel's back).
    pub(crate) const fn new(number: u16) -> Self {
        Self {
            number,
            width: PhantomData,
        }
    }

    /// Reads the port.
    pub fn read(self) -> T {
        // SAFETY: whoever made the port vouched for what accesses to it do.
        unsafe { T::read(self.number) }
    }

    /// Writes the port.
    pub fn write(self, value: T) {
        // SAFETY: whoever made the port vouched for what accesses to it do.
        unsafe { T::write(self.number, value) }
    }
}

/// Waits about a microsecond, which slow ISA devices need between two accesses: one write to the
/// POST-code port 0x80, which nothing decodes but a debug display.
pub(crate) fn io_delay() {
    Port::<u8>::new(0x80).write(0);
}
