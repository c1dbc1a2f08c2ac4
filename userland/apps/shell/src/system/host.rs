//! The development machine, for tests: no terminal and no job control.

use std::cell::RefCell;
use std::collections::hash_map::RandomState;
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, Hasher};
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{self, Command, ExitStatus, Stdio};
use std::rc::Rc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Drained, Exit, Launch, Opening, SpawnError, StandardOutput};

/// Something to read from.
#[derive(Clone, Debug)]
pub enum Input {
    /// The shell's own standard input.
    Standard,
    /// Nothing.
    Empty,
    /// A file or a pipe.
    Stream(Rc<File>),
}

impl Input {
    /// Waits for bytes and takes at most so many; none at the end.
    pub fn read(&self, len_bytes_max: usize) -> Result<Vec<u8>, String> {
        let mut bytes = vec![0; len_bytes_max];
        let len_bytes = match self {
            Self::Standard => own(&io::stdin())?.read(&mut bytes),
            Self::Empty => Ok(0),
            Self::Stream(file) => (&**file).read(&mut bytes),
        };
        bytes.truncate(len_bytes.map_err(|error| reason(&error))?);
        Ok(bytes)
    }

    /// Waits for so long at most until reading does not wait: for bytes or the end. Whether it came to that.
    pub fn wait(&self, time: Duration) -> Result<bool, String> {
        match self {
            Self::Standard => is_ready_within(&io::stdin(), time),
            Self::Empty => Ok(true),
            Self::Stream(file) => is_ready_within(file, time),
        }
    }

    /// Whether a person types it.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Standard) && io::stdin().is_terminal()
    }

    fn for_child(&self) -> io::Result<Stdio> {
        Ok(match self {
            Self::Standard => Stdio::inherit(),
            Self::Empty => Stdio::null(),
            Self::Stream(file) => file.try_clone()?.into(),
        })
    }
}

fn is_ready_within(stream: &impl AsFd, time: Duration) -> Result<bool, String> {
    let time = Timespec::try_from(time).map_err(|error| error.to_string())?;
    let count = poll(&mut [PollFd::new(stream, PollFlags::IN)], Some(&time));
    count
        .map(|count| count > 0)
        .map_err(|error| reason(&error.into()))
}

/// Standard input as a file: `std`'s own takes more bytes than it is asked for.
fn own(stream: &impl AsFd) -> Result<File, String> {
    let owned = stream
        .as_fd()
        .try_clone_to_owned()
        .map_err(|error| reason(&error))?;
    Ok(owned.into())
}

/// Something to write to.
#[derive(Clone, Debug)]
pub enum Output {
    /// The shell's own.
    Standard(StandardOutput),
    /// Nowhere.
    Discard,
    /// A file or a pipe.
    Stream(Rc<File>),
}

impl Output {
    /// Writes all of it; `Err(None)` where nobody reads it any more.
    pub fn write(&self, bytes: &[u8]) -> Result<(), Option<String>> {
        let written = match self {
            Self::Standard(StandardOutput::Stdout) => {
                own(&io::stdout()).map(|mut file| file.write_all(bytes))?
            }
            Self::Standard(StandardOutput::Stderr) => {
                own(&io::stderr()).map(|mut file| file.write_all(bytes))?
            }
            Self::Discard => Ok(()),
            Self::Stream(file) => (&**file).write_all(bytes),
        };
        written.map_err(|error| (error.kind() != io::ErrorKind::BrokenPipe).then(|| reason(&error)))
    }

    /// Whether a person sees it.
    pub fn is_terminal(&self) -> bool {
        match self {
            Self::Standard(StandardOutput::Stdout) => io::stdout().is_terminal(),
            Self::Standard(StandardOutput::Stderr) => io::stderr().is_terminal(),
            Self::Discard | Self::Stream(_) => false,
        }
    }

    fn for_child(&self) -> io::Result<Stdio> {
        Ok(match self {
            Self::Standard(StandardOutput::Stdout) => io::stdout().into(),
            Self::Standard(StandardOutput::Stderr) => io::stderr().into(),
            Self::Discard => Stdio::null(),
            Self::Stream(file) => file.try_clone()?.into(),
        })
    }
}

/// A pipe: what is written to the second is read from the first.
pub fn pipe() -> Result<(Input, Output), String> {
    let (read, write) = io::pipe().map_err(|error| reason(&error))?;
    let (read, write) = (
        File::from(OwnedFd::from(read)),
        File::from(OwnedFd::from(write)),
    );
    Ok((Input::Stream(Rc::new(read)), Output::Stream(Rc::new(write))))
}

/// Opens a file for reading.
pub fn open_input(path: &str) -> Result<Input, String> {
    let file = File::open(path).map_err(|error| reason(&error))?;
    Ok(Input::Stream(Rc::new(file)))
}

