//! What was traced, as people and tools read it: the JSON of Chrome's and Perfetto's trace viewers, and folded stacks
//! for flame graphs.
//!
//! - [`write_json`] makes a track for each CPU (which thread runs), one for its interrupts, and one for each thread (its
//!   faults, shoot-downs and calls to the host), threads grouped by process.
//! - [`fold`] counts the samples of a profile by stack.
//!
//! Names are hostile: programs choose theirs. Nothing here panics on any records.
#![no_std]

extern crate alloc;

mod fold;
mod json;
mod text;

use alloc::string::String;
use alloc::vec::Vec;

use lib_trace_ring::Record;

pub use fold::{Folded, fold};
pub use json::write_json;

/// All that is known of one trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// By CPU index.
    pub cpus: Vec<CpuTrace>,
    /// Threads that exist, or existed when something was traced of them.
    pub threads: Vec<ThreadName>,
    /// Processes that were started while tracing was on.
    pub processes: Vec<ProcessName>,
    /// Names of the host's functions, by number.
    pub host_functions: Vec<String>,
    /// Time-stamp counter when tracing was switched on and off (or of the export, if it is still on).
    pub span_tsc: (u64, u64),
    /// What the kernel itself counted meanwhile, with its names.
    pub counters: Vec<(&'static str, u64)>,
}

/// What one CPU has recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CpuTrace {
    /// Oldest first.
    pub records: Vec<Record>,
    /// Records that newer ones have overwritten.
    pub overwritten: u64,
    /// Records that were dropped because they interrupted another.
    pub dropped: u64,
}

/// A thread's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadName {
    /// The thread, as in the records.
    pub thread: u32,
    /// Its name.
    pub name: String,
}

/// A process's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessName {
    /// The process, as in the records.
    pub process: u64,
    /// Its thread.
    pub thread: u32,
    /// Its program's name.
    pub name: String,
}

impl Trace {
    /// The name of a thread.
    fn thread_name(&self, thread: u32) -> &str {
        let found = self.threads.iter().find(|known| known.thread == thread);
        found.map_or("?", |known| &known.name)
    }

    /// The process that a thread is of.
    fn process_of(&self, thread: u32) -> Option<&ProcessName> {
        self.processes.iter().find(|known| known.thread == thread)
    }
}
