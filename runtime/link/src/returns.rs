//! Objects of a provider that their clients let go of.
//!
//! Law: a client's handle of a provider's object is a number that the provider gave, and goes back exactly once: in a call
//! that takes it, or here, when the handle is dropped, whether by its program, because that ended, or in a message that
//! nobody received. The list is no longer than what the provider has given away, which is bounded there.

use std::sync::{Arc, Mutex, PoisonError};

use runtime_host::channel::Passed;
use runtime_host::{Notifier, Subscribers};

/// Numbers on their way back to one provider.
#[derive(Default)]
pub(crate) struct Returns {
    numbers: Mutex<Vec<u32>>,
    changed: Subscribers,
}

impl Returns {
    /// Everything that came back since this was last asked.
    pub fn take(&self) -> Vec<u32> {
        let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *numbers)
    }

    pub fn subscribe(&self, notifier: &Notifier) {
        self.changed.add(notifier);
    }

    fn put(&self, number: u32) {
        let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        numbers.push(number);
        drop(numbers);
        self.changed.notify_all();
    }
}

/// A client's handle of a provider's object.
pub(crate) struct RemoteObject {
    number: u32,
    /// Whose object it is: a later provider has never heard of it.
    returns: Option<Arc<Returns>>,
}

impl RemoteObject {
    pub fn new(number: u32, returns: Arc<Returns>) -> RemoteObject {
        RemoteObject {
            number,
            returns: Some(returns),
        }
    }

    /// What was passed, if it is such a handle.
    pub fn take_from(passed: Passed) -> Option<RemoteObject> {
        match passed {
            Passed::Object(object) => object.downcast().ok().map(|object| *object),
            _ => None,
        }
    }

    /// The object's number, if it belongs to this provider.
    pub fn number_at(&self, provider: &Arc<Returns>) -> Option<u32> {
        let own = self.returns.as_ref()?;
        Arc::ptr_eq(own, provider).then_some(self.number)
    }

    /// The object's number, for its provider, who has it back with this.
    pub fn hand_in(mut self, provider: &Arc<Returns>) -> Option<u32> {
        let number = self.number_at(provider)?;
        self.returns = None;
        Some(number)
    }
}

impl Drop for RemoteObject {
    fn drop(&mut self) {
        if let Some(returns) = self.returns.take() {
            returns.put(self.number);
        }
    }
}
