//! The kernel's page tables (Intel SDM vol. 3, chapter 4: four levels, 4 KiB and 2 MiB pages).
//!
//! Law: there is one tree, shared by all CPUs. Its dynamic window is changed only under `kernel-core`'s
//! address-space lock; the device window only under the lock in here. Both stand under different
//! top-level entries, which are never removed. No page is writable and executable; taking rights away or
//! unmapping is complete only after a shoot-down, which is the caller's duty and which the types ask
//! for ([`StaleFrame`]). Giving rights needs none: a stale refusal faults and is tried again.
//!
//! While a page may be executed, the direct map's alias of its frame is read-only: the leaf remembers that
//! in [`ALIAS_PROTECTED`], and giving and taking the right keeps both in step.
//!
//! A leaf whose rights are none keeps its frame: not present for the CPU, [`HELD`] for us. A leaf may also show a
//! frame that belongs to another page or to a boot module ([`SHARED`]): never writable, never executable, and unmapping
//! it frees nothing. Where a copy takes a shared frame's place ([`replace_shared`]), it stays read-only and marked with its
//! CPU until that CPU has made all others forget the shared frame ([`settle`]): nobody writes to the copy while somebody
//! still reads the original.
//!
//! The entry of a table counts the entries in use of the table below it in bits that the processor ignores, so an empty
//! table is known without reading it.
//!
//! In the place of a last-level table may stand a large page ([`large`]): one leaf of 2 MiB with frames of its own, never
//! shared and never code. Whoever changes a part of one splits it first.

pub mod large;

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use contract_boot::DIRECT_MAP_BASE;

use super::frame::{Frame, FrameOwner, StaleFrame};
use super::{PAGE_BYTES, direct_map};
use crate::checks::translations;
use crate::cpu::mailbox::Flushed;
use crate::sync::IrqLock;

/// The window in which regions are mapped: 32 TiB.
pub const DYNAMIC_WINDOW: core::ops::Range<u64> = 0xffff_c000_0000_0000..0xffff_e000_0000_0000;

const PRESENT: u64 = 1;
const WRITABLE: u64 = 1 << 1;
const UNCACHED: u64 = 1 << 4 | 1 << 3;
const LARGE: u64 = 1 << 7;
/// Software bit: not present, yet the frame belongs to this page.
const HELD: u64 = 1 << 9;
/// Software bit: the direct map's alias of this page's frame is read-only because the page was executable.
const ALIAS_PROTECTED: u64 = 1 << 10;
/// Software bit: the frame is another page's, or a boot module's, and only shown here.
const SHARED: u64 = 1 << 11;
/// Software bits of a leaf: one more than the index of the CPU that put a copy here and is still telling the others.
const COPIED_BY_SHIFT: u32 = 52;
const COPIED_BY: u64 = 0x7f << COPIED_BY_SHIFT;
/// Software bit of a leaf that is not present: its page was to be discarded, and nobody has been given rights to it since.
const DISCARDED: u64 = 1 << 59;
/// Software bits of an entry above the leaves: entries in use of the table it names, 0 to 512.
const USED_SHIFT: u32 = 52;
const USED: u64 = 0x3ff << USED_SHIFT;
const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
const ENTRIES: u64 = 512;
/// Bits of the virtual address below each level's index, top level first.
const SHIFTS: [u32; 4] = [39, 30, 21, 12];

static ROOT: AtomicU64 = AtomicU64::new(0);
static FRAME_SOURCE: AtomicUsize = AtomicUsize::new(0);
static DEVICE_LOCK: IrqLock<()> = IrqLock::named("device window", ());

/// What may be done with a page beyond reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// Stores are allowed.
    pub write: bool,
    /// Instruction fetches are allowed; never together with `write`.
    pub execute: bool,
}

/// One mapped page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// The frame behind it.
    pub frame_number: u64,
    /// `None`: kept, but inaccessible.
    pub rights: Option<Rights>,
    /// Whether the loader filled the frame.
    pub is_boot_module: bool,
    /// Whether the frame belongs to another page and is only shown here.
    pub is_shared: bool,
    /// The CPU that has put a copy here and has not yet made the others forget what was there.
    pub copied_by: Option<u32>,
    /// Whether it is a part of a large page.
    pub is_large: bool,
    /// See [`hold_for_discard`].
    pub is_held_for_discard: bool,
}

