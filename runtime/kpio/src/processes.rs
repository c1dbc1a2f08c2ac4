//! `kpio:process/processes`: starting, awaiting and ending processes.

use std::sync::Arc;
use std::time::Duration;

use runtime_host::{
    AttachedTerminal, Awaited, ByteSink, ByteSource, Discard, NoInput, StandardStream, Terminal,
};
use runtime_wasi::io::Pollable;
use runtime_wasi::{Files, WasiContext};
use wasmtime::component::Resource;

use crate::bindings::kpio::process::processes::{
    Exit, Files as WitFiles, Host, HostProcess, Input, Launch, Limits, Output,
    ProcessError as WitError, Status as WitStatus,
};
use crate::context::Caller;
use crate::system::{
    Child, ChildLimits, Ending, PaidBytes, ProcessError, Program, SpawnRequest, Status,
};

/// What every WebAssembly binary begins with.
const WASM_MAGIC: &[u8] = b"\0asm";
/// What a child costs its parent while a handle on it is held, in bytes.
const CHILD_BYTES: u64 = 1024;
/// The longest program that is read from a file, in bytes.
const PROGRAM_BYTES_MAX: u64 = 256 << 20;

/// A child in its parent's table of handles.
pub struct ChildHandle {
    pub(crate) child: Arc<dyn Child>,
    /// Pays for what is kept of the child.
    _paid: runtime_host::Reservation,
}

impl Host for Caller<'_> {
    fn spawn(
        &mut self,
        launch: Launch,
    ) -> wasmtime::Result<Result<Resource<ChildHandle>, WitError>> {
        // First of all, so that the streams leave the caller's table whatever else is wrong.
        let streams = Streams::take(self.wasi, launch.stdin, launch.stdout, launch.stderr)?;
        let started = resolve_files(self.wasi, launch.files)?.and_then(|files| {
            let program = find_program(self.wasi, &files, launch.program)?;
            let request = SpawnRequest {
                program,
                arguments: launch.arguments,
                environment: launch.environment,
                terminal: streams.terminal(self.wasi),
                stdin: streams.stdin.stream,
                stdout: streams.stdout.stream,
                stderr: streams.stderr.stream,
                files,
                limits: child_limits(launch.limits),
                may_spawn: launch.may_spawn,
            };
            self.start(request)
        });
        Ok(started.map_err(wit_error))
    }

    fn descendants(&mut self) -> wasmtime::Result<Vec<WitStatus>> {
        let descendants = self.system().descendants(self.own_id());
        Ok(descendants.into_iter().map(wit_status).collect())
    }

    fn programs(&mut self) -> wasmtime::Result<Vec<String>> {
        Ok(self.system().programs())
    }
}

impl Caller<'_> {
    /// Starts the child; its place in the table is paid for before there is one.
    fn start(&mut self, request: SpawnRequest) -> Result<Resource<ChildHandle>, ProcessError> {
        let quota = |error: &dyn std::fmt::Display| ProcessError::Quota(error.to_string());
        let paid = self.wasi.budget().reserve(CHILD_BYTES);
        let paid = paid.map_err(|over| quota(&over))?;
        let child = self.system().spawn(self.own_id(), request)?;
        let handle = ChildHandle {
            child: Arc::clone(&child),
            _paid: paid,
        };
        self.wasi.push(handle).map_err(|limit| {
            // A child that its parent cannot name would never be awaited.
            child.kill();
            quota(&limit)
        })
    }

    fn child(&self, handle: &Resource<ChildHandle>) -> wasmtime::Result<Arc<dyn Child>> {
        Ok(Arc::clone(&self.wasi.get(handle)?.child))
    }
}

impl HostProcess for Caller<'_> {
    fn id(&mut self, process: Resource<ChildHandle>) -> wasmtime::Result<u64> {
        Ok(self.child(&process)?.id())
    }

    fn subscribe(
        &mut self,
        process: Resource<ChildHandle>,
    ) -> wasmtime::Result<Resource<Pollable>> {
        let child: Arc<dyn Awaited> = self.child(&process)?;
        Ok(self.wasi.push(Pollable::Event(child))?)
    }

    fn try_wait(&mut self, process: Resource<ChildHandle>) -> wasmtime::Result<Option<Exit>> {
        Ok(self.child(&process)?.ending().map(wit_exit))
    }

    fn wait(&mut self, process: Resource<ChildHandle>) -> wasmtime::Result<Exit> {
        let child = self.child(&process)?;
        let ending = self
            .wasi
            .block_on(|notifier| child.subscribe(notifier), || child.ending())?;
        Ok(wit_exit(ending))
    }

    fn kill(&mut self, process: Resource<ChildHandle>) -> wasmtime::Result<()> {
        self.child(&process)?.kill();
        Ok(())
    }

    fn suspend(
        &mut self,
        process: Resource<ChildHandle>,
        is_suspended: bool,
    ) -> wasmtime::Result<()> {
        self.child(&process)?.suspend(is_suspended);
        Ok(())
    }

    fn disown(&mut self, process: Resource<ChildHandle>) -> wasmtime::Result<()> {
        self.child(&process)?.disown();
        Ok(())
    }

    fn drop(&mut self, process: Resource<ChildHandle>) -> wasmtime::Result<()> {
        self.wasi.delete(process)?;
        Ok(())
    }
}

