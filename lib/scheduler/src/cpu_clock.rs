//! A thread's CPU time, exact while it runs.
//!
//! Law: only the CPU that switches writes, with interrupts off; anybody reads. The sequence number is odd while
//! somebody writes, and a reader that sees it odd or changed reads again (a sequence lock).

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// In place of a time: the thread does not run.
const STOPPED: u64 = u64::MAX;

/// The clock of one thread.
#[derive(Debug)]
pub struct CpuClock {
    sequence: AtomicU32,
    total_ns: AtomicU64,
    since_ns: AtomicU64,
}

impl Default for CpuClock {
    fn default() -> Self {
        Self::new()
    }
}

impl CpuClock {
    /// A stopped clock that shows 0.
    pub const fn new() -> Self {
        Self {
            sequence: AtomicU32::new(0),
            total_ns: AtomicU64::new(0),
            since_ns: AtomicU64::new(STOPPED),
        }
    }

    /// Back to 0; nobody runs the thread.
    pub fn reset(&self) {
        self.write(0, STOPPED);
    }

    /// The thread gets the CPU.
    #[inline]
    pub fn start(&self, now_ns: u64) {
        self.write(self.total_ns.load(Ordering::Relaxed), now_ns);
    }

    /// The thread leaves the CPU. Returns how long it had it, in nanoseconds.
    #[inline]
    pub fn stop(&self, now_ns: u64) -> u64 {
        let stint_ns = stint(self.since_ns.load(Ordering::Relaxed), now_ns);
        let total_ns = self.total_ns.load(Ordering::Relaxed) + stint_ns;
        self.write(total_ns, STOPPED);
        stint_ns
    }

    /// What it shows, in nanoseconds. `now_ns` is read by the caller before or in each round.
    pub fn read(&self, now_ns: impl Fn() -> u64) -> u64 {
        loop {
            if let Some(shown_ns) = self.try_read(&now_ns) {
                return shown_ns;
            }
            core::hint::spin_loop();
        }
    }

    /// What it shows, unless it is being changed right now: for a machine that stands still, whose CPUs may have stopped in the
    /// middle of that.
    pub fn try_read(&self, now_ns: impl Fn() -> u64) -> Option<u64> {
        let before = self.sequence.load(Ordering::Acquire);
        let total_ns = self.total_ns.load(Ordering::Relaxed);
        let since_ns = self.since_ns.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        let is_whole = before.is_multiple_of(2) && self.sequence.load(Ordering::Relaxed) == before;
        is_whole.then(|| total_ns + stint(since_ns, now_ns()))
    }

    #[inline]
    fn write(&self, total_ns: u64, since_ns: u64) {
        let sequence = self.sequence.load(Ordering::Relaxed);
        self.sequence
            .store(sequence.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        self.total_ns.store(total_ns, Ordering::Relaxed);
        self.since_ns.store(since_ns, Ordering::Relaxed);
        self.sequence
            .store(sequence.wrapping_add(2), Ordering::Release);
    }
}

#[inline]
fn stint(since_ns: u64, now_ns: u64) -> u64 {
    if since_ns == STOPPED {
        return 0;
    }
    now_ns.saturating_sub(since_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_counts_while_it_runs() {
        let clock = CpuClock::new();
        assert_eq!(clock.read(|| 5), 0);
        clock.start(10);
        assert_eq!(clock.read(|| 25), 15);
        assert_eq!(clock.stop(30), 20);
        assert_eq!(clock.read(|| 99), 20);
        clock.start(100);
        assert_eq!(clock.read(|| 90), 20);
        assert_eq!(clock.stop(101), 1);
        clock.reset();
        assert_eq!(clock.read(|| 200), 0);
    }

    #[test]
    fn a_clock_that_is_being_written_is_not_waited_for_by_who_only_tries() {
        let clock = CpuClock::new();
        clock.start(10);
        assert_eq!(clock.try_read(|| 25), Some(15));
        clock.sequence.fetch_add(1, Ordering::Relaxed);
        assert_eq!(clock.try_read(|| 25), None);
    }
}