/// Opens a file for writing.
pub fn open_output(path: &str, opening: Opening) -> Result<Output, String> {
    let mut options = OpenOptions::new();
    match opening {
        Opening::Truncate => options.write(true).create(true).truncate(true),
        Opening::Append => options.append(true).create(true),
        Opening::Keep => options.write(true).create(true),
        Opening::New => options.write(true).create_new(true),
    };
    let file = options.open(path).map_err(|error| reason(&error))?;
    Ok(Output::Stream(Rc::new(file)))
}

fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

/// A process that the shell has started.
#[derive(Clone, Debug)]
pub struct Child(Rc<RefCell<process::Child>>);

impl Child {
    /// Its number.
    pub fn id(&self) -> u64 {
        self.0.borrow().id().into()
    }

    /// How it ended; nothing while it runs.
    pub fn try_wait(&self) -> Option<Exit> {
        match self.0.borrow_mut().try_wait() {
            Ok(status) => status.map(ending),
            Err(_) => Some(Exit {
                code: 127,
                message: None,
            }),
        }
    }

    /// Ends it.
    pub fn kill(&self) {
        // It may have ended already.
        let _ = self.0.borrow_mut().kill();
    }

    /// There is no job control here.
    pub fn suspend(&self, _is_suspended: bool) {}

    /// Children outlive the shell here anyway.
    pub fn disown(&self) {}
}

fn ending(status: ExitStatus) -> Exit {
    let ended_by = |signal: i32| u8::try_from(128 + signal).unwrap_or(u8::MAX);
    let code = status.code().map_or_else(
        || status.signal().map_or(u8::MAX, ended_by),
        |code| (code & 0xFF) as u8,
    );
    Exit {
        code,
        message: status.signal().map(|_| status.to_string()),
    }
}

/// Starts a process.
pub fn spawn(launch: &Launch<'_>) -> Result<Child, SpawnError> {
    let stream =
        |stdio: io::Result<Stdio>| stdio.map_err(|error| SpawnError::Refused(reason(&error)));
    let mut command = Command::new(launch.program);
    if let Some((name, arguments)) = launch.arguments.split_first() {
        command.arg0(name).args(arguments);
    }
    command
        .env_clear()
        .envs(launch.environment.iter().cloned())
        .current_dir(launch.folder);
    command
        .stdin(stream(launch.stdin.for_child())?)
        .stdout(stream(launch.stdout.for_child())?)
        .stderr(stream(launch.stderr.for_child())?);
    match command.spawn() {
        Ok(child) => Ok(Child(Rc::new(RefCell::new(child)))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(SpawnError::NotFound),
        Err(error) => Err(SpawnError::Refused(reason(&error))),
    }
}

/// Ends the shell.
pub fn exit(status: u8) {
    process::exit(status.into());
}

/// Under which name a further shell is started. Cargo says it to tests.
pub fn own_program() -> String {
    let own = std::env::current_exe()
        .ok()
        .filter(|path| path.ends_with("sh"));
    own.map_or_else(|| "sh".into(), |path| path.to_string_lossy().into_owned())
}

/// The shell's own number.
pub fn id() -> u64 {
    process::id().into()
}

/// The names that `spawn` looks up.
pub fn programs() -> Vec<String> {
    let path = std::env::var("PATH").unwrap_or_default();
    let entries = path
        .split(':')
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten()
        .flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

/// Waits until one of them has ended.
pub fn wait_for_any(children: &[&Child], _is_foreground: bool) {
    while !children.is_empty() && children.iter().all(|child| child.try_wait().is_none()) {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// Reads what children write until all of them are done with it.
pub fn drain(from: &Input, into: &mut Vec<u8>, _is_foreground: bool) -> Drained {
    while let Ok(bytes) = from.read(4096)
        && !bytes.is_empty()
    {
        into.extend(bytes);
    }
    Drained::End
}

/// The shell talks to no person here.
pub fn has_terminal() -> bool {
    false
}

/// There is no terminal.
pub fn set_raw(_is_raw: bool) {}

/// There is no terminal.
pub fn terminal_columns() -> Option<usize> {
    None
}

/// There is no terminal.
pub fn give_terminal_to_job() {}

/// There is no terminal.
pub fn join_job(_child: &Child) -> Result<(), String> {
    Ok(())
}

/// There is no terminal.
pub fn was_interrupted() -> bool {
    false
}

/// There is no terminal.
pub fn resume_from_terminal() {}

/// There is no terminal.
pub fn was_suspended() -> bool {
    false
}

/// There is no terminal.
pub fn pending_keys() -> Vec<u8> {
    Vec::new()
}

/// A number that nobody can foretell.
pub fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
