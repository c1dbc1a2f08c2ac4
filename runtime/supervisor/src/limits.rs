//! What one process may use, and the keeper of it while its wasm runs.
//!
//! Linear memories and tables are reserved from the process's budget before Wasmtime makes them, so
//! the sum over all processes stays below what the machine gave to the supervisor. Nothing is given
//! back one by one: memories and tables never shrink, and the whole reservation goes with the
//! process. That includes a growth that was granted here and then failed in the host: Wasmtime
//! reports such failures without saying how much.

use runtime_host::Reservation;
use runtime_kpio::ChildLimits;
use runtime_wasi::HANDLES_DEFAULT;
use std::time::Duration;
use wasmtime::ResourceLimiter;

/// Bytes of one table element: a pointer, or for garbage-collected types a pair of words.
const TABLE_ELEMENT_BYTES: u64 = 16;

/// What one process may use.
#[derive(Clone, Copy, Debug)]
pub struct ProcessLimits {
    /// Memory of the process, the host's work for it included, in bytes.
    pub memory_bytes: u64,
    /// Elements of all tables together.
    pub table_elements: u64,
    /// Instances of core modules.
    pub instances: usize,
    /// Linear memories.
    pub memories: usize,
    /// Tables.
    pub tables: usize,
    /// Handles at a time, those of its children included.
    pub handles: u32,
    /// Processes at a time, itself included.
    pub processes: u32,
    /// CPU time in all, its children's included; without it, for ever.
    pub cpu_time: Option<Duration>,
    /// CPU time in any second, its children's included, in hundredths of one CPU; without it, all there is.
    pub cpu_percent: Option<u32>,
    /// Bytes of output and messages together, its children's included where they inherit them; without it, any number.
    pub output_bytes: Option<u64>,
}

impl ProcessLimits {
    /// Limits for an ordinary program that may use up to `memory_bytes` of memory.
    pub fn with_memory(memory_bytes: u64) -> ProcessLimits {
        ProcessLimits {
            memory_bytes,
            table_elements: 1 << 20,
            instances: 256,
            memories: 64,
            tables: 256,
            handles: HANDLES_DEFAULT,
            processes: u32::MAX,
            cpu_time: None,
            cpu_percent: None,
            output_bytes: None,
        }
    }

    /// The limits of a child of a process with these, lowered to what `child` asks for. CPU time and output are counted for the
    /// parent as well, so the child has no limit of its own there unless it is asked for.
    pub fn lowered(&self, child: &ChildLimits) -> ProcessLimits {
        ProcessLimits {
            memory_bytes: lower(self.memory_bytes, child.memory_bytes),
            handles: lower(self.handles, child.handles),
            processes: lower(self.processes, child.processes),
            cpu_time: child.cpu_time,
            cpu_percent: child.cpu_percent,
            output_bytes: child.output_bytes,
            ..*self
        }
    }

    /// These limits of a process, none of them above `most`.
    pub(crate) fn at_most(&self, most: &ChildLimits) -> ProcessLimits {
        ProcessLimits {
            cpu_time: lowest(self.cpu_time, most.cpu_time),
            cpu_percent: lowest(self.cpu_percent, most.cpu_percent),
            output_bytes: lowest(self.output_bytes, most.output_bytes),
            ..self.lowered(most)
        }
    }
}

fn lowest<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

fn lower<T: Ord>(own: T, asked: Option<T>) -> T {
    match asked {
        Some(asked) => own.min(asked),
        None => own,
    }
}

/// A request for memory that was turned down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What the memory or table would have grown to, in bytes.
    pub wanted_bytes: u64,
    /// What was free, in bytes.
    pub free_bytes: u64,
}

/// Wasmtime asks this before every growth.
pub(crate) struct Limiter {
    limits: ProcessLimits,
    reserved: Reservation,
    table_elements: u64,
    refusal: Option<Refusal>,
}

impl Limiter {
    /// Reserves from `reserved`'s budget; what it holds already stays reserved as well.
    pub fn new(limits: ProcessLimits, reserved: Reservation) -> Limiter {
        Limiter {
            limits,
            reserved,
            table_elements: 0,
            refusal: None,
        }
    }

    /// The latest request that was turned down.
    pub fn refusal(&self) -> Option<Refusal> {
        self.refusal
    }

    fn grow(&mut self, growth_bytes: u64, wanted_bytes: u64) -> bool {
        match self.reserved.grow(growth_bytes) {
            Ok(()) => true,
            Err(over) => {
                self.refusal = Some(Refusal {
                    wanted_bytes,
                    free_bytes: over.free_bytes,
                });
                false
            }
        }
    }

    fn grow_table(&mut self, growth: u64, desired: u64) -> bool {
        let elements = self.table_elements.saturating_add(growth);
        let wanted_bytes = desired.saturating_mul(TABLE_ELEMENT_BYTES);
        if elements > self.limits.table_elements {
            let free = self.limits.table_elements - self.table_elements;
            let free_bytes = free * TABLE_ELEMENT_BYTES;
            self.refusal = Some(Refusal {
                wanted_bytes,
                free_bytes,
            });
            return false;
        }
        let granted = self.grow(growth * TABLE_ELEMENT_BYTES, wanted_bytes);
        if granted {
            self.table_elements = elements;
        }
        granted
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        Ok(self.grow(desired.saturating_sub(current) as u64, desired as u64))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        Ok(self.grow_table(desired.saturating_sub(current) as u64, desired as u64))
    }

    fn instances(&self) -> usize {
        self.limits.instances
    }

    fn tables(&self) -> usize {
        self.limits.tables
    }

    fn memories(&self) -> usize {
        self.limits.memories
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_of_each_limit_holds() {
        let started = ProcessLimits {
            cpu_percent: Some(50),
            output_bytes: Some(10),
            handles: 7,
            ..ProcessLimits::with_memory(1000)
        };
        let most = ChildLimits {
            memory_bytes: Some(100),
            cpu_percent: Some(60),
            cpu_time: Some(Duration::from_secs(1)),
            handles: Some(9),
            output_bytes: Some(5),
            processes: Some(3),
        };
        let limits = started.at_most(&most);
        assert_eq!((limits.memory_bytes, limits.handles), (100, 7));
        assert_eq!((limits.processes, limits.output_bytes), (3, Some(5)));
        assert_eq!(limits.cpu_percent, Some(50));
        assert_eq!(limits.cpu_time, Some(Duration::from_secs(1)));
        let unchanged = limits.at_most(&ChildLimits::NONE);
        assert_eq!(unchanged.cpu_percent, limits.cpu_percent);
        assert_eq!(unchanged.memory_bytes, limits.memory_bytes);
    }
}
