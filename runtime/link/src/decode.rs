//! Bytes as values; the law is in `encode`.
//!
//! Whatever the bytes are, the answer is values of the shapes or an error, and no more than [`VALUES_MAX`] values are made.

use std::fmt;

use wasmtime::component::{ResourceAny, Val};

use crate::shape::{ResourceName, Shape};

/// How many values one message may hold. Each takes up to 40 bytes, so that all of them stay within what is reserved for
/// the lists of a host call.
pub const VALUES_MAX: usize = 1 << 17;

/// Why bytes were not decoded.
#[derive(Debug)]
pub(crate) enum DecodeError {
    /// There are fewer, or more, than the shapes need, or they mean nothing.
    Malformed,
    /// They hold too many values.
    TooMany,
    /// A resource was refused, for what the inner error says.
    Resource(wasmtime::Error),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("the message does not fit its function"),
            Self::TooMany => write!(f, "the message has more than {VALUES_MAX} values"),
            Self::Resource(error) => write!(f, "a resource cannot be taken in: {error:#}"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// Takes in resources.
pub(crate) trait Receiver {
    /// The resource of which the bytes speak.
    fn receive(
        &mut self,
        name: &ResourceName,
        is_owned: bool,
        bytes: &mut Cursor<'_>,
    ) -> Result<ResourceAny, DecodeError>;
}

/// Bytes that are read from the front.
pub(crate) struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(DecodeError::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(DecodeError::Malformed)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_le_bytes)
    }

    fn len(&mut self) -> Result<usize, DecodeError> {
        self.u32().map(|len| len as usize)
    }
}

/// Decodes one value for each shape, from all of the bytes.
pub(crate) fn decode<'a>(
    bytes: &[u8],
    shapes: impl IntoIterator<Item = &'a Shape>,
    receiver: &mut dyn Receiver,
) -> Result<Vec<Val>, DecodeError> {
    let mut decoder = Decoder {
        bytes: Cursor(bytes),
        values_left: VALUES_MAX,
        receiver,
    };
    let shapes = shapes.into_iter();
    let values = shapes.map(|shape| decoder.value(shape));
    let values = values.collect::<Result<Vec<_>, _>>()?;
    if decoder.bytes.0.is_empty() {
        Ok(values)
    } else {
        Err(DecodeError::Malformed)
    }
}

struct Decoder<'a> {
    bytes: Cursor<'a>,
    values_left: usize,
    receiver: &'a mut dyn Receiver,
}

