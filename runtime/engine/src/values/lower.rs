//! Bytes become values of a component.
//!
//! Whoever gives the bytes has checked them: an error in the middle of this leaves a call begun, and ends the component.

use std::mem::MaybeUninit;
use std::slice;

use wasmtime::component::__internal::wasmtime_environ::component::{TypeTuple, VariantInfo};
use wasmtime::component::__internal::{ComponentTypes, InterfaceType, LowerContext};
use wasmtime::component::{Lower, ResourceAny};
use wasmtime::{Result, ValRaw, format_err};

use super::place::Target;
use super::supported::{is_plain, tuple};
use super::{Malformed, Values};

/// Lowers a function's parameters, or its result, to core values, all of which are written; where they are more than fit, to memory of
/// the component, to which the first core value then points.
pub(super) fn to_flat<T: 'static, const N: usize>(
    values: &Values,
    cx: &mut LowerContext<'_, T>,
    ty: InterfaceType,
    slots: &mut MaybeUninit<[ValRaw; N]>,
) -> Result<()> {
    let slots = slots.write([ValRaw::u64(0); N]);
    let TypeTuple { abi, .. } = tuple(ty, cx.types)?;
    if let Some(count) = abi.flat_count(slots.len()) {
        return lower(values, cx, ty, Target::Flat(&mut slots[..count]));
    }
    let address = cx.realloc(0, 0, abi.align32, abi.size32 as usize)?;
    lower(values, cx, ty, Target::Memory(address))?;
    let slot = slots.first_mut().ok_or(Malformed)?;
    *slot = ValRaw::u64(address as u64);
    Ok(())
}

/// Lowers them to memory, where there is room for them at `address`.
pub(super) fn to_memory<T: 'static>(
    values: &Values,
    cx: &mut LowerContext<'_, T>,
    ty: InterfaceType,
    address: usize,
) -> Result<()> {
    lower(values, cx, ty, Target::Memory(address))
}

fn lower<T: 'static>(
    values: &Values,
    cx: &mut LowerContext<'_, T>,
    ty: InterfaceType,
    target: Target<'_>,
) -> Result<()> {
    let mut lowering = Lowering {
        cx,
        bytes: &values.bytes,
        resources: values.resources.iter(),
    };
    lowering.value(ty, target)?;
    if lowering.bytes.is_empty() && lowering.resources.len() == 0 {
        Ok(())
    } else {
        Err(Malformed.into())
    }
}

struct Lowering<'c, 's, 'v, T: 'static> {
    cx: &'c mut LowerContext<'s, T>,
    /// What is left of them.
    bytes: &'v [u8],
    resources: slice::Iter<'v, ResourceAny>,
}