/// No frame was left for a page table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoTableFrame;

/// Where zeroed frames for tables come from; must not take the address-space lock.
pub type FrameSource = fn() -> Option<Frame>;

/// Takes over the loader's tables. `source` serves every later need for table frames.
pub fn init(root_physical: u64, source: FrameSource) {
    ROOT.store(root_physical, Ordering::Relaxed);
    FRAME_SOURCE.store(source as usize, Ordering::Release);
}

/// Physical address of the top-level table, as CR3 holds it.
pub fn root() -> u64 {
    ROOT.load(Ordering::Relaxed)
}

/// Removes the loader's identity map: from here on a null pointer faults. Flushes this CPU.
pub fn drop_lower_half() {
    for index in 0..ENTRIES / 2 {
        entry(root(), index).store(0, Ordering::Relaxed);
    }
    crate::cpu::flush_translations();
}

/// Maps the first 2 MiB at their own addresses (for the start of other CPUs) or takes that away.
pub fn set_identity_window(on: bool) -> Result<(), NoTableFrame> {
    if on {
        let table = descend(0, 2, true)?.ok_or(NoTableFrame)?;
        entry(table, 0).store(PRESENT | LARGE, Ordering::Relaxed);
    } else if let Ok(Some(table)) = descend(0, 2, false) {
        // The two tables above stay: a CPU may be started again.
        entry(table, 0).store(0, Ordering::Relaxed);
    }
    crate::cpu::flush_translations();
    Ok(())
}

/// Maps `frame` at the free page that starts at `virt`; without rights it is kept there and nobody reaches it.
///
/// # Errors
/// Gives the frame back where no table frame was left.
pub fn map(virt: u64, frame: Frame, rights: Option<Rights>) -> Result<(), Frame> {
    let value = (frame.number() * PAGE_BYTES) | rights.map_or(HELD, bits);
    match fill(virt, value, rights) {
        Ok(()) => {
            let _in_the_leaf = frame.into_number();
            Ok(())
        }
        Err(NoTableFrame) => Err(frame),
    }
}

/// Shows a frame that another page keeps, read-only, at the free page that starts at `virt`; without rights nobody
/// reaches it. The caller makes sure that it stays kept until this page is unmapped and forgotten.
///
/// # Errors
/// When no frame is left for a table.
pub fn share(virt: u64, frame_number: u64, rights: Option<Rights>) -> Result<(), NoTableFrame> {
    assert!(
        rights.is_none_or(|rights| !rights.write && !rights.execute)
            && super::frame::is_read_only(frame_number),
        "a frame is shared that somebody may write"
    );
    let value = (frame_number * PAGE_BYTES) | SHARED | rights.map_or(HELD, bits);
    fill(virt, value, rights)
}

fn fill(virt: u64, value: u64, rights: Option<Rights>) -> Result<(), NoTableFrame> {
    assert!(DYNAMIC_WINDOW.contains(&virt));
    assert!(rights.is_none_or(|rights| !(rights.write && rights.execute)));
    let (above, table) = descend_with_entry(virt, 3, true)?.ok_or(NoTableFrame)?;
    let leaf = entry(table, index(virt, 3));
    assert!(
        leaf.load(Ordering::Relaxed) == 0,
        "a mapped page is mapped again"
    );
    leaf.store(value, Ordering::Release);
    above.fetch_add(1 << USED_SHIFT, Ordering::Relaxed);
    Ok(())
}

/// Puts `frame`, a copy, in the place of the frame that is shared at `virt`: readable, and marked as being settled by
/// `cpu`. The frame comes back where the page is not mapped shared any more.
///
/// # Errors
/// Gives the frame back.
pub fn replace_shared(virt: u64, frame: Frame, cpu: u32) -> Result<(), Frame> {
    let Some(leaf) = find_leaf(virt) else {
        return Err(frame);
    };
    let was = leaf.load(Ordering::Relaxed);
    if was & (SHARED | PRESENT) != SHARED | PRESENT {
        return Err(frame);
    }
    let mark = u64::from(cpu + 1) << COPIED_BY_SHIFT;
    let value = (frame.into_number() * PAGE_BYTES) | PRESENT | NO_EXECUTE | mark;
    leaf.store(value, Ordering::Release);
    Ok(())
}

