//! What waiting and waking are made of, by one name: a model checker's take their place when its tests include these sources.

pub use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
pub use std::thread_local;
