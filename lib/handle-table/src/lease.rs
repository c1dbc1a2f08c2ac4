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

/// Those that nobody else has go with it, one after another: a chain is as long as somebody could pay for, and a stack is not.
impl<F> Drop for Lease<F> {
    fn drop(&mut self) {
        let mut from = self.from.take();
        while let Some(mut lease) = from.and_then(Arc::into_inner) {
            from = lease.from.take();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_chain_is_dropped_without_a_deep_stack() {
        let first: Arc<Lease> = Lease::new(None);
        let chain = |from: &Arc<Lease>| {
            (0..1_000_000).fold(Arc::clone(from), |from, _| Lease::new(Some(from)))
        };
        let (one, other) = (chain(&first), chain(&first));
        drop(one);
        first.revoke();
        assert!(!other.holds());
        drop(other);
        assert_eq!(Arc::strong_count(&first), 1);
    }
}
