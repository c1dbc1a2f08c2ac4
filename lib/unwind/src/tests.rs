//! Walks over made-up stacks: a model calls functions, each with a prologue of its own, and writes
//! down what the unwinder must find.
//!
//! A walk over a real stack, from a real fault, is among the tests of `kernel/libc`, where unsafe
//! code may be.

extern crate std;

use std::collections::HashMap;
use std::vec::Vec;

use gimli::write::{
    Address, CallFrameInstruction, CommonInformationEntry, EhFrame as WriteEhFrame, EndianVec,
    FrameDescriptionEntry, FrameTable,
};
use gimli::{
    BaseAddresses, CieOrFde, EhFrame, Encoding, Format, LittleEndian, Register, UnwindSection,
    X86_64,
};
use proptest::prelude::*;

use crate::{Frame, Memory, Registers, Section, Tables, TablesError, Unwinder};

const TEXT: u64 = 0xffff_ffff_8000_0000;
const FUNCTION_LEN_BYTES: u64 = 0x100;
const EH_FRAME: u64 = 0xffff_ffff_9000_0000;
const EH_FRAME_HDR: u64 = 0xffff_ffff_a000_0000;
const STACK_TOP: u64 = 0xffff_a000_0001_0000;
/// Code that no table covers and that keeps frame pointers.
const JIT: u64 = 0xffff_b000_0000_0000;

/// How a function sets up its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prologue {
    /// It does nothing.
    Bare,
    /// It pushes rbx and r12 and makes room for so many words.
    Pushes { words: u8 },
    /// It keeps a frame pointer, and makes room.
    FramePointer { words: u8 },
    /// It keeps a frame pointer, and has no table.
    Jit { words: u8 },
}

/// The functions with tables that the model calls: every form, the words fixed by the table.
const WITH_TABLES: [Prologue; 4] = [
    Prologue::Bare,
    Prologue::Pushes { words: 0 },
    Prologue::Pushes { words: 5 },
    Prologue::FramePointer { words: 3 },
];
/// The index behind [`WITH_TABLES`] of the outermost function, whose return address is undefined.
const OUTERMOST: u64 = WITH_TABLES.len() as u64;
const TEXT_LEN_BYTES: u64 = (OUTERMOST + 1) * FUNCTION_LEN_BYTES;

/// What the rows of a function say, once its prologue has run.
fn instructions(prologue: Prologue) -> Vec<CallFrameInstruction> {
    use CallFrameInstruction::{Cfa, CfaOffset, Offset};
    match prologue {
        Prologue::Bare | Prologue::Jit { .. } => Vec::new(),
        Prologue::Pushes { words } => std::vec![
            CfaOffset(24 + 8 * i32::from(words)),
            Offset(X86_64::RBX, -16),
            Offset(X86_64::R12, -24),
        ],
        Prologue::FramePointer { .. } => std::vec![Cfa(X86_64::RBP, 16), Offset(X86_64::RBP, -16)],
    }
}

fn write_eh_frame() -> Vec<u8> {
    let encoding = Encoding {
        format: Format::Dwarf32,
        version: 1,
        address_size: 8,
    };
    let mut cie = CommonInformationEntry::new(encoding, 1, -8, X86_64::RA);
    cie.add_instruction(CallFrameInstruction::Cfa(X86_64::RSP, 8));
    cie.add_instruction(CallFrameInstruction::Offset(X86_64::RA, -8));
    let mut table = FrameTable::default();
    let cie = table.add_cie(cie);
    let outermost = std::vec![CallFrameInstruction::Undefined(X86_64::RA)];
    let all = WITH_TABLES.map(instructions).into_iter().chain([outermost]);
    for (index, instructions) in (0..).zip(all) {
        let start = Address::Constant(TEXT + index * FUNCTION_LEN_BYTES);
        let mut fde = FrameDescriptionEntry::new(start, FUNCTION_LEN_BYTES as u32);
        for instruction in instructions {
            fde.add_instruction(1, instruction);
        }
        table.add_fde(cie, fde);
    }
    let mut section = WriteEhFrame::from(EndianVec::new(LittleEndian));
    table
        .write_eh_frame(&mut section)
        .expect("written to memory");
    section.0.into_vec()
}

