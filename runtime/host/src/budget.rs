//! How much a process, or a group of them, may make the host hold.
//!
//! A [`Budget`] is a limit in bytes with a count of what is reserved. A child's reservations count
//! against all its ancestors, so a group's limit holds whatever its members' limits are. A reservation
//! is made in full or not at all: `used_bytes <= limit_bytes` at any time, on every level.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A limit that many may share; cloning shares it.
#[derive(Clone)]
pub struct Budget(Arc<Account>);

struct Account {
    limit_bytes: u64,
    used_bytes: AtomicU64,
    parent: Option<Budget>,
}

/// A reservation would exceed a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverBudget {
    /// What was asked for.
    pub asked_bytes: u64,
    /// What was still free under the limit that refused.
    pub free_bytes: u64,
    /// That limit.
    pub limit_bytes: u64,
}

impl fmt::Display for OverBudget {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "the process needs {} bytes of the host's memory, but only {} of the {} it may use are free",
            self.asked_bytes, self.free_bytes, self.limit_bytes
        )
    }
}

impl std::error::Error for OverBudget {}

impl Budget {
    /// A budget of its own.
    pub fn new(limit_bytes: u64) -> Self {
        Self::with_parent(limit_bytes, None)
    }

    /// A budget whose reservations also count against `self`.
    pub fn child(&self, limit_bytes: u64) -> Self {
        Self::with_parent(limit_bytes, Some(self.clone()))
    }

    fn with_parent(limit_bytes: u64, parent: Option<Self>) -> Self {
        Self(Arc::new(Account {
            limit_bytes,
            used_bytes: AtomicU64::new(0),
            parent,
        }))
    }

    /// Reserves `bytes` until the answer is dropped.
    pub fn reserve(&self, bytes: u64) -> Result<Reservation, OverBudget> {
        self.charge(bytes)?;
        Ok(Reservation {
            budget: self.clone(),
            bytes,
        })
    }

    /// Reserves `bytes` for a holder that keeps count itself and calls [`Budget::release`].
    pub fn charge(&self, bytes: u64) -> Result<(), OverBudget> {
        self.0.charge(bytes)?;
        if let Some(parent) = &self.0.parent
            && let Err(refused) = parent.charge(bytes)
        {
            self.0.release(bytes);
            return Err(refused);
        }
        Ok(())
    }

    /// Gives back `bytes` that [`Budget::charge`] reserved.
    pub fn release(&self, bytes: u64) {
        self.0.release(bytes);
        if let Some(parent) = &self.0.parent {
            parent.release(bytes);
        }
    }

    /// What is reserved now.
    pub fn used_bytes(&self) -> u64 {
        self.0.used_bytes.load(Ordering::Relaxed)
    }

    /// The limit.
    pub fn limit_bytes(&self) -> u64 {
        self.0.limit_bytes
    }
}

// Relaxed: the counters guard no other memory; each is exact by itself.
impl Account {
    fn charge(&self, bytes: u64) -> Result<(), OverBudget> {
        let fits = |used: u64| {
            used.checked_add(bytes)
                .filter(|total| *total <= self.limit_bytes)
        };
        self.used_bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
            .map(|_| ())
            .map_err(|used| OverBudget {
                asked_bytes: bytes,
                free_bytes: self.limit_bytes.saturating_sub(used),
                limit_bytes: self.limit_bytes,
            })
    }

    fn release(&self, bytes: u64) {
        let less = |used: u64| Some(used.saturating_sub(bytes));
        let before = self
            .used_bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        debug_assert!(
            before.is_ok_and(|used| used >= bytes),
            "released more than was reserved"
        );
    }
}

/// Bytes reserved from a budget; dropping gives them back.
pub struct Reservation {
    budget: Budget,
    bytes: u64,
}

impl Reservation {
    /// Reserves `bytes` more.
    pub fn grow(&mut self, bytes: u64) -> Result<(), OverBudget> {
        self.budget.charge(bytes)?;
        self.bytes += bytes;
        Ok(())
    }

    /// What is reserved.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.release(self.bytes);
    }
}
