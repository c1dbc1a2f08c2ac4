//! Call frame information: from a frame to its caller by `.eh_frame`.
//!
//! Rules that are DWARF expressions are not evaluated: compilers of Rust emit none, only hand-written
//! assembly does. A frame that has one counts as a frame without information.

use core::fmt;
use core::ops::Range;

use gimli::{
    BaseAddresses, CfaRule, EhFrame, EhFrameHdr, EhFrameOffset, EndianSlice, FrameDescriptionEntry,
    LittleEndian, ParsedEhFrameHdr, Register, RegisterRule, UnwindContext, UnwindContextStorage,
    UnwindSection, UnwindTableRow,
};

use crate::registers::{RETURN_ADDRESS, Registers};
use crate::walk::Memory;

type Bytes<'a> = EndianSlice<'a, LittleEndian>;
type Row = UnwindTableRow<usize, FixedStorage>;

/// Room for the rules of one row: the 17 registers of [`Registers`] and some to spare. A row that
/// has more counts as no information.
const RULES_MAX: usize = 20;

/// How deep remembered states nest; LLVM remembers one.
const ROWS_MAX: usize = 4;

/// Storage inside the context, since nothing may be allocated.
struct FixedStorage;

impl UnwindContextStorage<usize> for FixedStorage {
    type Rules = [(Register, RegisterRule<usize>); RULES_MAX];
    type Stack = [UnwindTableRow<usize, Self>; ROWS_MAX];
}

/// The bytes of a section and the address at which the code believes them to be.
#[derive(Clone, Copy, Debug)]
pub struct Section<'a> {
    /// Address of the first byte.
    pub address: u64,
    /// The section's contents.
    pub bytes: &'a [u8],
}

/// Why the tables cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TablesError {
    /// `.eh_frame_hdr` cannot be read.
    Header,
    /// `.eh_frame_hdr` has no table to search; it is made by the linker's `--eh-frame-hdr`.
    NoSearchTable,
}

impl fmt::Display for TablesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "the header of the kernel's unwind tables cannot be read",
            Self::NoSearchTable => {
                "the kernel's unwind tables have no search table; link with --eh-frame-hdr"
            }
        })
    }
}

impl core::error::Error for TablesError {}

/// The call frame information of one body of code.
pub struct Tables<'a> {
    text: Range<u64>,
    header: ParsedEhFrameHdr<Bytes<'a>>,
    frames: EhFrame<Bytes<'a>>,
    bases: BaseAddresses,
}

/// What call frame information says about the caller of a frame.
pub(crate) enum Caller {
    /// These are its registers.
    Found {
        registers: Registers,
        /// Whether the caller was interrupted by a signal rather than calling.
        exact: bool,
    },
    /// There is none: the frame is the outermost.
    None,
    /// Nothing that could be used.
    Unknown,
}

impl<'a> Tables<'a> {
    /// The tables for the code in `text`, from its two sections.
    pub fn new(
        text: Range<u64>,
        eh_frame_hdr: Section<'a>,
        eh_frame: Section<'a>,
    ) -> Result<Self, TablesError> {
        let bases = BaseAddresses::default()
            .set_eh_frame_hdr(eh_frame_hdr.address)
            .set_eh_frame(eh_frame.address)
            .set_text(text.start);
        let header = EhFrameHdr::new(eh_frame_hdr.bytes, LittleEndian)
            .parse(&bases, 8)
            .map_err(|_| TablesError::Header)?;
        if header.table().is_none() {
            return Err(TablesError::NoSearchTable);
        }
        Ok(Self {
            text,
            header,
            frames: EhFrame::new(eh_frame.bytes, LittleEndian),
            bases,
        })
    }

    /// Whether `address` lies in the code that these tables describe.
    pub fn covers(&self, address: u64) -> bool {
        self.text.contains(&address)
    }

    /// The caller of the frame with these registers; `address` is the instruction to look up.
    pub(crate) fn caller(
        &self,
        registers: &Registers,
        address: u64,
        memory: &impl Memory,
    ) -> Caller {
        if !self.covers(address) {
            return Caller::Unknown;
        }
        let mut context = UnwindContext::<usize, FixedStorage>::new_in();
        self.entry(address)
            .and_then(|entry| {
                let row = entry
                    .unwind_info_for_address(&self.frames, &self.bases, &mut context, address)
                    .ok()?;
                apply(row, &entry, registers, memory)
            })
            .unwrap_or(Caller::Unknown)
    }

    /// The entry for `address`, by binary search.
    fn entry(&self, address: u64) -> Option<FrameDescriptionEntry<Bytes<'a>>> {
        let pointer = self.header.table()?.lookup(address, &self.bases).ok()?;
        let start = self.header.eh_frame_ptr().direct().ok()?;
        let offset = pointer.direct().ok()?.checked_sub(start)?;
        let offset = EhFrameOffset(usize::try_from(offset).ok()?);
        let entry = self
            .frames
            .fde_from_offset(&self.bases, offset, EhFrame::cie_from_offset)
            .ok()?;
        entry.contains(address).then_some(entry)
    }
}

/// The caller by one row of an entry's table; `None` where the row asks for what is not there.
fn apply(
    row: &Row,
    entry: &FrameDescriptionEntry<Bytes<'_>>,
    registers: &Registers,
    memory: &impl Memory,
) -> Option<Caller> {
    let CfaRule::RegisterAndOffset { register, offset } = *row.cfa() else {
        return None;
    };
    let frame_address = registers.get(register.0)?.wrapping_add_signed(offset);
    let return_address = entry.cie().return_address_register();
    let mut caller = *registers;
    // By definition (psABI 6.2.1), unless a rule says otherwise.
    caller.general[Registers::RSP] = frame_address;
    for number in 0..=RETURN_ADDRESS {
        let Some(rule) = row.register(Register(number)) else {
            continue;
        };
        if rule == RegisterRule::Undefined && number == return_address.0 {
            return Some(Caller::None);
        }
        if let Some(value) = restored(&rule, number, frame_address, registers, memory)? {
            caller.set(number, value);
        }
    }
    Some(Caller::Found {
        registers: caller,
        exact: entry.is_signal_trampoline(),
    })
}

/// The value that a rule restores; `Some(None)` where the register just keeps what it has.
fn restored(
    rule: &RegisterRule<usize>,
    number: u16,
    frame_address: u64,
    registers: &Registers,
    memory: &impl Memory,
) -> Option<Option<u64>> {
    match *rule {
        RegisterRule::Undefined => Some(None),
        RegisterRule::SameValue => registers.get(number).map(Some),
        RegisterRule::Offset(offset) => memory
            .read_u64(frame_address.wrapping_add_signed(offset))
            .map(Some),
        RegisterRule::ValOffset(offset) => Some(Some(frame_address.wrapping_add_signed(offset))),
        RegisterRule::Register(other) => registers.get(other.0).map(Some),
        RegisterRule::Constant(value) => Some(Some(value)),
        RegisterRule::Expression(_)
        | RegisterRule::ValExpression(_)
        | RegisterRule::Architectural => None,
    }
}
