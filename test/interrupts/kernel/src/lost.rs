//! Interrupts that come late or never: threads wake all the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use kernel_core::console::{self, Line};
use kernel_core::crash::Licence;
use kernel_core::{cpu, mishap, time};
use kernel_machine::cpu::index;

use crate::wait_until;

/// How long interrupts are kept away each time.
const AWAY_NS: u64 = 50_000_000;
/// How long the sleepers sleep at a time: less than [`AWAY_NS`].
const NAP: Duration = Duration::from_millis(5);
const SLEEPERS_PER_CPU: usize = 2;

/// Threads that sleep again and again, and count.
struct Sleepers {
    ends: Arc<AtomicBool>,
    naps: Vec<Arc<AtomicU32>>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Sleepers {
    fn start() -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let count = cpu::online_count() * SLEEPERS_PER_CPU;
        let naps: Vec<_> = (0..count).map(|_| Arc::new(AtomicU32::new(0))).collect();
        let threads = naps
            .iter()
            .map(|naps| {
                let (ends, naps) = (Arc::clone(&ends), Arc::clone(naps));
                thread::spawn(move || {
                    while !ends.load(Ordering::SeqCst) {
                        thread::sleep(NAP);
                        naps.fetch_add(1, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        Self {
            ends,
            naps,
            threads,
        }
    }

    /// Waits until every one has slept and woken several times more. The pauses in between are the caller's own
    /// sleep, which must end as well.
    fn all_go_on(&self, after: &str) -> Result<(), String> {
        let before: Vec<u32> = self
            .naps
            .iter()
            .map(|naps| naps.load(Ordering::SeqCst))
            .collect();
        for (number, (naps, before)) in self.naps.iter().zip(before).enumerate() {
            wait_until(&format!("sleeper {number} woke up after {after}"), || {
                naps.load(Ordering::SeqCst) > before + 2
            })?;
        }
        Ok(())
    }

    fn end(self) -> Result<(), String> {
        self.ends.store(true, Ordering::SeqCst);
        let mut joined = self.threads.into_iter().map(thread::JoinHandle::join);
        joined.try_for_each(|ended| ended.map_err(|_| "a sleeper panicked".to_owned()))
    }
}

/// One CPU after the other takes no interrupt for longer than anybody sleeps.
pub fn late(licence: &Licence) -> Result<(), String> {
    let sleepers = Sleepers::start();
    for turn in 0..8 {
        mishap::delay_interrupts(licence, AWAY_NS);
        sleepers.all_go_on(&format!("interrupts were late, turn {turn}"))?;
    }
    sleepers.end()
}

/// What the timer of one CPU was set to is lost, as when it fires while it is masked.
pub fn timer(licence: &Licence) -> Result<(), String> {
    let sleepers = Sleepers::start();
    for turn in 0..8 {
        mishap::lose_timer_interrupts(licence, AWAY_NS);
        let cpu = index();
        sleepers.all_go_on(&format!(
            "a timer interrupt of cpu {cpu} was lost, turn {turn}"
        ))?;
    }
    sleepers.end()
}

/// Messages between CPUs are lost: the work waits where it is until its CPU, or another that has nothing to do, looks.
pub fn messages(licence: &Licence) -> Result<(), String> {
    const PAIRS: u32 = 200;
    let (turn, done) = (
        Arc::new(AtomicU32::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let partner = {
        let (turn, done) = (Arc::clone(&turn), Arc::clone(&done));
        thread::spawn(move || {
            while !done.load(Ordering::SeqCst) {
                thread::park();
                turn.fetch_add(1, Ordering::SeqCst);
            }
        })
    };
    for pair in 0..PAIRS {
        let before = turn.load(Ordering::SeqCst);
        mishap::drop_reschedules(licence, 3);
        partner.thread().unpark();
        // This thread's own sleeps are what makes a CPU look again.
        wait_until(
            &format!("the partner ran though its message was lost, pair {pair}"),
            || turn.load(Ordering::SeqCst) > before,
        )?;
    }
    mishap::drop_reschedules(licence, 0);
    done.store(true, Ordering::SeqCst);
    partner.thread().unpark();
    partner
        .join()
        .map_err(|_| "the partner panicked".to_owned())
}

/// What arrives while the terminal's interrupt line is masked is there when it is not. The host types it when it
/// reads that it may; the device keeps 16 bytes.
pub fn serial(licence: &Licence) -> Result<(), String> {
    const ISA_LINE: u8 = 4;
    const TYPED: &[u8] = b"typed meanwhile";
    if !mishap::mask_isa(licence, ISA_LINE, true) {
        return Err("the serial line has no interrupt".to_owned());
    }
    // Written by polling: the transmitter's interrupt is masked as well.
    println!("interrupts: masked");
    thread::sleep(Duration::from_millis(500));
    mishap::mask_isa(licence, ISA_LINE, false);
    let mut read = Vec::new();
    let deadline_ns = time::monotonic_ns() + 30_000_000_000;
    while read.len() < TYPED.len() && time::monotonic_ns() < deadline_ns {
        let mut bytes = [0; 32];
        let count = console::read(Line::Terminal, &mut bytes, Some(deadline_ns));
        read.extend_from_slice(&bytes[..count]);
    }
    if read == TYPED {
        return Ok(());
    }
    Err(format!("{:?} was read", String::from_utf8_lossy(&read)))
}
