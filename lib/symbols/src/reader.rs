//! Looking names up, in the kernel.

use core::fmt;

use crate::layout::{HEADER_LEN_BYTES, MAGIC, RECORD_LEN_BYTES, Record, VERSION};

/// Why bytes are not a symbol table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// They do not begin as a table does.
    NotATable,
    /// The table has another version than this reader.
    Version(u32),
    /// They end before the records do.
    Truncated,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotATable => f.write_str("the symbol table does not begin with KPIOSYMS"),
            Self::Version(version) => write!(
                f,
                "the symbol table has version {version}, this kernel reads {VERSION}; rebuild the image"
            ),
            Self::Truncated => f.write_str("the symbol table ends before its records do"),
        }
    }
}

impl core::error::Error for OpenError {}

/// The function that an address belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol<'a> {
    /// Demangled.
    pub name: &'a str,
    /// Bytes from the function's start to the address.
    pub offset: u64,
}

/// A table, read in place.
#[derive(Clone, Copy, Debug)]
pub struct SymbolTable<'a> {
    base: u64,
    records: &'a [[u8; RECORD_LEN_BYTES]],
    names: &'a [u8],
}

impl<'a> SymbolTable<'a> {
    /// The table in `bytes`, whose header is checked.
    pub fn open(bytes: &'a [u8]) -> Result<Self, OpenError> {
        let Some((header, rest)) = bytes.split_first_chunk::<HEADER_LEN_BYTES>() else {
            return Err(OpenError::NotATable);
        };
        let [
            m0,
            m1,
            m2,
            m3,
            m4,
            m5,
            m6,
            m7,
            v0,
            v1,
            v2,
            v3,
            c0,
            c1,
            c2,
            c3,
            base @ ..,
        ] = *header;
        if [m0, m1, m2, m3, m4, m5, m6, m7] != MAGIC {
            return Err(OpenError::NotATable);
        }
        let version = u32::from_le_bytes([v0, v1, v2, v3]);
        if version != VERSION {
            return Err(OpenError::Version(version));
        }
        let count = u32::from_le_bytes([c0, c1, c2, c3]) as usize;
        let (records, names) = count
            .checked_mul(RECORD_LEN_BYTES)
            .and_then(|len_bytes| rest.split_at_checked(len_bytes))
            .ok_or(OpenError::Truncated)?;
        Ok(Self {
            base: u64::from_le_bytes(base),
            records: records.as_chunks().0,
            names,
        })
    }

    /// How many functions the table has.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether the table has no function.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The function that `address` lies in, if the table has it.
    ///
    /// A return address that ends a function's last call lies behind that function: look up one
    /// less, as every unwinder does.
    pub fn lookup(&self, address: u64) -> Option<Symbol<'a>> {
        let target = u32::try_from(address.checked_sub(self.base)?).ok()?;
        let behind = self
            .records
            .partition_point(|bytes| Record::from_bytes(*bytes).start <= target);
        let record = Record::from_bytes(*self.records.get(behind.checked_sub(1)?)?);
        let offset = target.checked_sub(record.start)?;
        if offset >= record.len_bytes {
            return None;
        }
        Some(Symbol {
            name: self.name(record.name_offset)?,
            offset: offset.into(),
        })
    }

    fn name(&self, offset: u32) -> Option<&'a str> {
        let (len_bytes, rest) = self.names.get(offset as usize..)?.split_first_chunk()?;
        let name = rest.get(..u16::from_le_bytes(*len_bytes).into())?;
        core::str::from_utf8(name).ok()
    }
}
