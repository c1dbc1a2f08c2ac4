//! Where a value of a component lies: in core values, or in its memory.
//!
//! The canonical ABI lays out the parts of a value one after another in both; only the widths are others. Offsets here count core
//! values in the one case and bytes in the other, from where the value begins.

use wasmtime::component::__internal::CanonicalAbiInfo;
use wasmtime::component::__internal::wasmtime_environ::component::VariantInfo;
use wasmtime::{ValRaw, bail};

use super::Malformed;

/// Where a value is read.
#[derive(Clone, Copy)]
pub(super) enum Source<'s> {
    /// Its core values.
    Flat(&'s [ValRaw]),
    /// Its bytes in memory, as many as its type has.
    Memory(&'s [u8]),
}

impl<'s> Source<'s> {
    /// The first bytes of the value, which is a number of that size.
    pub fn bytes<const N: usize>(self) -> wasmtime::Result<[u8; N]> {
        let found = match self {
            Self::Flat(slots) if N > 4 => slots.first().map(|slot| slot.get_u64().to_le_bytes()),
            // What lies above a core value of four bytes is not to be read.
            Self::Flat(slots) => slots
                .first()
                .map(|slot| u64::from(slot.get_u32()).to_le_bytes()),
            Self::Memory(bytes) => return bytes.first_chunk().copied().ok_or(Malformed.into()),
        };
        let found = found.ok_or(Malformed)?;
        found.first_chunk().copied().ok_or(Malformed.into())
    }

    /// A bool: whatever is not zero is true.
    pub fn truth(self) -> wasmtime::Result<bool> {
        Ok(match self {
            Self::Flat(_) => self.bytes()? != [0; 4],
            Self::Memory(_) => self.bytes()? != [0],
        })
    }

    /// A pointer and a length.
    pub fn pair(self) -> wasmtime::Result<(usize, usize)> {
        let second = match self {
            Self::Flat(slots) => Self::Flat(slots.get(1..).unwrap_or_default()),
            Self::Memory(bytes) => Self::Memory(bytes.get(4..).unwrap_or_default()),
        };
        let word = |source: Self| source.bytes().map(u32::from_le_bytes);
        Ok((word(self)? as usize, word(second)? as usize))
    }

    /// Which of so many cases a variant is.
    pub fn case(self, info: &VariantInfo, cases: usize) -> wasmtime::Result<usize> {
        let case = match (self, info.size.byte_size()) {
            (Self::Memory(_), 1) => u32::from(u8::from_le_bytes(self.bytes()?)),
            (Self::Memory(_), 2) => u32::from(u16::from_le_bytes(self.bytes()?)),
            _ => u32::from_le_bytes(self.bytes()?),
        };
        if case as usize >= cases {
            bail!("discriminant {case} out of range [0..{cases})");
        }
        Ok(case as usize)
    }

    /// The payload of a variant.
    pub fn payload(self, info: &VariantInfo, abi: &CanonicalAbiInfo) -> wasmtime::Result<Self> {
        let mut offset = match self {
            Self::Flat(_) => 1,
            Self::Memory(_) => info.payload_offset32 as usize,
        };
        self.part(abi, &mut offset)
    }

    /// The part that comes next after `offset`, which is moved behind it.
    pub fn part(self, abi: &CanonicalAbiInfo, offset: &mut usize) -> wasmtime::Result<Self> {
        let part = match self {
            Self::Flat(slots) => {
                let (start, count) = next_flat(abi, offset)?;
                slots.get(start..start + count).map(Self::Flat)
            }
            Self::Memory(bytes) => {
                let start = abi.next_field32_size(offset);
                let end = start + abi.size32 as usize;
                bytes.get(start..end).map(Self::Memory)
            }
        };
        part.ok_or(Malformed.into())
    }
}

/// Where a value is written.
pub(super) enum Target<'t> {
    /// To core values, which are zero so far.
    Flat(&'t mut [ValRaw]),
    /// To memory, from this address on, where there is room for it.
    Memory(usize),
}

impl Target<'_> {
    /// Where the payload of a variant is written.
    pub fn payload(
        &mut self,
        info: &VariantInfo,
        abi: &CanonicalAbiInfo,
    ) -> wasmtime::Result<Target<'_>> {
        let mut offset = match self {
            Self::Flat(_) => 1,
            Self::Memory(_) => info.payload_offset32 as usize,
        };
        self.part(abi, &mut offset)
    }

    /// Where the part is written that comes next after `offset`, which is moved behind it.
    pub fn part(
        &mut self,
        abi: &CanonicalAbiInfo,
        offset: &mut usize,
    ) -> wasmtime::Result<Target<'_>> {
        match self {
            Self::Flat(slots) => {
                let (start, count) = next_flat(abi, offset)?;
                let part = slots.get_mut(start..start + count);
                Ok(Target::Flat(part.ok_or(Malformed)?))
            }
            Self::Memory(address) => Ok(Target::Memory(*address + abi.next_field32_size(offset))),
        }
    }
}

fn next_flat(abi: &CanonicalAbiInfo, offset: &mut usize) -> wasmtime::Result<(usize, usize)> {
    let count = abi.flat_count(usize::MAX).ok_or(Malformed)?;
    let start = *offset;
    *offset += count;
    Ok((start, count))
}
