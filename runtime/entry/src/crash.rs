//! The command `crash KIND` of test images: every way in which this system can fail, on demand.
//!
//! Law: it exists only where the command line has the word `test` ([`crash::licence`]). Kinds of the kernel stop the
//! machine from a thread of `std`, so that the report has to find its way through `std`; here are those
//! that need the runtime: a bug of its own, and failures beneath a running program.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use contract_boot::BootInfo;
use kernel_core::crash::{self, Kind, Licence};
use kernel_core::memory::leaks::{self, Mark};
use kernel_core::mishap;
use runtime_host::{ByteSource, Notifier, Read, StreamFailure};
use runtime_prompt::{Job, StartError};

/// What it is called.
pub const NAME: &str = "crash";
/// What `crash leak` loses of the heap.
const LEAK_BYTES: usize = 32 << 10;
/// Lines that `crash storm` logs, at level debug.
const STORM_LINES: u32 = 100_000;
/// Ticks of 838 ns between two interrupts of `crash interrupt-storm`.
const STORM_TICKS: u16 = 24;
/// The program beneath which host calls fail: it reads its input.
pub const VICTIM: &str = "cat";

/// The command, in images that have it.
pub struct CrashCommand {
    licence: Licence,
    /// What every owner had when `crash mark` was said.
    mark: Mutex<Option<Mark>>,
}

/// What is asked of it.
pub enum Request {
    /// Say this.
    Say(String),
    /// Run the victim with this as its input.
    Feed(Arc<dyn ByteSource>),
}

impl CrashCommand {
    /// The command, if this is a test image.
    pub fn for_image(info: &BootInfo) -> Option<Self> {
        let licence = crash::licence(info)?;
        Some(Self {
            licence,
            mark: Mutex::new(None),
        })
    }

    /// Does what the arguments say; comes back where that does not stop the machine.
    pub fn request(&self, arguments: &[String]) -> Result<Request, StartError> {
        let [kind] = arguments else {
            return Err(StartError::Refused(usage()));
        };
        match kind.as_str() {
            "protections" => Ok(Request::Say(crash::census(&self.licence).to_string())),
            "panic-runtime" => Ok(Request::Feed(Arc::new(FailingInput(panic_in_runtime)))),
            "host-call" => Ok(Request::Feed(Arc::new(self.faulting_input()))),
            "interrupt-storm" => Ok(Request::Say(self.start_storm())),
            "calm" => {
                mishap::stop_storm(&self.licence);
                let count = mishap::storm_count();
                Ok(Request::Say(format!("{count} interrupts came")))
            }
            "leak" => {
                std::mem::forget(std::hint::black_box(vec![1_u8; LEAK_BYTES]));
                Ok(Request::Say(format!("{LEAK_BYTES} bytes are lost")))
            }
            "storm" => storm(),
            "abort" => {
                log::info!("crash: abort");
                std::process::abort()
            }
            name => match self.about_memory(name) {
                Some(text) => Ok(Request::Say(text)),
                None => self.crash(name),
            },
        }
    }

    /// What is done to memory as a whole; `None` where it is something else.
    fn about_memory(&self, kind: &str) -> Option<String> {
        Some(match kind {
            "lose-frame" if crash::lose_frame(&self.licence) => "a frame is lost".to_owned(),
            "lose-frame" => "there is no frame to lose".to_owned(),
            "hoard" => match crash::hoard(&self.licence) {
                Some(frames) => format!("{frames} frames are hoarded"),
                None => "memory is hoarded already".to_owned(),
            },
            "give-back" => {
                let frames = crash::give_hoard_back(&self.licence);
                format!("{frames} frames are given back")
            }
            "mark" => {
                *lock(&self.mark) = Some(leaks::mark());
                "memory is marked".to_owned()
            }
            "growth" => match &*lock(&self.mark) {
                Some(mark) => leaks::compare(mark).to_string(),
                None => "memory was not marked".to_owned(),
            },
            _ => return None,
        })
    }

    fn start_storm(&self) -> String {
        let has_line = mishap::start_storm(&self.licence, STORM_TICKS);
        let answer = if has_line {
            "the storm begins"
        } else {
            "there is no line for it"
        };
        answer.to_owned()
    }

    fn crash(&self, name: &str) -> Result<Request, StartError> {
        let kind = find(name).ok_or_else(|| StartError::Refused(usage()))?;
        let licence = self.licence;
        let crashing = thread::Builder::new()
            .name(NAME.to_owned())
            .spawn(move || crash::crash(&licence, kind));
        match crashing.map(thread::JoinHandle::join) {
            Ok(Ok(())) => Ok(Request::Say("the machine survived it".to_owned())),
            Ok(Err(_)) => Ok(Request::Say("a panic of the kernel was caught".to_owned())),
            Err(error) => Err(StartError::Refused(error.to_string())),
        }
    }

    fn faulting_input(&self) -> FailingInput<impl Fn() + Send + Sync + 'static> {
        let licence = self.licence;
        FailingInput(move || {
            if let Some(kind) = find("null-read") {
                crash::crash(&licence, kind);
            }
        })
    }
}

/// Logs faster than anybody reads, on a thread of its own, for a while.
fn storm() -> Result<Request, StartError> {
    let lines = || (1..=STORM_LINES).for_each(|line| log::debug!("storm line {line}"));
    let storming = thread::Builder::new().name("storm".to_owned()).spawn(lines);
    match storming {
        Ok(_detached) => Ok(Request::Say(format!("{STORM_LINES} lines are coming"))),
        Err(error) => Err(StartError::Refused(error.to_string())),
    }
}

/// Whoever panicked with the mark left it whole.
fn lock(mark: &Mutex<Option<Mark>>) -> MutexGuard<'_, Option<Mark>> {
    mark.lock().unwrap_or_else(PoisonError::into_inner)
}

fn find(name: &str) -> Option<Kind> {
    crash::kinds().find(|kind| kind.name == name).copied()
}

fn usage() -> String {
    let names: Vec<&str> = crash::kinds().map(|kind| kind.name).collect();
    format!(
        "say which: protections, panic-runtime, host-call, leak, lose-frame, hoard, give-back, mark, growth, storm, interrupt-storm, calm, abort, {}",
        names.join(", ")
    )
}

fn panic_in_runtime() {
    panic!("a bug of the runtime, made for a test");
}

/// Standard input whose first read fails in its own way, beneath the program that reads.
struct FailingInput<F>(F);

impl<F: Fn() + Send + Sync> ByteSource for FailingInput<F> {
    fn read(&self, _buffer: &mut [u8]) -> Result<Read, StreamFailure> {
        (self.0)();
        Ok(Read::End)
    }

    fn is_readable(&self) -> bool {
        true
    }

    fn subscribe(&self, _notifier: &Notifier) {
        // It is always readable.
    }
}

/// A job that has ended with something to say.
pub struct Saying(pub String);

impl Job for Saying {
    fn ending(&self) -> Option<Option<String>> {
        Some(Some(self.0.clone()))
    }

    fn subscribe(&self, _notifier: &Notifier) {
        // It has ended.
    }

    fn kill(&self) {
        // It has ended.
    }
}
