//! The registers that a walk carries from frame to frame.

/// The general registers and the instruction pointer of one frame.
///
/// Beyond the first frame, only those that the ABI preserves across calls are meaningful; the
/// others keep the values they had further in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Registers {
    /// By DWARF number (System V psABI x86-64, figure 3.36), which is not the order of encoding:
    /// rax, rdx, rcx, rbx, rsi, rdi, rbp, rsp, r8 to r15.
    pub general: [u64; 16],
    /// The next instruction of the frame.
    pub rip: u64,
}

/// The number that DWARF gives to the return address.
pub(crate) const RETURN_ADDRESS: u16 = 16;

impl Registers {
    /// Index of rax in [`general`](Self::general).
    pub const RAX: usize = 0;
    /// Index of rdx.
    pub const RDX: usize = 1;
    /// Index of rcx.
    pub const RCX: usize = 2;
    /// Index of rbx.
    pub const RBX: usize = 3;
    /// Index of rsi.
    pub const RSI: usize = 4;
    /// Index of rdi.
    pub const RDI: usize = 5;
    /// Index of rbp.
    pub const RBP: usize = 6;
    /// Index of rsp.
    pub const RSP: usize = 7;
    /// Index of r8; r9 to r15 follow.
    pub const R8: usize = 8;

    /// From the 16 general registers and the instruction pointer, all by DWARF number.
    pub fn from_dwarf([general @ .., rip]: [u64; 17]) -> Self {
        Self { general, rip }
    }

    /// The stack pointer.
    pub fn rsp(&self) -> u64 {
        self.general[Self::RSP]
    }

    /// The frame pointer, in code that keeps one.
    pub fn rbp(&self) -> u64 {
        self.general[Self::RBP]
    }

    /// A register by its DWARF number; `None` for those that are not carried.
    pub(crate) fn get(&self, number: u16) -> Option<u64> {
        match number {
            RETURN_ADDRESS => Some(self.rip),
            _ => self.general.get(usize::from(number)).copied(),
        }
    }

    /// Sets a register by its DWARF number; others than those carried are dropped.
    pub(crate) fn set(&mut self, number: u16, value: u64) {
        if number == RETURN_ADDRESS {
            self.rip = value;
        } else if let Some(register) = self.general.get_mut(usize::from(number)) {
            *register = value;
        }
    }
}
