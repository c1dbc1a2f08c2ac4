//! Interrupts that nobody asked for: each is counted, and nothing else comes of it.

use kernel_core::crash::Licence;
use kernel_core::mishap::{self, Act, Outcome};
use kernel_core::{cpu, interrupt};

use crate::wait_until;

/// The vectors of interrupts on which nothing is expected. The first 32 are exceptions, then come the 8259s'; timer,
/// the messages between CPUs and the errors of the local APIC have a purpose.
fn unexpected() -> impl Iterator<Item = u8> {
    (0x20..=0xff).filter(|vector| !(0x30..0x35).contains(vector) && !IN_USE.contains(vector))
}

/// The lines of keyboard, serial ports and mouse, and the one that the test of the gates uses.
const IN_USE: [u8; 5] = [0x41, 0x43, 0x44, 0x45, 0x4c];

/// Raised by the instruction `int`, so that the local APIC knows nothing of it.
pub fn by_instruction(licence: &Licence) -> Result<(), String> {
    let code: Vec<u8> = (0..=0xff)
        .flat_map(|vector| [0xcd, vector, 0xc3, 0xcc])
        .collect();
    let start = mishap::publish(licence, &code).map_err(|error| error.to_string())?;
    for vector in unexpected() {
        let act = Act::Execute(start + usize::from(vector) * 4);
        let before = interrupt::spurious_count();
        match mishap::rehearse(licence, act, true) {
            Outcome::Returned if interrupt::spurious_count() == before + 1 => {}
            Outcome::Returned => return Err(format!("vector {vector:#x} was not counted once")),
            other => return Err(format!("vector {vector:#x} was not ignored: {other:?}")),
        }
    }
    Ok(())
}

/// Sent to every CPU through the local APICs, which hold back what is not acknowledged, and whatever is less urgent.
pub fn by_message(licence: &Licence) -> Result<(), String> {
    for target in 0..cpu::online_count() as u32 {
        for vector in unexpected() {
            let before = interrupt::spurious_count();
            mishap::send(licence, target, vector);
            wait_until(
                &format!("vector {vector:#x} was counted on cpu {target}"),
                || interrupt::spurious_count() > before,
            )?;
        }
    }
    Ok(())
}
