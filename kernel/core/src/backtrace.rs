//! Walking the stack of code that has failed.
//!
//! Law: it only looks. Memory is read through the page tables, so a damaged stack ends the walk instead of
//! faulting; nothing is allocated; at most as many places are visited
//! as the caller says. It needs about 8 KiB of stack.
//!
//! Code in the kernel's text is walked by its call frame information, published code by its chain of frame pointers
//! (`lib-unwind`). From a landing pad or an alternate stack it goes on with the registers that were saved
//! there, which is why it passes through traps. It ends at hand-written code that keeps neither, such as the base of a
//! fiber's stack.

use kernel_machine::cpu::trap::{self, Frame};
use kernel_machine::kernel_image;
use kernel_machine::memory::page_table;
use lib_unwind::{Memory, Registers, Section, Tables, Unwinder};

use crate::memory::code;

/// The most places that a report's walk visits: endless recursion ends it soon.
pub(crate) const FRAMES_MAX: usize = 64;

/// One place in the chain of calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Address of the instruction, or the return address.
    pub address: u64,
    /// The address by which the function is found: a call lies before its return address.
    pub lookup_address: u64,
}

/// The kernel's memory, as far as reading it cannot fault.
struct MappedMemory;

impl Memory for MappedMemory {
    fn read_u64(&self, address: u64) -> Option<u64> {
        page_table::peek(address)
    }

    fn has_frame_pointers(&self, address: u64) -> bool {
        code::contains(address as usize)
    }
}

/// Visits the frames of the calls that have led to the instruction of `frame`, from the innermost outwards, as long as `visit`
/// says so: at most `frames_max`, and none beyond a trap. The instruction itself is none of them.
pub(crate) fn walk_calls(
    frame: &Frame,
    frames_max: usize,
    visit: &mut dyn FnMut(lib_unwind::Frame) -> bool,
) {
    let Some(tables) = tables() else {
        return;
    };
    let registers = Registers::from_dwarf(frame.dwarf());
    let mut unwinder = Unwinder::without_guesses(&tables, registers, frames_max);
    let _interrupted = unwinder.next(&MappedMemory);
    while let Some(call) = unwinder.next(&MappedMemory) {
        if interrupted(unwinder.registers()).is_some() || !visit(call) {
            return;
        }
    }
}

/// Visits at most `frames_max` places from the innermost outwards, beginning with the instruction of `frame`.
pub(crate) fn walk(frame: &Frame, frames_max: usize, visit: &mut dyn FnMut(Place)) {
    let registers = Registers::from_dwarf(frame.dwarf());
    let Some(tables) = tables() else {
        return visit(Place {
            address: registers.rip,
            lookup_address: registers.rip,
        });
    };
    let mut unwinder = Unwinder::new(&tables, registers, frames_max);
    let mut trapped = *frame;
    while let Some(found) = unwinder.next(&MappedMemory) {
        visit(Place {
            address: found.address,
            lookup_address: found.lookup_address,
        });
        if let Some(interrupted) = interrupted(unwinder.registers()) {
            if interrupted == trapped {
                // A second trap on the same landing pad has taken the place of the first.
                return;
            }
            trapped = interrupted;
            unwinder.resume_at(Registers::from_dwarf(interrupted.dwarf()));
        }
    }
}

/// What the frame with these registers interrupted, if it is a trap's entry.
fn interrupted(registers: &Registers) -> Option<Frame> {
    const R12: usize = Registers::R8 + 4;
    let general = &registers.general;
    trap::interrupted_frame(registers.rip, general[Registers::RBX], general[R12])
}

fn tables() -> Option<Tables<'static>> {
    let text = kernel_image::text();
    let section = |(bytes, address): (&'static [u8], usize)| Section {
        address: address as u64,
        bytes,
    };
    Tables::new(
        text.start as u64..text.end as u64,
        section(kernel_image::eh_frame_header()),
        section(kernel_image::eh_frame()),
    )
    .ok()
}