/// A stream for a child, and whether it leads to the terminal.
struct Passed<S: ?Sized> {
    stream: Arc<S>,
    is_terminal: bool,
}

struct Streams {
    stdin: Passed<dyn ByteSource>,
    stdout: Passed<dyn ByteSink>,
    stderr: Passed<dyn ByteSink>,
}

impl Streams {
    fn take(
        wasi: &mut WasiContext,
        stdin: Input,
        stdout: Output,
        stderr: Output,
    ) -> wasmtime::Result<Streams> {
        let own = (Arc::clone(wasi.stdout()), Arc::clone(wasi.stderr()));
        let stdin = take_input(wasi, stdin);
        let stdout = take_output(wasi, stdout, own.0, StandardStream::Stdout);
        let stderr = take_output(wasi, stderr, own.1, StandardStream::Stderr);
        Ok(Streams {
            stdin: stdin?,
            stdout: stdout?,
            stderr: stderr?,
        })
    }

    /// The caller's terminal as the child has it, which it has even where none of its streams leads there.
    fn terminal(&self, wasi: &WasiContext) -> Option<Arc<dyn Terminal>> {
        let device = wasi.terminal()?.device()?;
        Some(Arc::new(AttachedTerminal {
            device,
            stdin: self.stdin.is_terminal,
            stdout: self.stdout.is_terminal,
            stderr: self.stderr.is_terminal,
        }))
    }
}

fn take_input(wasi: &mut WasiContext, input: Input) -> wasmtime::Result<Passed<dyn ByteSource>> {
    Ok(match input {
        Input::Inherit => Passed {
            stream: Arc::clone(wasi.stdin()),
            is_terminal: wasi.is_terminal(StandardStream::Stdin),
        },
        Input::Empty => Passed {
            stream: Arc::new(NoInput),
            is_terminal: false,
        },
        Input::Stream(handle) => {
            let mut stream = wasi.delete(handle)?;
            Passed {
                stream: stream.share()?,
                is_terminal: stream.is_terminal(),
            }
        }
    })
}

fn take_output(
    wasi: &mut WasiContext,
    output: Output,
    own: Arc<dyn ByteSink>,
    name: StandardStream,
) -> wasmtime::Result<Passed<dyn ByteSink>> {
    Ok(match output {
        Output::Inherit => Passed {
            stream: own,
            is_terminal: wasi.is_terminal(name),
        },
        Output::Discard => Passed {
            stream: Arc::new(Discard),
            is_terminal: false,
        },
        Output::Stream(handle) => {
            let mut stream = wasi.delete(handle)?;
            Passed {
                stream: stream.share()?,
                is_terminal: stream.is_terminal(),
            }
        }
    })
}

/// What the child finds as its file system; the inner error is the guest's to see.
fn resolve_files(
    wasi: &WasiContext,
    files: WitFiles,
) -> wasmtime::Result<Result<Files, ProcessError>> {
    let passed = match files {
        WitFiles::Inherit(current) => {
            return Ok(wasi.files().at(&current).ok_or_else(|| {
                let current = current.escape_debug();
                ProcessError::NotFound(format!("there is no folder '{current}'"))
            }));
        }
        WitFiles::Folders(folders) => folders,
    };
    let mut folders = Vec::new();
    for (descriptor, path) in passed {
        match wasi.get(&descriptor)?.as_folder(path) {
            Some(folder) => folders.push(folder),
            None => {
                let sentence = "only folders can be passed on, and one descriptor is a file's";
                return Ok(Err(ProcessError::Denied(sentence.to_owned())));
            }
        }
    }
    Ok(Ok(Files::folders(folders)))
}

