//! Values as bytes.
//!
//! Law: the bytes say no types, both sides follow the same shapes. Numbers are little-endian; a list and a string begin
//! with their length as u32, `list<u8>` is its bytes, a variant, an enum and an option begin with the case as u32, a result
//! with 0 for its value and 1 for its error, flags are one bit each, lowest first. What a resource becomes is the
//! courier's business. A message has at most [`MESSAGE_BYTES_MAX`] bytes.

use std::fmt;

use wasmtime::component::{ResourceAny, Val};

use crate::shape::{ResourceName, Shape};

/// The longest message, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 128 << 10;

/// Why values were not encoded.
#[derive(Debug)]
pub(crate) enum EncodeError {
    /// They are longer than a message may be.
    TooLarge,
    /// A handle of an object whose provider is gone.
    Stale,
    /// As many objects are given away as may be.
    Full,
    /// They have not the shape that was said: a bug of ours.
    Misshapen,
    /// A resource was refused, for what the inner error says.
    Resource(wasmtime::Error),
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => write!(f, "the message is longer than {MESSAGE_BYTES_MAX} bytes"),
            Self::Full => f.write_str("as many objects are in use as may be"),
            Self::Stale => f.write_str("the provider of an object is gone"),
            Self::Misshapen => f.write_str("a value has another type than its function says"),
            Self::Resource(error) => write!(f, "a resource cannot be passed on: {error:#}"),
        }
    }
}

impl std::error::Error for EncodeError {}

/// Sends resources.
pub(crate) trait Sender {
    /// Writes what the other side needs to know of `resource`.
    fn send(
        &mut self,
        name: &ResourceName,
        is_owned: bool,
        resource: ResourceAny,
        bytes: &mut Bytes,
    ) -> Result<(), EncodeError>;
}

/// The bytes of a message that grows.
#[derive(Default)]
pub(crate) struct Bytes(Vec<u8>);

impl Bytes {
    pub fn into_vec(self) -> Vec<u8> {
        self.0
    }

    pub fn put(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        if self.0.len() + bytes.len() > MESSAGE_BYTES_MAX {
            return Err(EncodeError::TooLarge);
        }
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    /// The bytes of a `list<u8>`, for which there is room or not before any is put.
    fn put_all(&mut self, items: &[Val]) -> Result<(), EncodeError> {
        if self.0.len() + items.len() > MESSAGE_BYTES_MAX {
            return Err(EncodeError::TooLarge);
        }
        self.0.reserve(items.len());
        for item in items {
            let Val::U8(byte) = item else {
                return Err(EncodeError::Misshapen);
            };
            self.0.push(*byte);
        }
        Ok(())
    }

    pub fn put_u32(&mut self, number: usize) -> Result<(), EncodeError> {
        let number = u32::try_from(number).map_err(|_| EncodeError::TooLarge)?;
        self.put(&number.to_le_bytes())
    }
}

/// Encodes values one after another.
pub(crate) fn encode<'a>(
    values: impl IntoIterator<Item = (&'a Val, &'a Shape)>,
    sender: &mut dyn Sender,
) -> Result<Vec<u8>, EncodeError> {
    let mut encoder = Encoder {
        bytes: Bytes::default(),
        sender,
    };
    for (value, shape) in values {
        encoder.value(value, shape)?;
    }
    Ok(encoder.bytes.into_vec())
}

struct Encoder<'a> {
    bytes: Bytes,
    sender: &'a mut dyn Sender,
}

