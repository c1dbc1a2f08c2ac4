//! How much a process, or a group of them, may make the host hold.
//!
//! A [`Budget`] is a limit in bytes with a count of what is reserved. A child's reservations count
//! against all its ancestors, so a group's limit holds whatever its members' limits are. A reservation
//! is made in full or not at all: `used_bytes <= limit_bytes` at any time, on every level.
//!
//! A machine's own budget also shrinks by what is in use without having been reserved: memory that the
//! kernel's heap took and keeps is not there for programs, whoever caused it.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// A limit that many may share; cloning shares it.
#[derive(Clone)]
pub struct Budget(Arc<Account>);

/// Tells how many bytes of a limit are in use without having been reserved.
pub type OutsideUse = fn() -> u64;

struct Account {
    limit_bytes: u64,
    outside_use: Option<OutsideUse>,
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

static FREE_MEMORY: OnceLock<fn() -> u64> = OnceLock::new();

/// Says how many bytes of memory the system below has that nothing is in. Only the first one who says so is heard.
pub fn set_free_memory(free_bytes: fn() -> u64) {
    let _already_set = FREE_MEMORY.set(free_bytes);
}

/// Refuses what there is no memory for at this moment, whatever was reserved. Reserved memory is taken when it is first
/// touched: a program can be ended there, but not the host, where it writes into a program's memory. So whoever is about
/// to write much asks first.
pub fn check_free_memory(bytes: u64) -> Result<(), OverBudget> {
    let free_bytes = FREE_MEMORY
        .get()
        .map_or(u64::MAX, |free_bytes| free_bytes());
    if bytes <= free_bytes {
        return Ok(());
    }
    Err(OverBudget {
        asked_bytes: bytes,
        free_bytes,
        limit_bytes: free_bytes,
    })
}

impl Budget {
    /// A budget of its own.
    pub fn new(limit_bytes: u64) -> Self {
        Self::with_parent(limit_bytes, None, None)
    }

    /// A budget of its own, less what `outside_use` says at each reservation.
    pub fn with_outside_use(limit_bytes: u64, outside_use: OutsideUse) -> Self {
        Self::with_parent(limit_bytes, Some(outside_use), None)
    }

    /// A budget whose reservations also count against `self`.
    pub fn child(&self, limit_bytes: u64) -> Self {
        Self::with_parent(limit_bytes, None, Some(self.clone()))
    }

    fn with_parent(
        limit_bytes: u64,
        outside_use: Option<OutsideUse>,
        parent: Option<Self>,
    ) -> Self {
        Self(Arc::new(Account {
            limit_bytes,
            outside_use,
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
        let outside_bytes = self.outside_use.map_or(0, |outside_use| outside_use());
        let limit_bytes = self.limit_bytes.saturating_sub(outside_bytes);
        let fits = |used: u64| {
            used.checked_add(bytes)
                .filter(|total| *total <= limit_bytes)
        };
        self.used_bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
            .map(|_| ())
            .map_err(|used| OverBudget {
                asked_bytes: bytes,
                free_bytes: limit_bytes.saturating_sub(used),
                limit_bytes,
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

    /// From which budget.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Takes `bytes` of it, or what there is, as a reservation of its own.
    pub fn split(&mut self, bytes: u64) -> Reservation {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Reservation {
            budget: self.budget.clone(),
            bytes,
        }
    }

    /// Gives `bytes` of it back.
    pub fn shrink(&mut self, bytes: u64) {
        let bytes = bytes.min(self.bytes);
        self.budget.release(bytes);
        self.bytes -= bytes;
    }

    /// What is reserved.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Reservation({} bytes)", self.bytes)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.release(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::{Budget, OverBudget};

    #[test]
    fn what_is_used_outside_is_not_there_to_reserve() {
        let budget = Budget::with_outside_use(100, || 30);
        let first = budget.reserve(60);
        assert!(first.is_ok());
        let refused = budget.child(1000).reserve(11).map(|_| ());
        assert_eq!(
            refused,
            Err(OverBudget {
                asked_bytes: 11,
                free_bytes: 10,
                limit_bytes: 70
            })
        );
        assert!(budget.reserve(10).is_ok());
    }
}
