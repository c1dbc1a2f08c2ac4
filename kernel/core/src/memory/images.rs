//! Images: files in memory that regions show until they write to them.
//!
//! Law: an image's frames stand in a region of its own, where nobody reaches them; the page tables are the only list
//! of them. Who writes an image has it alone, and only while no region shows it. A page that is written whole from a page
//! of a boot module shows that module's frame instead of a copy. When nobody needs an image any more
//! ([`lib_region_map::images`]), [`reap`] frees its frames. Lock: the regions'; frames are allocated and filled
//! without it.

use kernel_machine::cpu::mailbox;
use kernel_machine::memory::frame::FrameOwner;
use kernel_machine::memory::{Frame, PAGE_BYTES, PAGE_LEN, page_table};

pub use lib_region_map::images::{ImageError, ImageId, Seals};

use super::frames;
use super::regions::{self, Fate, SPACE};
use lib_region_map::space::Space;

fn with_space<T>(
    work: impl FnOnce(&mut Space<'static>) -> Result<T, ImageError>,
) -> Result<T, ImageError> {
    let mut guard = SPACE.lock();
    let space = guard.as_mut().ok_or(ImageError::NoSlot)?;
    work(space)
}

/// Makes an empty image.
///
/// # Errors
/// [`ImageError::NoSlot`].
pub fn create() -> Result<ImageId, ImageError> {
    with_space(Space::create_image)
}

/// Closes it: regions that show it go on, and with the last of them it goes.
///
/// # Errors
/// [`ImageError::NotOpen`].
pub fn close(image: ImageId) -> Result<(), ImageError> {
    with_space(|space| space.images.close(image))?;
    reap();
    Ok(())
}

/// Its length in bytes.
///
/// # Errors
/// [`ImageError::NotOpen`].
pub fn len_bytes(image: ImageId) -> Result<u64, ImageError> {
    with_space(|space| space.images.len_bytes(image))
}

/// What may never be done to it again.
///
/// # Errors
/// [`ImageError::NotOpen`].
pub fn seals(image: ImageId) -> Result<Seals, ImageError> {
    with_space(|space| space.images.seals(image))
}

/// Forbids more, for ever.
///
/// # Errors
/// [`ImageError::NotOpen`], [`ImageError::Sealed`], [`ImageError::Busy`].
pub fn add_seals(image: ImageId, more: Seals) -> Result<(), ImageError> {
    with_space(|space| space.images.add_seals(image, more))
}

/// Writes where the last such write ended, and answers how many bytes there was memory for.
///
/// # Errors
/// See [`ImageError`]; [`ImageError::NoFrames`] only where not one byte was written.
pub fn append(image: ImageId, bytes: &[u8]) -> Result<usize, ImageError> {
    let position = with_space(|space| space.images.position_bytes(image))?;
    let written = write_at(image, position, bytes)?;
    with_space(|space| {
        space
            .images
            .set_position_bytes(image, position + written as u64)
    })?;
    Ok(written)
}

/// Writes at `offset_bytes` and answers how many bytes there was memory for. What lies between the end and the
/// offset reads as zero.
///
/// # Errors
/// As [`append`].
pub fn write_at(image: ImageId, offset_bytes: u64, bytes: &[u8]) -> Result<usize, ImageError> {
    let len = bytes.len() as u64;
    let first_page = with_space(|space| {
        space
            .images
            .begin_write(image, offset_bytes, len, PAGE_BYTES)
    })?;
    let written = store(first_page, offset_bytes, bytes);
    let end = offset_bytes + written as u64;
    with_space(|space| {
        let was = space.images.len_bytes_while_writing(image);
        space
            .images
            .end_write(image, was.max(if written == 0 { 0 } else { end }));
        Ok(())
    })?;
    reap();
    if written == 0 && !bytes.is_empty() {
        return Err(ImageError::NoFrames);
    }
    Ok(written)
}

/// Makes it this long. What is new reads as zero.
///
/// # Errors
/// See [`ImageError`].
pub fn set_len(image: ImageId, len_bytes: u64) -> Result<(), ImageError> {
    let (first_page, was) =
        with_space(|space| space.images.begin_resize(image, len_bytes, PAGE_BYTES))?;
    let cleared = if len_bytes < was {
        cut(first_page, len_bytes, was)
    } else {
        Ok(())
    };
    with_space(|space| {
        let len_bytes = if cleared.is_ok() { len_bytes } else { was };
        space.images.end_write(image, len_bytes);
        Ok(())
    })?;
    reap();
    cleared
}

/// Frees the pages behind the new end, and clears the rest of the last page: it reads as zero when it is seen again.
fn cut(first_page: u64, len_bytes: u64, was_bytes: u64) -> Result<(), ImageError> {
    let used = (len_bytes % PAGE_BYTES) as usize;
    if used != 0 {
        let zeroes = [0; PAGE_LEN];
        let page = first_page + len_bytes / PAGE_BYTES;
        store_in_page(page, used, &zeroes[used..])?;
    }
    let first = first_page + len_bytes.div_ceil(PAGE_BYTES);
    let end = first_page + was_bytes.div_ceil(PAGE_BYTES);
    if first < end {
        regions::drop_frames(&(first..end), Fate::Unmap);
    }
    Ok(())
}

/// Stores bytes in the image's pages, page by page, until they or the memory are at an end. Answers how many.
fn store(first_page: u64, offset_bytes: u64, bytes: &[u8]) -> usize {
    let mut done = 0;
    while done < bytes.len() {
        let at = offset_bytes + done as u64;
        let (page, within) = (first_page + at / PAGE_BYTES, (at % PAGE_BYTES) as usize);
        let len = (PAGE_LEN - within).min(bytes.len() - done);
        let part = &bytes[done..done + len];
        let stored = match share_module_page(page, part) {
            true => Ok(()),
            false => store_in_page(page, within, part),
        };
        if stored.is_err() {
            break;
        }
        done += len;
    }
    done
}

/// Shows a page of a boot module if `bytes` are one, and the image's page has no frame yet.
fn share_module_page(page: u64, bytes: &[u8]) -> bool {
    let from = bytes.as_ptr().addr() as u64;
    if bytes.len() != PAGE_LEN || !from.is_multiple_of(PAGE_BYTES) {
        return false;
    }
    let virt = page * PAGE_BYTES;
    let is_in_window = super::REGION_WINDOW.contains(&from);
    let _guard = SPACE.lock();
    is_in_window
        && page_table::lookup(virt).is_none()
        && page_table::lookup(from)
            .filter(|leaf| leaf.is_boot_module)
            .is_some_and(|leaf| page_table::share(virt, leaf.frame_number, None).is_ok())
}

/// Puts a frame with the bytes at `within` in place of what the page has now.
fn store_in_page(page: u64, within: usize, bytes: &[u8]) -> Result<(), ImageError> {
    let virt = page * PAGE_BYTES;
    let before = {
        let _guard = SPACE.lock();
        page_table::lookup(virt).map(|leaf| leaf.frame_number)
    };
    let mut frame = frames::allocate(FrameOwner::Images).ok_or(ImageError::NoFrames)?;
    if let Some(before) = before {
        frame.copy_from(before);
    }
    frame.bytes_mut()[within..within + bytes.len()].copy_from_slice(bytes);
    exchange(virt, frame, before.is_some())
}

fn exchange(virt: u64, frame: Frame, had_frame: bool) -> Result<(), ImageError> {
    let guard = SPACE.lock();
    let stale = if had_frame {
        page_table::unmap(virt)
    } else {
        None
    };
    let mapped = page_table::map(virt, frame, None);
    drop(guard);
    if let Some(stale) = stale {
        frames::free(stale.reclaim(&mailbox::flush_everywhere(Some(&[virt]))));
    }
    mapped.map_err(|frame| {
        frames::free(frame);
        ImageError::NoFrames
    })
}

/// Frees the frames of images that nobody needs any more.
pub(super) fn reap() {
    loop {
        let dead = SPACE
            .lock()
            .as_mut()
            .and_then(|space| space.images.take_dead());
        let Some((image, pages)) = dead else {
            return;
        };
        regions::drop_frames(&pages, Fate::Unmap);
        regions::drop_empty_tables(&pages);
        let forgotten = SPACE
            .lock()
            .as_mut()
            .map(|space| space.forget_image(image, &pages));
        debug_assert!(
            matches!(forgotten, Some(Ok(()))),
            "removing a whole region takes no slot"
        );
    }
}

/// How many images there are.
pub fn count() -> usize {
    SPACE
        .lock()
        .as_ref()
        .map_or(0, |space| space.images.count())
}
