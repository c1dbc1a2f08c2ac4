//! Tracing and profiling as people and the host ask for them: at the prompt, or for one job.
//!
//! Law: the kernel traces; here is what only the runtime knows: calls of programs to the host, processes, and the
//! names of their functions. All of it is told by [`runtime_host::observe`], whose observer this is. Functions' names
//! are kept only while a profile is taken, since they take memory.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use kernel_core::trace::{self, Category, Kind, profile};
use kernel_core::{fault, time};
use lib_tmpfs::{Follow, NodeId, Resolved, Timestamp};
use lib_trace_export::{Folded, fold, write_json};
use runtime_host::FileTree;
use runtime_host::observe::{self, Observer, ProgramCode};

const USAGE: &str = "say one of: trace start [CATEGORY…], trace profile [HZ], trace stop, trace status, trace save PATH, \
     trace stacks PATH";
/// Text that is written to a file in one go, in bytes.
const CHUNK_BYTES: usize = 16 * 1024;

/// The functions of programs, by the address of their code.
static PROGRAMS: Mutex<BTreeMap<usize, ProgramNames>> = Mutex::new(BTreeMap::new());

/// What to trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// These categories, as a mask.
    Events(u32),
    /// What runs, so many times a second.
    Profile {
        /// Samples a second.
        hz: u32,
    },
}

struct ProgramNames {
    len_bytes: usize,
    functions: Vec<FunctionName>,
}

struct FunctionName {
    offset: usize,
    len_bytes: usize,
    name: Box<str>,
}

struct Watcher;

impl Observer for Watcher {
    fn host_call(&self, function: u32, begins: bool) {
        let kind = if begins {
            Kind::HostCallBegin
        } else {
            Kind::HostCallEnd
        };
        trace::point(kind, 0, u64::from(function), 0);
    }

    fn process_starts(&self, process: u64, name: &str) {
        trace::process_starts(process, name);
    }

    fn process_ends(&self, process: u64, exit_code: u8) {
        trace::process_ends(process, exit_code);
    }

    fn program_loaded(&self, program: &dyn ProgramCode) {
        if trace::is_on(Category::Sample) {
            let names = ProgramNames::of(program);
            programs().insert(program.text().as_ptr().addr(), names);
        }
    }
}

impl ProgramNames {
    fn of(program: &dyn ProgramCode) -> Self {
        let mut functions = Vec::new();
        program.for_each_function(&mut |offset, len_bytes, name| {
            functions.push(FunctionName {
                offset,
                len_bytes,
                name: name.into(),
            });
        });
        functions.sort_by_key(|function| function.offset);
        Self {
            len_bytes: program.text().len(),
            functions,
        }
    }

    /// What lies at `offset`: a function, or what the compiler made between them.
    fn name_at(&self, offset: usize) -> &str {
        let behind = self
            .functions
            .partition_point(|known| known.offset <= offset);
        let found = behind.checked_sub(1).map(|index| &self.functions[index]);
        let found = found.filter(|known| offset - known.offset < known.len_bytes);
        found.map_or("(between wasm and host)", |known| &known.name)
    }
}

fn programs() -> MutexGuard<'static, BTreeMap<usize, ProgramNames>> {
    PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets the runtime's tracepoints reach the kernel.
pub fn init() {
    observe::set_observer(Box::new(Watcher));
}

/// Switches tracing on.
///
/// # Errors
/// A sentence.
pub fn start(what: What) -> Result<(), String> {
    programs().clear();
    let started = match what {
        What::Events(mask) => trace::start(mask),
        What::Profile { hz } => profile::start(hz),
    };
    started.map_err(|error| format!("{error}."))?;
    observe::set_watched(true);
    Ok(())
}

/// Switches tracing off.
pub fn stop() {
    observe::set_watched(false);
    trace::stop();
}

