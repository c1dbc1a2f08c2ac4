//! Places, generations, rights.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::Lease;

/// Bits of a handle that say the place.
const PLACE_BITS: u32 = 20;
/// Handles that one table can hold.
pub const HANDLES_MAX: usize = 1 << PLACE_BITS;
/// How many handles of one place are told apart. One bit is left for those who keep handles in signed numbers.
pub const GENERATIONS: u32 = 1 << (31 - PLACE_BITS);

/// Names an entry of one table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(u32);

/// What may be done through a handle: a set of bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights(pub u32);

/// Why a handle gives nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandleError {
    /// It was closed, or there never was one like it.
    Closed(Handle),
    /// What it was derived from was revoked.
    Revoked(Handle),
    /// It does not have the rights.
    Denied(Handle),
}

/// The table holds as many handles as it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableFull;

/// Something on its way from one table to another.
#[derive(Debug)]
pub struct Passed<T> {
    object: T,
    rights: Rights,
    lease: Option<Arc<Lease>>,
}

/// What a process holds.
#[derive(Debug)]
pub struct Table<T> {
    places: Vec<Place<T>>,
    first_free: Option<u32>,
}

#[derive(Debug)]
struct Place<T> {
    generation: u32,
    content: Content<T>,
}

#[derive(Debug)]
enum Content<T> {
    Free { next: Option<u32> },
    Entry(Entry<T>),
}

#[derive(Debug)]
struct Entry<T> {
    object: T,
    rights: Rights,
    /// What it was derived from; nothing for what the table got first.
    lease: Option<Arc<Lease>>,
    /// What is derived from it, since it was last revoked; made when something first is.
    derived: Option<Arc<Lease>>,
}

impl Handle {
    /// As a number.
    pub const fn as_u32(self) -> u32 {
        self.0
    }

    /// The handle that this number would be.
    pub const fn from_u32(number: u32) -> Self {
        Self(number)
    }

    fn new(place: u32, generation: u32) -> Self {
        Self(generation << PLACE_BITS | place)
    }

    fn place(self) -> u32 {
        self.0 & (HANDLES_MAX as u32 - 1)
    }

    fn generation(self) -> u32 {
        self.0 >> PLACE_BITS
    }
}

impl Rights {
    /// Everything.
    pub const ALL: Self = Self(u32::MAX);

