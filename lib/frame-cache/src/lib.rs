//! Free frames on their way between one allocator and many CPUs.
//!
//! Every CPU keeps a few free frames in a cache of its own, so that taking and giving back one frame meets
//! no other CPU. The caches are filled from and emptied into the [`Store`], half a cache at a time: the
//! buddy allocator and a pool of frames that were zeroed ahead of need.
//!
//! Invariants:
//! - A free frame stands in one place: in one CPU's cache, in the pool, or in the buddy allocator.
//! - Floors: no request leaves the buddy allocator with fewer free frames than its floor says, and caches are filled
//!   only while more than [`Store::start`]'s `low_frames` are left. So what lies below the floors is nobody's
//!   but theirs who may go below.
//! - When the store is low, caches close, each when it next meets the store: what is freed goes straight back.
//! - A request is refused only after every cache and the pool were emptied into the allocator, and memory
//!   that is free is found wherever it stands. (Frames that pass it by meanwhile, freed into a cache that it
//!   has already seen, are the freeing CPU's for the moment.)
//!
//! Concurrency: the caller supplies mutual exclusion ([`Exclusive`]) for each cache and for the store. Order: one
//! cache, then the store; never two caches. Only the owning CPU's cache is taken on the common path; the
//! others' are taken when memory is short. Everything here is bounded, allocates nothing and calls nobody.
//!
//! Why not caches without locks: a cache must be emptied by others when memory is short. Its lock stays in the
//! owning CPU's cache line, and costs one locked instruction.
//!
//! Units: frames, by number.

#![no_std]

mod magazine;

use lib_buddy::{Buddy, BuddyError, FrameNumber};
use magazine::Magazine;

/// Requests that are served from a CPU's own cache before the pool of zeroed frames is asked again after it was
/// found empty.
const POOL_PAUSE: u8 = 32;

/// A value that one caller at a time may use.
pub trait Exclusive<T> {
    /// Runs `body` while nobody else has the value.
    fn with<R>(&self, body: impl FnOnce(&mut T) -> R) -> R;
}

/// The free frames that one CPU keeps: `N` of unknown content and as many zeroed ones.
pub struct CpuCache<const N: usize> {
    plain: Magazine<N>,
    zeroed: Magazine<N>,
    /// Whether what is freed may stay here.
    is_open: bool,
    /// Requests until the pool is asked again.
    pool_pause: u8,
}

impl<const N: usize> CpuCache<N> {
    /// A cache that holds nothing and is closed until it first meets the store.
    pub const EMPTY: Self = Self {
        plain: Magazine::EMPTY,
        zeroed: Magazine::EMPTY,
        is_open: false,
        pool_pause: 0,
    };

    /// Frames in the cache.
    pub fn frame_count(&self) -> usize {
        self.plain.len() + self.zeroed.len()
    }

    /// A frame, zeroed if there is one. `None` too when it is time to ask the pool.
    fn pop(&mut self) -> Option<FrameNumber> {
        if let Some(frame) = self.zeroed.pop() {
            return Some(frame);
        }
        self.pool_pause = self.pool_pause.checked_sub(1)?;
        self.plain.pop()
    }

    fn close<const POOL: usize>(&mut self, store: &mut Store<'_, POOL>) {
        self.is_open = false;
        self.plain.take_coldest(N, |frame| store.put_back(frame));
        self.zeroed.take_coldest(N, |frame| store.put_back(frame));
    }
}

/// What all CPUs share: the allocator, and up to `POOL` frames that were zeroed ahead of need.
pub struct Store<'m, const POOL: usize> {
    buddy: Option<Buddy<'m>>,
    pool: Magazine<POOL>,
    low_frames: u64,
    /// The first refusal by the allocator to take back what a cache held.
    fault: Option<BuddyError>,
}

impl<'m, const POOL: usize> Store<'m, POOL> {
    /// A store without memory: it refuses everything until [`Self::start`].
    pub const EMPTY: Self = Self {
        buddy: None,
        pool: Magazine::EMPTY,
        low_frames: 0,
        fault: None,
    };

    /// Hands out what is free in `buddy`. Caches and pool are filled only while more than `low_frames` are left
    /// there, which must be above every floor.
    pub fn start(&mut self, buddy: Buddy<'m>, low_frames: u64) {
        self.buddy = Some(buddy);
        self.low_frames = low_frames;
    }

    /// Free frames in the allocator and the pool; what caches hold comes on top.
    pub fn free_frames(&self) -> u64 {
        self.buddy_frames() + self.pool.len() as u64
    }