/// Ends what [`replace_shared`] began: every CPU has forgotten the shared frame. Nothing happens where this `cpu` has no
/// copy to settle.
pub fn settle(virt: u64, cpu: u32, rights: Rights, _flushed: &Flushed) {
    let Some(leaf) = find_leaf(virt) else {
        return;
    };
    let was = leaf.load(Ordering::Relaxed);
    if copied_by(was) == Some(cpu) {
        // Without the mark in any case: a page that nobody may reach now may be given rights again.
        let is_present = was & PRESENT != 0;
        let rest = if is_present {
            bits(rights)
        } else {
            HELD | was & DISCARDED
        };
        leaf.store((was & ADDRESS) | rest, Ordering::Release);
    }
}

fn copied_by(leaf: u64) -> Option<u32> {
    (((leaf & COPIED_BY) >> COPIED_BY_SHIFT) as u32).checked_sub(1)
}

/// Unmaps the page at `virt` and hands out its frame, if it has one of its own.
pub fn unmap(virt: u64) -> Option<StaleFrame> {
    assert!(DYNAMIC_WINDOW.contains(&virt));
    let (above, table) = descend_with_entry(virt, 3, false).ok()??;
    let was = entry(table, index(virt, 3)).swap(0, Ordering::AcqRel);
    if was != 0 {
        above.fetch_sub(1 << USED_SHIFT, Ordering::Relaxed);
    }
    note_end(was, None);
    if was & ALIAS_PROTECTED != 0 {
        let restored = set_alias_writable((was & ADDRESS) / PAGE_BYTES, true);
        assert!(
            restored.is_ok(),
            "a split direct map needs no further table"
        );
    }
    let is_own = was & (PRESENT | HELD) != 0 && was & SHARED == 0;
    is_own.then_some(StaleFrame((was & ADDRESS) / PAGE_BYTES))
}

/// Changes what may be done with a mapped page; `None` keeps the frame and forbids everything. Nothing
/// happens where nothing is mapped.
///
/// # Errors
/// Only when the right to execute is given and no frame is left to split the direct map.
pub fn set_rights(virt: u64, rights: Option<Rights>) -> Result<(), NoTableFrame> {
    assert!(DYNAMIC_WINDOW.contains(&virt));
    let Some(leaf) = find_leaf(virt) else {
        return Ok(());
    };
    let was = leaf.load(Ordering::Relaxed);
    if was & (PRESENT | HELD) == 0 {
        return Ok(());
    }
    let kept = was & (SHARED | COPIED_BY);
    if kept != 0 {
        let read_only = Rights {
            write: false,
            execute: false,
        };
        let new = rights.map_or(HELD, |_| bits(read_only));
        leaf.store((was & ADDRESS) | kept | new, Ordering::Release);
        note_end(was, rights);
        return Ok(());
    }
    let is_code = rights.is_some_and(|rights| rights.execute);
    assert!(
        was & LARGE == 0 || !is_code,
        "a large page becomes code without being split"
    );
    let alias = protect_alias(was, is_code)?;
    let value = (was & (ADDRESS | LARGE)) | rights.map_or(HELD, bits) | alias;
    leaf.store(value, Ordering::Release);
    note_end(was, rights);
    Ok(())
}

/// Takes all rights to a mapped page away, and remembers why until somebody changes its rights again: who discards a page
/// and then waits for all CPUs to forget it finds out whether its frame is still nobody's.
pub fn hold_for_discard(virt: u64) {
    // Taking all rights away needs no table.
    let _cannot_fail = set_rights(virt, None);
    if let Some(leaf) = find_leaf(virt) {
        leaf.fetch_or(DISCARDED, Ordering::AcqRel);
    }
}

/// Tells the audit of a page that was accessible and no longer is.
fn note_end(was: u64, rights: Option<Rights>) {
    if was & PRESENT == 0 || rights.is_some() {
        return;
    }
    let first = (was & ADDRESS) / PAGE_BYTES;
    let count = if was & LARGE == 0 { 1 } else { ENTRIES };
    (first..first + count).for_each(translations::page_ended);
}

