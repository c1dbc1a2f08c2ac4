//! Calls between components, and what services cost: who answers is `test/guest/link`'s provider, who calls its client.
//!
//! Law: the figures of single calls are taken by the client itself. Without an ending in their names the two may run where
//! they like; `_same_cpu` and `_cross_cpu` bind the threads of both, each by itself. The figures' names are those under which
//! `bench/linux/launcher.rs` has the same exchange over pipes between two processes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bench_sampling::Meter;
use kernel_core::cpu;
use kernel_core::memory::frames;
use kernel_core::time::monotonic_ns;
use runtime_host::{
    ByteSink, ByteSource, Cancellation, NoInput, Notifier, PIPE_DEFAULT_BYTES, PipeReader,
    PipeWriter, Read, StreamFailure, pipe, read_blocking, write_all_blocking,
};
use runtime_link::{Grant, Limits, Route, Service, WhileDown};
use runtime_supervisor::{Links, Process};

use crate::bundle::Files;
use crate::placement::{self, Placement};
use crate::programs::{Kept, Programs, Streams, quiet, succeeded};
use crate::wasi::plan_word;

const PROVIDER: &str = "link_provider";
const CLIENT: &str = "link-client";
const INTERFACES: [&str; 4] = [
    "kpio:link-probe/counters",
    "kpio:link-probe/shapes",
    "kpio:link-probe/bulk",
    "kpio:link-probe/watching",
];
/// How much may wait at a provider: as much as 64 clients have there.
const LIMITS: Limits = Limits {
    clients: 128,
    messages: 128,
    bytes: 32 << 20,
    client_messages: 4,
    client_bytes: 512 << 10,
};
/// Processes at a time: clients, providers, and some that are being buried.
const PROCESSES_MAX: usize = 96;
/// Calls of single figures, by the beginnings of their names.
const CALLS: [&str; 10] = [
    "call_0",
    "call_64",
    "call_4k",
    "call_64k",
    "call_4k_in_buffer",
    "call_64k_in_buffer",
    "call_handle",
    "bulk_file",
    "bulk_packets",
    "bulk_window",
];
/// Clients at a time, and calls that all of them make together in a sample.
const CLIENTS: [usize; 4] = [1, 4, 16, 64];
const BURST_CALLS: usize = 4096;
const BURST_SAMPLES: usize = 3;
/// Services that are started together, and those that wait while memory is looked at.
const SERVICES: usize = 20;
const IDLE_SERVICES: usize = 8;
const KIB_PER_FRAME: f64 = 4.0;

/// Takes the figures.
pub fn run(meter: &mut Meter<'_>, files: &Files) {
    if !files.has_program(PROVIDER) {
        return;
    }
    let programs = Programs::with_processes(files, PROCESSES_MAX);
    if let Err(why) = programs.and_then(|programs| figures(meter, &programs)) {
        meter.error("services", &why);
    }
}

fn figures(meter: &mut Meter<'_>, programs: &Programs) -> Result<(), String> {
    idle(meter, programs)?;
    single_calls(meter, programs, "", None)?;
    single_calls(meter, programs, "_same_cpu", Some(Placement::SameCpu))?;
    if cpu::online_count() > 1 {
        single_calls(meter, programs, "_cross_cpu", Some(Placement::CrossCpu))?;
    }
    for clients in CLIENTS {
        bursts(meter, programs, clients)?;
    }
    restart(meter, programs)?;
    meter.long("start_20_services", || start_services(programs));
    Ok(())
}

/// A provider that is ready.
struct Providing {
    process: Process,
    /// Its standard input, at whose end it stops.
    input: PipeWriter,
}