    /// Frames in the pool.
    pub fn pool_frames(&self) -> usize {
        self.pool.len()
    }

    /// Why the allocator refused a frame from a cache: a bug of the caller's, who freed one twice.
    pub fn fault(&self) -> Option<BuddyError> {
        self.fault
    }

    fn buddy_frames(&self) -> u64 {
        self.buddy.as_ref().map_or(0, Buddy::free_frames)
    }

    fn is_low(&self) -> bool {
        self.buddy_frames() <= self.low_frames
    }

    fn put_back(&mut self, frame: FrameNumber) {
        if let Err(error) = self.free(frame, 0) {
            self.fault.get_or_insert(error);
        }
    }

    fn free(&mut self, frame: FrameNumber, order: u8) -> Result<(), BuddyError> {
        match &mut self.buddy {
            Some(buddy) => buddy.free(frame, order),
            None => Err(BuddyError::OutOfRange {
                start: frame,
                count: 1 << order.min(lib_buddy::ORDER_MAX),
            }),
        }
    }

    fn empty_pool(&mut self) {
        while let Some(frame) = self.pool.pop() {
            self.put_back(frame);
        }
    }

    /// A block that leaves at least `floor` frames.
    fn take(&mut self, order: u8, end_frame: FrameNumber, floor: u64) -> Option<FrameNumber> {
        let needed = floor.checked_add(1u64.checked_shl(order.into())?)?;
        let buddy = self.buddy.as_mut()?;
        if buddy.free_frames() < needed {
            return None;
        }
        buddy.allocate_below(order, end_frame)
    }

    fn take_one(&mut self, floor: u64) -> Option<FrameNumber> {
        self.take(0, lib_buddy::FRAME_LIMIT, floor)
    }

    /// Serves one request and takes the occasion to fill the cache, or to close it.
    fn refill<const N: usize>(
        &mut self,
        cache: &mut CpuCache<N>,
        floor: u64,
    ) -> Option<FrameNumber> {
        if self.is_low() {
            self.empty_pool();
        }
        if self.is_low() {
            cache.close(self);
            return self.take_one(floor);
        }
        cache.is_open = true;
        self.refill_zeroed(cache);
        if cache.zeroed.is_empty() {
            cache.pool_pause = POOL_PAUSE;
            self.refill_plain(cache);
        }
        cache.pop().or_else(|| self.take_one(floor))
    }

    fn refill_zeroed<const N: usize>(&mut self, cache: &mut CpuCache<N>) {
        while cache.zeroed.len() < N.div_ceil(2)
            && let Some(frame) = self.pool.pop()
        {
            let _there_is_room = cache.zeroed.push(frame);
        }
    }

    /// Only a cache that is empty is filled: what was freed on this CPU is used first.
    fn refill_plain<const N: usize>(&mut self, cache: &mut CpuCache<N>) {
        let wanted = if cache.plain.is_empty() {
            N.div_ceil(2)
        } else {
            0
        };
        for _ in 0..wanted {
            let Some(frame) = self.take_one(self.low_frames) else {
                return;
            };
            let _there_is_room = cache.plain.push(frame);
        }
    }

    /// Takes a frame back for which the cache had no room or that it may not keep.
    fn accept<const N: usize>(
        &mut self,
        cache: &mut CpuCache<N>,
        frame: FrameNumber,
    ) -> Result<(), BuddyError> {
        if self.is_low() {
            cache.close(self);
            return self.free(frame, 0);
        }
        cache.is_open = true;
        if cache.plain.is_full() {
            cache
                .plain
                .take_coldest(N.div_ceil(2), |cold| self.put_back(cold));
        }
        if cache.plain.push(frame) {
            return Ok(());
        }
        self.free(frame, 0)
    }
}

/// The caches of all CPUs, by index, over their store.
pub struct FrameCaches<'a, C, S> {
    /// One for each CPU.
    pub caches: &'a [C],
    /// What they share.
    pub store: &'a S,
}

