//! The keeper of limits on CPU time.
//!
//! Law: a thread looks every [`TICK`] at the processes that have such a limit, and sleeps without a timeout while there are
//! none: a machine without limits does not tick. A share is kept by letting its process stand still while it is in
//! debt: it earns its share of the time that passes, up to [`SAVINGS`] ahead, and pays what it and all that it started use.
//! A limit on all its CPU time is overdrawn by no more than what is used in one tick.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::ProcessId;
use crate::family::{Family, Reason};
use crate::process::Shared;

/// Between two looks.
const TICK: Duration = Duration::from_millis(10);
/// How much of its share a process may save up: what it earns in so much time.
const SAVINGS: Duration = Duration::from_millis(100);
const STACK_BYTES: usize = 128 << 10;

/// Watches processes with a limit on CPU time.
pub(crate) struct Warden {
    watched: Arc<Watched>,
}

struct Watched {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    accounts: Vec<Account>,
    has_thread: bool,
    is_stopping: bool,
}

struct Account {
    shared: Weak<Shared>,
    id: ProcessId,
    cpu_time: Option<Duration>,
    cpu_percent: Option<u32>,
    used_before: Duration,
    looked: Instant,
    /// What is left of the share, in nanoseconds; negative is debt.
    credit_ns: i64,
    is_throttled: bool,
}

impl Warden {
    pub fn new() -> Warden {
        Warden {
            watched: Arc::new(Watched {
                state: Mutex::default(),
                changed: Condvar::new(),
            }),
        }
    }

    /// Watches the process from now on, if it has a limit on CPU time.
    pub fn watch(&self, family: &Arc<Family>, shared: &Arc<Shared>) -> std::io::Result<()> {
        let limits = &shared.limits;
        if limits.cpu_time.is_none() && limits.cpu_percent.is_none() {
            return Ok(());
        }
        let mut state = self.watched.lock();
        state.accounts.push(Account {
            shared: Arc::downgrade(shared),
            id: shared.id,
            cpu_time: limits.cpu_time,
            cpu_percent: limits.cpu_percent,
            used_before: Duration::ZERO,
            looked: Instant::now(),
            credit_ns: 0,
            is_throttled: false,
        });
        if !state.has_thread {
            start_thread(&self.watched, family)?;
            state.has_thread = true;
        }
        drop(state);
        self.watched.changed.notify_all();
        Ok(())
    }
}

impl Drop for Warden {
    fn drop(&mut self) {
        self.watched.lock().is_stopping = true;
        self.watched.changed.notify_all();
    }
}

fn start_thread(watched: &Arc<Watched>, family: &Arc<Family>) -> std::io::Result<()> {
    let watched = Arc::clone(watched);
    let family = Arc::downgrade(family);
    let thread = std::thread::Builder::new()
        .name("warden".to_owned())
        .stack_size(STACK_BYTES);
    thread.spawn(move || watched.keep(&family)).map(drop)
}

impl Watched {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, family: &Weak<Family>) {
        loop {
            let Some(mut accounts) = self.next_accounts() else {
                return;
            };
            let Some(family) = family.upgrade() else {
                return;
            };
            // Without the lock: looking takes the table's.
            accounts.retain_mut(|account| account.look(&family));
            self.lock().accounts.append(&mut accounts);
        }
    }

    /// Sleeps for a tick, or until there is somebody to watch; nothing when there never will be.
    fn next_accounts(&self) -> Option<Vec<Account>> {
        let idle = |state: &mut State| state.accounts.is_empty() && !state.is_stopping;
        let state = self.changed.wait_while(self.lock(), idle);
        drop(state.unwrap_or_else(PoisonError::into_inner));
        std::thread::sleep(TICK);
        let mut state = self.lock();
        (!state.is_stopping).then(|| std::mem::take(&mut state.accounts))
    }
}

impl Account {
    /// Settles what was used since the last look; whether the process is still there.
    fn look(&mut self, family: &Family) -> bool {
        let Some(shared) = self.shared.upgrade() else {
            return false;
        };
        if shared.has_ended() {
            return false;
        }
        let used = family.cpu_time(self.id);
        if let Some(limit) = self.cpu_time.filter(|limit| used > *limit) {
            shared.end_at_limit(format!(
                "it used more than the {} ms of CPU time that it may use",
                limit.as_millis()
            ));
            family.kill(self.id);
        }
        if let Some(percent) = self.cpu_percent {
            self.settle(percent, used);
            self.throttle(family);
        }
        self.used_before = used;
        true
    }

    fn settle(&mut self, percent: u32, used: Duration) {
        let now = Instant::now();
        let earned_ns = share_ns(now - self.looked, percent);
        let spent_ns = saturating_ns(used.saturating_sub(self.used_before));
        let most_ns = share_ns(SAVINGS, percent);
        let credit_ns = self.credit_ns.saturating_add(earned_ns);
        self.credit_ns = credit_ns.saturating_sub(spent_ns).min(most_ns);
        self.looked = now;
    }

    fn throttle(&mut self, family: &Family) {
        let in_debt = self.credit_ns < 0;
        if in_debt != self.is_throttled {
            self.is_throttled = in_debt;
            family.set_still(self.id, Reason::Throttling, in_debt);
        }
    }
}

fn share_ns(time: Duration, percent: u32) -> i64 {
    saturating_ns(time).saturating_mul(i64::from(percent)) / 100
}

fn saturating_ns(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}
