//! The top of the kernel: links every layer into one image and starts it.
//!
//! Law: nothing imports this crate. It says which drivers there are ([`drivers`]), which
//! lines lead where ([`lines`]), who has the console's devices ([`console`]), and what is done at the end of the start: one job for the host ([`job`]), or the prompt
//! ([`terminal`]). Test images can also be made to fail ([`crash`]).

mod clocks;
mod console;
mod crash;
mod drivers;
mod job;
mod lines;
mod log_view;
mod services;
mod system;
mod terminal;
mod tracing;
mod whole_log;

use std::thread;

use contract_boot::BootInfo;
use kernel_machine::cpu::entry::HandOver;
use runtime_engine::Tier;
use runtime_platform::failure;
use runtime_supervisor::CodeSource;

use crate::services::ServiceWords;
use crate::system::RunningSystem;

kernel_machine::entry_point!(main);

/// Stack of the thread that starts the runtime and serves the prompt, in bytes.
const MAIN_STACK_BYTES: usize = 1 << 20;

/// The kernel's start, as a table of contents.
fn main(hand_over: HandOver) -> ! {
    // First of all: setting it allocates nothing, and without it a panic of the start would lose its sentence.
    failure::install_panic_hook();
    let info = kernel_core::start(&hand_over);
    drivers::start(&info);
    // The loader's stack is small and has no guard page: the rest runs on a thread's own.
    let serving = thread::Builder::new()
        .name("main".to_owned())
        .stack_size(MAIN_STACK_BYTES)
        .spawn(move || serve(&info));
    match serving.map(thread::JoinHandle::join) {
        Ok(_ended) => kernel_core::fault::stop("the main thread has ended"),
        Err(error) => kernel_core::fault::stop_with(format_args!("no main thread: {error}")),
    }
}

/// Starts the runtime and does what the command line asks for.
fn serve(info: &BootInfo) -> ! {
    let options = Options::parse(kernel_core::log::command_line(info));
    let system =
        RunningSystem::start(info).unwrap_or_else(|error| kernel_core::fault::stop(&error));
    tracing::init();
    report_start(info);
    if options.job {
        job::run(info, &system, &options)
    } else {
        terminal::serve(system, &options)
    }
}

/// What the command line asks of the runtime; words that others know are not looked at.
struct Options {
    /// Run the job for the host, then switch off.
    job: bool,
    /// Send the job's tree back.
    job_tree: bool,
    /// Where the job's code comes from.
    code: CodeSource,
    /// Start the shell, where the image has one, before the prompt.
    shell: bool,
    /// Which services are started.
    services: ServiceWords,
    /// Record this while the job runs, and send it; an error is a sentence.
    recording: Option<Result<tracing::What, String>>,
}

impl Options {
    fn parse(command_line: &str) -> Self {
        let has = |wanted: &str| command_line.split(' ').any(|word| word == wanted);
        Self {
            job: has("job"),
            job_tree: has("job-tree"),
            code: code_source(&has),
            shell: !has("prompt"),
            services: ServiceWords::parse(command_line),
            recording: tracing::recording(command_line),
        }
    }
}

/// Both compilers can be forced, so that tests can compare them.
fn code_source(has: &impl Fn(&str) -> bool) -> CodeSource {
    if has("compiler=baseline") {
        CodeSource::CompiledBy(Tier::Baseline)
    } else if has("compiler=cranelift") {
        CodeSource::CompiledBy(Tier::Optimized)
    } else {
        CodeSource::Precompiled
    }
}

fn report_start(info: &BootInfo) {
    let (in_use, backed) = kernel_core::heap::statistics();
    let frames = kernel_core::memory::frames::statistics();
    log::info!(
        "ready: {} MiB of {} free, heap {} of {} KiB, loader took {} million ticks",
        frames.free >> 8,
        frames.total >> 8,
        in_use >> 10,
        backed >> 10,
        info.tsc_hand_over.saturating_sub(info.tsc_loader_entry) / 1_000_000
    );
}
