//! Objects that a provider has given away.
//!
//! Law: each has a number until it comes back, and the numbers are the host's: no program sees one. There are at most
//! [`OBJECTS_MAX`], and each is charged to the provider.

use lib_handle_table::{Handle, Rights, Table};
use runtime_host::{Budget, OverBudget, Reservation};
use wasmtime::component::ResourceAny;

/// How many objects a provider may have given away at a time.
pub const OBJECTS_MAX: usize = 1 << 16;
/// What one costs, in bytes: its place here and at the host's side of Wasmtime.
const OBJECT_BYTES: u64 = 128;

pub(crate) struct Objects {
    table: Table<ResourceAny>,
    count: usize,
    paid: Reservation,
}

/// Why an object was not given away.
#[derive(Debug)]
pub(crate) enum ObjectsFull {
    Number,
    Memory(OverBudget),
}

impl std::fmt::Display for ObjectsFull {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number => write!(f, "{OBJECTS_MAX} of the provider's objects are in use"),
            Self::Memory(over) => over.fmt(f),
        }
    }
}

impl std::error::Error for ObjectsFull {}

impl Objects {
    pub fn new(budget: &Budget) -> Result<Objects, OverBudget> {
        Ok(Objects {
            table: Table::new(),
            count: 0,
            paid: budget.reserve(0)?,
        })
    }

    /// Gives an object away, under the number that this answers.
    pub fn give(&mut self, object: ResourceAny) -> Result<u32, ObjectsFull> {
        if self.count >= OBJECTS_MAX {
            return Err(ObjectsFull::Number);
        }
        self.paid.grow(OBJECT_BYTES).map_err(ObjectsFull::Memory)?;
        let handle = self.table.insert(object, Rights::ALL);
        let handle = handle.map_err(|_full| ObjectsFull::Number)?;
        self.count += 1;
        Ok(handle.as_u32())
    }

    /// The object of a number.
    pub fn get(&self, number: u32) -> Option<ResourceAny> {
        let object = self.table.get(Handle::from_u32(number), Rights::ALL);
        object.ok().copied()
    }

    /// Takes an object back.
    pub fn take(&mut self, number: u32) -> Option<ResourceAny> {
        let object = self.table.remove(Handle::from_u32(number)).ok()?;
        self.count -= 1;
        self.paid.shrink(OBJECT_BYTES);
        Some(object)
    }
}
