//! Memory for the kernel: taken while the firmware still gives it, filled, and described.
//!
//! Law: [`Pages`] own memory of the firmware that is identity-mapped and was zeroed, and that is not given
//! back by itself. So they stay valid when boot services are exited, and slices of them are sound until
//! the kernel is entered.

use core::ops::Range;
use core::ptr::NonNull;
use core::slice;

use alloc::vec;
use alloc::vec::Vec;
use boot_loader::LoadError;
use boot_loader::memory_map::{self, Claim, FirmwareRange};
use boot_loader::page_tables::{
    LARGE_PAGE_LEN_BYTES, PAGE_LEN_BYTES, PageTables, Rights, Table, tables_needed,
};
use contract_boot::{
    BootInfo, DIRECT_MAP_BASE, MEMORY_RANGES_MAX, MODULE_PIECES_MAX, MemoryRange, PhysRange,
    memory_kind,
};
use lib_elf::{Executable, Move, Segment};
use uefi::boot::{self, AllocateType, MemoryType};
use uefi::mem::memory_map::{MemoryDescriptor, MemoryMap, MemoryMapOwned};
use uefi::proto::loaded_image::LoadedImage;

use super::files::number;
use super::{BOOT_STACK_LEN_BYTES, console, cpu};

/// The direct map ends here at the latest: its tables would be larger than they are worth.
const RAM_END_MAX_BYTES: u64 = 16 << 40;
/// Other CPUs start in real mode below 1 MiB; from here on are video memory and firmware.
const TRAMPOLINE_END: u64 = 0x9_ffff;
const NOTHING: MemoryRange = MemoryRange {
    start: 0,
    len_bytes: 0,
    kind: memory_kind::RESERVED,
    reserved: 0,
};

/// Whole pages of the firmware's memory.
pub(super) struct Pages {
    start: NonNull<u8>,
    len_bytes: usize,
}

impl Pages {
    /// Takes enough pages for `len_bytes`, at least one.
    pub(super) fn allocate(purpose: &'static str, len_bytes: u64) -> Result<Self, LoadError> {
        match Self::allocate_at(AllocateType::AnyPages, len_bytes) {
            Some(pages) => Ok(pages),
            None => {
                let largest_free_bytes = largest_free_bytes()?;
                Err(LoadError::NoMemory {
                    purpose,
                    len_bytes,
                    largest_free_bytes,
                })
            }
        }
    }

    /// Takes pages for the `len_bytes` of the file `name` in as few pieces as there are, the largest first; all but
    /// the last are full. If that is not enough, nothing stays taken: other boot options need memory too.
    pub(super) fn allocate_pieces(
        name: &'static str,
        len_bytes: u64,
    ) -> Result<Vec<Self>, LoadError> {
        let mut pieces = Vec::with_capacity(MODULE_PIECES_MAX);
        let mut rest_bytes = len_bytes;
        while rest_bytes > 0 && pieces.len() < MODULE_PIECES_MAX {
            let Some(pages) = Self::allocate_most(rest_bytes)? else {
                break;
            };
            rest_bytes = rest_bytes.saturating_sub(pages.range().len_bytes);
            pieces.push(pages);
        }
        if rest_bytes == 0 {
            return Ok(pieces);
        }
        pieces.into_iter().for_each(Self::release);
        Err(LoadError::NoMemoryForFile {
            name,
            len_bytes,
            found_bytes: len_bytes - rest_bytes,
        })
    }

    /// Takes pages for `len_bytes`, or as many in one piece as there are. The firmware's map says how many; it
    /// may keep some of them for itself, so that less is tried then. `None` if not even one page is free.
    fn allocate_most(len_bytes: u64) -> Result<Option<Self>, LoadError> {
        if let Some(pages) = Self::allocate_at(AllocateType::AnyPages, len_bytes) {
            return Ok(Some(pages));
        }
        let mut page_count = largest_free_bytes()?.min(len_bytes) / PAGE_LEN_BYTES;
        while page_count > 0 {
            let len_bytes = page_count * PAGE_LEN_BYTES;
            if let Some(pages) = Self::allocate_at(AllocateType::AnyPages, len_bytes) {
                return Ok(Some(pages));
            }
            page_count /= 2;
        }
        Ok(None)
    }