/// Makes the alias of a leaf's frame read-only if it becomes code, and writable if it no longer is. Returns the
/// leaf's new [`ALIAS_PROTECTED`]. The aliases of boot modules are read-only for ever.
fn protect_alias(was: u64, is_code: bool) -> Result<u64, NoTableFrame> {
    let frame_number = (was & ADDRESS) / PAGE_BYTES;
    let was_protected = was & ALIAS_PROTECTED != 0;
    if super::frame::owner(frame_number) == FrameOwner::BootModules {
        return Ok(0);
    }
    if was_protected != is_code {
        set_alias_writable(frame_number, !is_code)?;
    }
    Ok(if is_code { ALIAS_PROTECTED } else { 0 })
}

/// What is mapped at the page that starts at `virt`.
pub fn lookup(virt: u64) -> Option<Leaf> {
    let value = find_leaf(virt)?.load(Ordering::Acquire);
    if value & (PRESENT | HELD) == 0 {
        return None;
    }
    let rights = (value & PRESENT != 0).then_some(Rights {
        write: value & WRITABLE != 0,
        execute: value & NO_EXECUTE == 0,
    });
    let is_large = value & LARGE != 0;
    let in_page = if is_large { index(virt, 3) } else { 0 };
    let frame_number = (value & ADDRESS) / PAGE_BYTES + in_page;
    Some(Leaf {
        frame_number,
        rights,
        is_boot_module: super::frame::owner(frame_number) == FrameOwner::BootModules,
        is_shared: value & SHARED != 0,
        copied_by: copied_by(value),
        is_large,
        is_held_for_discard: value & DISCARDED != 0,
    })
}

/// Visits pages of `[virt, end)` that have a frame, lowest first; holes and empty tables are skipped whole, and a large
/// page is visited once. `limit` bounds the work: pages visited and tables walked. `visit` may change or unmap the page it
/// is given. Answers where to go on; `None` at the end.
pub fn visit_mapped(
    mut virt: u64,
    end: u64,
    mut limit: usize,
    visit: &mut dyn FnMut(u64),
) -> Option<u64> {
    while virt < end {
        if limit == 0 {
            return Some(virt);
        }
        match below(virt) {
            Below::Nothing { level } => virt = next_multiple_after(virt, 1 << SHIFTS[level]),
            Below::LargePage => {
                visit(virt);
                virt = next_multiple_after(virt, 1 << SHIFTS[2]);
                limit -= 1;
            }
            Below::Table(table) => {
                let table_end = end.min(next_multiple_after(virt, 1 << SHIFTS[2]));
                virt = visit_table(table, virt, table_end, &mut limit, visit);
                limit = limit.saturating_sub(1);
            }
        }
    }
    None
}

fn visit_table(
    table: u64,
    mut virt: u64,
    end: u64,
    limit: &mut usize,
    visit: &mut dyn FnMut(u64),
) -> u64 {
    while virt < end && *limit > 0 {
        let leaf = entry(table, index(virt, 3)).load(Ordering::Acquire);
        if leaf & (PRESENT | HELD) != 0 {
            visit(virt);
            *limit -= 1;
        }
        virt += PAGE_BYTES;
    }
    virt
}

/// Takes tables that map nothing any more out of the tree, below the top level, within `[start, end)`.
pub fn take_empty_tables(start: u64, end: u64, taken: &mut dyn FnMut(StaleFrame)) {
    for level in [2, 1] {
        let span = 1u64 << SHIFTS[level];
        let mut at = start & !(span - 1);
        while at < end {
            let missing = take_if_empty(at, level, taken).unwrap_or(level);
            at = next_multiple_after(at, 1 << SHIFTS[missing]);
        }
    }
}

/// Maps device registers uncached; `virt`, `physical` and `len_bytes` are page-aligned.
pub(crate) fn map_device(virt: u64, physical: u64, len_bytes: u64) -> Result<(), NoTableFrame> {
    let _guard = DEVICE_LOCK.lock();
    for offset in (0..len_bytes).step_by(PAGE_BYTES as usize) {
        let table = descend(virt + offset, 3, true)?.ok_or(NoTableFrame)?;
        let value = (physical + offset) | PRESENT | WRITABLE | UNCACHED | NO_EXECUTE;
        entry(table, index(virt + offset, 3)).store(value, Ordering::Release);
    }
    Ok(())
}

