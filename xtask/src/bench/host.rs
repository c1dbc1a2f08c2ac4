//! What the host did while something was measured, as Linux tells it in `/proc` (proc(5)).
//!
//! Law: nothing here disturbs what is measured more than by reading a few small files, and nothing here can
//! fail: what cannot be read is left out of the result.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use super::record::HostState;

/// Ticks per second of the times in `/proc/stat`, on every Linux for x86_64.
const TICKS_PER_SECOND: f64 = 100.0;

/// Watches one machine's process.
#[derive(Debug)]
pub struct Watch {
    threads: PathBuf,
    processors: f64,
    begun: Reading,
}

/// Counts that only grow, in seconds.
#[derive(Clone, Copy, Debug)]
struct Reading {
    at: Instant,
    cpu: f64,
    wait: f64,
    busy: f64,
}

impl Watch {
    /// Watches the process from now on. QEMU has to name its threads (`-name …,debug-threads=on`).
    pub fn start(process: u32) -> Self {
        let threads = PathBuf::from(format!("/proc/{process}/task"));
        Self {
            processors: std::thread::available_parallelism()
                .map_or(1.0, |count| count.get() as f64),
            begun: Reading::take(&threads),
            threads,
        }
    }

    /// What has happened since the start, or the last lap.
    pub fn since_start(&self) -> HostState {
        self.between(&self.begun, &Reading::take(&self.threads))
    }

    /// What has happened since the last lap, or the start; a new lap begins.
    pub fn lap(&mut self) -> HostState {
        let now = Reading::take(&self.threads);
        let state = self.between(&self.begun, &now);
        self.begun = now;
        state
    }

    fn between(&self, before: &Reading, after: &Reading) -> HostState {
        let wall = after.at.duration_since(before.at).as_secs_f64().max(1e-3);
        let cpu = (after.cpu - before.cpu).max(0.0);
        let wait = (after.wait - before.wait).max(0.0);
        let others = (after.busy - before.busy - cpu).max(0.0);
        HostState {
            wall: Some(rounded(wall)),
            net: Some(rounded((wall - wait).max(0.0))),
            cpu: Some(rounded(cpu)),
            wait: Some(rounded(wait)),
            other: Some(rounded(others / (wall * self.processors))),
        }
    }
}

impl Reading {
    fn take(threads: &PathBuf) -> Self {
        let mut reading = Self {
            at: Instant::now(),
            cpu: 0.0,
            wait: 0.0,
            busy: busy_seconds(),
        };
        for thread in fs::read_dir(threads).into_iter().flatten().flatten() {
            let read =
                |name: &str| fs::read_to_string(thread.path().join(name)).unwrap_or_default();
            let [ran, waited] = schedule(&read("schedstat"));
            reading.cpu += ran;
            if read("comm").starts_with("CPU 0") {
                reading.wait = waited;
            }
        }
        reading
    }
}

/// Seconds on a processor, and ready without one.
fn schedule(text: &str) -> [f64; 2] {
    let mut numbers = text
        .split_whitespace()
        .map(|word| word.parse::<f64>().unwrap_or(0.0) / 1e9);
    [0, 1].map(|_| numbers.next().unwrap_or(0.0))
}

/// Seconds that all processors together were not idle.
fn busy_seconds() -> f64 {
    busy_of(&fs::read_to_string("/proc/stat").unwrap_or_default())
}

fn busy_of(stat: &str) -> f64 {
    const IDLE: usize = 3;
    const WAITING_FOR_DISK: usize = 4;
    /// Behind these stand the times of guests, which are part of others.
    const COUNTED: usize = 8;
    let first = stat.lines().next().unwrap_or_default();
    let times = first.split_whitespace().skip(1).take(COUNTED);
    let times = times.map(|word| word.parse::<f64>().unwrap_or(0.0));
    let busy = times
        .enumerate()
        .filter(|(index, _)| ![IDLE, WAITING_FOR_DISK].contains(index));
    busy.map(|(_, ticks)| ticks).sum::<f64>() / TICKS_PER_SECOND
}

fn rounded(seconds: f64) -> f64 {
    (seconds * 1e4).round() / 1e4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_is_not_busy_and_guests_are_not_counted_twice() {
        assert_eq!(
            busy_of("cpu  100 0 50 9000 800 10 20 20 77 77\ncpu0 1"),
            2.0
        );
        assert_eq!(busy_of(""), 0.0);
    }

    #[test]
    fn a_threads_times_are_its_first_two_numbers() {
        assert_eq!(schedule("1500000000 250000000 77\n"), [1.5, 0.25]);
        assert_eq!(schedule(""), [0.0, 0.0]);
    }
}