/// The program, from the parent's files if it is a path. The parent pays for what is read until the child has loaded it.
fn find_program(
    wasi: &WasiContext,
    files: &Files,
    program: String,
) -> Result<Program, ProcessError> {
    if !program.contains('/') {
        return Ok(Program::Named(program));
    }
    // The parent's files, seen from where the child will be.
    let seen = wasi.files().at(files.current());
    let found = seen.as_ref().unwrap_or(wasi.files()).find(&program);
    let name = program.escape_debug();
    let (tree, node) =
        found.ok_or_else(|| ProcessError::NotFound(format!("there is no file '{name}'")))?;
    let unusable = |why: &str| ProcessError::Unusable(format!("{name} {why}"));
    let tree = tree.read();
    let stat = tree.stat(node);
    let len_bytes = stat
        .map_err(|error| unusable(&error.to_string()))?
        .len_bytes;
    if len_bytes > PROGRAM_BYTES_MAX {
        return Err(unusable("is longer than programs may be"));
    }
    let paid = wasi.budget().reserve(len_bytes);
    let paid = paid.map_err(|over| ProcessError::Quota(over.to_string()))?;
    // Nobody else has it yet, so that it is read to where it stays.
    let mut bytes: Arc<[u8]> = std::iter::repeat_n(0, len_bytes as usize).collect();
    let read = tree.read(node, 0, Arc::make_mut(&mut bytes));
    let count = read.map_err(|error| unusable(&format!("cannot be read: {error}")))?;
    if !bytes[..count].starts_with(WASM_MAGIC) {
        return Err(unusable("is not WebAssembly"));
    }
    Ok(Program::File {
        path: program.clone(),
        bytes: PaidBytes::new(bytes, paid),
    })
}

fn child_limits(limits: Limits) -> ChildLimits {
    ChildLimits {
        memory_bytes: limits.memory_bytes,
        cpu_percent: limits.cpu_percent,
        cpu_time: limits.cpu_time_ns.map(Duration::from_nanos),
        handles: limits.handles,
        output_bytes: limits.output_bytes,
        processes: limits.processes,
    }
}

fn wit_exit(ending: Ending) -> Exit {
    Exit {
        code: ending.code,
        message: ending.message,
    }
}

fn wit_status(status: Status) -> WitStatus {
    WitStatus {
        id: status.id,
        parent: status.parent,
        name: status.name,
        is_suspended: status.is_suspended,
        memory_bytes: status.memory_bytes,
        cpu_time_ns: nanoseconds(status.cpu_time),
        age_ns: nanoseconds(status.age),
        threads: status.threads,
        handles: status.handles,
    }
}

/// 584 years pass before this saturates.
fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn wit_error(error: ProcessError) -> WitError {
    match error {
        ProcessError::NotFound(sentence) => WitError::NotFound(sentence),
        ProcessError::Unusable(sentence) => WitError::Unusable(sentence),
        ProcessError::Denied(sentence) => WitError::Denied(sentence),
        ProcessError::Quota(sentence) => WitError::Quota(sentence),
    }
}

#[cfg(test)]
mod tests {
    use runtime_host::tmpfs::{Timestamp, Tmpfs};
    use runtime_host::{Budget, BudgetCharge, Cancellation, FileTree};
    use runtime_wasi::Rights;

    use super::*;

    const NOW: Timestamp = Timestamp {
        seconds: 0,
        nanoseconds: 0,
    };
    const LEN_BYTES: usize = 100_000;

    /// Files with one program in them.
    fn files() -> Files {
        let charge = Arc::new(BudgetCharge(Budget::new(1 << 20)));
        let mut tree = Tmpfs::new(charge, NOW).expect("a tree");
        let program = tree.create_file(tree.root(), "large.wasm", NOW);
        let mut bytes = vec![0; LEN_BYTES];
        bytes[..WASM_MAGIC.len()].copy_from_slice(WASM_MAGIC);
        let program = program.expect("a file");
        tree.write(program, 0, &bytes, NOW).expect("room");
        Files::whole(FileTree::new(tree), Rights::ReadOnly)
    }

    #[test]
    fn who_starts_programs_of_files_pays_for_each_as_long_as_it_is_held() {
        let budget = Budget::new(10 * LEN_BYTES as u64);
        let context = WasiContext::builder(budget.clone(), Cancellation::new()).files(files());
        let wasi = context.build().expect("room");
        let find = || find_program(&wasi, wasi.files(), "/large.wasm".to_owned());
        let before_bytes = budget.used_bytes();
        let held: Vec<_> = (0..3).map(|_| find().expect("a program")).collect();
        assert_eq!(budget.used_bytes() - before_bytes, 3 * LEN_BYTES as u64);
        let more: Vec<_> = (0..10).map_while(|_| find().ok()).collect();
        assert!(more.len() < 7, "more than it has");
        drop((held, more));
        assert_eq!(budget.used_bytes(), before_bytes);
    }
}