/// The header that a linker makes: a sorted table of function and entry, here with whole addresses.
fn write_eh_frame_hdr(eh_frame: &[u8]) -> Vec<u8> {
    let frames = EhFrame::new(eh_frame, LittleEndian);
    let bases = BaseAddresses::default().set_eh_frame(EH_FRAME);
    let mut rows = Vec::new();
    let mut entries = frames.entries(&bases);
    while let Some(entry) = entries.next().expect("just written") {
        if let CieOrFde::Fde(fde) = entry {
            let offset = fde.offset() as u64;
            let fde = fde.parse(EhFrame::cie_from_offset).expect("just written");
            rows.push((fde.initial_address(), EH_FRAME + offset));
        }
    }
    // Version 1; absolute pointer to .eh_frame, 32-bit count, absolute 64-bit rows.
    let mut header = std::vec![1, 0x00, 0x03, 0x04];
    header.extend(EH_FRAME.to_le_bytes());
    header.extend((rows.len() as u32).to_le_bytes());
    for (start, entry) in rows {
        header.extend(start.to_le_bytes());
        header.extend(entry.to_le_bytes());
    }
    header
}

/// The machine of the model.
struct Machine {
    memory: HashMap<u64, u64>,
    registers: Registers,
    frames: Vec<Frame>,
}

impl Memory for Machine {
    fn read_u64(&self, address: u64) -> Option<u64> {
        self.memory.get(&address).copied()
    }

    fn has_frame_pointers(&self, address: u64) -> bool {
        (JIT..JIT + FUNCTION_LEN_BYTES).contains(&address)
    }
}

impl Machine {
    /// In the middle of the outermost function.
    fn new() -> Self {
        let mut numbers = [0x5EED; 17];
        numbers[Registers::RSP] = STACK_TOP;
        numbers[16] = TEXT + OUTERMOST * FUNCTION_LEN_BYTES + 0x20;
        Self {
            memory: HashMap::new(),
            registers: Registers::from_dwarf(numbers),
            frames: Vec::new(),
        }
    }

    fn push(&mut self, value: u64) {
        self.registers.general[Registers::RSP] -= 8;
        self.memory.insert(self.registers.rsp(), value);
    }

    fn make_room(&mut self, words: u8) {
        (0..words).for_each(|word| self.push(u64::from(word)));
    }

    fn frame(&self, exact: bool) -> Frame {
        Frame {
            address: self.registers.rip,
            lookup_address: self.registers.rip - u64::from(!exact),
            stack_pointer: self.registers.rsp(),
        }
    }

    /// Calls the function at `start`, which runs its prologue.
    fn call(&mut self, start: u64, prologue: Prologue) {
        self.frames.push(self.frame(false));
        self.push(self.registers.rip);
        match prologue {
            Prologue::Bare => {}
            Prologue::Pushes { words } => {
                self.push(self.registers.general[Registers::RBX]);
                self.push(self.registers.general[Registers::R8 + 4]);
                self.make_room(words);
                self.registers.general[Registers::RBX] = 0xBAD;
                self.registers.general[Registers::R8 + 4] = start;
            }
            Prologue::FramePointer { words } | Prologue::Jit { words } => {
                self.push(self.registers.rbp());
                self.registers.general[Registers::RBP] = self.registers.rsp();
                self.make_room(words);
            }
        }
        self.registers.rip = start + 0x40;
    }

    fn call_with_tables(&mut self, index: usize) {
        self.call(TEXT + index as u64 * FUNCTION_LEN_BYTES, WITH_TABLES[index]);
    }

    /// All frames, innermost first, when the innermost is interrupted now.
    fn expected(&self) -> Vec<Frame> {
        let callers = self.frames.iter().rev().copied();
        [self.frame(true)].into_iter().chain(callers).collect()
    }

    fn walk(&self, frames_max: usize) -> Vec<Frame> {
        with_tables(|tables| {
            let mut unwinder = Unwinder::new(tables, self.registers, frames_max);
            std::iter::from_fn(|| unwinder.next(self)).collect()
        })
    }
}

