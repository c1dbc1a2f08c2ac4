//! Thread-local storage as the System V ABI lays it out (variant II).
//!
//! Law: a block is `[initialised data | zeroed data | control block]`; FS points at the control block,
//! whose first word is its own address. A block belongs to one thread at a time.

use alloc::alloc::{Layout, alloc};
use core::ptr::NonNull;

use crate::kernel_image;

/// Room for the thread control block after the data, in bytes.
const CONTROL_BLOCK_BYTES: usize = 64;
const ALIGN: usize = 64;
/// Length of the block that the boot CPU starts with, in bytes.
const BOOT_BLOCK_BYTES: usize = 16 * 1024;

/// The thread-local block of one thread.
#[derive(Debug)]
pub struct ThreadBlock {
    start: NonNull<u8>,
    data_len_bytes: usize,
}

// SAFETY: the block is plain memory; who owns it decides who uses it.
unsafe impl Send for ThreadBlock {}
// SAFETY: shared access only reads addresses.
unsafe impl Sync for ThreadBlock {}

impl ThreadBlock {
    /// Allocates a block that lasts for ever; [`Self::reset`] it before each thread that uses it.
    /// `None` when memory is out.
    pub fn allocate() -> Option<Self> {
        let data_len_bytes = data_len_bytes();
        let layout = Layout::from_size_align(data_len_bytes + CONTROL_BLOCK_BYTES, ALIGN).ok()?;
        // SAFETY: the layout's size is not zero.
        let start = NonNull::new(unsafe { alloc(layout) })?;
        Some(Self {
            start,
            data_len_bytes,
        })
    }

    /// Brings the block to the state in which a thread starts. No thread uses it meanwhile.
    pub fn reset(&mut self) {
        // SAFETY: the block is as long as `allocate` made it, and `&mut` says nobody else writes.
        unsafe { initialise(self.start.as_ptr(), self.data_len_bytes) }
    }

    /// What FS must hold while the thread runs.
    pub fn thread_pointer(&self) -> u64 {
        self.start.as_ptr() as u64 + self.data_len_bytes as u64
    }
}

fn data_len_bytes() -> usize {
    kernel_image::tls_template().1.next_multiple_of(ALIGN)
}

unsafe fn initialise(start: *mut u8, data_len: usize) {
    let (template, _) = kernel_image::tls_template();
    // SAFETY: by the callers the block has `data_len + CONTROL_BLOCK_BYTES` bytes; the template is no
    // longer than `data_len`.
    unsafe {
        start.write_bytes(0, data_len + CONTROL_BLOCK_BYTES);
        start.copy_from_nonoverlapping(template.as_ptr(), template.len());
        let control_block = start.add(data_len);
        control_block.cast::<usize>().write(control_block as usize);
    }
}

#[repr(C, align(64))]
struct BootBlock(core::cell::UnsafeCell<[u8; BOOT_BLOCK_BYTES]>);

// SAFETY: used once, by the boot CPU, before any other runs.
unsafe impl Sync for BootBlock {}

static BOOT_BLOCK: BootBlock = BootBlock(core::cell::UnsafeCell::new([0; BOOT_BLOCK_BYTES]));

/// Gives the boot CPU its thread-local block; the first thing that happens in Rust.
///
/// # Safety
/// Called once, on the boot CPU, before anything uses thread-locals.
pub(crate) unsafe fn install_boot_block() -> u64 {
    let data_len = data_len_bytes();
    if data_len + CONTROL_BLOCK_BYTES > BOOT_BLOCK_BYTES {
        super::halt_forever();
    }
    let start = BOOT_BLOCK.0.get().cast::<u8>();
    // SAFETY: long enough, as just checked, and used by nobody else (this function's contract).
    unsafe {
        initialise(start, data_len);
        let pointer = start as u64 + data_len as u64;
        super::write_msr(super::MSR_FS_BASE, pointer);
        pointer
    }
}
