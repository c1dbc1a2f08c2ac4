//! Where the linked kernel lies: the symbols of `kernel/kernel.ld` as slices and ranges.
//!
//! Law: the symbols are weak, so that host test binaries link; there every range is empty.

use core::ops::Range;

core::arch::global_asm!(
    ".weak __executable_start",
    ".weak __etext",
    ".weak __read_only_end",
    ".weak __kernel_end",
    ".weak __tdata_start",
    ".weak __tdata_end",
    ".weak __tbss_end",
    ".weak __eh_frame_start",
    ".weak __eh_frame_end",
    ".weak __GNU_EH_FRAME_HDR",
);

unsafe extern "C" {
    static __executable_start: u8;
    static __etext: u8;
    static __read_only_end: u8;
    static __kernel_end: u8;
    static __tdata_start: u8;
    static __tdata_end: u8;
    static __tbss_end: u8;
    static __eh_frame_start: u8;
    static __eh_frame_end: u8;
    static __GNU_EH_FRAME_HDR: u8;
}

/// Addresses of the kernel's machine code.
pub fn text() -> Range<usize> {
    address(&raw const __executable_start)..address(&raw const __etext)
}

/// Addresses of all that is never written: code and constants.
pub fn read_only() -> Range<usize> {
    address(&raw const __executable_start)..address(&raw const __read_only_end)
}

/// Addresses of the whole kernel, with its zeroed data.
pub fn whole() -> Range<usize> {
    address(&raw const __executable_start)..address(&raw const __kernel_end)
}

/// The call-frame information of the kernel's code (`.eh_frame`), and its address.
pub fn eh_frame() -> (&'static [u8], usize) {
    let range = address(&raw const __eh_frame_start)..address(&raw const __eh_frame_end);
    (bytes(&range), range.start)
}

/// The sorted index of [`eh_frame`] (`.eh_frame_hdr`), and its address.
pub fn eh_frame_header() -> (&'static [u8], usize) {
    let range = address(&raw const __GNU_EH_FRAME_HDR)..address(&raw const __eh_frame_start);
    (bytes(&range), range.start)
}

/// The initial thread-local data, and the length in bytes of the whole thread-local block.
pub(crate) fn tls_template() -> (&'static [u8], usize) {
    let data = address(&raw const __tdata_start)..address(&raw const __tdata_end);
    (bytes(&data), address(&raw const __tbss_end) - data.start)
}

fn address(symbol: *const u8) -> usize {
    symbol as usize
}

fn bytes(range: &Range<usize>) -> &'static [u8] {
    if range.is_empty() {
        return &[];
    }
    // SAFETY: the linker script lays these sections out as loaded, initialised, never-written bytes.
    unsafe { core::slice::from_raw_parts(range.start as *const u8, range.len()) }
}
