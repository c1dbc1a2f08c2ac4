//! Tracing: what happens on each CPU, as records in a ring of its own.
//!
//! Law: a tracepoint is a call of [`point`]. While its category is off that costs one relaxed load and a branch.
//! While it is on, interrupts are off for the time of one record, nothing is allocated, no lock is taken, and
//! nobody is waited for; a tracepoint that interrupts another (an NMI's) is dropped and counted. So tracepoints
//! may stand anywhere from the first thread on, under any lock.
//!
//! The rings are made when tracing is first switched on, their memory touched, and kept from then on: a ring
//! could be given back only after every CPU had left its tracepoints, and who traced once traces again. They keep
//! the newest records. How large they are depends on the machine's memory ([`ring_records`]).
//!
//! Locks: [`STATE`] is for those who switch tracing on and off; it is taken alone. Names of threads that ended
//! and of processes have a lock of their own ([`names`]).

mod names;
pub mod profile;

use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use kernel_machine::cpu::{self, CPUS_MAX, interrupts, mailbox};
use kernel_machine::sync::IrqLock;
use lib_trace_export::{CpuTrace, Trace};
use lib_trace_ring::{RECORD_BYTES, Record, Ring};
use spin::Once;

use crate::memory::frames;
use crate::{thread, time};

pub use lib_trace_ring::{Category, Kind};
pub(crate) use names::note_thread_end;

/// Records of one CPU's ring, at most.
const RECORDS_MAX: usize = 32 * 1024;
/// The share of the machine's memory that all rings together may take.
const MEMORY_SHARE: u64 = 64;
/// Everything but samples, which only the profiler takes.
pub const ALL: u32 = Category::Sample.bit() - 1;

static MASK: AtomicU32 = AtomicU32::new(0);
static RINGS: [Once<Ring>; CPUS_MAX] = [const { Once::new() }; CPUS_MAX];
static STATE: IrqLock<State> = IrqLock::named(
    "trace state",
    State {
        start_tsc: 0,
        end_tsc: 0,
        start_counters: [0; COUNTERS.len()],
        end_counters: [0; COUNTERS.len()],
    },
);
/// Where each ring stood when tracing was switched on.
static START_POSITIONS: [AtomicU64; CPUS_MAX] = [const { AtomicU64::new(0) }; CPUS_MAX];

/// Reads one of the kernel's own counters.
type Counter = fn() -> u64;

/// What the kernel counts by itself, to compare records with.
const COUNTERS: [(&str, Counter); 2] = [
    ("switches", thread::switch_count),
    ("shootdowns", mailbox::rounds),
];

#[derive(Clone, Copy)]
struct State {
    start_tsc: u64,
    /// 0 while tracing is on.
    end_tsc: u64,
    start_counters: [u64; COUNTERS.len()],
    end_counters: [u64; COUNTERS.len()],
}

/// Why tracing could not be switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceError {
    /// There is no memory for a CPU's ring.
    NoMemory,
    /// It is on already.
    IsOn,
}

impl fmt::Display for TraceError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::NoMemory => "there is no memory for the trace",
            Self::IsOn => "tracing is on already",
        })
    }
}

/// How one CPU's ring stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingStatus {
    /// Its CPU.
    pub cpu: u32,
    /// Records since tracing was switched on.
    pub written: u64,
    /// How many of them it can keep.
    pub capacity: usize,
    /// Records dropped because they interrupted another.
    pub dropped: u64,
}

/// A place in the kernel where something happens. See [`Kind`] for what the words mean.
#[inline(always)]
pub fn point(kind: Kind, extra: u16, a: u64, b: u64) {
    if is_on(kind.category()) {
        write(kind, extra, a, b);
    }
}

/// Whether a category is traced.
#[inline(always)]
pub fn is_on(category: Category) -> bool {
    MASK.load(Ordering::Relaxed) & category.bit() != 0
}

#[cold]
#[inline(never)]
fn write(kind: Kind, extra: u16, a: u64, b: u64) {
    let _interrupts = interrupts::Disabled::enter();
    if let Some(ring) = RINGS[cpu::index() as usize].get() {
        ring.push(&Record {
            tsc: cpu::time_stamp(),
            kind,
            extra,
            thread: thread::current().as_u32(),
            a,
            b,
        });
    }
}

/// The categories that are traced, as a mask.
pub fn categories() -> u32 {
    MASK.load(Ordering::Relaxed)
}

