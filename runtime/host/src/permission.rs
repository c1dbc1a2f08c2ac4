//! A right that can be taken back while it is used.
//!
//! Law: whoever does something by a right asks each time whether it holds. What was begun before it was taken back is finished. It holds
//! for all who have it or for none: who passes it on passes on the same right, so that it ends for them too, wherever they are by then.

use std::sync::Arc;

use lib_handle_table::Lease;

/// The right. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Permission(Arc<Lease>);

impl Permission {
    /// One that holds until it is taken back.
    pub fn new() -> Self {
        Self(Lease::new(None))
    }

    /// Takes it back, from everybody who has it.
    pub fn revoke(&self) {
        self.0.revoke();
    }

    /// Whether it was not taken back.
    pub fn holds(&self) -> bool {
        self.0.holds()
    }
}

impl Default for Permission {
    fn default() -> Self {
        Self::new()
    }
}