impl Providing {
    /// Starts one on these routes, and waits until it can be called.
    fn start(
        programs: &Programs,
        routes: &[Route],
        place: Option<Placement>,
    ) -> Result<Self, String> {
        let ready = Notifier::new();
        let is_ready = Arc::new(AtomicBool::new(false));
        let (telling, told) = (ready.clone(), Arc::clone(&is_ready));
        // On the provider's own thread.
        let service = Service::new(routes.to_vec(), LIMITS, move || {
            if let Some(place) = place {
                place.bind_other();
            }
            told.store(true, Ordering::Release);
            telling.notify();
        });
        let (stdin, input) = new_pipe(programs)?;
        let streams = Streams {
            stdin: Arc::new(stdin),
            stdout: quiet(),
            stderr: quiet(),
        };
        let links = Links {
            grants: Vec::new(),
            service: Some(service),
            ..Links::default()
        };
        let process = programs.start_linked(PROVIDER, &[], streams, links)?;
        process.subscribe(&ready);
        while !is_ready.load(Ordering::Acquire) {
            if let Some(exit) = process.try_wait() {
                return Err(format!("the provider ended with {}", exit.exit_code()));
            }
            ready.wait(None);
        }
        Ok(Self { process, input })
    }

    /// Has it end, and waits for that.
    fn stop(self) -> Result<(), String> {
        drop(self.input);
        succeeded(&self.process)
    }
}

fn routes() -> [Route; 4] {
    INTERFACES.map(|interface| Route::new(interface, PROVIDER))
}

fn start_client(
    programs: &Programs,
    arguments: &[&str],
    streams: Streams,
    routes: &[Route],
) -> Result<Process, String> {
    let grants = routes.iter();
    let grants = grants.map(|route| Grant::new(route.clone(), WhileDown::Wait));
    let links = Links {
        grants: grants.collect(),
        service: None,
        ..Links::default()
    };
    programs.start_linked(CLIENT, arguments, streams, links)
}

fn new_pipe(programs: &Programs) -> Result<(PipeReader, PipeWriter), String> {
    pipe(PIPE_DEFAULT_BYTES, programs.budget()).map_err(|error| error.to_string())
}

/// No input; whoever looks for some is bound to the first CPU.
struct Binding;

impl ByteSource for Binding {
    fn read(&self, _bytes: &mut [u8]) -> Result<Read, StreamFailure> {
        placement::bind_first();
        Ok(Read::End)
    }

    fn is_readable(&self) -> bool {
        true
    }

    fn subscribe(&self, _notifier: &Notifier) {
        // There is always the end.
    }
}

/// What the client measures by itself.
fn single_calls(
    meter: &mut Meter<'_>,
    programs: &Programs,
    suffix: &str,
    place: Option<Placement>,
) -> Result<(), String> {
    let wants = |start: &&str| meter.wants(&format!("{start}{suffix}"));
    if !CALLS.iter().any(wants) {
        return Ok(());
    }
    let routes = routes();
    let provider = Providing::start(programs, &routes, place)?;
    let lines = Arc::new(Kept::default());
    let streams = Streams {
        stdin: match place {
            Some(_) => Arc::new(Binding),
            None => Arc::new(NoInput),
        },
        stdout: Arc::clone(&lines) as Arc<dyn ByteSink>,
        stderr: Arc::clone(&lines) as Arc<dyn ByteSink>,
    };
    let arguments = ["measure", suffix, meter.filter(), plan_word(meter.plan())];
    succeeded(&start_client(programs, &arguments, streams, &routes)?)?;
    provider.stop()?;
    lines.text().lines().for_each(|line| meter.pass_on(line));
    Ok(())
}

/// So many clients at one provider: time for each of their calls, all taken together.
fn bursts(meter: &mut Meter<'_>, programs: &Programs, clients: usize) -> Result<(), String> {
    let name = format!("call_0_of_{clients}_clients");
    if !meter.wants(&name) {
        return Ok(());
    }
    let mut samples = Vec::new();
    for _ in 0..BURST_SAMPLES {
        samples.push(burst(programs, clients)?);
    }
    meter.taken(&name, "ns", &samples);
    Ok(())
}