    /// Gives them back to the firmware.
    pub(super) fn release(self) {
        let count = self.len_bytes / PAGE_LEN_BYTES as usize;
        // SAFETY: Owned, so nothing refers to them any more. If the firmware refuses (no pages at all, too) they
        // stay taken, which harms nobody.
        let _ = unsafe { boot::free_pages(self.start, count) };
    }

    /// Takes enough pages for `len_bytes`, from a 2 MiB boundary on if that is possible: then the kernel
    /// can map itself by large pages.
    pub(super) fn allocate_large(purpose: &'static str, len_bytes: u64) -> Result<Self, LoadError> {
        match Self::allocate_at(AllocateType::AnyPages, len_bytes + LARGE_PAGE_LEN_BYTES) {
            Some(pages) => Ok(pages.aligned_part(len_bytes)),
            None => Self::allocate(purpose, len_bytes),
        }
    }

    fn allocate_at(place: AllocateType, len_bytes: u64) -> Option<Self> {
        let count = usize::try_from(len_bytes.div_ceil(PAGE_LEN_BYTES).max(1)).ok()?;
        let start = boot::allocate_pages(place, MemoryType::LOADER_DATA, count).ok()?;
        let len_bytes = count * PAGE_LEN_BYTES as usize;
        // SAFETY: The firmware has just given these pages to us alone, and maps all of its memory.
        unsafe { start.write_bytes(0, len_bytes) };
        Some(Self { start, len_bytes })
    }

    /// The pages for `len_bytes` from the first 2 MiB boundary on. The others go back to the firmware: on a
    /// small machine the bundle needs them.
    fn aligned_part(self, len_bytes: u64) -> Self {
        let start = self.range().start;
        let skipped = start.next_multiple_of(LARGE_PAGE_LEN_BYTES) - start;
        let (before, rest) = self.split_at(skipped);
        let (pages, after) = rest.split_at(len_bytes.next_multiple_of(PAGE_LEN_BYTES));
        before.release();
        after.release();
        pages
    }

    /// The first `len_bytes`, whole pages and at most all, and the others. Either part may be empty.
    fn split_at(self, len_bytes: u64) -> (Self, Self) {
        let first_len = (len_bytes as usize).min(self.len_bytes);
        // SAFETY: `first_len` is at most the allocation's length.
        let second_start = unsafe { self.start.add(first_len) };
        let first = Self {
            start: self.start,
            len_bytes: first_len,
        };
        let second = Self {
            start: second_start,
            len_bytes: self.len_bytes - first_len,
        };
        (first, second)
    }

    /// Where they are.
    pub(super) fn range(&self) -> PhysRange {
        PhysRange {
            start: self.start.as_ptr() as u64,
            len_bytes: self.len_bytes as u64,
        }
    }

    /// What they hold.
    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: The pages are ours, mapped and initialised (the module's law); `&self` keeps writers
        // away.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len_bytes) }
    }

    /// What they hold, to be changed.
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: As for `bytes`, and `&mut self` makes this the only access.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.len_bytes) }
    }

    fn tables_mut(&mut self) -> &mut [Table] {
        let count = self.len_bytes / size_of::<Table>();
        // SAFETY: As for `bytes_mut`. Tables are plain numbers, one page long and page-aligned.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr().cast(), count) }
    }

    fn ranges_mut(&mut self) -> &mut [MemoryRange] {
        let count = self.len_bytes / size_of::<MemoryRange>();
        // SAFETY: As for `bytes_mut`. Memory ranges are plain numbers with an alignment below a page's.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr().cast(), count) }
    }
}

/// What is known of the kernel's pages once its file is gone.
pub(super) struct Layout {
    /// Virtual addresses, from the first segment's first to the last segment's last.
    pub(super) pages: Range<u64>,
    /// The segments, without their bytes.
    segments: Vec<Segment<'static>>,
}

