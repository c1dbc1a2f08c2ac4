//! Names for what records only number: threads that have ended since, and processes.
//!
//! Law: noted only while tracing is on, by threads, in tables of fixed size that keep the newest; so nothing
//! is allocated where a thread ends. Locks: each table's own, taken alone.

use alloc::string::String;
use alloc::vec::Vec;

use kernel_machine::sync::IrqLock;
use lib_trace_export::{ProcessName, ThreadName};

use crate::thread::{self, ThreadRow};

/// Threads that ended, and processes, whose names are kept.
const NAMES_MAX: usize = 256;
/// Bytes kept of a process's name.
const NAME_BYTES: usize = 31;

#[derive(Clone, Copy)]
struct Named {
    /// Of a process; 0 for a thread.
    process: u64,
    thread: u32,
    name: [u8; NAME_BYTES],
    name_len_bytes: u8,
}

const UNNAMED: Named = Named {
    process: 0,
    thread: 0,
    name: [0; NAME_BYTES],
    name_len_bytes: 0,
};

impl Named {
    fn new(process: u64, thread: u32, name: &[u8]) -> Self {
        let mut named = Self {
            process,
            thread,
            ..UNNAMED
        };
        let len_bytes = name.len().min(NAME_BYTES);
        named.name[..len_bytes].copy_from_slice(&name[..len_bytes]);
        named.name_len_bytes = len_bytes as u8;
        named
    }

    fn name(&self) -> String {
        let bytes = &self.name[..usize::from(self.name_len_bytes)];
        String::from_utf8_lossy(bytes).into_owned()
    }
}

/// The newest names of one sort.
struct Table {
    names: [Named; NAMES_MAX],
    /// Names ever noted.
    noted: usize,
}

impl Table {
    const fn new() -> Self {
        Self {
            names: [UNNAMED; NAMES_MAX],
            noted: 0,
        }
    }

    fn note(&mut self, named: Named) {
        self.names[self.noted % NAMES_MAX] = named;
        self.noted += 1;
    }

    fn get(&self, number: usize) -> Option<Named> {
        (number < self.noted.min(NAMES_MAX)).then(|| self.names[number])
    }
}

static ENDED_THREADS: IrqLock<Table> = IrqLock::named("trace names", Table::new());
static PROCESSES: IrqLock<Table> = IrqLock::named("trace names", Table::new());

/// Forgets everything.
pub(super) fn clear() {
    ENDED_THREADS.lock().noted = 0;
    PROCESSES.lock().noted = 0;
}

/// The calling thread is about to end.
pub(crate) fn note_thread_end() {
    if super::categories() != 0
        && let Some(row) = thread::current_row_now()
    {
        let name = &row.name[..row.name_len_bytes];
        let named = Named::new(0, row.id.as_u32(), name);
        ENDED_THREADS.lock().note(named);
    }
}

pub(super) fn note_process(process: u64, thread: u32, name: &str) {
    let named = Named::new(process, thread, name.as_bytes());
    PROCESSES.lock().note(named);
}

/// The threads that exist, and those noted.
pub(super) fn threads() -> Vec<ThreadName> {
    let mut threads = Vec::new();
    thread::for_each(&mut |row: ThreadRow| {
        threads.push(ThreadName {
            thread: row.id.as_u32(),
            name: String::from_utf8_lossy(&row.name[..row.name_len_bytes]).into_owned(),
        });
    });
    threads.extend(noted(&ENDED_THREADS).map(|named| ThreadName {
        thread: named.thread,
        name: named.name(),
    }));
    threads
}

/// The processes noted.
pub(super) fn processes() -> Vec<ProcessName> {
    let processes = noted(&PROCESSES).map(|named| ProcessName {
        process: named.process,
        thread: named.thread,
        name: named.name(),
    });
    processes.collect()
}

/// One by one, so that nothing is allocated under the lock.
fn noted(table: &'static IrqLock<Table>) -> impl Iterator<Item = Named> {
    (0..NAMES_MAX).map_while(|number| table.lock().get(number))
}