fn burst(programs: &Programs, clients: usize) -> Result<f64, String> {
    let routes = routes();
    let provider = Providing::start(programs, &routes, None)?;
    let calls_each = (BURST_CALLS / clients).to_string();
    let mut waiting = Vec::new();
    for _ in 0..clients {
        let (stdin, input) = new_pipe(programs)?;
        let (output, stdout) = new_pipe(programs)?;
        let streams = Streams {
            stdin: Arc::new(stdin),
            stdout: Arc::new(stdout),
            stderr: quiet(),
        };
        let client = start_client(programs, &["burst", &calls_each], streams, &routes)?;
        receive(&output)?;
        waiting.push((client, input, output));
    }
    let start = monotonic_ns();
    let (clients, inputs): (Vec<_>, Vec<_>) = waiting
        .into_iter()
        .map(|(client, input, output)| ((client, output), input))
        .unzip();
    drop(inputs);
    for (client, _output) in &clients {
        succeeded(client)?;
    }
    let elapsed = monotonic_ns() - start;
    provider.stop()?;
    Ok(elapsed as f64 / BURST_CALLS as f64)
}

fn receive(reader: &PipeReader) -> Result<(), String> {
    let mut bytes = [0; 16];
    let read = read_blocking(reader, &mut bytes, &Cancellation::new());
    let read = read.map_err(|_| "it was cancelled")?;
    match read.map_err(|failure| failure.to_string())? {
        0 => Err("a client ended before it was ready".to_owned()),
        _ => Ok(()),
    }
}

/// From the end of a provider to the first call that its successor has answered, of a client that did not notice. Its
/// successor is started as soon as it is gone: a restart policy may wait longer.
fn restart(meter: &mut Meter<'_>, programs: &Programs) -> Result<(), String> {
    const FIGURE: &str = "kill_to_answer";
    if !meter.wants(FIGURE) {
        return Ok(());
    }
    let routes = routes();
    let mut provider = Some(Providing::start(programs, &routes, None)?);
    let (stdin, input) = new_pipe(programs)?;
    let (output, stdout) = new_pipe(programs)?;
    let streams = Streams {
        stdin: Arc::new(stdin),
        stdout: Arc::new(stdout),
        stderr: quiet(),
    };
    let client = start_client(programs, &["on-demand"], streams, &routes)?;
    ask(&input)?;
    receive(&output)?;
    meter.long(FIGURE, || {
        let before = provider.take().ok_or("there is no provider")?;
        before.process.kill();
        ask(&input)?;
        before.process.wait();
        provider = Some(Providing::start(programs, &routes, None)?);
        receive(&output)
    });
    drop(input);
    succeeded(&client)?;
    provider.map_or(Ok(()), Providing::stop)
}

fn ask(input: &PipeWriter) -> Result<(), String> {
    let sent = write_all_blocking(input, b"?", &Cancellation::new());
    let sent = sent.map_err(|_| "it was cancelled")?;
    sent.map_err(|failure| failure.to_string())
}

/// Starts services one after another until all can be called, and stops them.
fn start_services(programs: &Programs) -> Result<(), String> {
    let started = (0..SERVICES).map(|_| Providing::start(programs, &routes(), None));
    let started: Vec<Providing> = started.collect::<Result<_, _>>()?;
    started.into_iter().try_for_each(Providing::stop)
}

/// Memory of services that have answered a call and wait, beside their code, which the first of them has brought in for all.
/// Before anything else has run: places of processes that have ended keep memory for those that come, which is then not seen.
fn idle(meter: &mut Meter<'_>, programs: &Programs) -> Result<(), String> {
    const FIGURE: &str = "idle_service";
    if !meter.wants(FIGURE) {
        return Ok(());
    }
    let first = that_has_answered(programs)?;
    let before = frames::statistics().free;
    let services: Vec<Providing> = (0..IDLE_SERVICES)
        .map(|_| that_has_answered(programs))
        .collect::<Result<_, _>>()?;
    let used = before.saturating_sub(frames::statistics().free);
    let each = used as f64 * KIB_PER_FRAME / IDLE_SERVICES as f64;
    meter.taken(FIGURE, "KiB", &[each]);
    services.into_iter().try_for_each(Providing::stop)?;
    first.stop()
}

fn that_has_answered(programs: &Programs) -> Result<Providing, String> {
    let routes = routes();
    let provider = Providing::start(programs, &routes, None)?;
    let streams = Streams {
        stdin: Arc::new(NoInput),
        stdout: quiet(),
        stderr: quiet(),
    };
    succeeded(&start_client(programs, &["live"], streams, &routes)?)?;
    Ok(provider)
}