impl Layout {
    pub(super) fn of(kernel: &Executable<'_>) -> Self {
        let empty = |segment: &Segment<'_>| Segment {
            virt_start: segment.virt_start,
            mem_len_bytes: segment.mem_len_bytes,
            contents: &[],
            writable: segment.writable,
            executable: segment.executable,
        };
        Self {
            pages: kernel.pages(),
            segments: kernel.segments().iter().map(empty).collect(),
        }
    }

    pub(super) fn len_bytes(&self) -> u64 {
        self.pages.end - self.pages.start
    }
}

/// Moves the kernel's segments into their places inside their file's own memory, and gives back what lies behind.
pub(super) fn place_kernel(mut file: Pages, moves: &[Move], layout: &Layout) -> Pages {
    let block = file.bytes_mut();
    for each in moves {
        block.copy_within(each.from..each.from + each.len_bytes, each.to);
    }
    let (mut kernel, rest) = file.split_at(layout.len_bytes());
    rest.release();
    let block = kernel.bytes_mut();
    let ends = moves.iter().map(|each| each.to + each.len_bytes);
    let starts = moves.iter().skip(1).map(|each| each.to);
    for (end, next) in ends.zip(starts.chain([block.len()])) {
        block[end..next].fill(0);
    }
    kernel
}

/// Copies the kernel's segments to memory of their own.
pub(super) fn copy_kernel(kernel: &Executable<'_>, layout: &Layout) -> Result<Pages, LoadError> {
    let mut pages = Pages::allocate_large("the kernel", layout.len_bytes())?;
    let block = pages.bytes_mut();
    for segment in kernel.segments() {
        let offset = (segment.virt_start - layout.pages.start) as usize;
        block[offset..offset + segment.contents.len()].copy_from_slice(segment.contents);
    }
    Ok(pages)
}

/// All memory that the kernel finds besides its files.
pub(super) struct KernelMemory {
    pub(super) kernel: Pages,
    pub(super) boot_stack: Pages,
    pub(super) boot_info: Pages,
    pub(super) memory_map: Pages,
    pub(super) page_tables: Pages,
    pub(super) direct_map_len_bytes: u64,
    trampoline: Option<Pages>,
    /// The loader's own code, which runs on for a moment under the new page tables.
    loader_image: PhysRange,
}

impl KernelMemory {
    /// Takes all of it from the firmware but the kernel's own, which is there.
    pub(super) fn reserve(kernel: Pages) -> Result<Self, LoadError> {
        let kernel_len = kernel.range().len_bytes;
        let direct_map_len_bytes = direct_map_len_bytes()?;
        let loader_image = loader_image()?;
        let tables = tables_needed(direct_map_len_bytes, &[kernel_len, loader_image.len_bytes]);
        let map_len = MEMORY_RANGES_MAX * size_of::<MemoryRange>();
        Ok(Self {
            kernel,
            boot_stack: Pages::allocate("the kernel's stack", BOOT_STACK_LEN_BYTES)?,
            boot_info: Pages::allocate("the boot information", size_of::<BootInfo>() as u64)?,
            memory_map: Pages::allocate("the memory map", map_len as u64)?,
            page_tables: Pages::allocate("the page tables", tables as u64 * PAGE_LEN_BYTES)?,
            direct_map_len_bytes,
            trampoline: Pages::allocate_at(
                AllocateType::MaxAddress(TRAMPOLINE_END),
                PAGE_LEN_BYTES,
            ),
            loader_image,
        })
    }

    /// The page in which other CPUs can start; absent if there was none.
    pub(super) fn trampoline(&self) -> PhysRange {
        self.trampoline
            .as_ref()
            .map_or(PhysRange::default(), Pages::range)
    }

    /// Maps the kernel with its segments' rights, all memory directly, and the loader's own code where it
    /// is.
    pub(super) fn make_page_tables(&mut self, kernel: &Layout) -> Result<(), LoadError> {
        let phys_start = self.page_tables.range().start;
        let (kernel_phys, image) = (self.kernel.range().start, self.loader_image);
        let mut tables = PageTables::new(self.page_tables.tables_mut(), phys_start)?;
        for segment in &kernel.segments {
            let pages = segment.pages();
            let phys = kernel_phys + (pages.start - kernel.pages.start);
            tables.map(pages.start, phys, pages.end - pages.start, rights(segment))?;
        }
        tables.map_large(DIRECT_MAP_BASE, 0, self.direct_map_len_bytes, Rights::Write)?;
        tables.map(image.start, image.start, image.len_bytes, Rights::Execute)?;
        Ok(())
    }

