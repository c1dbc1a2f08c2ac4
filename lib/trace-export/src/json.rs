//! The trace event format ("JSON object format" of Chrome's trace viewer, which Perfetto reads).
//!
//! Law: within a track times never fall, every begin has its end, and ends come in the reverse order of
//! begins. An end whose begin was overwritten, or came before tracing, is left out; a begin that saw no end
//! is ended with its surroundings or with the trace, and says so (`"cut":true`).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt::{self, Write};

use lib_trace_ring::{KINDS, Kind, Record};

use crate::Trace;
use crate::text::JsonText;

/// The group of tracks that are CPUs.
const PID_CPUS: u64 = 1;
/// The group of threads that belong to no process.
const PID_KERNEL: u64 = 2;
/// Added to a process's number.
const PID_PROCESSES: u64 = 1000;

/// A row of the viewer: a group and a row of it.
type Track = (u64, u64);

/// Writes the trace. `ns_at` tells the monotonic time of a time-stamp counter's value.
///
/// # Errors
/// Those of `out`.
pub fn write_json(trace: &Trace, ns_at: &dyn Fn(u64) -> u64, out: &mut dyn Write) -> fmt::Result {
    out.write_str("{\"displayTimeUnit\":\"ns\",\"otherData\":{")?;
    write_counts(trace, out)?;
    out.write_str("},\"traceEvents\":[\n")?;
    let mut writer = Writer {
        trace,
        ns_at,
        out,
        open: BTreeMap::new(),
    };
    writer.names()?;
    for (cpu, record) in in_order(trace) {
        writer.record(cpu as u64, record)?;
    }
    writer.close_all()?;
    // The format allows no comma behind the last event; this one says when tracing ended.
    let end_ns = ns_at(trace.span_tsc.1);
    writeln!(
        out,
        "{{\"ph\":\"i\",\"s\":\"g\",\"name\":\"end of trace\",\"pid\":{PID_CPUS},\"tid\":999999,\"ts\":{}}}\n]}}",
        Micros(end_ns)
    )
}

/// All records of all CPUs by time; those of one CPU keep their order.
fn in_order(trace: &Trace) -> Vec<(usize, &Record)> {
    let cpus = trace.cpus.iter().enumerate();
    let mut all: Vec<_> = cpus
        .flat_map(|(cpu, traced)| traced.records.iter().map(move |record| (cpu, record)))
        .collect();
    all.sort_by_key(|(_, record)| record.tsc);
    all
}

fn write_counts(trace: &Trace, out: &mut dyn Write) -> fmt::Result {
    let sum = |count: fn(&crate::CpuTrace) -> u64| trace.cpus.iter().map(count).sum::<u64>();
    write!(
        out,
        "\"overwritten\":{},\"dropped\":{},\"kernel\":{{",
        sum(|cpu| cpu.overwritten),
        sum(|cpu| cpu.dropped)
    )?;
    for (number, (name, count)) in trace.counters.iter().enumerate() {
        let comma = if number == 0 { "" } else { "," };
        write!(out, "{comma}\"{}\":{count}", JsonText(name))?;
    }
    out.write_str("},\"records\":{")?;
    for (number, kind) in KINDS.iter().enumerate() {
        let comma = if number == 0 { "" } else { "," };
        let records = trace.cpus.iter().flat_map(|cpu| &cpu.records);
        let count = records.filter(|record| record.kind == *kind).count();
        write!(out, "{comma}\"{kind:?}\":{count}")?;
    }
    out.write_str("}")
}

/// Nanoseconds as the format's microseconds.
struct Micros(u64);

impl fmt::Display for Micros {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}

struct Writer<'a> {
    trace: &'a Trace,
    ns_at: &'a dyn Fn(u64) -> u64,
    out: &'a mut dyn Write,
    /// Begins that wait for their ends, by track, innermost last.
    open: BTreeMap<Track, Vec<Kind>>,
}