    /// Whether all of `wanted` are among these.
    pub const fn contain(self, wanted: Rights) -> bool {
        self.0 & wanted.0 == wanted.0
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Table<T> {
    /// An empty table.
    pub const fn new() -> Self {
        Self {
            places: Vec::new(),
            first_free: None,
        }
    }

    /// Takes in an object that nobody can revoke.
    pub fn insert(&mut self, object: T, rights: Rights) -> Result<Handle, TableFull> {
        self.insert_entry(Entry {
            object,
            rights,
            lease: None,
            derived: None,
        })
    }

    /// What the handle refers to, to be used as `wanted` says.
    pub fn get(&self, handle: Handle, wanted: Rights) -> Result<&T, HandleError> {
        let entry = self.entry(handle)?;
        entry.check(handle, wanted)?;
        Ok(&entry.object)
    }

    /// [`get`](Self::get), to be changed.
    pub fn get_mut(&mut self, handle: Handle, wanted: Rights) -> Result<&mut T, HandleError> {
        let entry = self.entry_mut(handle)?;
        entry.check(handle, wanted)?;
        Ok(&mut entry.object)
    }

    /// What may be done through the handle.
    pub fn rights(&self, handle: Handle) -> Result<Rights, HandleError> {
        Ok(self.entry(handle)?.rights)
    }

    /// Closes a handle; one that was revoked is closed like any other.
    pub fn remove(&mut self, handle: Handle) -> Result<T, HandleError> {
        self.entry(handle)?;
        let number = handle.place();
        let place = &mut self.places[number as usize];
        let free = Content::Free {
            next: self.first_free,
        };
        place.generation = (place.generation + 1) % GENERATIONS;
        self.first_free = Some(number);
        match core::mem::replace(&mut place.content, free) {
            Content::Entry(entry) => Ok(entry.object),
            Content::Free { .. } => Err(HandleError::Closed(handle)),
        }
    }

    /// Ends everything that was derived from the handle.
    pub fn revoke(&mut self, handle: Handle) -> Result<(), HandleError> {
        if let Some(derived) = self.entry_mut(handle)?.derived.take() {
            derived.revoke();
        }
        Ok(())
    }

    /// Takes in what was passed on by another table.
    pub fn adopt(&mut self, passed: Passed<T>) -> Result<Handle, TableFull> {
        self.insert_entry(Entry {
            object: passed.object,
            rights: passed.rights,
            lease: passed.lease,
            derived: None,
        })
    }

    /// How many handles there are, in the order of their places.
    pub fn handles(&self) -> impl Iterator<Item = Handle> {
        (0u32..).zip(&self.places).filter_map(|(number, place)| {
            let is_entry = matches!(place.content, Content::Entry(_));
            is_entry.then(|| Handle::new(number, place.generation))
        })
    }

    fn insert_entry(&mut self, entry: Entry<T>) -> Result<Handle, TableFull> {
        let Some(number) = self.first_free else {
            return self.insert_last(entry);
        };
        let place = &mut self.places[number as usize];
        if let Content::Free { next } = place.content {
            self.first_free = next;
        }
        place.content = Content::Entry(entry);
        Ok(Handle::new(number, place.generation))
    }

    fn insert_last(&mut self, entry: Entry<T>) -> Result<Handle, TableFull> {
        let number = self.places.len();
        if number >= HANDLES_MAX || self.places.try_reserve(1).is_err() {
            return Err(TableFull);
        }
        self.places.push(Place {
            generation: 0,
            content: Content::Entry(entry),
        });
        Ok(Handle::new(number as u32, 0))
    }

    fn entry(&self, handle: Handle) -> Result<&Entry<T>, HandleError> {
        match self.places.get(handle.place() as usize) {
            Some(Place {
                generation,
                content: Content::Entry(entry),
            }) if *generation == handle.generation() => Ok(entry),
            _ => Err(HandleError::Closed(handle)),
        }
    }

    fn entry_mut(&mut self, handle: Handle) -> Result<&mut Entry<T>, HandleError> {
        match self.places.get_mut(handle.place() as usize) {
            Some(Place {
                generation,
                content: Content::Entry(entry),
            }) if *generation == handle.generation() => Ok(entry),
            _ => Err(HandleError::Closed(handle)),
        }
    }
}

impl<T: Clone> Table<T> {
    /// Another handle of the same object with `rights`, which the handle must have.
    pub fn duplicate(&mut self, handle: Handle, rights: Rights) -> Result<Handle, DuplicateError> {
        let passed = self.pass(handle, rights)?;
        self.adopt(passed).map_err(|TableFull| DuplicateError::Full)
    }

    /// The same object with `rights`, which the handle must have, for another table.
    pub fn pass(&mut self, handle: Handle, rights: Rights) -> Result<Passed<T>, HandleError> {
        let entry = self.entry_mut(handle)?;
        entry.check(handle, rights)?;
        let from = &entry.lease;
        let derived = entry
            .derived
            .get_or_insert_with(|| Lease::new(from.clone()));
        Ok(Passed {
            object: entry.object.clone(),
            rights,
            lease: Some(Arc::clone(derived)),
        })
    }
}

impl<T> Entry<T> {
    fn check(&self, handle: Handle, wanted: Rights) -> Result<(), HandleError> {
        if self.lease.as_ref().is_some_and(|lease| !lease.holds()) {
            return Err(HandleError::Revoked(handle));
        }
        if !self.rights.contain(wanted) {
            return Err(HandleError::Denied(handle));
        }
        Ok(())
    }
}

/// Why there is no duplicate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DuplicateError {
    /// The original gives none.
    Handle(HandleError),
    /// There is no place for it.
    Full,
}

impl From<HandleError> for DuplicateError {
    fn from(error: HandleError) -> Self {
        Self::Handle(error)
    }
}

impl fmt::Display for HandleError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(Handle(number)) => {
                write!(
                    out,
                    "the process holds no handle {number}, or has closed it"
                )
            }
            Self::Revoked(Handle(number)) => {
                write!(
                    out,
                    "handle {number} was taken back by whoever passed it on"
                )
            }
            Self::Denied(Handle(number)) => {
                write!(out, "handle {number} does not have the right to do this")
            }
        }
    }
}

impl core::error::Error for HandleError {}

impl fmt::Display for TableFull {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "a process holds {HANDLES_MAX} handles at most")
    }
}

impl core::error::Error for TableFull {}
