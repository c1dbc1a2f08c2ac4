//! Doubly linked lists of small numbers over one shared table of links.
//!
//! Threads, for one, are numbers, and a thread stands in at most one run queue or wait queue. One
//! [`LinkTable`] holds the links of all ids; a [`List`] is only head, tail and length. Linking,
//! unlinking and moving an id therefore never allocate and never search.
//!
//! Locking: a list is changed through `&mut List`, which the caller keeps under that list's lock.
//! Different lists have different locks, so the table is shared and its fields are atomics. The rules
//! that make this sound:
//! - `owner` of an id is the tag of the list it stands in. A list claims an id by exchanging
//!   [`NO_LIST`] for its tag (two lists that race for an id: one wins, the other gets an error), and
//!   only the list with that tag gives it up again.
//! - `next` and `previous` of an id are touched only by the list that owns it, so under that list's
//!   lock, and are read and written relaxed. Giving up an owner releases and claiming acquires, so
//!   that they pass in order from one list's lock to the next one's.
//! - Tags are unique among the lists of one table, and a list is always used with the same table.
//!   A caller who breaks this gets wrong lists, but no panic, no endless loop and nothing unsafe.

#![no_std]

extern crate alloc;

use alloc::boxed::Box;
use core::fmt;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// The tag that no list may have: the owner of ids that stand in no list.
pub const NO_LIST: u32 = u32::MAX;

/// In `next`, `previous`, `head` and `tail`: nobody. No id is that large, see [`LinkTable::new`].
const NOBODY: u32 = u32::MAX;

/// Why an id was not linked. Nothing has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListError {
    /// The id is not below the table's capacity.
    IdTooLarge {
        /// The id of the request.
        id: u32,
        /// Ids from 0 up to this one, exclusive, exist.
        capacity: u32,
    },
    /// The id stands in a list already, in this one or another.
    AlreadyLinked {
        /// The id of the request.
        id: u32,
        /// Tag of the list that it stands in.
        owner: u32,
    },
    /// The list was made with the tag [`NO_LIST`] and can hold nothing.
    ReservedTag,
}

impl fmt::Display for ListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::IdTooLarge { id, capacity } => {
                write!(
                    f,
                    "the link table was made for ids below {capacity}, not for {id}"
                )
            }
            Self::AlreadyLinked { id, owner } => {
                write!(
                    f,
                    "id {id} stands in list {owner} already; remove it there first"
                )
            }
            Self::ReservedTag => {
                write!(
                    f,
                    "the list's tag {NO_LIST} means `no list`; make it with another tag"
                )
            }
        }
    }
}

impl core::error::Error for ListError {}

/// The links of all ids below a capacity.
pub struct LinkTable {
    links: Box<[Link]>,
}

/// The links of one id; `next` and `previous` mean something only while `owner` is a list.
struct Link {
    owner: AtomicU32,
    next: AtomicU32,
    previous: AtomicU32,
}

impl LinkTable {
    /// A table for the ids `0..capacity`, none of them linked. The only call that allocates: 12
    /// bytes per id.
    pub fn new(capacity: u32) -> Self {
        let unlinked = |_| Link {
            owner: AtomicU32::new(NO_LIST),
            next: AtomicU32::new(NOBODY),
            previous: AtomicU32::new(NOBODY),
        };
        Self {
            links: (0..capacity).map(unlinked).collect(),
        }
    }

    /// Ids from 0 up to this one, exclusive, can be linked.
    #[inline]
    pub fn capacity(&self) -> u32 {
        self.links.len() as u32
    }

    /// Tag of the list that `id` stands in. Certain only under that list's lock.
    pub fn owner(&self, id: u32) -> Option<u32> {
        let owner = self.link(id)?.owner.load(Acquire);
        (owner != NO_LIST).then_some(owner)
    }

    #[inline]
    fn claim(&self, id: u32, tag: u32) -> Result<&Link, ListError> {
        let too_large = ListError::IdTooLarge {
            id,
            capacity: self.capacity(),
        };
        let link = self.link(id).ok_or(too_large)?;
        link.owner
            .compare_exchange(NO_LIST, tag, Acquire, Acquire)
            .map_err(|owner| ListError::AlreadyLinked { id, owner })?;
        Ok(link)
    }

    #[inline]
    fn link(&self, id: u32) -> Option<&Link> {
        self.links.get(id as usize)
    }

