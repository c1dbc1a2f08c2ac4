//! What these interfaces ask of whoever keeps a service running.

use runtime_host::Seat;

/// The system as a service's own process sees it.
pub trait ServiceSide: Send + Sync {
    /// The process's place at what is kept for the service.
    fn escrow(&self) -> &Seat;
    /// Whether the process has gone so far that the one before it, if there is one, ends without it.
    fn takes_over(&self) -> bool;
    /// The process shows that it is well.
    fn alive(&self);
}
