//! Objects of a provider that their clients let go of.
//!
//! Law: a client's handle of a provider's object is a number that the provider gave, and goes back exactly once: in a call
//! that takes it, or here, when the handle is dropped, whether by its program, because that ended, or in a message that
//! nobody received, or when the grant is taken back over which it came. The list is no longer than what the provider has given away, which is bounded there.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use runtime_host::channel::Passed;
use runtime_host::{Notifier, Severable, Subscribers, Tie};

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
pub(crate) struct RemoteObject(Arc<Object>);

struct Object {
    number: u32,
    /// Whose object it is: a later provider has never heard of it. Nothing once it went back.
    returns: Mutex<Option<Arc<Returns>>>,
}

impl RemoteObject {
    pub fn new(number: u32, returns: Arc<Returns>) -> RemoteObject {
        let returns = Mutex::new(Some(returns));
        RemoteObject(Arc::new(Object { number, returns }))
    }

    /// What was passed, if it is such a handle.
    pub fn take_from(passed: Passed) -> Option<RemoteObject> {
        match passed {
            Passed::Object(object) => object.downcast().ok().map(|object| *object),
            _ => None,
        }
    }

    /// Has it go back when `tie` is cut, whoever holds it then.
    pub fn hang_on(&self, tie: &Tie) {
        tie.hang(&self.0);
    }

    /// The object's number, if it belongs to this provider.
    pub fn number_at(&self, provider: &Arc<Returns>) -> Option<u32> {
        self.0.number_at(&self.0.lock(), provider)
    }

    /// The object's number, for its provider, who has it back with this.
    pub fn hand_in(self, provider: &Arc<Returns>) -> Option<u32> {
        let mut returns = self.0.lock();
        let number = self.0.number_at(&returns, provider)?;
        *returns = None;
        Some(number)
    }
}

impl Object {
    fn lock(&self) -> MutexGuard<'_, Option<Arc<Returns>>> {
        self.returns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn number_at(&self, own: &Option<Arc<Returns>>, provider: &Arc<Returns>) -> Option<u32> {
        let is_own = Arc::ptr_eq(own.as_ref()?, provider);
        is_own.then_some(self.number)
    }
}

impl Severable for Object {
    fn sever(&self) {
        let returns = self.lock().take();
        if let Some(returns) = returns {
            returns.put(self.number);
        }
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        self.sever();
    }
}
