//! Who pays for what a tree holds.

/// The budget does not allow the reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

/// The account that a tree's memory is charged to. Calls come with the tree's lock held, so an
/// implementation neither blocks nor calls back into the tree.
pub trait Charge: Send + Sync {
    /// Reserves `bytes` before they are allocated, or refuses.
    fn reserve(&self, bytes: u64) -> Result<(), Refused>;
    /// Gives back `bytes` that were reserved.
    fn release(&self, bytes: u64);
}

/// An account without a limit, for trees whose makers bound them otherwise.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unlimited;

impl Charge for Unlimited {
    fn reserve(&self, _bytes: u64) -> Result<(), Refused> {
        Ok(())
    }
    fn release(&self, _bytes: u64) {}
}
