//! The walk over frames, and the ways other than tables to find a caller.

use crate::dwarf::{Caller, Tables};
use crate::registers::Registers;

/// The farthest that a frame pointer may lie above the stack pointer; no frame of compiled code is
/// larger than a thread's stack.
const FRAME_LEN_BYTES_MAX: u64 = 16 << 20;

/// How a walk sees the machine.
pub trait Memory {
    /// The eight bytes at `address`; `None` where they cannot be read without a fault.
    fn read_u64(&self, address: u64) -> Option<u64>;

    /// Whether the code at `address`, which no table covers, keeps a chain of frame pointers.
    /// Without better knowledge it is tried.
    fn has_frame_pointers(&self, address: u64) -> bool {
        let _ = address;
        true
    }
}

/// One frame of a stack, innermost first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Where the frame's code will go on.
    pub address: u64,
    /// The address to look names up by: `address` where the frame was interrupted, one less where it
    /// waits for a call to return, since a call can be the last instruction of its function.
    pub lookup_address: u64,
    /// The frame's stack pointer.
    pub stack_pointer: u64,
}

/// A walk. Ask for frames with [`next`](Self::next).
pub struct Unwinder<'t, 'a> {
    tables: &'t Tables<'a>,
    registers: Registers,
    /// Whether `rip` is the interrupted instruction, not a return address.
    exact: bool,
    /// Whether the frame of `registers` was handed out.
    reported: bool,
    /// Whether a first frame that neither has tables nor keeps a chain is taken for one that was just called.
    guesses: bool,
    frames_left: usize,
}

impl<'t, 'a> Unwinder<'t, 'a> {
    /// A walk that begins with the frame of `registers` and hands out at most `frames_max`.
    pub fn new(tables: &'t Tables<'a>, registers: Registers, frames_max: usize) -> Self {
        Self {
            tables,
            registers,
            exact: true,
            reported: false,
            guesses: true,
            frames_left: frames_max,
        }
    }

    /// A walk that ends at what is not explained by tables or a chain of frame pointers: for whoever acts on what it finds, where
    /// the words on the stack may be somebody's who chose them.
    pub fn without_guesses(
        tables: &'t Tables<'a>,
        registers: Registers,
        frames_max: usize,
    ) -> Self {
        Self {
            guesses: false,
            ..Self::new(tables, registers, frames_max)
        }
    }

    /// The registers of the frame handed out last.
    pub fn registers(&self) -> &Registers {
        &self.registers
    }

    /// Goes on with the frame of `registers`, which were interrupted or faulted: for whoever knows
    /// that the frame handed out last is an interrupt's entry and where it saved them.
    pub fn resume_at(&mut self, registers: Registers) {
        self.registers = registers;
        self.exact = true;
        self.reported = false;
    }

    /// The next frame; `None` where the stack ends, where it cannot be followed any further, or after
    /// the greatest number of frames.
    pub fn next(&mut self, memory: &impl Memory) -> Option<Frame> {
        if self.frames_left == 0 {
            return None;
        }
        if self.reported {
            (self.registers, self.exact) = self.caller(memory)?;
        }
        self.reported = true;
        self.frames_left -= 1;
        Some(Frame {
            address: self.registers.rip,
            lookup_address: self.lookup_address(),
            stack_pointer: self.registers.rsp(),
        })
    }

    fn lookup_address(&self) -> u64 {
        self.registers.rip.wrapping_sub(u64::from(!self.exact))
    }

    /// The caller's registers, and whether it was interrupted.
    fn caller(&self, memory: &impl Memory) -> Option<(Registers, bool)> {
        let address = self.lookup_address();
        let (caller, exact) = match self.tables.caller(&self.registers, address, memory) {
            Caller::Found { registers, exact } => (registers, exact),
            Caller::None => return None,
            Caller::Unknown => (self.caller_without_tables(address, memory)?, false),
        };
        // The stack grows down: a caller lies higher, or the walk would go in circles.
        (caller.rip != 0 && caller.rsp() > self.registers.rsp()).then_some((caller, exact))
    }

    fn caller_without_tables(&self, address: u64, memory: &impl Memory) -> Option<Registers> {
        let keeps_chain = !self.tables.covers(address) && memory.has_frame_pointers(address);
        let by_chain = keeps_chain.then(|| by_frame_pointer(&self.registers, memory));
        by_chain
            .flatten()
            .or_else(|| self.by_fresh_return_address(memory))
    }

    /// The caller of a first frame that has done nothing yet but being called.
    fn by_fresh_return_address(&self, memory: &impl Memory) -> Option<Registers> {
        let return_address = memory.read_u64(self.registers.rsp())?;
        if !self.guesses || !self.exact || !self.tables.covers(return_address) {
            return None;
        }
        let mut caller = self.registers;
        caller.rip = return_address;
        caller.general[Registers::RSP] = self.registers.rsp().wrapping_add(8);
        Some(caller)
    }
}

/// The caller of a frame that pushed the old frame pointer below its return address and points
/// there itself.
fn by_frame_pointer(registers: &Registers, memory: &impl Memory) -> Option<Registers> {
    let frame_pointer = registers.rbp();
    let frame_len_bytes = frame_pointer.checked_sub(registers.rsp())?;
    if !frame_pointer.is_multiple_of(8) || frame_len_bytes > FRAME_LEN_BYTES_MAX {
        return None;
    }
    let return_address = frame_pointer.checked_add(8)?;
    let mut caller = *registers;
    caller.rip = memory.read_u64(return_address)?;
    caller.general[Registers::RBP] = memory.read_u64(frame_pointer)?;
    caller.general[Registers::RSP] = return_address.checked_add(8)?;
    Some(caller)
}