/// Makes the direct map's alias of a frame writable or read-only. The caller shoots down after taking
/// the right away, and holds the address-space lock.
pub fn set_alias_writable(frame_number: u64, writable: bool) -> Result<(), NoTableFrame> {
    let virt = DIRECT_MAP_BASE + frame_number * PAGE_BYTES;
    let table = split_large_page(virt)?;
    let leaf = entry(table, index(virt, 3));
    let value = leaf.load(Ordering::Relaxed) & !WRITABLE;
    leaf.store(
        value | if writable { WRITABLE } else { 0 },
        Ordering::Release,
    );
    Ok(())
}

/// The bytes of boot modules that are mapped at `[virt, virt + len_bytes)`, for ever: such frames never go back
/// to the allocator. `None` if anything else is mapped there.
pub fn boot_module_bytes(virt: u64, len_bytes: usize) -> Option<&'static [u8]> {
    let end = virt.checked_add(len_bytes as u64)?;
    let mut page = virt & !(PAGE_BYTES - 1);
    while page < end {
        let readable = |leaf: &Leaf| leaf.rights.is_some_and(|rights| !rights.write);
        lookup(page).filter(|leaf| leaf.is_boot_module && readable(leaf))?;
        page += PAGE_BYTES;
    }
    // SAFETY: every page of the range is mapped readable and not writable, its direct-map alias was made
    // read-only by whoever mapped it, and frames of this owner are never unmapped or freed.
    Some(unsafe { core::slice::from_raw_parts(virt as *const u8, len_bytes) })
}

/// Reads the word at `address` if anything but device memory is mapped there; for backtraces through
/// memory that may be damaged.
pub fn peek(address: u64) -> Option<u64> {
    let canonical = address as i64 >> 47 == 0 || address as i64 >> 47 == -1;
    if !address.is_multiple_of(8) || !canonical || root() == 0 {
        return None;
    }
    let mut table = root();
    for (level, shift) in SHIFTS.iter().enumerate() {
        let value = entry(table, index(address, level)).load(Ordering::Acquire);
        if value & PRESENT == 0 || value & UNCACHED != 0 {
            return None;
        }
        if level == 3 || value & LARGE != 0 {
            let within = (1 << shift) - 1;
            return peek_physical(value & ADDRESS & !within | address & within);
        }
        table = value & ADDRESS;
    }
    None
}

/// Reads the word at a physical address that a page's entry had: not by the page's own address, which another CPU may take away
/// meanwhile, and then a fault here would be one of the kernel's.
fn peek_physical(physical: u64) -> Option<u64> {
    if physical >= direct_map::len_bytes() {
        return None;
    }
    let pointer = direct_map::pointer(physical).cast::<u64>();
    // SAFETY: aligned as the address was, inside the direct map, which stays, and a cached page of the kernel's is RAM. The word may
    // be written meanwhile; any value does.
    Some(unsafe { core::ptr::read_volatile(pointer) })
}

fn split_large_page(virt: u64) -> Result<u64, NoTableFrame> {
    let directory = descend(virt, 2, false)?.ok_or(NoTableFrame)?;
    let slot = entry(directory, index(virt, 2));
    let large = slot.load(Ordering::Acquire);
    if large & LARGE == 0 {
        return Ok(large & ADDRESS);
    }
    let table = new_table()?;
    for page in 0..ENTRIES {
        let value = (large & !LARGE) + page * PAGE_BYTES;
        entry(table, page).store(value, Ordering::Relaxed);
    }
    slot.store(table | PRESENT | WRITABLE, Ordering::Release);
    Ok(table)
}

/// The table that holds the entry of `level` for `virt`. `Ok(None)`: missing and not to be made, or a large page is in its
/// place.
fn descend(virt: u64, level: usize, make: bool) -> Result<Option<u64>, NoTableFrame> {
    let found = descend_with_entry(virt, level, make)?;
    Ok(found.map(|(_, table)| table))
}

