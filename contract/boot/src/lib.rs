//! What the loader hands to the kernel: the boot contract.
//!
//! Law: plain data, no logic. Every field says its unit, who owns the memory behind it, and what the
//! kernel may assume. The kernel does not trust it: `kernel-core` checks every field before use and
//! refuses with a sentence.
//!
//! # State of the machine at the hand-over
//! - The loader calls the kernel's ELF entry as `extern "sysv64" fn(*const BootInfo) -> !`, with the
//!   pointer inside the direct map, on [`BootInfo::boot_stack`] (mapped in the direct map, at least
//!   128 KiB, stack pointer as after a `call`: 8 modulo 16).
//! - One CPU runs, in long mode with four-level paging; boot services are exited; interrupts are off.
//! - `EFER.NXE` and `CR0.WP` are set. CR3 is [`BootInfo::page_table_root`].
//! - Mapped: the kernel's segments at their linked addresses with their ELF rights (never writable and
//!   executable), the direct map (writable, never executable, 2 MiB pages), and an identity map that
//!   covers at least the loader's code; the kernel drops the lower half at once.
#![no_std]

/// First field of a valid [`BootInfo`]: "KPIOBOOT" in memory order.
pub const MAGIC: u64 = u64::from_le_bytes(*b"KPIOBOOT");
/// The version of this layout. Loader and kernel come from one image; a mismatch is refused.
pub const VERSION: u32 = 2;
/// Virtual address at which all of physical memory up to [`BootInfo::direct_map_len_bytes`] is mapped.
pub const DIRECT_MAP_BASE: u64 = 0xffff_8000_0000_0000;
/// Lowest virtual address of the kernel's segments.
pub const KERNEL_BASE: u64 = 0xffff_ffff_8000_0000;
/// At most this many entries in the memory map; the loader merges neighbours of one kind first.
pub const MEMORY_RANGES_MAX: usize = 1024;
/// At most this many pieces in a [`Module`].
pub const MODULE_PIECES_MAX: usize = 8;

/// A range of physical memory. `len_bytes == 0` means absent.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PhysRange {
    /// First byte; page-aligned unless the field that uses it says otherwise.
    pub start: u64,
    /// Length in bytes.
    pub len_bytes: u64,
}

/// A file that the loader read, in one or more pieces of physical memory: firmware splits memory, so that a
/// small machine may have no single piece for a large file. The pieces' bytes, one piece behind the other,
/// are the file.
///
/// Used pieces come first; each starts on a page, and all but the last used one are whole pages, all of them
/// the file's. Unused pieces have length 0. All pieces are disjoint and of kind [`memory_kind::MODULE`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Module {
    /// Where the file is, in its order.
    pub pieces: [PhysRange; MODULE_PIECES_MAX],
    /// The file's length in bytes: the sum of the pieces'. 0 means absent.
    pub len_bytes: u64,
}

/// What a range of the memory map holds: values of [`MemoryRange::kind`].
pub mod memory_kind {
    /// Free for the kernel from the start.
    pub const USABLE: u32 = 1;
    /// Holds what the loader made: page tables, `BootInfo`, the memory map, the boot stack.
    /// Never handed out.
    pub const LOADER: u32 = 2;
    /// The kernel's segments.
    pub const KERNEL: u32 = 3;
    /// Bundles, symbols and command line.
    pub const MODULE: u32 = 4;
    /// ACPI tables: readable, reclaimable once read. KPIO keeps them.
    pub const ACPI_TABLES: u32 = 5;
    /// ACPI non-volatile storage, firmware run-time code and data: RAM that stays the firmware's.
    pub const FIRMWARE: u32 = 6;
    /// Anything else: reserved, device memory, unknown. Not in the direct map unless below 4 GiB by
    /// the rounding of large pages.
    pub const RESERVED: u32 = 7;
}

/// One entry of the memory map: sorted by start, not overlapping, page-aligned at both ends.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryRange {
    /// Physical address of the first byte.
    pub start: u64,
    /// Length in bytes, a multiple of 4096.
    pub len_bytes: u64,
    /// One of [`memory_kind`].
    pub kind: u32,
    /// Zero.
    pub reserved: u32,
}

/// Pixel layouts: values of [`Framebuffer::format`].
pub mod pixel_format {
    /// No framebuffer.
    pub const NONE: u32 = 0;
    /// Bytes in memory order: red, green, blue, unused.
    pub const RGBX: u32 = 1;
    /// Bytes in memory order: blue, green, red, unused.
    pub const BGRX: u32 = 2;
}

/// The linear framebuffer of the video mode that the loader picked.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Framebuffer {
    /// Physical range; device memory, not in the direct map.
    pub memory: PhysRange,
    /// Visible pixels in a line.
    pub width_px: u32,
    /// Lines.
    pub height_px: u32,
    /// Pixels from one line's start to the next.
    pub stride_px: u32,
    /// One of [`pixel_format`]; 32 bits a pixel.
    pub format: u32,
}

/// Everything the kernel learns from the loader.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct BootInfo {
    /// [`MAGIC`].
    pub magic: u64,
    /// [`VERSION`].
    pub version: u32,
    /// `size_of::<BootInfo>()` in bytes.
    pub size_bytes: u32,
    /// [`DIRECT_MAP_BASE`].
    pub direct_map_base: u64,
    /// Bytes of physical memory that the direct map covers from address 0; a multiple of 2 MiB; all
    /// ranges of RAM kinds lie below it.
    pub direct_map_len_bytes: u64,
    /// Physical address of the top-level page table.
    pub page_table_root: u64,
    /// Where the kernel's segments lie, as one physically contiguous block.
    pub kernel: PhysRange,
    /// Virtual address of `kernel.start`.
    pub kernel_virt_start: u64,
    /// The stack that the kernel starts on.
    pub boot_stack: PhysRange,
    /// One page below 1 MiB in which other CPUs can start, of kind `LOADER`; absent if none was free.
    pub trampoline: PhysRange,
    /// The memory map: an array of [`MemoryRange`] at `start`; `len_bytes` is a multiple of its size.
    pub memory_map: PhysRange,
    /// UTF-8 words, separated by spaces, without a final newline; may be absent.
    pub command_line: PhysRange,
    /// The system's bundle (`lib-bundle`). Its header and index are verified; contents are verified
    /// by the kernel entry by entry, on first use.
    pub bundle: Module,
    /// A second bundle, for one run: a program, its tree and its standard input. May be absent.
    pub job: Module,
    /// The kernel's symbol table (`lib-symbols`). May be absent.
    pub symbols: PhysRange,
    /// Physical address of the ACPI root pointer (revision 2 where there is one); 0 if none.
    pub acpi_rsdp: u64,
    /// The screen.
    pub framebuffer: Framebuffer,
    /// Random bytes: the firmware's generator where it has one, hashed with timing.
    pub entropy: [u8; 64],
    /// SHA-256 of the kernel file: the build's id.
    pub build_id: [u8; 32],
    /// Time-stamp counter when the loader was entered.
    pub tsc_loader_entry: u64,
    /// Time-stamp counter just before the kernel was entered.
    pub tsc_hand_over: u64,
}
