//! Images: contents that regions show until they write to them, and who still needs them.
//!
//! Law: an image is alive while it is open, while a page of some region shows it, while a fault copies from it
//! (a pin) and while it is being written. Pages are counted, not regions, because regions split and merge.
//! The last of these to go makes the image *dead*; whoever notices takes it by [`Images::take_dead`], empties
//! its pages, and only then gives the slot back by [`Images::forget`]. Its contents change only while no
//! page shows it, and seals only ever forbid more.
//!
//! Units: pages for places, bytes for the length that a file has.

use core::fmt;
use core::ops::Range;

/// Which image: the index of its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageId(u16);

impl ImageId {
    /// The image in slot `index`, if there can be one.
    pub fn from_index(index: usize) -> Option<Self> {
        u16::try_from(index).ok().map(Self)
    }

    /// The slot.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// What may never be done to an image again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seals {
    /// No further seals.
    pub seal: bool,
    /// It does not become shorter.
    pub shrink: bool,
    /// It does not become longer.
    pub grow: bool,
    /// Its bytes stay.
    pub write: bool,
}

impl Seals {
    fn with(self, more: Self) -> Self {
        Self {
            seal: self.seal || more.seal,
            shrink: self.shrink || more.shrink,
            grow: self.grow || more.grow,
            write: self.write || more.write,
        }
    }
}

/// Why something cannot be done with an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageError {
    /// All slots are taken.
    NoSlot,
    /// The caller names an image that is not open.
    NotOpen,
    /// A seal that the caller set forbids it.
    Sealed,
    /// Regions show the image, or somebody else writes it.
    Busy,
    /// The caller's offset and length lie outside what an image can hold.
    TooLong,
    /// Physical memory is used up.
    NoFrames,
}

impl fmt::Display for ImageError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::NoSlot => "there are too many images",
            Self::NotOpen => "no image is open under this number",
            Self::Sealed => "the image is sealed against this",
            Self::Busy => "the image is shown or written at the moment",
            Self::TooLong => "no image is as long as this",
            Self::NoFrames => "the machine's memory is used up",
        })
    }
}

/// One image's slot.
#[derive(Clone, Copy, Debug)]
pub struct ImageSlot {
    state: State,
    first_page: u64,
    len_bytes: u64,
    position_bytes: u64,
    shown_pages: u64,
    pins: u32,
    seals: Seals,
    is_open: bool,
    is_being_written: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Free,
    Alive,
    Dead,
    /// Somebody empties its pages.
    Going,
}

impl ImageSlot {
    /// A slot without an image.
    pub const EMPTY: Self = Self {
        state: State::Free,
        first_page: 0,
        len_bytes: 0,
        position_bytes: 0,
        shown_pages: 0,
        pins: 0,
        seals: Seals {
            seal: false,
            shrink: false,
            grow: false,
            write: false,
        },
        is_open: false,
        is_being_written: false,
    };

    fn is_needed(&self) -> bool {
        self.is_open || self.shown_pages > 0 || self.pins > 0 || self.is_being_written
    }
}

/// All images, in slots that the caller provides.
pub struct Images<'s> {
    slots: &'s mut [ImageSlot],
    /// Pages of the window that every image has to itself.
    span_pages: u64,
    dead: usize,
}

impl<'s> Images<'s> {
    /// No images; each may have up to `span_pages`.
    pub fn new(slots: &'s mut [ImageSlot], span_pages: u64) -> Self {
        Self {
            slots,
            span_pages,
            dead: 0,
        }
    }

    /// Pages that each image may have.
    pub fn span_pages(&self) -> u64 {
        self.span_pages
    }

    /// Makes an open, empty image whose pages stand at `first_page`.
    pub fn create(&mut self, first_page: u64) -> Result<ImageId, ImageError> {
        let free = self.slots.iter().position(|slot| slot.state == State::Free);
        let index = free.ok_or(ImageError::NoSlot)?;
        let id = ImageId::from_index(index).ok_or(ImageError::NoSlot)?;
        self.slots[index] = ImageSlot {
            state: State::Alive,
            first_page,
            is_open: true,
            ..ImageSlot::EMPTY
        };
        Ok(id)
    }

    /// Closes it: nobody can name it any more.
    pub fn close(&mut self, id: ImageId) -> Result<(), ImageError> {
        self.open_mut(id)?.is_open = false;
        self.note_if_dead(id);
        Ok(())
    }

    /// Length in bytes.
    pub fn len_bytes(&self, id: ImageId) -> Result<u64, ImageError> {
        self.open(id).map(|slot| slot.len_bytes)
    }

    /// Where the next write without a place of its own goes.
    pub fn position_bytes(&self, id: ImageId) -> Result<u64, ImageError> {
        self.open(id).map(|slot| slot.position_bytes)
    }

    /// Moves that place.
    pub fn set_position_bytes(&mut self, id: ImageId, to: u64) -> Result<(), ImageError> {
        self.open_mut(id)?.position_bytes = to;
        Ok(())
    }

    /// Its seals.
    pub fn seals(&self, id: ImageId) -> Result<Seals, ImageError> {
        self.open(id).map(|slot| slot.seals)
    }

    /// Adds seals, for ever.
    pub fn add_seals(&mut self, id: ImageId, more: Seals) -> Result<(), ImageError> {
        let slot = self.open_mut(id)?;
        if slot.seals.seal {
            return Err(ImageError::Sealed);
        }
        if more.write && slot.is_being_written {
            return Err(ImageError::Busy);
        }
        slot.seals = slot.seals.with(more);
        Ok(())
    }