impl Decoder<'_> {
    fn value(&mut self, shape: &Shape) -> Result<Val, DecodeError> {
        let left = self.values_left.checked_sub(1);
        self.values_left = left.ok_or(DecodeError::TooMany)?;
        let bytes = &mut self.bytes;
        Ok(match shape {
            Shape::Bool => Val::Bool(self.bit()?),
            Shape::S8 => Val::S8(i8::from_le_bytes(bytes.array()?)),
            Shape::U8 => Val::U8(u8::from_le_bytes(bytes.array()?)),
            Shape::S16 => Val::S16(i16::from_le_bytes(bytes.array()?)),
            Shape::U16 => Val::U16(u16::from_le_bytes(bytes.array()?)),
            Shape::S32 => Val::S32(i32::from_le_bytes(bytes.array()?)),
            Shape::U32 => Val::U32(bytes.u32()?),
            Shape::S64 => Val::S64(i64::from_le_bytes(bytes.array()?)),
            Shape::U64 => Val::U64(u64::from_le_bytes(bytes.array()?)),
            Shape::F32 => Val::Float32(f32::from_le_bytes(bytes.array()?)),
            Shape::F64 => Val::Float64(f64::from_le_bytes(bytes.array()?)),
            Shape::Char => Val::Char(char::from_u32(bytes.u32()?).ok_or(DecodeError::Malformed)?),
            Shape::String => Val::String(self.string()?),
            _ => self.compound(shape)?,
        })
    }

    fn compound(&mut self, shape: &Shape) -> Result<Val, DecodeError> {
        Ok(match shape {
            Shape::List(item) => Val::List(self.list(item)?),
            Shape::Record(fields) => Val::Record(self.fields(fields)?),
            Shape::Tuple(shapes) => Val::Tuple(self.all(shapes)?),
            Shape::Variant(cases) => {
                let (name, shape) = self.case(cases)?;
                Val::Variant(name.clone(), self.payload(shape.as_ref())?)
            }
            Shape::Enum(names) => Val::Enum(self.case(names)?.clone()),
            Shape::Option(item) => match self.bytes.u32()? {
                0 => Val::Option(None),
                1 => Val::Option(self.payload(Some(item))?),
                _ => return Err(DecodeError::Malformed),
            },
            Shape::Result { ok, err } => match self.bit()? {
                false => Val::Result(Ok(self.payload(ok.as_deref())?)),
                true => Val::Result(Err(self.payload(err.as_deref())?)),
            },
            Shape::Flags(names) => Val::Flags(self.flags(names)?),
            Shape::Own(name) => Val::Resource(self.resource(name, true)?),
            Shape::Borrow(name) => Val::Resource(self.resource(name, false)?),
            _ => return Err(DecodeError::Malformed),
        })
    }

    fn bit(&mut self) -> Result<bool, DecodeError> {
        match self.bytes.array()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(DecodeError::Malformed),
        }
    }

    fn string(&mut self) -> Result<String, DecodeError> {
        let len = self.bytes.len()?;
        let text = std::str::from_utf8(self.bytes.take(len)?);
        text.map(str::to_owned).map_err(|_| DecodeError::Malformed)
    }

    /// No value is shorter than a byte, except flags without names, which WIT does not have: so a length that the bytes
    /// cannot hold is refused before anything is made.
    fn list(&mut self, shape: &Shape) -> Result<Vec<Val>, DecodeError> {
        let len = self.bytes.len()?;
        if len > self.bytes.0.len() {
            return Err(DecodeError::Malformed);
        }
        if len > self.values_left {
            return Err(DecodeError::TooMany);
        }
        if *shape == Shape::U8 {
            self.values_left -= len;
            let bytes = self.bytes.take(len)?;
            return Ok(bytes.iter().map(|byte| Val::U8(*byte)).collect());
        }
        let mut items = Vec::with_capacity(len);
        for _ in 0..len {
            items.push(self.value(shape)?);
        }
        Ok(items)
    }

    fn fields(&mut self, fields: &[(String, Shape)]) -> Result<Vec<(String, Val)>, DecodeError> {
        let fields = fields.iter();
        fields
            .map(|(name, shape)| Ok((name.clone(), self.value(shape)?)))
            .collect()
    }

    fn all(&mut self, shapes: &[Shape]) -> Result<Vec<Val>, DecodeError> {
        shapes.iter().map(|shape| self.value(shape)).collect()
    }

    fn case<'c, C>(&mut self, cases: &'c [C]) -> Result<&'c C, DecodeError> {
        let case = self.bytes.len()?;
        cases.get(case).ok_or(DecodeError::Malformed)
    }

    fn payload(&mut self, shape: Option<&Shape>) -> Result<Option<Box<Val>>, DecodeError> {
        shape
            .map(|shape| self.value(shape).map(Box::new))
            .transpose()
    }

    fn flags(&mut self, names: &[String]) -> Result<Vec<String>, DecodeError> {
        let bits = self.bytes.take(names.len().div_ceil(8))?;
        let is_set = |place: usize| bits[place / 8] >> (place % 8) & 1 == 1;
        let named = names.iter().enumerate();
        let set = named.filter(|(place, _)| is_set(*place));
        Ok(set.map(|(_, name)| name.clone()).collect())
    }

    fn resource(
        &mut self,
        name: &ResourceName,
        is_owned: bool,
    ) -> Result<ResourceAny, DecodeError> {
        self.receiver.receive(name, is_owned, &mut self.bytes)
    }
}
