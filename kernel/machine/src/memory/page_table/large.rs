//! Pages of 2 MiB in the dynamic window (Intel SDM vol. 3, 4.5.4: an entry of the page directory that maps a page).
//!
//! Law: as for the small ones; the caller holds the address-space lock. A large page has a whole block of frames of its own:
//! it is never shared, never code, and lies where nothing else is. Its rights are changed and it is unmapped as a whole.
//! Splitting changes no translation, only the entries that make it up, so it needs no shoot-down: what a CPU
//! remembers of the large page stays right, and forgetting any address in it forgets all of it (4.10.4.1).

use core::sync::atomic::Ordering;

use super::{
    ADDRESS, DYNAMIC_WINDOW, ENTRIES, HELD, LARGE, NoTableFrame, PRESENT, Rights, USED, USED_SHIFT,
    WRITABLE, bits, descend, descend_with_entry, entry, index, new_table, note_end,
};
use crate::cpu::mailbox::Flushed;
use crate::memory::PAGE_BYTES;
use crate::memory::frame::{Frame, StaleFrame};
use crate::memory::frame_block::{FrameBlock, LARGE_PAGE_ORDER, StaleBlock};

/// Bytes of a large page.
pub const LARGE_PAGE_BYTES: u64 = ENTRIES * PAGE_BYTES;

/// What was unmapped but may still stand in some CPU's translation buffer.
#[derive(Debug)]
#[must_use = "reclaim it against a flush"]
pub enum Stale {
    /// A page's frame.
    Frame(StaleFrame),
    /// A large page's frames.
    Block(StaleBlock),
}

/// What becomes usable again.
#[derive(Debug)]
#[must_use = "free it"]
pub enum Reclaimed {
    /// A frame.
    Frame(Frame),
    /// A block of frames.
    Block(FrameBlock),
}

impl Stale {
    /// Becomes usable again: `flushed` proves that the old translation is gone everywhere.
    pub fn reclaim(self, flushed: &Flushed) -> Reclaimed {
        match self {
            Self::Frame(frame) => Reclaimed::Frame(frame.reclaim(flushed)),
            Self::Block(block) => Reclaimed::Block(block.reclaim(flushed)),
        }
    }
}

/// Maps `block` as the large page that starts at `virt`.
///
/// # Errors
/// Gives the block back where something, if only an empty table, is there already, or no frame was left for a table.
pub fn map(virt: u64, block: FrameBlock, rights: Option<Rights>) -> Result<(), FrameBlock> {
    assert!(
        DYNAMIC_WINDOW.contains(&virt) && virt.is_multiple_of(LARGE_PAGE_BYTES),
        "a large page lies on a multiple of its size"
    );
    assert!(block.order() == LARGE_PAGE_ORDER && rights.is_none_or(|rights| !rights.execute));
    let Ok(Some((above, directory))) = descend_with_entry(virt, 2, true) else {
        return Err(block);
    };
    let slot = entry(directory, index(virt, 2));
    if slot.load(Ordering::Relaxed) != 0 {
        return Err(block);
    }
    let physical = block.into_first_number() * PAGE_BYTES;
    slot.store(
        physical | LARGE | rights.map_or(HELD, bits),
        Ordering::Release,
    );
    above.fetch_add(1 << USED_SHIFT, Ordering::Relaxed);
    Ok(())
}

/// Unmaps the page at `virt`, small or large, and hands out what it has of its own.
pub fn unmap(virt: u64) -> Option<Stale> {
    if !is_large(virt) {
        return super::unmap(virt).map(Stale::Frame);
    }
    assert!(
        virt.is_multiple_of(LARGE_PAGE_BYTES),
        "a large page is unmapped in part without being split"
    );
    let (above, directory) = descend_with_entry(virt, 2, false).ok()??;
    let was = entry(directory, index(virt, 2)).swap(0, Ordering::AcqRel);
    above.fetch_sub(1 << USED_SHIFT, Ordering::Relaxed);
    note_end(was, None);
    Some(Stale::Block(StaleBlock {
        first: (was & ADDRESS) / PAGE_BYTES,
        order: LARGE_PAGE_ORDER,
    }))
}

/// Makes small pages of the large one around `virt`, if there is one: the same frames with the same rights.
///
/// # Errors
/// When no frame is left for their table.
pub fn split(virt: u64) -> Result<(), NoTableFrame> {
    if !is_large(virt) {
        return Ok(());
    }
    let directory = descend(virt, 2, false)?.ok_or(NoTableFrame)?;
    let slot = entry(directory, index(virt, 2));
    let large = slot.load(Ordering::Acquire);
    let table = new_table()?;
    for page in 0..ENTRIES {
        let small = (large & !LARGE) + page * PAGE_BYTES;
        entry(table, page).store(small, Ordering::Relaxed);
    }
    slot.store(
        table | PRESENT | WRITABLE | ENTRIES << USED_SHIFT,
        Ordering::Release,
    );
    Ok(())
}

/// Whether nothing, not even an empty table, is in the place of the large page around `virt`.
pub fn is_free(virt: u64) -> bool {
    match descend(virt, 2, false) {
        Ok(Some(directory)) => entry(directory, index(virt, 2)).load(Ordering::Acquire) == 0,
        _ => true,
    }
}

/// Whether each page of the large page's place around `virt` has a frame.
pub fn is_full(virt: u64) -> bool {
    let Ok(Some(directory)) = descend(virt, 2, false) else {
        return false;
    };
    let value = entry(directory, index(virt, 2)).load(Ordering::Acquire);
    value & LARGE != 0 || value & PRESENT != 0 && (value & USED) >> USED_SHIFT == ENTRIES
}

fn is_large(virt: u64) -> bool {
    let Ok(Some(directory)) = descend(virt, 2, false) else {
        return false;
    };
    entry(directory, index(virt, 2)).load(Ordering::Acquire) & LARGE != 0
}
