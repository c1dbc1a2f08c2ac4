//! Ends the driver when a case does not end.
//!
//! A panic is caught where it happens; a case that goes on for ever can only be named by somebody else. The time is so long that
//! no machine is too slow for it.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// As long as nobody can take one case for slow.
const TOO_LONG: Duration = Duration::from_secs(120);

/// Watches cases of one target; its thread ends with it.
pub struct Watchdog(Arc<Shared>);

#[derive(Default)]
struct Shared {
    progress: Mutex<Progress>,
    changed: Condvar,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Progress {
    case: u64,
    is_over: bool,
}

impl Watchdog {
    /// Calls `on_hang` with a case's number, on another thread, if none has begun for too long.
    pub fn start(on_hang: impl FnOnce(u64) + Send + 'static) -> Self {
        let shared = Arc::<Shared>::default();
        let watched = Arc::clone(&shared);
        std::thread::spawn(move || {
            if let Some(case) = watched.hang() {
                on_hang(case);
            }
        });
        Self(shared)
    }

    /// This case begins.
    pub fn begins(&self, case: u64) {
        self.0.set(Progress {
            case,
            is_over: false,
        });
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.0.set(Progress {
            case: 0,
            is_over: true,
        });
    }
}

impl Shared {
    fn set(&self, progress: Progress) {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = progress;
        if progress.is_over {
            self.changed.notify_all();
        }
    }

    /// The case during which the time was over; none if all have ended. A case is seen by at most two waits.
    fn hang(&self) -> Option<u64> {
        let mut seen = *self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
            let same = |progress: &mut Progress| !progress.is_over;
            let waited = self.changed.wait_timeout_while(progress, TOO_LONG, same);
            let now = *waited.unwrap_or_else(PoisonError::into_inner).0;
            if now.is_over {
                return None;
            }
            if now == seen {
                return Some(now.case);
            }
            seen = now;
        }
    }
}
