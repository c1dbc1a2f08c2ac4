//! Making a table, on the host.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::layout::{MAGIC, NAME_LEN_BYTES_MAX, Record, VERSION};

/// Why a table cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildError {
    /// The functions lie further apart than 4 GiB.
    TooFarApart,
    /// Records or names exceed what 32 bits can count.
    TooMany,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooFarApart => {
                "the symbols lie more than 4 GiB apart; leave out those of other sections than code"
            }
            Self::TooMany => "the symbols are too many for a table with 32-bit offsets",
        })
    }
}

impl core::error::Error for BuildError {}

struct Function {
    address: u64,
    len_bytes: u64,
    name: String,
}

/// Collects functions and makes a table of them.
#[derive(Default)]
pub struct SymbolTableBuilder {
    functions: Vec<Function>,
}

impl SymbolTableBuilder {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the function at `address`. A Rust name is demangled, without its hash; any other is
    /// kept as it is. A length of zero, which assembly leaves, means "up to the next function".
    pub fn add(&mut self, address: u64, len_bytes: u64, name: &str) {
        self.functions.push(Function {
            address,
            len_bytes,
            name: readable(name),
        });
    }

    /// The table. Of several names for one address the one that covers most is kept.
    pub fn build(mut self) -> Result<Vec<u8>, BuildError> {
        self.functions.sort_by(|a, b| {
            (a.address, b.len_bytes, &a.name).cmp(&(b.address, a.len_bytes, &b.name))
        });
        self.functions.dedup_by_key(|function| function.address);
        extend_empty(&mut self.functions);
        let base = self.functions.first().map_or(0, |first| first.address);
        let count = u32::try_from(self.functions.len()).map_err(|_| BuildError::TooMany)?;

        let mut table = Vec::new();
        table.extend_from_slice(&MAGIC);
        table.extend_from_slice(&VERSION.to_le_bytes());
        table.extend_from_slice(&count.to_le_bytes());
        table.extend_from_slice(&base.to_le_bytes());
        let mut names = Names::default();
        for function in &self.functions {
            table.extend_from_slice(&record(function, base, &mut names)?.to_bytes());
        }
        table.append(&mut names.bytes);
        Ok(table)
    }
}

/// Lets functions without a length reach up to the next one.
fn extend_empty(functions: &mut [Function]) {
    for index in 1..functions.len() {
        let next = functions[index].address;
        let function = &mut functions[index - 1];
        if function.len_bytes == 0 {
            function.len_bytes = next - function.address;
        }
    }
}

fn record(function: &Function, base: u64, names: &mut Names) -> Result<Record, BuildError> {
    let start = u32::try_from(function.address - base).map_err(|_| BuildError::TooFarApart)?;
    Ok(Record {
        start,
        len_bytes: u32::try_from(function.len_bytes).unwrap_or(u32::MAX),
        name_offset: names.offset_of(&function.name)?,
    })
}

/// A name as a person reads it: demangled, and not longer than a record's name may be.
fn readable(name: &str) -> String {
    let mut name = format!("{:#}", rustc_demangle::demangle(name));
    if name.len() > NAME_LEN_BYTES_MAX {
        name.truncate(name.floor_char_boundary(NAME_LEN_BYTES_MAX - '…'.len_utf8()));
        name.push('…');
    }
    name
}

/// The names, each stored once.
#[derive(Default)]
struct Names {
    bytes: Vec<u8>,
    offsets: BTreeMap<String, u32>,
}

impl Names {
    fn offset_of(&mut self, name: &str) -> Result<u32, BuildError> {
        if let Some(&offset) = self.offsets.get(name) {
            return Ok(offset);
        }
        let offset = u32::try_from(self.bytes.len()).map_err(|_| BuildError::TooMany)?;
        let len_bytes = u16::try_from(name.len()).map_err(|_| BuildError::TooMany)?;
        self.bytes.extend_from_slice(&len_bytes.to_le_bytes());
        self.bytes.extend_from_slice(name.as_bytes());
        self.offsets.insert(name.into(), offset);
        Ok(offset)
    }
}
