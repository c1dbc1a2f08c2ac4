//! What Linux offers instead of KPIO's processes: components under Wasmtime's own host of WASI, each in a process of the system.
//!
//! `xtask` builds it in its copy of the peer, as an example of the peer's package: so it has the very engine, with the very settings,
//! that the peer measures. It stands in no workspace of ours, because Wasmtime's host would come with it.
//!
//!   launcher compile PROGRAM.wasm OUTPUT     on the development machine, for any processor of KPIO's images
//!   launcher run PROGRAM [ARGUMENT]…         /tmp is its /data; a `.cwasm` is loaded, anything else is compiled
//!   launcher measure PROGRAMS FILTER         the suite `processes`; PROGRAMS is a folder
//!   launcher channels PROGRAMS FILTER        the suite `channels`: pipes between two such processes, and Unix sockets between two
//!                                            native ones, of which `launcher unix-echo` is the other

#[path = "../sampling/src/lib.rs"]
#[expect(dead_code, reason = "most of it measures inside programs")]
mod sampling;

use std::fs;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Instant;

use sampling::{Meter, Plan};
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Config, Engine, Result, Store, bail};
use wasmtime_wasi::p2::bindings::sync::Command as Program;
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

/// The folder, of a file system in memory, that programs see as `/data`.
const SCRATCH: &str = "/tmp";
/// What every processor has that runs KPIO's images.
const PROCESSOR: [&str; 6] = [
    "has_sse3",
    "has_ssse3",
    "has_sse41",
    "has_sse42",
    "has_popcnt",
    "has_cmpxchg16b",
];
/// Processes that wait while memory is looked at, and how often that is done.
const IDLE_PROCESSES: usize = 8;
const IDLE_SAMPLES: usize = 3;

/// Messages between native programs, by figures, and the length of an answer, in bytes.
const UNIX_MESSAGES: [(&str, usize); 4] = [
    ("unix_0", 1),
    ("unix_64", 64),
    ("unix_4k", 4 << 10),
    ("unix_64k", 64 << 10),
];
const UNIX_ANSWER_BYTES: usize = 64;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["compile", program, output] => compile(program, output),
        ["run", ..] => run(&arguments[1..]),
        ["measure", programs, filter] => measure(programs, filter),
        ["channels", programs, filter] => channels(programs, filter),
        ["unix-echo"] => unix_echo(),
        _ => Err(wasmtime::Error::msg(
            "usage: launcher compile|run|measure|channels …",
        )),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => match error.downcast_ref::<I32Exit>() {
            Some(exit) => ExitCode::from(exit.0 as u8),
            None => {
                eprintln!("launcher: {error:#}");
                ExitCode::FAILURE
            }
        },
    }
}

fn compile(program: &str, output: &str) -> Result<()> {
    let mut config = Config::new();
    config.target("x86_64-unknown-linux-gnu")?;
    for feature in PROCESSOR {
        // SAFETY: code that uses these is loaded only where the processor has them; Wasmtime checks it.
        unsafe { config.cranelift_flag_enable(feature) };
    }
    let code = Engine::new(&config)?.precompile_component(&fs::read(program)?)?;
    Ok(fs::write(output, code)?)
}

