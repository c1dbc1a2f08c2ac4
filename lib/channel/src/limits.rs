//! How much a channel holds.

/// Bounds of one channel. Bytes are what senders state as the costs of their messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Clients at a time, those included whose leaving the server has not yet been told.
    pub clients: usize,
    /// Messages of all clients that are not yet received.
    pub messages: usize,
    /// Bytes of those.
    pub bytes: usize,
    /// Messages of one client that are not yet received, together with its calls whose end it has not yet looked at.
    pub client_messages: usize,
    /// Bytes of one client's messages that are not yet received; also the largest message.
    pub client_bytes: usize,
}
