//! Whether what was derived from a handle still holds.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};

/// A flag that is raised once. A trait, so that a model checker's can take the place of the machine's.
pub trait Flag {
    /// One that is not raised.
    fn new() -> Self;
    /// Raises it.
    fn raise(&self);
    /// Whether it is raised.
    fn is_raised(&self) -> bool;
}

impl Flag for AtomicBool {
    fn new() -> Self {
        Self::new(false)
    }

    fn raise(&self) {
        // What the revoker did before is seen by whoever is refused.
        self.store(true, Ordering::Release);
    }

    fn is_raised(&self) -> bool {
        self.load(Ordering::Acquire)
    }
}

/// Holds until it, or one that it was made from, is revoked.
#[derive(Debug)]
pub struct Lease<F = AtomicBool> {
    is_revoked: F,
    from: Option<Arc<Lease<F>>>,
}

impl<F: Flag> Lease<F> {
    /// A lease that holds as long as `from` does, or for ever.
    pub fn new(from: Option<Arc<Lease<F>>>) -> Arc<Lease<F>> {
        Arc::new(Lease {
            is_revoked: F::new(),
            from,
        })
    }

    /// Ends it, and all that were made from it.
    pub fn revoke(&self) {
        self.is_revoked.raise();
    }

    /// Whether it holds. Takes as many steps as there were grants from one to the next.
    pub fn holds(&self) -> bool {
        let mut lease = Some(self);
        while let Some(this) = lease {
            if this.is_revoked.is_raised() {
                return false;
            }
            lease = this.from.as_deref();
        }
        true
    }
}
