//! Locks that faults and interrupts may take.
//!
//! Law: an [`IrqLock`] turns interrupts off before it spins and restores them when its guard goes. What it
//! guards, and the stack below the caller, must not fault while it is held; so taking one with
//! interrupts on first touches [`STACK_RESERVE_BYTES`] of stack. While it spins it answers the
//! shoot-down mailbox, so that a CPU that waits for acknowledgements never waits for a waiter.
//!
//! Which lock is taken under which is `kernel-core`'s business and written there; a kernel with checks sees to it
//! ([`crate::checks::locks`]), for which a lock has a name, or else is known by where it is made. A CPU that
//! takes a lock which it already holds is a bug of ours and stops the machine.

use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::checks::context;
use crate::checks::locks::{self, Class};
use crate::cpu::{self, interrupts, provoke};

/// Stack that code with interrupts off may use without faulting, in bytes below the taker of a lock.
pub const STACK_RESERVE_BYTES: usize = 16 * 1024;

/// No CPU; otherwise the owner is its index plus one, so that a free lock is all zeroes.
const NO_OWNER: u32 = 0;

/// A spin lock that keeps interrupts off while it is held.
pub struct IrqLock<T: ?Sized> {
    locked: AtomicBool,
    owner_cpu: AtomicU32,
    class: Class,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached only through a guard, and `locked` admits one guard at a time.
unsafe impl<T: ?Sized + Send> Sync for IrqLock<T> {}
// SAFETY: moving the lock moves the value, which may be sent.
unsafe impl<T: ?Sized + Send> Send for IrqLock<T> {}

impl<T> IrqLock<T> {
    /// A free lock around `value`, of one kind with all that are made at the caller's place.
    #[cfg_attr(feature = "checks", track_caller)]
    pub const fn new(value: T) -> Self {
        Self::named("", value)
    }

    /// A free lock around `value`, of one kind with all that have this name; the order of locks
    /// is declared and reported by it.
    #[cfg_attr(feature = "checks", track_caller)]
    pub const fn named(name: &'static str, value: T) -> Self {
        Self {
            locked: AtomicBool::new(false),
            owner_cpu: AtomicU32::new(NO_OWNER),
            class: Class::new(name),
            value: UnsafeCell::new(value),
        }
    }
}

impl<T: ?Sized> IrqLock<T> {
    /// Turns interrupts off and takes the lock, spinning while another CPU holds it.
    ///
    /// # Panics
    /// When this CPU holds it already: a bug of the kernel, which must stop the machine.
    #[cfg_attr(feature = "checks", track_caller)]
    #[inline]
    pub fn lock(&self) -> IrqLockGuard<'_, T> {
        let interrupts = interrupts::Disabled::enter();
        locks::about_to_take(self.address(), &self.class);
        while !self.try_acquire() {
            self.wait();
        }
        self.owner_cpu.store(cpu::index() + 1, Ordering::Relaxed);
        locks::taken(self.address(), &self.class);
        IrqLockGuard {
            lock: self,
            _interrupts: interrupts,
        }
    }

    /// Takes the lock if it is free.
    #[cfg_attr(feature = "checks", track_caller)]
    #[inline]
    pub fn try_lock(&self) -> Option<IrqLockGuard<'_, T>> {
        let interrupts = interrupts::Disabled::enter();
        if !self.try_acquire() {
            return None;
        }
        self.owner_cpu.store(cpu::index() + 1, Ordering::Relaxed);
        locks::taken(self.address(), &self.class);
        Some(IrqLockGuard {
            lock: self,
            _interrupts: interrupts,
        })
    }

    /// Leaves the lock taken as a guard does that is lost: for tests of what is said about that.
    pub fn lose(&self, _: &provoke::Licence) {
        while !self.try_acquire() {
            core::hint::spin_loop();
        }
    }

    /// By which the checks know it.
    #[inline]
    fn address(&self) -> usize {
        core::ptr::from_ref(&self.locked) as usize
    }

    #[inline]
    fn try_acquire(&self) -> bool {
        self.locked
            .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    #[cold]
    fn wait(&self) {
        assert!(
            self.owner_cpu.load(Ordering::Relaxed) != cpu::index() + 1,
            "a CPU waits for a lock that it holds itself"
        );
        while self.locked.load(Ordering::Relaxed) {
            cpu::mailbox::answer();
            context::spins();
            core::hint::spin_loop();
        }
    }
}

/// Proof that the lock is held and interrupts are off.
pub struct IrqLockGuard<'a, T: ?Sized> {
    lock: &'a IrqLock<T>,
    // Dropped after `Drop::drop` below has released the lock: interrupts come back last.
    _interrupts: interrupts::Disabled,
}

impl<T: ?Sized> Deref for IrqLockGuard<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: this guard is the only one, so no mutable reference exists elsewhere.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> DerefMut for IrqLockGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this guard is the only one, and it is borrowed mutably.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T: ?Sized> Drop for IrqLockGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        locks::about_to_release(self.lock.address());
        self.lock.owner_cpu.store(NO_OWNER, Ordering::Relaxed);
        self.lock.locked.store(false, Ordering::Release);
    }
}