impl Encoder<'_> {
    fn value(&mut self, value: &Val, shape: &Shape) -> Result<(), EncodeError> {
        match (value, shape) {
            (Val::Bool(value), Shape::Bool) => self.bytes.put(&[u8::from(*value)]),
            (Val::S8(value), Shape::S8) => self.bytes.put(&value.to_le_bytes()),
            (Val::U8(value), Shape::U8) => self.bytes.put(&[*value]),
            (Val::S16(value), Shape::S16) => self.bytes.put(&value.to_le_bytes()),
            (Val::U16(value), Shape::U16) => self.bytes.put(&value.to_le_bytes()),
            (Val::S32(value), Shape::S32) => self.bytes.put(&value.to_le_bytes()),
            (Val::U32(value), Shape::U32) => self.bytes.put(&value.to_le_bytes()),
            (Val::S64(value), Shape::S64) => self.bytes.put(&value.to_le_bytes()),
            (Val::U64(value), Shape::U64) => self.bytes.put(&value.to_le_bytes()),
            (Val::Float32(value), Shape::F32) => self.bytes.put(&value.to_bits().to_le_bytes()),
            (Val::Float64(value), Shape::F64) => self.bytes.put(&value.to_bits().to_le_bytes()),
            (Val::Char(value), Shape::Char) => self.bytes.put(&u32::from(*value).to_le_bytes()),
            (Val::String(value), Shape::String) => {
                self.bytes.put_u32(value.len())?;
                self.bytes.put(value.as_bytes())
            }
            _ => self.compound(value, shape),
        }
    }

    fn compound(&mut self, value: &Val, shape: &Shape) -> Result<(), EncodeError> {
        match (value, shape) {
            (Val::List(items), Shape::List(item)) => self.list(items, item),
            (Val::Record(values), Shape::Record(fields)) => {
                let values = values.iter().map(|(_, value)| value);
                self.all(values, fields.iter().map(|(_, shape)| shape))
            }
            (Val::Tuple(values), Shape::Tuple(shapes)) => self.all(values.iter(), shapes.iter()),
            (Val::Variant(name, value), Shape::Variant(cases)) => {
                let case = position(cases.iter().map(|(name, _)| name), name)?;
                self.bytes.put_u32(case)?;
                self.payload(value.as_deref(), cases[case].1.as_ref())
            }
            (Val::Enum(name), Shape::Enum(names)) => {
                self.bytes.put_u32(position(names.iter(), name)?)
            }
            (Val::Option(value), Shape::Option(item)) => {
                self.bytes.put_u32(usize::from(value.is_some()))?;
                let item = value.is_some().then_some(&**item);
                self.payload(value.as_deref(), item)
            }
            (Val::Result(Ok(value)), Shape::Result { ok, .. }) => {
                self.bytes.put(&[0])?;
                self.payload(value.as_deref(), ok.as_deref())
            }
            (Val::Result(Err(value)), Shape::Result { err, .. }) => {
                self.bytes.put(&[1])?;
                self.payload(value.as_deref(), err.as_deref())
            }
            (Val::Flags(set), Shape::Flags(names)) => self.flags(set, names),
            (Val::Resource(resource), Shape::Own(name)) => {
                self.sender.send(name, true, *resource, &mut self.bytes)
            }
            (Val::Resource(resource), Shape::Borrow(name)) => {
                self.sender.send(name, false, *resource, &mut self.bytes)
            }
            _ => Err(EncodeError::Misshapen),
        }
    }

    fn list(&mut self, items: &[Val], shape: &Shape) -> Result<(), EncodeError> {
        self.bytes.put_u32(items.len())?;
        if *shape == Shape::U8 {
            return self.bytes.put_all(items);
        }
        for item in items {
            self.value(item, shape)?;
        }
        Ok(())
    }

    fn all<'v>(
        &mut self,
        values: impl ExactSizeIterator<Item = &'v Val>,
        shapes: impl ExactSizeIterator<Item = &'v Shape>,
    ) -> Result<(), EncodeError> {
        if values.len() != shapes.len() {
            return Err(EncodeError::Misshapen);
        }
        for (value, shape) in values.zip(shapes) {
            self.value(value, shape)?;
        }
        Ok(())
    }

    fn payload(&mut self, value: Option<&Val>, shape: Option<&Shape>) -> Result<(), EncodeError> {
        match (value, shape) {
            (Some(value), Some(shape)) => self.value(value, shape),
            (None, None) => Ok(()),
            _ => Err(EncodeError::Misshapen),
        }
    }

    fn flags(&mut self, set: &[String], names: &[String]) -> Result<(), EncodeError> {
        let mut bits = vec![0u8; names.len().div_ceil(8)];
        for name in set {
            let place = position(names.iter(), name)?;
            bits[place / 8] |= 1 << (place % 8);
        }
        self.bytes.put(&bits)
    }
}

fn position<'n>(
    mut names: impl Iterator<Item = &'n String>,
    wanted: &str,
) -> Result<usize, EncodeError> {
    names
        .position(|name| name == wanted)
        .ok_or(EncodeError::Misshapen)
}