struct Host {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// Runs a program in this process.
fn run(words: &[String]) -> Result<()> {
    let [program, ..] = words else {
        bail!("no program was named");
    };
    let mut config = Config::new();
    config.parallel_compilation(true);
    let engine = Engine::new(&config)?;
    let component = if program.ends_with(".cwasm") {
        // SAFETY: the file is what `compile` made, on a disk that nobody else writes to.
        unsafe { Component::deserialize_file(&engine, program)? }
    } else {
        Component::from_file(&engine, program)?
    };
    let mut linker = Linker::<Host>::new(&engine);
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
    let mut store = Store::new(&engine, host(words)?);
    let program = Program::instantiate(&mut store, &component, &linker)?;
    match program.wasi_cli_run().call_run(&mut store)? {
        Ok(()) => Ok(()),
        Err(()) => bail!("the program failed"),
    }
}

/// As the `wasmtime` command sets a program up: file calls stay on the calling thread.
fn host(words: &[String]) -> Result<Host> {
    let mut builder = WasiCtxBuilder::new();
    builder.inherit_stdio().args(words);
    builder.allow_blocking_current_thread(true);
    builder.preopened_dir(SCRATCH, "/data", FsPerms::ReadWrite)?;
    Ok(Host {
        wasi: builder.build(),
        table: ResourceTable::new(),
    })
}

fn clock() -> u64 {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// Takes the figures, each with the same programs, arguments and trees as on KPIO.
fn measure(programs: &str, filter: &str) -> Result<()> {
    let mut output = |line: &str| println!("{line}");
    let mut meter = Meter::new("processes", filter, Plan::Time, clock, &mut output);
    let hello = format!("{programs}/hello.cwasm");
    meter.long("start_precompiled_hello", || succeed(started(&hello, &[])));
    if ["pipe_rtt_64", "pipe_bw_64k"]
        .iter()
        .any(|name| name.contains(filter))
    {
        pipes(&format!("{programs}/pipes.cwasm"), "measure", filter)?;
    }
    idle(&mut meter, &format!("{programs}/pipes.cwasm"))?;
    first_start(&mut meter, &format!("{programs}/diffutils.wasm"))?;
    search(&mut meter, programs)
}

/// A process of this program that runs another.
fn started(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg("run").arg(program).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

fn succeed(mut command: Command) -> Result<()> {
    let status = command.status()?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}

/// Two processes, each with the other's output as its input.
fn pipes(program: &str, what: &str, filter: &str) -> Result<()> {
    let (there_reader, there) = std::io::pipe()?;
    let (back_reader, back) = std::io::pipe()?;
    let mut echo = started(program, &["echo"])
        .stdin(there_reader)
        .stdout(back)
        .spawn()?;
    let mut measuring = started(program, &[what, filter, "time"]);
    measuring.stdin(back_reader).stdout(there);
    succeed(measuring)?;
    echo.wait()?;
    Ok(())
}

/// What calls between components are held against.
fn channels(programs: &str, filter: &str) -> Result<()> {
    pipes(&format!("{programs}/pipes.cwasm"), "calls", filter)?;
    let mut output = |line: &str| println!("{line}");
    let mut meter = Meter::new("channels", filter, Plan::Time, clock, &mut output);
    let (mut here, there) = UnixStream::pair()?;
    let mut echo = Command::new("/proc/self/exe")
        .arg("unix-echo")
        .stdin(OwnedFd::from(there))
        .spawn()?;
    for (name, len_bytes) in UNIX_MESSAGES {
        let mut message = vec![0; len_bytes];
        meter.try_each(name, || {
            here.write_all(&(len_bytes as u32).to_le_bytes())?;
            here.write_all(&message)?;
            here.read_exact(&mut message[..len_bytes.min(UNIX_ANSWER_BYTES)])
        });
    }
    drop(here);
    echo.wait()?;
    Ok(())
}

/// Answers messages on its standard input, which is a socket: each begins with its length.
fn unix_echo() -> Result<()> {
    let mut socket = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    let mut len_bytes = [0; 4];
    let mut message = Vec::new();
    while socket.read_exact(&mut len_bytes).is_ok() {
        message.resize(u32::from_le_bytes(len_bytes) as usize, 0);
        socket.read_exact(&mut message)?;
        socket.write_all(&message[..message.len().min(UNIX_ANSWER_BYTES)])?;
    }
    Ok(())
}

/// Memory that processes hold which have answered once and wait for more input.
fn idle(meter: &mut Meter<'_>, program: &str) -> Result<()> {
    const FIGURE: &str = "idle_memory";
    if !meter.wants(FIGURE) {
        return Ok(());
    }
    let mut samples = Vec::new();
    for _ in 0..IDLE_SAMPLES {
        let before = available_kib()?;
        let processes: Vec<Child> = (0..IDLE_PROCESSES)
            .map(|_| waiting(program))
            .collect::<Result<_>>()?;
        let used = before - available_kib()?;
        samples.push(used / IDLE_PROCESSES as f64);
        for mut process in processes {
            drop(process.stdin.take());
            process.wait()?;
        }
    }
    meter.taken(FIGURE, "KiB", &samples);
    Ok(())
}

fn waiting(program: &str) -> Result<Child> {
    let mut command = started(program, &["echo"]);
    let mut process = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut message = [b's'; 64];
    if let (Some(input), Some(output)) = (&mut process.stdin, &mut process.stdout) {
        input.write_all(&message)?;
        output.read_exact(&mut message)?;
    }
    Ok(process)
}

fn available_kib() -> Result<f64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| wasmtime::Error::msg("/proc/meminfo does not say what is available"))
}

/// A program of a megabyte that is seen for the first time.
fn first_start(meter: &mut Meter<'_>, program: &str) -> Result<()> {
    fs::write(Path::new(SCRATCH).join("same"), "")?;
    meter.long("first_start_1m", || {
        succeed(started(program, &["cmp", "/data/same", "/data/same"]))
    });
    Ok(())
}

/// A search through 50 MB.
fn search(meter: &mut Meter<'_>, programs: &str) -> Result<()> {
    const FIGURE: &str = "rg_50m";
    if !meter.wants(FIGURE) {
        return Ok(());
    }
    succeed(started(&format!("{programs}/tree.cwasm"), &["/data/tree"]))?;
    let rg = format!("{programs}/rg.cwasm");
    meter.long(FIGURE, || {
        succeed(started(&rg, &["quicksilver", "/data/tree"]))
    });
    Ok(())
}