fn cpu_track(cpu: u64) -> Track {
    (PID_CPUS, cpu * 2)
}

fn interrupt_track(cpu: u64) -> Track {
    (PID_CPUS, cpu * 2 + 1)
}

impl Writer<'_> {
    fn thread_track(&self, thread: u32) -> Track {
        let process = self.trace.process_of(thread);
        let pid = process.map_or(PID_KERNEL, |process| PID_PROCESSES + process.process);
        (pid, u64::from(thread))
    }

    fn names(&mut self) -> fmt::Result {
        self.name("process_name", (PID_CPUS, 0), format_args!("CPUs"))?;
        self.name("process_name", (PID_KERNEL, 0), format_args!("kernel"))?;
        for cpu in 0..self.trace.cpus.len() as u64 {
            self.name("thread_name", cpu_track(cpu), format_args!("cpu {cpu}"))?;
            let track = interrupt_track(cpu);
            self.name("thread_name", track, format_args!("cpu {cpu} interrupts"))?;
        }
        let trace = self.trace;
        for process in &trace.processes {
            let track = (PID_PROCESSES + process.process, u64::from(process.thread));
            let name = JsonText(&process.name);
            self.name("process_name", track, format_args!("{name}"))?;
        }
        for thread in &trace.threads {
            let track = self.thread_track(thread.thread);
            let name = JsonText(&thread.name);
            self.name("thread_name", track, format_args!("{name}"))?;
        }
        Ok(())
    }

    /// `name` is the inside of a JSON string already.
    fn name(&mut self, what: &str, (pid, tid): Track, name: fmt::Arguments<'_>) -> fmt::Result {
        writeln!(
            self.out,
            "{{\"ph\":\"M\",\"name\":\"{what}\",\"pid\":{pid},\"tid\":{tid},\"args\":{{\"name\":\"{name}\"}}}},"
        )
    }

    fn record(&mut self, cpu: u64, record: &Record) -> fmt::Result {
        let thread = self.thread_track(record.thread);
        let interrupts = interrupt_track(cpu);
        let Record { extra, a, b, .. } = *record;
        match record.kind {
            Kind::Switch => self.switch(cpu, record),
            Kind::Wake => {
                let woken = JsonText(self.trace.thread_name(a as u32));
                let name = format_args!("wake {woken}");
                self.instant(
                    record,
                    thread,
                    name,
                    format_args!("\"thread\":{a},\"cpu\":{b}"),
                )
            }
            Kind::FaultBegin => {
                let access = ["load", "store", "fetch"].get(b as usize).unwrap_or(&"?");
                let arguments = format_args!("\"address\":\"{a:#x}\",\"access\":\"{access}\"");
                self.begin(record, thread, format_args!("page fault"), arguments)
            }
            Kind::FaultEnd => self.end(record, thread, Kind::FaultBegin),
            Kind::ShootDownBegin => self.begin(
                record,
                thread,
                format_args!("shoot-down"),
                format_args!("\"pages\":{a}"),
            ),
            Kind::ShootDownEnd => self.end(record, thread, Kind::ShootDownBegin),
            Kind::Trap => {
                let arguments = format_args!("\"instruction\":\"{a:#x}\"");
                self.instant(record, thread, format_args!("trap {extra}"), arguments)
            }
            Kind::HostCallBegin => {
                let known = self.trace.host_functions.get(a as usize);
                let name = JsonText(known.map_or("host call", |name| name));
                self.begin(record, thread, format_args!("{name}"), format_args!(""))
            }
            Kind::HostCallEnd => self.end(record, thread, Kind::HostCallBegin),
            Kind::InterruptBegin => {
                let name = format_args!("interrupt {extra}");
                self.begin(record, interrupts, name, format_args!(""))
            }
            Kind::InterruptEnd => self.end(record, interrupts, Kind::InterruptBegin),
            Kind::TimerBegin => {
                self.begin(record, interrupts, format_args!("timer"), format_args!(""))
            }
            Kind::TimerEnd => self.end(record, interrupts, Kind::TimerBegin),
            Kind::ProcessStart => {
                let arguments = format_args!("\"process\":{a}");
                self.instant(record, thread, format_args!("process starts"), arguments)
            }
            Kind::ProcessEnd => {
                let arguments = format_args!("\"process\":{a},\"code\":{b}");
                self.instant(record, thread, format_args!("process ends"), arguments)
            }
            Kind::Sample | Kind::Places => Ok(()),
        }
    }

    fn switch(&mut self, cpu: u64, record: &Record) -> fmt::Result {
        let track = cpu_track(cpu);
        self.end(record, track, Kind::Switch)?;
        let name = JsonText(self.trace.thread_name(record.b as u32));
        let arguments = format_args!("\"thread\":{},\"from\":{}", record.b, record.a);
        self.begin(record, track, format_args!("{name}"), arguments)
    }

    /// What all events have: the phase, where, and when.
    fn head(&mut self, phase: &str, (pid, tid): Track, tsc: u64) -> fmt::Result {
        let at = Micros((self.ns_at)(tsc));
        write!(
            self.out,
            "{{\"ph\":\"{phase}\",\"pid\":{pid},\"tid\":{tid},\"ts\":{at}"
        )
    }

    /// What those that start something, or are something, have besides.
    fn body(
        &mut self,
        kind: Kind,
        name: fmt::Arguments<'_>,
        arguments: fmt::Arguments<'_>,
    ) -> fmt::Result {
        let category = kind.category().name();
        writeln!(
            self.out,
            ",\"cat\":\"{category}\",\"name\":\"{name}\",\"args\":{{{arguments}}}}},"
        )
    }

    fn instant(
        &mut self,
        record: &Record,
        track: Track,
        name: fmt::Arguments<'_>,
        arguments: fmt::Arguments<'_>,
    ) -> fmt::Result {
        self.head("i", track, record.tsc)?;
        self.out.write_str(",\"s\":\"t\"")?;
        self.body(record.kind, name, arguments)
    }

    fn begin(
        &mut self,
        record: &Record,
        track: Track,
        name: fmt::Arguments<'_>,
        arguments: fmt::Arguments<'_>,
    ) -> fmt::Result {
        self.open.entry(track).or_default().push(record.kind);
        self.head("B", track, record.tsc)?;
        self.body(record.kind, name, arguments)
    }

    /// Ends the innermost `begin`, and what was begun inside of it and not ended.
    fn end(&mut self, record: &Record, track: Track, begin: Kind) -> fmt::Result {
        let open = self.open.get(&track).map_or(&[][..], |open| open);
        let Some(depth) = open.iter().rposition(|kind| *kind == begin) else {
            return Ok(());
        };
        self.close(track, depth + 1, record.tsc)?;
        self.open.entry(track).or_default().pop();
        self.head("E", track, record.tsc)?;
        self.out.write_str("},\n")
    }

    /// Ends all but `depth` begins of a track whose own ends never came.
    fn close(&mut self, track: Track, depth: usize, tsc: u64) -> fmt::Result {
        while self.open.get(&track).is_some_and(|open| open.len() > depth) {
            self.open.entry(track).or_default().pop();
            self.head("E", track, tsc)?;
            self.out.write_str(",\"args\":{\"cut\":true}},\n")?;
        }
        Ok(())
    }

    fn close_all(&mut self) -> fmt::Result {
        let tracks: Vec<Track> = self.open.keys().copied().collect();
        let last = in_order(self.trace)
            .last()
            .map_or(0, |(_, record)| record.tsc);
        let end_tsc = self.trace.span_tsc.1.max(last);
        for track in tracks {
            self.close(track, 0, end_tsc)?;
        }
        Ok(())
    }
}
