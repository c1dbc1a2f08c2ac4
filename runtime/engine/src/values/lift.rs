//! Values of a component become bytes.

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;

use wasmtime::component::__internal::wasmtime_environ::component::{StringEncoding, VariantInfo};
use wasmtime::component::__internal::{ComponentTypes, InterfaceType, LiftContext};
use wasmtime::component::{Lift, ResourceAny};
use wasmtime::{Result, ValRaw, bail, format_err};

use super::place::Source;
use super::supported::{is_plain, parts, tuple};
use super::{ENCODED_BYTES_MAX, Lifted, Malformed, Values};

/// Where bytes grow from.
const CAPACITY_BYTES: usize = 64;
/// What the host holds for a handle while it is on its way, in fuel: what stands for it here, in Wasmtime's table and in the message, lists
/// that have grown to twice what they hold.
const HANDLE_BYTES: usize = 512;
/// In the length of a string that is Latin-1 or UTF-16: which of them it is.
const UTF16_TAG: usize = 1 << 31;

/// Lifts a function's parameters, or its result, out of core values.
pub(super) fn from_flat(
    cx: &mut LiftContext<'_>,
    ty: InterfaceType,
    slots: &[ValRaw],
) -> Result<Lifted> {
    lift(cx, ty, Source::Flat(slots))
}

/// Lifts them out of memory, where they begin as `bytes` do, of which there need not be any.
pub(super) fn from_start(
    cx: &mut LiftContext<'_>,
    ty: InterfaceType,
    bytes: &[u8],
) -> Result<Lifted> {
    let memory = cx.memory().as_ptr().addr();
    from_memory(cx, ty, bytes.as_ptr().addr().wrapping_sub(memory))
}

/// Lifts them out of memory, where they lie at `address`.
pub(super) fn from_memory(
    cx: &mut LiftContext<'_>,
    ty: InterfaceType,
    address: usize,
) -> Result<Lifted> {
    let abi = &tuple(ty, cx.types)?.abi;
    if !address.is_multiple_of(abi.align32 as usize) {
        bail!("pointer not aligned");
    }
    let bytes = within(cx.memory(), address, abi.size32 as usize);
    let bytes = bytes.ok_or_else(|| format_err!("pointer out of bounds of memory"))?;
    lift(cx, ty, Source::Memory(bytes))
}

fn lift(cx: &mut LiftContext<'_>, ty: InterfaceType, source: Source<'_>) -> Result<Lifted> {
    let mut lifting = Lifting {
        cx,
        encoded: Encoded::default(),
        resources: Vec::new(),
    };
    lifting.value(ty, source)?;
    let resources = lifting.resources;
    Ok(match lifting.encoded.is_too_long {
        true => Lifted::TooLong(resources),
        false => Lifted::Whole(Values {
            bytes: lifting.encoded.bytes,
            resources,
        }),
    })
}

fn within(memory: &[u8], address: usize, len_bytes: usize) -> Option<&[u8]> {
    memory.get(address..address.checked_add(len_bytes)?)
}

/// Bytes that grow up to a bound. Beyond it they are forgotten, and nothing is added any more.
#[derive(Default)]
struct Encoded {
    bytes: Vec<u8>,
    is_too_long: bool,
}

impl Encoded {
    fn put(&mut self, bytes: &[u8]) {
        if self.has_room(bytes.len()) {
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// Puts the characters, behind the length that they turn out to have.
    fn put_text<E>(
        &mut self,
        text: impl Iterator<Item = std::result::Result<char, E>>,
    ) -> std::result::Result<(), E> {
        let place = self.bytes.len();
        self.put(&[0; 4]);
        let start = self.bytes.len();
        for character in text {
            self.put(character?.encode_utf8(&mut [0; 4]).as_bytes());
            if self.is_too_long {
                return Ok(());
            }
        }
        // The encoding is shorter than a u32 can say.
        let len_bytes = (self.bytes.len() - start) as u32;
        if let Some(len) = self.bytes.get_mut(place..start) {
            len.copy_from_slice(&len_bytes.to_le_bytes());
        }
        Ok(())
    }

    fn put_u32(&mut self, number: usize) {
        match u32::try_from(number) {
            Ok(number) => self.put(&number.to_le_bytes()),
            Err(_) => self.forget(),
        }
    }

    /// Makes room, if there may be so much more.
    fn has_room(&mut self, len_bytes: usize) -> bool {
        let (used, capacity) = (self.bytes.len(), self.bytes.capacity());
        if self.is_too_long || len_bytes > ENCODED_BYTES_MAX - used {
            self.forget();
            return false;
        }
        if used + len_bytes > capacity {
            let grown = (capacity * 2).clamp(CAPACITY_BYTES, ENCODED_BYTES_MAX);
            let wanted = grown.max(used + len_bytes);
            self.bytes.reserve_exact(wanted - used);
        }
        true
    }

    fn forget(&mut self) {
        self.is_too_long = true;
        self.bytes = Vec::new();
    }
}

struct Lifting<'c, 'm> {
    cx: &'c mut LiftContext<'m>,
    encoded: Encoded,
    resources: Vec<ResourceAny>,
}

impl<'m> Lifting<'_, 'm> {
    fn types(&self) -> &'m Arc<ComponentTypes> {
        self.cx.types
    }