    /// Does nothing where `id` does not exist: then the list belongs to another table.
    #[inline]
    fn set_next(&self, id: u32, next: u32) {
        if let Some(link) = self.link(id) {
            link.next.store(next, Relaxed);
        }
    }

    #[inline]
    fn set_previous(&self, id: u32, previous: u32) {
        if let Some(link) = self.link(id) {
            link.previous.store(previous, Relaxed);
        }
    }
}

/// One list: first in, first out, unless [`Self::push_front`] is used.
///
/// Dropping a list that is not empty leaves its ids claimed by its tag.
#[derive(Debug)]
pub struct List {
    tag: u32,
    head: u32,
    tail: u32,
    len: u32,
}

impl List {
    /// An empty list. `tag` tells it from all others of the same table and is not [`NO_LIST`].
    pub const fn new(tag: u32) -> Self {
        Self {
            tag,
            head: NOBODY,
            tail: NOBODY,
            len: 0,
        }
    }

    /// Links `id` as the last of the list. O(1).
    #[inline]
    pub fn push_back(&mut self, table: &LinkTable, id: u32) -> Result<(), ListError> {
        let link = self.claim(table, id)?;
        link.previous.store(self.tail, Relaxed);
        link.next.store(NOBODY, Relaxed);
        match self.tail {
            NOBODY => self.head = id,
            last => table.set_next(last, id),
        }
        self.tail = id;
        self.len = self.len.saturating_add(1);
        Ok(())
    }

    /// Links `id` as the first of the list. O(1).
    pub fn push_front(&mut self, table: &LinkTable, id: u32) -> Result<(), ListError> {
        let link = self.claim(table, id)?;
        link.previous.store(NOBODY, Relaxed);
        link.next.store(self.head, Relaxed);
        match self.head {
            NOBODY => self.tail = id,
            first => table.set_previous(first, id),
        }
        self.head = id;
        self.len = self.len.saturating_add(1);
        Ok(())
    }

    /// Unlinks the first of the list. O(1).
    #[inline]
    pub fn pop_front(&mut self, table: &LinkTable) -> Option<u32> {
        let first = self.head;
        self.remove(table, first).then_some(first)
    }

    /// Unlinks `id`, wherever in the list it stands; `false` if it does not stand in this list. O(1).
    #[inline]
    pub fn remove(&mut self, table: &LinkTable, id: u32) -> bool {
        let Some(link) = table.link(id).filter(|link| self.owns(link)) else {
            return false;
        };
        let (previous, next) = (link.previous.load(Relaxed), link.next.load(Relaxed));
        match previous {
            NOBODY => self.head = next,
            before => table.set_next(before, next),
        }
        match next {
            NOBODY => self.tail = previous,
            after => table.set_previous(after, previous),
        }
        self.len = self.len.saturating_sub(1);
        link.owner.store(NO_LIST, Release);
        true
    }

    /// Whether `id` stands in this list. O(1).
    pub fn contains(&self, table: &LinkTable, id: u32) -> bool {
        table.link(id).is_some_and(|link| self.owns(link))
    }

    /// Whether the list holds nothing.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Ids in the list.
    #[inline]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// The ids, first to last.
    #[inline]
    pub fn iter<'t>(&'t self, table: &'t LinkTable) -> Iter<'t> {
        Iter {
            table,
            next: self.head,
            left: self.len,
            list: core::marker::PhantomData,
        }
    }

    #[inline]
    fn claim<'t>(&self, table: &'t LinkTable, id: u32) -> Result<&'t Link, ListError> {
        if self.tag == NO_LIST {
            return Err(ListError::ReservedTag);
        }
        table.claim(id, self.tag)
    }

    /// Relaxed: the tag can only have been stored under this list's lock, which the caller holds.
    #[inline]
    fn owns(&self, link: &Link) -> bool {
        self.tag != NO_LIST && link.owner.load(Relaxed) == self.tag
    }
}

/// The ids of a list, first to last. Made by [`List::iter`].
pub struct Iter<'t> {
    table: &'t LinkTable,
    next: u32,
    /// Bounds the walk, whatever the links say.
    left: u32,
    list: core::marker::PhantomData<&'t List>,
}

impl Iterator for Iter<'_> {
    type Item = u32;

    #[inline]
    fn next(&mut self) -> Option<u32> {
        self.left = self.left.checked_sub(1)?;
        let id = self.next;
        self.next = self.table.link(id)?.next.load(Relaxed);
        Some(id)
    }
}