    /// Lets the caller alone change the bytes of `[offset, offset + len)`, and the length where they reach
    /// beyond it. Answers the image's first page; [`Images::end_write`] must follow.
    pub fn begin_write(
        &mut self,
        id: ImageId,
        offset_bytes: u64,
        len_bytes: u64,
        page_bytes: u64,
    ) -> Result<u64, ImageError> {
        let limit_bytes = self.span_pages.saturating_mul(page_bytes);
        let end = offset_bytes.checked_add(len_bytes);
        let end = end
            .filter(|end| *end <= limit_bytes)
            .ok_or(ImageError::TooLong)?;
        let slot = self.open_mut(id)?;
        if slot.seals.write || slot.seals.grow && end > slot.len_bytes {
            return Err(ImageError::Sealed);
        }
        self.claim(id)
    }

    /// As [`Images::begin_write`], to make it `len_bytes` long. Answers its first page and its length until now.
    pub fn begin_resize(
        &mut self,
        id: ImageId,
        len_bytes: u64,
        page_bytes: u64,
    ) -> Result<(u64, u64), ImageError> {
        if len_bytes > self.span_pages.saturating_mul(page_bytes) {
            return Err(ImageError::TooLong);
        }
        let slot = self.open_mut(id)?;
        let was = slot.len_bytes;
        if slot.seals.grow && len_bytes > was || slot.seals.shrink && len_bytes < was {
            return Err(ImageError::Sealed);
        }
        Ok((self.claim(id)?, was))
    }

    fn claim(&mut self, id: ImageId) -> Result<u64, ImageError> {
        let slot = self.open_mut(id)?;
        if slot.is_being_written || slot.shown_pages > 0 || slot.pins > 0 {
            return Err(ImageError::Busy);
        }
        slot.is_being_written = true;
        Ok(slot.first_page)
    }

    /// Ends what [`Images::begin_write`] or [`Images::begin_resize`] began; from here on it is `len_bytes` long.
    pub fn end_write(&mut self, id: ImageId, len_bytes: u64) {
        let slot = &mut self.slots[id.index()];
        slot.is_being_written = false;
        slot.len_bytes = len_bytes;
        self.note_if_dead(id);
    }

    /// Length of an image that is being written, open or not.
    pub fn len_bytes_while_writing(&self, id: ImageId) -> u64 {
        self.slots[id.index()].len_bytes
    }

    /// Counts `pages` that show it from now on. `None`: it is not open or is being written.
    pub fn show(&mut self, id: ImageId, pages: u64) -> Result<(), ImageError> {
        let slot = self.open_mut(id)?;
        if slot.is_being_written {
            return Err(ImageError::Busy);
        }
        slot.shown_pages += pages;
        Ok(())
    }

    /// Counts `pages` that showed it until now.
    pub fn hide(&mut self, id: ImageId, pages: u64) {
        let slot = &mut self.slots[id.index()];
        slot.shown_pages -= pages;
        self.note_if_dead(id);
    }

    /// Keeps it alive while a fault copies from it.
    pub fn pin(&mut self, id: ImageId) {
        self.slots[id.index()].pins += 1;
    }

    /// Ends a [`Images::pin`].
    pub fn unpin(&mut self, id: ImageId) {
        self.slots[id.index()].pins -= 1;
        self.note_if_dead(id);
    }

    /// The page that shows page `distance` of the image; `None` behind its end.
    pub fn page(&self, id: ImageId, distance: u64, page_bytes: u64) -> Option<u64> {
        let slot = self
            .slots
            .get(id.index())
            .filter(|slot| slot.state == State::Alive)?;
        let len_pages = slot.len_bytes.div_ceil(page_bytes);
        (distance < len_pages).then(|| slot.first_page + distance)
    }

    /// An image that nobody needs any more, and its pages: the caller empties them and then calls
    /// [`Images::forget`]. Each is handed out once.
    pub fn take_dead(&mut self) -> Option<(ImageId, Range<u64>)> {
        if self.dead == 0 {
            return None;
        }
        let index = self
            .slots
            .iter()
            .position(|slot| slot.state == State::Dead)?;
        self.dead -= 1;
        let slot = &mut self.slots[index];
        slot.state = State::Going;
        let first = slot.first_page;
        Some((ImageId::from_index(index)?, first..first + self.span_pages))
    }

    /// Gives a dead image's slot back.
    pub fn forget(&mut self, id: ImageId) {
        self.slots[id.index()] = ImageSlot::EMPTY;
    }

    /// Whether [`Images::take_dead`] has something to give.
    pub fn has_dead(&self) -> bool {
        self.dead > 0
    }

    /// Images that are not gone yet.
    pub fn count(&self) -> usize {
        let taken = self.slots.iter().filter(|slot| slot.state != State::Free);
        taken.count()
    }

    fn note_if_dead(&mut self, id: ImageId) {
        let slot = &mut self.slots[id.index()];
        if slot.state == State::Alive && !slot.is_needed() {
            slot.state = State::Dead;
            self.dead += 1;
        }
    }

    fn open(&self, id: ImageId) -> Result<&ImageSlot, ImageError> {
        let slot = self.slots.get(id.index()).filter(|slot| slot.is_open);
        slot.ok_or(ImageError::NotOpen)
    }

    fn open_mut(&mut self, id: ImageId) -> Result<&mut ImageSlot, ImageError> {
        let slot = self.slots.get_mut(id.index()).filter(|slot| slot.is_open);
        slot.ok_or(ImageError::NotOpen)
    }
}
