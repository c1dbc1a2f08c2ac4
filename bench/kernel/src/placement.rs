//! Where threads run while they are measured.
//!
//! Law: the two threads of a benchmark are bound to CPUs, each by itself, as the peer's are; afterwards the measuring
//! thread may run anywhere again.

use kernel_core::{cpu, thread};

/// Where the two threads of a benchmark run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Both on one CPU.
    SameCpu,
    /// Each on a CPU of its own.
    CrossCpu,
}

impl Placement {
    /// Runs `body` with the calling thread bound to its CPU.
    pub fn hold<R>(self, body: impl FnOnce() -> Result<R, String>) -> Result<R, String> {
        if self == Self::CrossCpu && cpu::online_count() < 2 {
            return Err("there is one CPU only".to_owned());
        }
        bind(1 << FIRST)?;
        let result = body();
        bind(u64::MAX)?;
        result
    }

    /// Binds the calling thread, which is the other one of the two.
    ///
    /// # Panics
    /// If the machine lost a CPU.
    pub fn bind_other(self) {
        let other = match self {
            Self::SameCpu => FIRST,
            Self::CrossCpu => FIRST + 1,
        };
        let bound = bind(1 << other);
        assert!(bound.is_ok(), "{bound:?}");
    }
}

/// Binds the calling thread to the CPU of the one that measures.
///
/// # Panics
/// If the machine lost a CPU.
pub fn bind_first() {
    let bound = bind(1 << FIRST);
    assert!(bound.is_ok(), "{bound:?}");
}

/// The CPU of the thread that measures.
const FIRST: u32 = 0;

fn bind(cpus: u64) -> Result<(), String> {
    let bound = thread::set_affinity(thread::current(), cpus);
    bound.map_err(|error| format!("the thread cannot be bound to a CPU: {error}"))
}