impl<C, S> FrameCaches<'_, C, S> {
    /// A frame for a request that must leave `floor` frames to others. `cpu` names the cache to use; any will do.
    pub fn take<'m, const N: usize, const POOL: usize>(
        &self,
        cpu: usize,
        floor: u64,
    ) -> Option<FrameNumber>
    where
        C: Exclusive<CpuCache<N>>,
        S: Exclusive<Store<'m, POOL>>,
    {
        let taken = self.caches.get(cpu)?.with(|cache| {
            cache
                .pop()
                .or_else(|| self.store.with(|store| store.refill(cache, floor)))
        });
        taken.or_else(|| {
            self.drain();
            self.store.with(|store| store.take_one(floor))
        })
    }

    /// Takes a frame back.
    ///
    /// # Errors
    /// The allocator's, where the frame is not one of its own or is free already. A cache does not look: who
    /// calls this has to own the frame.
    pub fn give<'m, const N: usize, const POOL: usize>(
        &self,
        cpu: usize,
        frame: FrameNumber,
    ) -> Result<(), BuddyError>
    where
        C: Exclusive<CpuCache<N>>,
        S: Exclusive<Store<'m, POOL>>,
    {
        let Some(cache) = self.caches.get(cpu) else {
            return self.store.with(|store| store.free(frame, 0));
        };
        cache.with(|cache| {
            if cache.is_open && cache.plain.push(frame) {
                return Ok(());
            }
            self.store.with(|store| store.accept(cache, frame))
        })
    }

    /// A block of 2^`order` frames that ends at `end_frame` or before and leaves `floor` frames to others.
    pub fn take_block<'m, const N: usize, const POOL: usize>(
        &self,
        order: u8,
        end_frame: FrameNumber,
        floor: u64,
    ) -> Option<FrameNumber>
    where
        C: Exclusive<CpuCache<N>>,
        S: Exclusive<Store<'m, POOL>>,
    {
        let take = || self.store.with(|store| store.take(order, end_frame, floor));
        take().or_else(|| {
            self.drain();
            take()
        })
    }

    /// As [`Self::take`], for requests that can do without: only while the store itself has more than `floor` frames, and no
    /// other cache is emptied.
    pub fn take_at_hand<'m, const N: usize, const POOL: usize>(
        &self,
        cpu: usize,
        floor: u64,
    ) -> Option<FrameNumber>
    where
        C: Exclusive<CpuCache<N>>,
        S: Exclusive<Store<'m, POOL>>,
    {
        self.caches.get(cpu)?.with(|cache| {
            self.store.with(|store| {
                let has_more = store.buddy_frames() > floor;
                has_more.then(|| cache.pop().or_else(|| store.refill(cache, floor)))?
            })
        })
    }

    /// As [`Self::take_block`], for requests that can do without: only what the store has at hand, no cache is emptied.
    pub fn take_block_at_hand<'m, const POOL: usize>(
        &self,
        order: u8,
        end_frame: FrameNumber,
        floor: u64,
    ) -> Option<FrameNumber>
    where
        S: Exclusive<Store<'m, POOL>>,
    {
        self.store.with(|store| store.take(order, end_frame, floor))
    }

    /// Takes a block back.
    ///
    /// # Errors
    /// The allocator's, as with [`Self::give`].
    pub fn give_block<'m, const POOL: usize>(
        &self,
        first: FrameNumber,
        order: u8,
    ) -> Result<(), BuddyError>
    where
        S: Exclusive<Store<'m, POOL>>,
    {
        self.store.with(|store| store.free(first, order))
    }

    /// A free frame to be zeroed for the pool. `None` when the pool is full or memory is short.
    pub fn take_for_pool<'m, const POOL: usize>(&self) -> Option<FrameNumber>
    where
        S: Exclusive<Store<'m, POOL>>,
    {
        self.store.with(|store| {
            let spare = store.low_frames.saturating_add(POOL as u64);
            if store.pool.is_full() {
                return None;
            }
            store.take_one(spare)
        })
    }

    /// Puts a frame that was zeroed into the pool, or back into the allocator where the pool is full by now.
    ///
    /// # Errors
    /// The allocator's, as with [`Self::give`].
    pub fn give_to_pool<'m, const POOL: usize>(&self, frame: FrameNumber) -> Result<(), BuddyError>
    where
        S: Exclusive<Store<'m, POOL>>,
    {
        self.store.with(|store| {
            if store.is_low() || !store.pool.push(frame) {
                return store.free(frame, 0);
            }
            Ok(())
        })
    }

    /// Empties all caches and the pool into the allocator. Caches open again when they next meet a store that is
    /// not low.
    pub fn drain<'m, const N: usize, const POOL: usize>(&self)
    where
        C: Exclusive<CpuCache<N>>,
        S: Exclusive<Store<'m, POOL>>,
    {
        for cache in self.caches {
            cache.with(|cache| {
                if cache.is_open || cache.frame_count() > 0 {
                    self.store.with(|store| cache.close(store));
                }
            });
        }
        self.store.with(Store::empty_pool);
    }
}