impl<'s, 'v, T: 'static> Lowering<'_, 's, 'v, T> {
    fn types(&self) -> &'s ComponentTypes {
        self.cx.types
    }

    fn value(&mut self, ty: InterfaceType, target: Target<'_>) -> Result<()> {
        match ty {
            InterfaceType::Bool => {
                let bit = self.bit()?;
                self.put([u8::from(bit)], u64::from(bit), target)
            }
            InterfaceType::U8 => self.number(target, |byte| u64::from(u8::from_le_bytes(byte))),
            InterfaceType::U16 => self.number(target, |bytes| u64::from(u16::from_le_bytes(bytes))),
            // Core values of four bytes hold these with their sign.
            InterfaceType::S8 => {
                self.number(target, |byte| sign_extended(i8::from_le_bytes(byte).into()))
            }
            InterfaceType::S16 => self.number(target, |bytes| {
                sign_extended(i16::from_le_bytes(bytes).into())
            }),
            InterfaceType::S32 | InterfaceType::U32 | InterfaceType::Float32 => {
                self.number(target, |bytes| u64::from(u32::from_le_bytes(bytes)))
            }
            InterfaceType::S64 | InterfaceType::U64 | InterfaceType::Float64 => {
                self.number(target, u64::from_le_bytes)
            }
            InterfaceType::Char => {
                let number = self.u32()?;
                char::from_u32(number).ok_or(Malformed)?;
                self.put(number.to_le_bytes(), number.into(), target)
            }
            InterfaceType::String => self.string(target),
            _ => self.compound(ty, target),
        }
    }

    fn compound(&mut self, ty: InterfaceType, mut target: Target<'_>) -> Result<()> {
        let types = self.types();
        match ty {
            InterfaceType::List(list) => self.list(types[list].element, target),
            InterfaceType::Record(record) => self.fields(
                types[record].fields.iter().map(|field| field.ty),
                &mut target,
            ),
            InterfaceType::Tuple(tuple) => {
                self.fields(types[tuple].types.iter().copied(), &mut target)
            }
            InterfaceType::Variant(variant) => {
                let variant = &types[variant];
                let case = self.u32()?;
                let payload = variant.cases.values().nth(case as usize);
                let payload = *payload.ok_or(Malformed)?;
                self.variant(case, payload, &variant.info, &mut target)
            }
            InterfaceType::Enum(cases) => {
                let cases = &types[cases];
                let case = self.u32()?;
                if case as usize >= cases.names.len() {
                    return Err(Malformed.into());
                }
                self.variant(case, None, &cases.info, &mut target)
            }
            InterfaceType::Option(option) => {
                let option = &types[option];
                let payload = match self.u32()? {
                    0 => None,
                    1 => Some(option.ty),
                    _ => return Err(Malformed.into()),
                };
                let case = u32::from(payload.is_some());
                self.variant(case, payload, &option.info, &mut target)
            }
            InterfaceType::Result(result) => {
                let result = &types[result];
                let (case, payload) = match self.bit()? {
                    false => (0, result.ok),
                    true => (1, result.err),
                };
                self.variant(case, payload, &result.info, &mut target)
            }
            InterfaceType::Flags(flags) => self.flags(ty, types[flags].names.len(), target),
            InterfaceType::Own(_) | InterfaceType::Borrow(_) => self.resource(ty, target),
            _ => Err(Malformed.into()),
        }
    }

    fn fields(
        &mut self,
        fields: impl Iterator<Item = InterfaceType>,
        target: &mut Target<'_>,
    ) -> Result<()> {
        let types = self.types();
        let mut offset = 0;
        for field in fields {
            let part = target.part(types.canonical_abi(&field), &mut offset)?;
            self.value(field, part)?;
        }
        Ok(())
    }

    fn variant(
        &mut self,
        case: u32,
        payload: Option<InterfaceType>,
        info: &VariantInfo,
        target: &mut Target<'_>,
    ) -> Result<()> {
        match target {
            Target::Flat(slots) => *slots.first_mut().ok_or(Malformed)? = ValRaw::u32(case),
            Target::Memory(address) => {
                let size = info.size.byte_size() as usize;
                self.store(*address, &case.to_le_bytes()[..size])?;
            }
        }
        let Some(ty) = payload else {
            return Ok(());
        };
        let payload = target.payload(info, self.types().canonical_abi(&ty))?;
        self.value(ty, payload)
    }

    fn flags(&mut self, ty: InterfaceType, count: usize, target: Target<'_>) -> Result<()> {
        let size = self.types().canonical_abi(&ty).size32 as usize;
        let mut bits = [0; 4];
        let taken = self.take(count.div_ceil(8))?;
        bits[..taken.len()].copy_from_slice(taken);
        let bits = u32::from_le_bytes(bits);
        if bits & !(u32::MAX >> (32 - count)) != 0 {
            return Err(Malformed.into());
        }
        match target {
            Target::Flat(_) => self.put([], bits.into(), target),
            Target::Memory(address) => self.store(address, &bits.to_le_bytes()[..size]),
        }
    }

    fn resource(&mut self, ty: InterfaceType, target: Target<'_>) -> Result<()> {
        self.take(4)?;
        let resource = self.resources.next().ok_or(Malformed)?;
        match target {
            Target::Flat(slots) => {
                let slot = slots.first_mut().ok_or(Malformed)?;
                *slot = overwritten(*slot, |slot| {
                    resource.linear_lower_to_flat(self.cx, ty, slot)
                })?;
                Ok(())
            }
            Target::Memory(address) => resource.linear_lower_to_memory(self.cx, ty, address),
        }
    }

    /// Wasmtime knows the component's encoding of text.
    fn string(&mut self, target: Target<'_>) -> Result<()> {
        let len_bytes = self.u32()? as usize;
        let text = std::str::from_utf8(self.take(len_bytes)?)?;
        let ty = InterfaceType::String;
        match target {
            Target::Flat(slots) => {
                let pair = slots.first_chunk_mut::<2>().ok_or(Malformed)?;
                *pair = overwritten(*pair, |pair| text.linear_lower_to_flat(self.cx, ty, pair))?;
                Ok(())
            }
            Target::Memory(address) => text.linear_lower_to_memory(self.cx, ty, address),
        }
    }

    fn list(&mut self, element: InterfaceType, target: Target<'_>) -> Result<()> {
        let len = self.u32()? as usize;
        // No item is shorter than a byte, so nothing is asked of the component for a length that lies.
        if len > self.bytes.len() {
            return Err(Malformed.into());
        }
        let abi = self.types().canonical_abi(&element);
        let element_bytes = abi.size32 as usize;
        let list_bytes = len.checked_mul(element_bytes);
        let list_bytes = list_bytes.ok_or_else(|| format_err!("a list is too large"))?;
        let address = self.cx.realloc(0, 0, abi.align32, list_bytes)?;
        if is_plain(element) {
            let bytes = self.take(list_bytes)?;
            self.store(address, bytes)?;
        } else {
            for item in 0..len {
                let target = Target::Memory(address + item * element_bytes);
                self.value(element, target)?;
            }
        }
        match target {
            Target::Flat(slots) => {
                let pair = slots.first_chunk_mut::<2>().ok_or(Malformed)?;
                *pair = [ValRaw::u64(address as u64), ValRaw::u64(len as u64)];
                Ok(())
            }
            Target::Memory(pair) => {
                self.store(pair, &(address as u32).to_le_bytes())?;
                self.store(pair + 4, &(len as u32).to_le_bytes())
            }
        }
    }

    fn number<const N: usize>(
        &mut self,
        target: Target<'_>,
        core: impl FnOnce([u8; N]) -> u64,
    ) -> Result<()> {
        let bytes = self.array()?;
        self.put(bytes, core(bytes), target)
    }

    /// Writes one number: to memory as these bytes, or as this core value.
    fn put<const N: usize>(&mut self, bytes: [u8; N], core: u64, target: Target<'_>) -> Result<()> {
        match target {
            Target::Flat(slots) => {
                *slots.first_mut().ok_or(Malformed)? = ValRaw::u64(core);
                Ok(())
            }
            Target::Memory(address) => self.store(address, &bytes),
        }
    }

    fn store(&mut self, address: usize, bytes: &[u8]) -> Result<()> {
        let memory = self.cx.as_slice_mut();
        let place = memory
            .get_mut(address..)
            .and_then(|rest| rest.get_mut(..bytes.len()));
        let place = place.ok_or_else(|| format_err!("pointer out of bounds of memory"))?;
        place.copy_from_slice(bytes);
        Ok(())
    }

    fn take(&mut self, len_bytes: usize) -> Result<&'v [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(len_bytes).ok_or(Malformed)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self.bytes.split_first_chunk().ok_or(Malformed)?;
        self.bytes = rest;
        Ok(*taken)
    }

    fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn bit(&mut self) -> Result<bool> {
        match self.array()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(Malformed.into()),
        }
    }
}

fn sign_extended(number: i32) -> u64 {
    number.cast_unsigned().into()
}

/// `before`, after Wasmtime wrote over it.
fn overwritten<V: Copy>(
    before: V,
    write: impl FnOnce(&mut MaybeUninit<V>) -> Result<()>,
) -> Result<V> {
    let mut value = MaybeUninit::new(before);
    write(&mut value)?;
    // SAFETY: it was initialised as it was made; what is written over it are whole core values, by safe code of Wasmtime's, which cannot
    // make it uninitialised again but by writing values that are.
    Ok(unsafe { value.assume_init() })
}