/// What the words `trace=all`, `trace=CATEGORY,CATEGORY…` or `profile=HZ` of the command line ask for; an error is
/// a sentence.
pub fn recording(command_line: &str) -> Option<Result<What, String>> {
    command_line.split(' ').find_map(|word| {
        let (key, value) = word.split_once('=')?;
        match (key, value) {
            ("trace", "all") => Some(Ok(What::Events(trace::ALL))),
            ("trace", names) => Some(parse_categories(names.split(',')).map(What::Events)),
            ("profile", hz) => Some(parse_hz(hz).map(|hz| What::Profile { hz })),
            _ => None,
        }
    })
}

/// Writes what was traced as JSON.
fn write_trace(out: &mut dyn Write) -> fmt::Result {
    let mut traced = trace::collect();
    let functions = observe::host_functions();
    traced.host_functions = functions.iter().map(|path| short_name(path)).collect();
    write_json(&traced, &trace::ns_at, out)
}

/// Writes what was recorded in the form that it has for the host.
///
/// # Errors
/// Those of `out`.
pub fn write_recording(what: What, out: &mut dyn Write) -> fmt::Result {
    match what {
        What::Events(_) => write_trace(out),
        What::Profile { .. } => out.write_str(&stacks().text),
    }
}

/// The profile's samples, counted by stack.
fn stacks() -> Folded {
    let programs = programs();
    fold(&trace::collect(), &|address| {
        let in_kernel = fault::function_at(address).map(str::to_owned);
        in_kernel.or_else(|| name_in(&programs, address as usize))
    })
}

fn name_in(programs: &BTreeMap<usize, ProgramNames>, address: usize) -> Option<String> {
    let (start, program) = programs.range(..=address).next_back()?;
    let offset = address - start;
    (offset < program.len_bytes).then(|| program.name_at(offset).to_owned())
}

/// `clocks/wall-clock#…` of the path of the module that declares a host function: WIT's names, as far as paths have
/// them.
fn short_name(path: &str) -> String {
    let (module, function) = path.split_once('#').unwrap_or(("", path));
    let mut parts = module.rsplit("::");
    match (parts.next(), parts.next()) {
        (Some(interface), Some(package)) => {
            let declared_in = format!("{package}/{interface}").replace('_', "-");
            format!("{declared_in}#{function}")
        }
        _ => function.to_owned(),
    }
}

/// Obeys the prompt's command `trace`; files are those of `tree`.
///
/// # Errors
/// A sentence.
pub fn command(words: &[String], tree: &FileTree) -> Result<String, String> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["start", ref categories @ ..] => {
            let mask = parse_categories(categories.iter().copied())?;
            start(What::Events(mask)).map(|()| "Tracing is on.\n".into())
        }
        ["profile"] => begin_profile(profile::HZ_DEFAULT),
        ["profile", hz] => begin_profile(parse_hz(hz)?),
        ["stop"] => {
            stop();
            Ok(status())
        }
        ["status"] => Ok(status()),
        ["save", path] => save(tree, path, write_trace),
        ["stacks", path] => save(tree, path, |out| out.write_str(&stacks().text)),
        _ => Err(format!("{USAGE}.")),
    }
}

fn begin_profile(hz: u32) -> Result<String, String> {
    start(What::Profile { hz }).map(|()| format!("Profiling at {hz} Hz is on.\n"))
}

/// The mask of some categories; of none, of all.
///
/// # Errors
/// A sentence about the first word that names none.
fn parse_categories<'a>(words: impl Iterator<Item = &'a str>) -> Result<u32, String> {
    let mut mask = 0;
    for word in words {
        let category = Category::by_name(word).filter(|known| trace::ALL & known.bit() != 0);
        mask |= category.ok_or_else(|| unknown_category(word))?.bit();
    }
    Ok(if mask == 0 { trace::ALL } else { mask })
}

