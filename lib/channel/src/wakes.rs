//! Whom a transition concerns.

use alloc::vec::Vec;

use crate::{CallId, ClientId};

/// Who is to look again. The usual transition names one, and allocates nothing for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "who is not woken may sleep for ever"]
pub struct Wakes {
    /// There is something to receive for the server, or a call that it serves is not waited for any more.
    pub server: bool,
    /// These calls have ended.
    pub calls: Calls,
    /// There is room for these clients, or sending will now be refused for good.
    pub clients: Vec<ClientId>,
}

/// Calls, mostly one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Calls {
    /// None.
    #[default]
    None,
    /// This.
    One(CallId),
    /// These.
    Many(Vec<CallId>),
}

impl Calls {
    /// As a list.
    pub fn as_slice(&self) -> &[CallId] {
        match self {
            Self::None => &[],
            Self::One(call) => core::slice::from_ref(call),
            Self::Many(calls) => calls,
        }
    }

    pub(crate) fn push(&mut self, call: CallId) {
        match self {
            Self::None => *self = Self::One(call),
            Self::One(first) => *self = Self::Many(Vec::from([*first, call])),
            Self::Many(calls) => calls.push(call),
        }
    }
}

impl Wakes {
    pub(crate) fn server() -> Self {
        Self {
            server: true,
            ..Self::default()
        }
    }

    pub(crate) fn call(call: CallId) -> Self {
        Self {
            calls: Calls::One(call),
            ..Self::default()
        }
    }
}