    fn value(&mut self, ty: InterfaceType, source: Source<'_>) -> Result<()> {
        match ty {
            InterfaceType::Bool => self.encoded.put(&[u8::from(source.truth()?)]),
            InterfaceType::S8 | InterfaceType::U8 => self.encoded.put(&source.bytes::<1>()?),
            InterfaceType::S16 | InterfaceType::U16 => self.encoded.put(&source.bytes::<2>()?),
            InterfaceType::S32 | InterfaceType::U32 | InterfaceType::Float32 => {
                self.encoded.put(&source.bytes::<4>()?);
            }
            InterfaceType::S64 | InterfaceType::U64 | InterfaceType::Float64 => {
                self.encoded.put(&source.bytes::<8>()?);
            }
            InterfaceType::Char => {
                let number = source.bytes()?;
                if char::from_u32(u32::from_le_bytes(number)).is_none() {
                    bail!("a char is none");
                }
                self.encoded.put(&number);
            }
            InterfaceType::String => return self.string(source),
            _ => return self.compound(ty, source),
        }
        Ok(())
    }

    fn compound(&mut self, ty: InterfaceType, source: Source<'_>) -> Result<()> {
        let types = self.types();
        match ty {
            InterfaceType::List(list) => self.list(types[list].element, source),
            InterfaceType::Record(record) => {
                self.fields(types[record].fields.iter().map(|field| field.ty), source)
            }
            InterfaceType::Tuple(tuple) => self.fields(types[tuple].types.iter().copied(), source),
            InterfaceType::Variant(variant) => {
                let variant = &types[variant];
                let case = source.case(&variant.info, variant.cases.len())?;
                self.encoded.put_u32(case);
                let payload = variant.cases.values().nth(case).copied().flatten();
                self.payload(payload, &variant.info, source)
            }
            InterfaceType::Enum(cases) => {
                let cases = &types[cases];
                let case = source.case(&cases.info, cases.names.len())?;
                self.encoded.put_u32(case);
                Ok(())
            }
            InterfaceType::Option(option) => {
                let option = &types[option];
                let case = source.case(&option.info, 2)?;
                self.encoded.put_u32(case);
                self.payload((case == 1).then_some(option.ty), &option.info, source)
            }
            InterfaceType::Result(result) => {
                let result = &types[result];
                let is_error = source.case(&result.info, 2)? == 1;
                self.encoded.put(&[u8::from(is_error)]);
                let payload = if is_error { result.err } else { result.ok };
                self.payload(payload, &result.info, source)
            }
            InterfaceType::Flags(flags) => self.flags(ty, types[flags].names.len(), source),
            InterfaceType::Own(_) | InterfaceType::Borrow(_) => self.resource(ty, source),
            _ => Err(Malformed.into()),
        }
    }

    fn fields(
        &mut self,
        fields: impl Iterator<Item = InterfaceType>,
        source: Source<'_>,
    ) -> Result<()> {
        let types = self.types();
        let mut offset = 0;
        for field in fields {
            let part = source.part(types.canonical_abi(&field), &mut offset)?;
            self.value(field, part)?;
        }
        Ok(())
    }

    fn payload(
        &mut self,
        ty: Option<InterfaceType>,
        info: &VariantInfo,
        source: Source<'_>,
    ) -> Result<()> {
        let Some(ty) = ty else {
            return Ok(());
        };
        let payload = source.payload(info, self.types().canonical_abi(&ty))?;
        self.value(ty, payload)
    }

    fn flags(&mut self, ty: InterfaceType, count: usize, source: Source<'_>) -> Result<()> {
        let size = self.types().canonical_abi(&ty).size32;
        let bits = match (source, size) {
            (Source::Memory(_), 1) => u32::from(u8::from_le_bytes(source.bytes()?)),
            (Source::Memory(_), 2) => u32::from(u16::from_le_bytes(source.bytes()?)),
            _ => u32::from_le_bytes(source.bytes()?),
        };
        // Bits without a name mean nothing.
        let known = bits & u32::MAX >> (32 - count);
        self.encoded.put(&known.to_le_bytes()[..count.div_ceil(8)]);
        Ok(())
    }