fn with_tables<T>(use_tables: impl FnOnce(&Tables<'_>) -> T) -> T {
    let eh_frame = write_eh_frame();
    let header = write_eh_frame_hdr(&eh_frame);
    let tables = Tables::new(
        TEXT..TEXT + TEXT_LEN_BYTES,
        Section {
            address: EH_FRAME_HDR,
            bytes: &header,
        },
        Section {
            address: EH_FRAME,
            bytes: &eh_frame,
        },
    );
    use_tables(&tables.expect("just made"))
}

#[test]
fn the_outermost_frame_ends_the_walk() {
    let machine = Machine::new();
    assert_eq!(machine.walk(9), machine.expected());
}

#[test]
fn compiled_webassembly_between_native_frames_is_walked() {
    let mut machine = Machine::new();
    machine.call_with_tables(2);
    machine.call(JIT, Prologue::Jit { words: 4 });
    machine.call(JIT, Prologue::Jit { words: 0 });
    machine.call_with_tables(1);
    assert_eq!(machine.walk(9), machine.expected());
}

#[test]
fn a_call_of_a_null_pointer_shows_the_caller() {
    let mut machine = Machine::new();
    machine.call_with_tables(1);
    machine.call(0, Prologue::Bare);
    machine.registers.rip = 0;
    assert_eq!(machine.walk(9), machine.expected());
}

/// The word that looks like a return address may be what a program had in a register.
#[test]
fn who_acts_on_a_walk_gets_no_guesses() {
    let mut machine = Machine::new();
    machine.call_with_tables(1);
    machine.call(0, Prologue::Bare);
    machine.registers.rip = 0;
    let frames = with_tables(|tables| {
        let mut unwinder = Unwinder::without_guesses(tables, machine.registers, 9);
        core::iter::from_fn(|| unwinder.next(&machine)).count()
    });
    assert_eq!(frames, 1);
}

#[test]
fn no_more_frames_than_asked_for() {
    let mut machine = Machine::new();
    (0..50).for_each(|_| machine.call_with_tables(1));
    assert_eq!(machine.walk(7), machine.expected()[..7]);
    assert_eq!(machine.walk(0), []);
}

#[test]
fn a_walk_resumes_at_interrupted_registers() {
    let mut interrupted = Machine::new();
    interrupted.call_with_tables(3);
    // The handler runs on a stack of its own, lower or higher.
    let mut machine = Machine::new();
    machine.registers.rip = JIT + 0x1000;
    machine.registers.general[Registers::RSP] = STACK_TOP + 0x1000;
    machine.call_with_tables(1);
    machine.memory.extend(&interrupted.memory);
    with_tables(|tables| {
        let mut unwinder = Unwinder::new(tables, machine.registers, 9);
        let mut walked: Vec<Frame> = std::iter::from_fn(|| unwinder.next(&machine)).collect();
        assert_eq!(walked, machine.expected());
        unwinder.resume_at(interrupted.registers);
        walked = std::iter::from_fn(|| unwinder.next(&machine)).collect();
        assert_eq!(walked, interrupted.expected());
    });
}

#[test]
fn a_chain_of_frame_pointers_that_circles_ends() {
    let mut machine = Machine::new();
    machine.call(JIT, Prologue::Jit { words: 0 });
    machine.memory.insert(machine.registers.rbp() + 8, JIT);
    machine
        .memory
        .insert(machine.registers.rbp(), machine.registers.rbp());
    assert!(machine.walk(100).len() < 3);
}

#[test]
fn sections_that_are_no_tables_are_refused() {
    let open = |header: &[u8]| {
        let section = |bytes| Section { address: 0, bytes };
        Tables::new(0..1, section(header), section(&[])).err()
    };
    assert_eq!(open(&[]), Some(TablesError::Header));
    assert_eq!(open(&[9, 0, 0, 0]), Some(TablesError::Header));
    // Everything omitted.
    assert_eq!(
        open(&[1, 0x00, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0]),
        Some(TablesError::NoSearchTable)
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_chain_of_calls_is_walked(calls in proptest::collection::vec(0..WITH_TABLES.len(), 0..30)) {
        let mut machine = Machine::new();
        for index in calls {
            machine.call_with_tables(index);
        }
        prop_assert_eq!(machine.walk(100), machine.expected());
    }

    #[test]
    fn smashed_stacks_and_wild_registers_end_the_walk(
        calls in proptest::collection::vec(0..WITH_TABLES.len(), 1..10),
        general in proptest::collection::vec(
            prop_oneof![Just(STACK_TOP), Just(STACK_TOP - 64), Just(u64::MAX), any::<u64>()], 16),
        rip in prop_oneof![TEXT..TEXT + TEXT_LEN_BYTES, any::<u64>()],
        smashed in proptest::collection::vec(
            (0_u64..64, prop_oneof![TEXT..TEXT + TEXT_LEN_BYTES, Just(JIT), any::<u64>()]), 0..30),
        keep in any::<u16>(),
    ) {
        let mut machine = Machine::new();
        for index in calls {
            machine.call_with_tables(index);
        }
        for (word, value) in smashed {
            machine.memory.insert(STACK_TOP - 8 * word, value);
        }
        for (number, value) in general.into_iter().enumerate() {
            if keep & 1 << number == 0 {
                machine.registers.set(Register(number as u16).0, value);
            }
        }
        machine.registers.rip = rip;
        let frames = machine.walk(64);
        prop_assert!(frames.windows(2).all(|pair| pair[0].stack_pointer < pair[1].stack_pointer));
    }
}