/// As [`descend`], with the entry that names the table; for levels below the top.
fn descend_with_entry(
    virt: u64,
    level: usize,
    make: bool,
) -> Result<Option<(&'static AtomicU64, u64)>, NoTableFrame> {
    let mut above: Option<&'static AtomicU64> = None;
    let mut slot = entry(root(), index(virt, 0));
    for below in 1..=level {
        let mut value = slot.load(Ordering::Acquire);
        if value & LARGE != 0 {
            return Ok(None);
        }
        if value & PRESENT == 0 {
            if !make {
                return Ok(None);
            }
            value = new_table()? | PRESENT | WRITABLE;
            slot.store(value, Ordering::Release);
            if let Some(above) = above {
                above.fetch_add(1 << USED_SHIFT, Ordering::Relaxed);
            }
        }
        let table = value & ADDRESS;
        if below == level {
            return Ok(Some((slot, table)));
        }
        above = Some(slot);
        slot = entry(table, index(virt, below));
    }
    Ok(None)
}

/// The leaf for `virt`, large or small, in use or not.
fn find_leaf(virt: u64) -> Option<&'static AtomicU64> {
    let directory = descend(virt, 2, false).ok()??;
    let slot = entry(directory, index(virt, 2));
    let value = slot.load(Ordering::Acquire);
    if value & LARGE != 0 {
        return Some(slot);
    }
    (value & PRESENT != 0).then(|| entry(value & ADDRESS, index(virt, 3)))
}

/// What the entries above the last level lead to.
enum Below {
    /// The entry of this level names no table, or an empty one.
    Nothing {
        level: usize,
    },
    /// A last-level table, here by its physical address.
    Table(u64),
    LargePage,
}

fn below(virt: u64) -> Below {
    let mut table = root();
    for (level, _) in SHIFTS.iter().enumerate().take(3) {
        let value = entry(table, index(virt, level)).load(Ordering::Acquire);
        if value & LARGE != 0 {
            return Below::LargePage;
        }
        if value & PRESENT == 0 || level > 0 && value & USED == 0 {
            return Below::Nothing { level };
        }
        table = value & ADDRESS;
    }
    Below::Table(table)
}

/// Takes the table that the entry of `level` for `virt` names, if it is empty. Answers the highest level that names
/// nothing for `virt` now.
fn take_if_empty(virt: u64, level: usize, taken: &mut dyn FnMut(StaleFrame)) -> Option<usize> {
    let mut above: Option<&'static AtomicU64> = None;
    let mut table = root();
    for below in 0..=level {
        let slot = entry(table, index(virt, below));
        let value = slot.load(Ordering::Acquire);
        if value & PRESENT == 0 {
            return Some(below);
        }
        if below == level && value & (LARGE | USED) == 0 {
            slot.store(0, Ordering::Release);
            if let Some(above) = above {
                above.fetch_sub(1 << USED_SHIFT, Ordering::Relaxed);
            }
            taken(StaleFrame((value & ADDRESS) / PAGE_BYTES));
        }
        above = Some(slot);
        table = value & ADDRESS;
    }
    None
}

fn new_table() -> Result<u64, NoTableFrame> {
    let source = FRAME_SOURCE.load(Ordering::Acquire);
    if source == 0 {
        return Err(NoTableFrame);
    }
    // SAFETY: only `init` stores here, and it stores a `FrameSource`.
    let source: FrameSource = unsafe { core::mem::transmute(source) };
    let frame = source().ok_or(NoTableFrame)?;
    Ok(frame.into_number() * PAGE_BYTES)
}

fn entry(table_physical: u64, slot: u64) -> &'static AtomicU64 {
    let pointer = direct_map::pointer(table_physical + slot * 8).cast::<AtomicU64>();
    // SAFETY: `table_physical` comes from the tree itself, so it is a live table in the direct map, and
    // every access to tables in the whole kernel is atomic.
    unsafe { &*pointer }
}

fn index(virt: u64, level: usize) -> u64 {
    virt >> SHIFTS[level] & (ENTRIES - 1)
}

fn bits(rights: Rights) -> u64 {
    let write = if rights.write { WRITABLE } else { 0 };
    let execute = if rights.execute { 0 } else { NO_EXECUTE };
    PRESENT | write | execute
}

fn next_multiple_after(value: u64, of: u64) -> u64 {
    (value | (of - 1)).saturating_add(1)
}