fn unknown_category(word: &str) -> String {
    let known = Category::ALL
        .iter()
        .filter(|(known, _)| trace::ALL & known.bit() != 0);
    let names: Vec<_> = known.map(|(_, name)| *name).collect();
    format!(
        "'{}' is no category; there are {}.",
        word.escape_debug(),
        names.join(", ")
    )
}

/// Samples a second, as somebody wrote them.
///
/// # Errors
/// A sentence.
fn parse_hz(word: &str) -> Result<u32, String> {
    let hz = word
        .parse()
        .ok()
        .filter(|hz| (1..=profile::HZ_MAX).contains(hz));
    hz.ok_or_else(|| {
        format!(
            "'{}' is no number of samples a second, 1 to {}.",
            word.escape_debug(),
            profile::HZ_MAX
        )
    })
}

fn status() -> String {
    let mask = trace::categories();
    let on = Category::ALL
        .iter()
        .filter(|(category, _)| mask & category.bit() != 0);
    let names: Vec<_> = on.map(|(_, name)| *name).collect();
    let mut text = match names[..] {
        [] => "Tracing is off.\n".to_owned(),
        _ => format!("Tracing is on: {}.\n", names.join(" ")),
    };
    for ring in trace::status() {
        let overwritten = ring.written.saturating_sub(ring.capacity as u64);
        // A `String` takes everything.
        let _ = writeln!(
            text,
            "cpu {}: {} records, {overwritten} of them overwritten, {} dropped, room for {}",
            ring.cpu, ring.written, ring.dropped, ring.capacity
        );
    }
    text
}

/// Writes a file of `tree`, new or in the place of what it held.
fn save(
    tree: &FileTree,
    path: &str,
    write: impl FnOnce(&mut dyn Write) -> fmt::Result,
) -> Result<String, String> {
    let file = open(tree, path).map_err(|error| format!("{path}: {error}."))?;
    let mut out = FileText {
        tree,
        file,
        text: String::new(),
        len_bytes: 0,
        error: None,
    };
    let written = write(&mut out).and_then(|()| out.flush());
    match (written, out.error) {
        (Ok(()), _) => Ok(format!("{path}: {} bytes\n", out.len_bytes)),
        (Err(_), Some(error)) => Err(format!("{path}: {error}.")),
        (Err(_), None) => Err(format!("{path}: the text cannot be made.")),
    }
}

fn now() -> Timestamp {
    let now_ns = time::realtime_ns();
    Timestamp {
        seconds: now_ns / 1_000_000_000,
        nanoseconds: (now_ns % 1_000_000_000) as u32,
    }
}

fn open(tree: &FileTree, path: &str) -> Result<NodeId, lib_tmpfs::Error> {
    let mut tree = tree.write();
    let below_root = path.trim_start_matches('/');
    let resolved = tree.resolve(tree.root(), below_root, Follow::Last)?;
    if let Ok(file) = resolved.node() {
        return tree.set_len(file, 0, now()).map(|()| file);
    }
    match resolved {
        Resolved::Entry {
            parent,
            name,
            directory_required: false,
            ..
        } => tree.create_file(parent, &name, now()),
        _ => Err(lib_tmpfs::Error::NotFound),
    }
}

/// Text that becomes a file.
struct FileText<'a> {
    tree: &'a FileTree,
    file: NodeId,
    text: String,
    len_bytes: usize,
    error: Option<lib_tmpfs::Error>,
}

impl FileText<'_> {
    fn flush(&mut self) -> fmt::Result {
        let text = std::mem::take(&mut self.text);
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            match self.tree.write().append(self.file, rest, now()) {
                Ok(taken) if taken > 0 => rest = &rest[taken..],
                Ok(_) => return Err(fmt::Error),
                Err(error) => {
                    self.error = Some(error);
                    return Err(fmt::Error);
                }
            }
        }
        self.len_bytes += text.len();
        Ok(())
    }
}

impl Write for FileText<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.text.push_str(text);
        if self.text.len() < CHUNK_BYTES {
            return Ok(());
        }
        self.flush()
    }
}