    fn resource(&mut self, ty: InterfaceType, source: Source<'_>) -> Result<()> {
        self.cx.consume_fuel(HANDLE_BYTES)?;
        let handle = ValRaw::u32(u32::from_le_bytes(source.bytes()?));
        let resource = ResourceAny::linear_lift_from_flat(self.cx, ty, &handle)?;
        self.resources.push(resource);
        self.encoded.put(&[0; 4]);
        Ok(())
    }

    fn string(&mut self, source: Source<'_>) -> Result<()> {
        let (address, len) = source.pair()?;
        match self.cx.options().string_encoding {
            StringEncoding::Utf8 => {
                let bytes = within(self.cx.memory(), address, len);
                let bytes = bytes.ok_or_else(string_out_of_bounds)?;
                self.encoded.put_u32(len);
                // What is too long is not looked at.
                if self.encoded.has_room(len) {
                    self.encoded.put(std::str::from_utf8(bytes)?.as_bytes());
                }
                Ok(())
            }
            StringEncoding::Utf16 => self.utf16(address, len),
            StringEncoding::CompactUtf16 => match len & UTF16_TAG {
                0 => self.latin1(address, len),
                _ => self.utf16(address, len ^ UTF16_TAG),
            },
        }
    }

    fn latin1(&mut self, address: usize, len: usize) -> Result<()> {
        let bytes = self.wide_text(address, len)?;
        self.decoded(
            len,
            bytes
                .iter()
                .map(|byte| Ok::<_, Infallible>(char::from(*byte))),
        )
    }

    fn utf16(&mut self, address: usize, len: usize) -> Result<()> {
        let len_bytes = len.checked_mul(2).ok_or_else(string_out_of_bounds)?;
        let (units, _) = self.wide_text(address, len_bytes)?.as_chunks();
        let units = units.iter().copied().map(u16::from_le_bytes);
        self.decoded(len, char::decode_utf16(units))
    }

    /// Text of an encoding whose strings are aligned to two bytes.
    fn wide_text(&self, address: usize, len_bytes: usize) -> Result<&'m [u8]> {
        if !address.is_multiple_of(2) {
            bail!("string pointer not aligned to 2");
        }
        within(self.cx.memory(), address, len_bytes).ok_or_else(string_out_of_bounds)
    }

    /// Text that becomes UTF-8 as it is put, and so no shorter than its `len` bytes or units. It is looked at as far as it fits.
    fn decoded<E: Error + Send + Sync + 'static>(
        &mut self,
        len: usize,
        text: impl Iterator<Item = std::result::Result<char, E>>,
    ) -> Result<()> {
        if !self.encoded.has_room(len) {
            return Ok(());
        }
        self.encoded.put_text(text)?;
        Ok(())
    }

    fn list(&mut self, element: InterfaceType, source: Source<'_>) -> Result<()> {
        let (address, len) = source.pair()?;
        let abi = self.types().canonical_abi(&element);
        let element_bytes = abi.size32 as usize;
        let bytes = len
            .checked_mul(element_bytes)
            .and_then(|len_bytes| within(self.cx.memory(), address, len_bytes));
        let bytes = bytes.ok_or_else(|| format_err!("list pointer/length out of bounds"))?;
        if !address.is_multiple_of(abi.align32 as usize) {
            bail!("list pointer is not aligned");
        }
        self.encoded.put_u32(len);
        if is_plain(element) {
            self.encoded.put(bytes);
            return Ok(());
        }
        for item in bytes.chunks_exact(element_bytes) {
            if !self.is_wanted(element, element_bytes)? {
                break;
            }
            self.value(element, Source::Memory(item))?;
        }
        Ok(())
    }

    /// Whether items of a list are to be looked at: of what is too long, only for the handles in them, and not for nothing.
    fn is_wanted(&mut self, element: InterfaceType, element_bytes: usize) -> Result<bool> {
        if !self.encoded.is_too_long {
            return Ok(true);
        }
        self.cx.consume_fuel(element_bytes)?;
        self.holds_resource(element)
    }

    fn holds_resource(&mut self, ty: InterfaceType) -> Result<bool> {
        self.cx.consume_fuel(1)?;
        if let InterfaceType::Own(_) | InterfaceType::Borrow(_) = ty {
            return Ok(true);
        }
        for part in parts(ty, self.types()) {
            if self.holds_resource(part)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn string_out_of_bounds() -> wasmtime::Error {
    format_err!("string pointer/length out of bounds of memory")
}