    /// Writes the final memory map and gives its length in bytes. Boot services are exited, so failing is
    /// no longer possible in style; [`check_map`] has tried just before.
    pub(super) fn write_map(
        &mut self,
        firmware: impl Iterator<Item = FirmwareRange> + Clone,
        claims: &[Claim],
    ) -> u64 {
        let out = &mut self.memory_map.ranges_mut()[..MEMORY_RANGES_MAX];
        match memory_map::write(firmware, claims, out) {
            Ok(map) => size_of_val(map) as u64,
            Err(_) => {
                console::say(format_args!(
                    "KPIO cannot start: {}.",
                    LoadError::TooManyRanges
                ));
                cpu::stop()
            }
        }
    }

    /// Writes the boot information to its page.
    pub(super) fn write_boot_info(&mut self, info: BootInfo) {
        let place: NonNull<BootInfo> = self.boot_info.start.cast();
        // SAFETY: The page is ours, large enough and aligned, and nothing refers to it.
        unsafe { place.write(info) };
    }
}

fn rights(segment: &Segment<'_>) -> Rights {
    match (segment.writable, segment.executable) {
        (_, true) => Rights::Execute,
        (true, false) => Rights::Write,
        (false, false) => Rights::Read,
    }
}

/// The firmware's descriptor in the loader's terms.
pub(super) fn firmware_range(descriptor: &MemoryDescriptor) -> FirmwareRange {
    FirmwareRange {
        start: descriptor.phys_start,
        page_count: descriptor.page_count,
        efi_type: descriptor.ty.0,
    }
}

/// Checks that the memory map, as it is now, fits the contract: the last chance to say that it does not.
pub(super) fn check_map(claims: &[Claim]) -> Result<(), LoadError> {
    let mut scratch = vec![NOTHING; MEMORY_RANGES_MAX];
    let firmware = firmware_map()?;
    memory_map::write(firmware.entries().map(firmware_range), claims, &mut scratch)?;
    Ok(())
}

/// The direct map covers memory up to the end of the last RAM, in whole large pages.
fn direct_map_len_bytes() -> Result<u64, LoadError> {
    let mut scratch = vec![NOTHING; MEMORY_RANGES_MAX];
    let firmware = firmware_map()?;
    let map = memory_map::write(firmware.entries().map(firmware_range), &[], &mut scratch)?;
    match memory_map::ram_end_bytes(map) {
        end if end <= RAM_END_MAX_BYTES => Ok(end.next_multiple_of(LARGE_PAGE_LEN_BYTES)),
        ram_end_bytes => Err(LoadError::TooMuchMemory { ram_end_bytes }),
    }
}

fn firmware_map() -> Result<MemoryMapOwned, LoadError> {
    boot::memory_map(MemoryType::LOADER_DATA).map_err(|error| LoadError::NoMemoryMap {
        efi_status: number(error.status()),
    })
}

/// The longest piece of free memory.
fn largest_free_bytes() -> Result<u64, LoadError> {
    let firmware = firmware_map()?;
    let free = firmware
        .entries()
        .filter(|descriptor| descriptor.ty == MemoryType::CONVENTIONAL);
    let page_count = free
        .map(|descriptor| descriptor.page_count)
        .max()
        .unwrap_or(0);
    Ok(page_count.saturating_mul(PAGE_LEN_BYTES))
}

/// The pages of the loader's own image.
fn loader_image() -> Result<PhysRange, LoadError> {
    let image =
        boot::open_protocol_exclusive::<LoadedImage>(boot::image_handle()).map_err(|error| {
            LoadError::NoImage {
                efi_status: number(error.status()),
            }
        })?;
    let (base, len_bytes) = image.info();
    let start = base as u64 / PAGE_LEN_BYTES * PAGE_LEN_BYTES;
    let end = (base as u64 + len_bytes).next_multiple_of(PAGE_LEN_BYTES);
    Ok(PhysRange {
        start,
        len_bytes: end - start,
    })
}
