//! Interrupts at the highest rate that the machine has, while threads keep known values in all registers.
//!
//! Law: the storm has two sources, the interval timer, which interrupts the boot CPU, and a thread that sends
//! unexpected interrupts to every CPU without a pause. The work has an end of its own, so no test depends on the rate;
//! that there was a storm at all is asserted by counting.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use kernel_core::crash::Licence;
use kernel_core::{cpu, interrupt, mishap};
use kernel_machine::cpu::witness;

use crate::{wait_until, wasm};

/// Ticks of 838 ns between two interrupts of the interval timer.
const TICKS: u16 = 24;
/// So many interrupts of each kind make a storm.
const STORM_MIN: u64 = 500;
/// A vector that means nothing.
const VECTOR: u8 = 0x77;
const WITNESSES_PER_CPU: usize = 2;
/// Looks of each witness, and turns of its loop between two.
const LOOKS: u64 = 40;
const LOOK_TURNS: u64 = 400_000;

/// Native code, all registers.
pub fn registers(licence: &Licence) -> Result<(), String> {
    in_storm(licence, |number| {
        (0..LOOKS).try_for_each(
            |look| match witness::watch(number * LOOKS + look, LOOK_TURNS) {
                None => Ok(()),
                Some(register) => Err(format!("{register} changed")),
            },
        )
    })
}

/// Wasm with more values than there are registers.
pub fn wasm(licence: &Licence) -> Result<(), String> {
    let engine = wasm::engine()?;
    let program = wasm::counting(&engine)?;
    in_storm(licence, |number| wasm::count(&engine, &program, number))
}

/// Wasm whose every store is a page fault.
pub fn page_faults(licence: &Licence) -> Result<(), String> {
    let engine = wasm::engine()?;
    let program = wasm::touching(&engine)?;
    in_storm(licence, |number| wasm::touch(&engine, &program, number))
}

/// Runs `work` on several threads per CPU until all have ended and the storm has been one.
fn in_storm(
    licence: &Licence,
    work: impl Fn(u64) -> Result<(), String> + Sync,
) -> Result<(), String> {
    let (ticks_before, messages_before) = (mishap::storm_count(), interrupt::spurious_count());
    if !mishap::start_storm(licence, TICKS) {
        return Err("the interval timer has no interrupt".to_owned());
    }
    let ends = AtomicBool::new(false);
    let result = thread::scope(|scope| {
        scope.spawn(|| send_without_pause(licence, &ends));
        let count = cpu::online_count() * WITNESSES_PER_CPU;
        let work = &work;
        let workers: Vec<_> = (0..count as u64)
            .map(|number| scope.spawn(move || work(number)))
            .collect();
        let results: Vec<_> = workers.into_iter().map(|worker| worker.join()).collect();
        let was_storm = wait_until("there was a storm", || {
            mishap::storm_count() - ticks_before > STORM_MIN
                && interrupt::spurious_count() - messages_before > STORM_MIN
        });
        ends.store(true, Ordering::SeqCst);
        results
            .into_iter()
            .try_for_each(|result| result.unwrap_or_else(|_| Err("a panic".to_owned())))
            .and(was_storm)
    });
    mishap::stop_storm(licence);
    result
}

fn send_without_pause(licence: &Licence, ends: &AtomicBool) {
    let cpus = cpu::online_count() as u32;
    for number in 0_u32.. {
        if ends.load(Ordering::SeqCst) {
            return;
        }
        mishap::send(licence, number % cpus, VECTOR);
    }
}