/// Switches tracing of the categories in `mask` on, and forgets what was traced before.
///
/// # Errors
/// See [`TraceError`].
pub fn start(mask: u32) -> Result<(), TraceError> {
    if categories() != 0 {
        return Err(TraceError::IsOn);
    }
    for cpu in mailbox::bits(mailbox::online_mask()) {
        let ring = ring_of(cpu)?;
        START_POSITIONS[cpu as usize].store(ring.position(), Ordering::Relaxed);
    }
    names::clear();
    mailbox::set_observer(observe_shoot_down);
    let mut state = STATE.lock();
    state.start_tsc = cpu::time_stamp();
    state.end_tsc = 0;
    state.start_counters = read_counters();
    MASK.store(mask, Ordering::Release);
    Ok(())
}

/// Switches tracing off; what was traced can still be collected.
pub fn stop() {
    let mut state = STATE.lock();
    if MASK.swap(0, Ordering::AcqRel) != 0 {
        state.end_tsc = cpu::time_stamp();
        state.end_counters = read_counters();
    }
}

fn read_counters() -> [u64; COUNTERS.len()] {
    COUNTERS.map(|(_, read)| read())
}

/// The CPU's ring, made now if there is none.
fn ring_of(cpu: u32) -> Result<&'static Ring, TraceError> {
    let place = &RINGS[cpu as usize];
    if let Some(ring) = place.get() {
        return Ok(ring);
    }
    let ring = Ring::new(ring_records()).ok_or(TraceError::NoMemory)?;
    Ok(place.call_once(|| ring))
}

fn ring_records() -> usize {
    let memory_bytes = frames::statistics().total * kernel_machine::memory::PAGE_BYTES;
    let cpus = u64::from(mailbox::online_mask().count_ones());
    let share = memory_bytes / MEMORY_SHARE / cpus / RECORD_BYTES as u64;
    (share as usize).min(RECORDS_MAX)
}

fn observe_shoot_down(begins: bool, pages: usize) {
    let kind = if begins {
        Kind::ShootDownBegin
    } else {
        Kind::ShootDownEnd
    };
    point(kind, 0, pages as u64, 0);
}

/// How the rings stand; none before tracing was first switched on.
pub fn status() -> Vec<RingStatus> {
    let rings = (0..).zip(&RINGS);
    rings
        .filter_map(|(cpu, ring)| Some((cpu, ring.get()?)))
        .map(|(cpu, ring)| RingStatus {
            cpu,
            written: ring.position() - start_position(cpu),
            capacity: ring.capacity(),
            dropped: ring.dropped(),
        })
        .collect()
}

fn start_position(cpu: u32) -> u64 {
    START_POSITIONS[cpu as usize].load(Ordering::Relaxed)
}

/// What was traced since tracing was switched on last. The host's functions are not known here.
pub fn collect() -> Trace {
    let state = *STATE.lock();
    let is_over = state.end_tsc != 0;
    let end_counters = if is_over {
        state.end_counters
    } else {
        read_counters()
    };
    let counted = COUNTERS
        .iter()
        .zip(end_counters.iter().zip(state.start_counters));
    Trace {
        cpus: collect_rings(),
        threads: names::threads(),
        processes: names::processes(),
        host_functions: Vec::new(),
        span_tsc: (
            state.start_tsc,
            if is_over {
                state.end_tsc
            } else {
                cpu::time_stamp()
            },
        ),
        counters: counted
            .map(|((name, _), (end, start))| (*name, end - start))
            .collect(),
    }
}

fn collect_rings() -> Vec<CpuTrace> {
    let rings = (0..).zip(&RINGS);
    let made = rings.filter_map(|(cpu, ring)| Some((cpu, ring.get()?)));
    made.map(|(cpu, ring)| {
        let found = ring.read_from(start_position(cpu));
        CpuTrace {
            records: found.records,
            overwritten: found.overwritten,
            dropped: ring.dropped(),
        }
    })
    .collect()
}

/// The monotonic time at which the time-stamp counter stood at `tsc`, in nanoseconds.
pub fn ns_at(tsc: u64) -> u64 {
    time::clock().map_or(0, |clock| clock.ns_at(tsc))
}

/// A process was started; the calling thread is its own.
pub fn process_starts(process: u64, name: &str) {
    if categories() != 0 {
        names::note_process(process, thread::current().as_u32(), name);
    }
    point(Kind::ProcessStart, 0, process, 0);
}

/// A process has ended; the calling thread was its own.
pub fn process_ends(process: u64, exit_code: u8) {
    point(Kind::ProcessEnd, 0, process, u64::from(exit_code));
}
