//! From words to processes.
//!
//! Law: there is no fork. What has to run beside the shell and is no program is a further shell, which is handed the whole
//! [`State`] and one command. A child cannot write into this shell's memory: where its output is captured, it gets a
//! pipe, which the shell empties while it waits.

use std::fs::{self, File as HostFile};
use std::io::Read;
use std::rc::Rc;

use brush_parser::ast::Command;
use serde::{Deserialize, Serialize};

use crate::files::{self, Capture, File, Files};
use crate::jobs::Job;
use crate::shell::{NOT_FOUND, SUSPENDED, Shell, State, Status, UNUSABLE, Unwind};
use crate::system::{self, Child, Drained, Input, Launch, Output, SpawnError};

/// The argument that makes a shell a subshell: the next one is what it is handed.
pub const SUBSHELL: &str = "--subshell";
/// The same: the next one is a file that holds it, and that the subshell removes.
pub const SUBSHELL_FROM_FILE: &str = "--subshell-from-file";

/// What is longer is handed over in a file.
const HANDOFF_LEN_BYTES_MAX: usize = 32 << 10;

/// What a subshell that is a process is handed, as its second argument.
#[derive(Serialize, Deserialize)]
pub struct Handoff {
    /// All that it inherits.
    pub state: State,
    /// What it runs.
    pub command: Command,
}

impl Handoff {
    fn to_arguments(&self) -> Result<[String; 2], String> {
        let text = serde_json::to_string(self).map_err(|error| error.to_string())?;
        if text.len() <= HANDOFF_LEN_BYTES_MAX {
            return Ok([SUBSHELL.into(), text]);
        }
        let path = files::temporary(text.as_bytes())?;
        Ok([SUBSHELL_FROM_FILE.into(), path])
    }

    /// What these arguments hand over; none where they are no subshell's.
    pub fn from_arguments(arguments: &[String]) -> Option<Result<Self, String>> {
        let text = match arguments {
            [kind, text] if kind == SUBSHELL => text.clone(),
            [kind, path] if kind == SUBSHELL_FROM_FILE => match fs::read_to_string(path) {
                Ok(text) => {
                    // If it cannot be removed, it is in the way of nobody.
                    let _ = fs::remove_file(path);
                    text
                }
                Err(error) => return Some(Err(error.to_string())),
            },
            _ => return None,
        };
        Some(serde_json::from_str(&text).map_err(|error| error.to_string()))
    }
}

/// The pipes through which children write into captures.
#[derive(Default)]
pub struct Captures(Vec<(Capture, Input, Output)>);

impl Captures {
    /// Where a child writes what is to be captured.
    fn output(&mut self, capture: &Capture) -> Result<Output, String> {
        if let Some((.., output)) = self.0.iter().find(|(own, ..)| Rc::ptr_eq(own, capture)) {
            return Ok(output.clone());
        }
        let (input, output) = system::pipe()?;
        self.0.push((capture.clone(), input, output.clone()));
        Ok(output)
    }

    /// Takes everything that children write, until they are done.
    pub fn drain(self, is_foreground: bool) -> Drained {
        // The shell's own ends are closed, or there would be no end.
        let readers: Vec<(Capture, Input)> = self
            .0
            .into_iter()
            .map(|(capture, input, _)| (capture, input))
            .collect();
        for (capture, input) in &readers {
            let mut bytes = Vec::new();
            let drained = system::drain(input, &mut bytes, is_foreground);
            capture.borrow_mut().extend(bytes);
            if drained == Drained::Suspended {
                return drained;
            }
        }
        Drained::End
    }
}

/// The files of a child.
struct ChildFiles {
    stdin: Input,
    stdout: Output,
    stderr: Output,
}

impl ChildFiles {
    fn new(files: &Files, captures: &mut Captures) -> Result<Self, String> {
        let mut output = |number| match files.get(number) {
            Some(File::Output(output)) => Ok(output.clone()),
            Some(File::Capture(capture)) => captures.output(capture),
            Some(File::Input(_)) | None => Ok(Output::Discard),
        };
        let (stdout, stderr) = (output(1)?, output(2)?);
        Ok(Self {
            stdin: files.input(0),
            stdout,
            stderr,
        })
    }
}

impl Shell {
    /// Starts a program; a status where that fails, which a person was told.
    pub fn start_program(
        &self,
        words: &[String],
        assigned: &[(String, String)],
        files: &Files,
        captures: &mut Captures,
    ) -> Result<Child, Status> {
        let name = words.first().map(String::as_str).unwrap_or_default();
        let mut environment = self.state.variables.exported();
        environment.retain(|(name, _)| assigned.iter().all(|(other, _)| other != name));
        environment.extend(assigned.iter().cloned());
        if !name.contains('/') {
            return self.start(name, words, environment, files, captures);
        }
        let path = self.absolute(name);
        match kind_of(&path) {
            Kind::Missing => Err(self.refuse(name, "No such file or directory", NOT_FOUND)),
            Kind::Folder => Err(self.refuse(name, "Is a directory", UNUSABLE)),
            Kind::Program => self.start(&path, words, environment, files, captures),
            Kind::Script => {
                let own = system::own_program();
                let mut arguments = vec![own.clone(), path];
                arguments.extend_from_slice(&words[1..]);
                self.start(&own, &arguments, environment, files, captures)
            }
        }
    }

    /// Starts a further shell that goes on as this one would, with one command.
    pub fn start_subshell(
        &self,
        command: Command,
        files: &Files,
        captures: &mut Captures,
    ) -> Result<Child, Status> {
        let handoff = Handoff {
            state: self.state.clone(),
            command,
        };
        let [kind, text] = handoff
            .to_arguments()
            .map_err(|reason| self.refuse("subshell", &reason, UNUSABLE))?;
        let own = system::own_program();
        let arguments = [own.clone(), kind, text];
        self.start(
            &own,
            &arguments,
            self.state.variables.exported(),
            files,
            captures,
        )
    }

    fn start(
        &self,
        program: &str,
        arguments: &[String],
        environment: Vec<(String, String)>,
        files: &Files,
        captures: &mut Captures,
    ) -> Result<Child, Status> {
        let refused = |reason: String| self.refuse(program, &reason, UNUSABLE);
        let files = ChildFiles::new(files, captures).map_err(refused)?;
        let launch = Launch {
            program,
            arguments,
            environment,
            folder: &self.state.folder,
            stdin: &files.stdin,
            stdout: &files.stdout,
            stderr: &files.stderr,
        };
        let child = system::spawn(&launch).map_err(|error| match error {
            SpawnError::NotFound => self.refuse(program, "command not found", NOT_FOUND),
            SpawnError::Refused(reason) => self.refuse(program, &reason, UNUSABLE),
        })?;
        if self.has_open_job
            && let Err(reason) = system::join_job(&child)
        {
            child.kill();
            return Err(self.refuse(program, &reason, UNUSABLE));
        }
        Ok(child)
    }

    fn refuse(&self, name: &str, reason: &str, status: Status) -> Status {
        self.complain(format_args!("{name}: {reason}"));
        status
    }

    /// Starts a job and waits for it. The terminal is the job's before any of it runs. What else is started meanwhile, for words of its
    /// commands, belongs to it; where this shell is such a part itself, the job is its own no more than the terminal is.
    pub fn run_in_foreground(
        &mut self,
        start: impl FnOnce(&mut Self, &mut Captures) -> Result<Job, Unwind>,
    ) -> Result<Vec<Status>, Unwind> {
        let is_first = self.is_interactive && !self.has_open_job;
        if is_first {
            self.has_open_job = true;
            system::set_raw(false);
            system::give_terminal_to_job();
        }
        let mut captures = Captures::default();
        let started = start(self, &mut captures);
        let ended = started.and_then(|job| self.wait_in_foreground(job, captures));
        if is_first {
            system::resume_from_terminal();
            system::set_raw(true);
        }
        // Asked only now: a Ctrl-C that came before the terminal was the shell's again was meant for the job.
        let was_interrupted = self.is_job_interrupted();
        if is_first {
            self.has_open_job = false;
        }
        self.after_foreground(ended?, was_interrupted)
    }

    /// Whether Ctrl-C has ended the job that has the terminal, so that no more of it is to be started.
    pub fn is_job_interrupted(&self) -> bool {
        self.has_open_job && system::was_interrupted()
    }

    /// Waits until a job has ended or stands still. What a copy of a shell waits for cannot be gone on with later: Ctrl-Z ends it, and
    /// all that it is a part of.
    fn wait_in_foreground(&mut self, mut job: Job, captures: Captures) -> Result<Job, Unwind> {
        let is_on_terminal = self.has_open_job;
        let mut is_suspended = captures.drain(is_on_terminal) == Drained::Suspended;
        job.update();
        while !job.is_done() && !is_suspended {
            system::wait_for_any(&job.running(), is_on_terminal);
            job.update();
            is_suspended = is_on_terminal && !job.is_done() && system::was_suspended();
        }
        if is_suspended && self.is_copy {
            job.kill();
            job.await_end();
            self.complain("a part of a command cannot stand still, so the command was ended");
            return Err(Unwind::Interrupted);
        }
        Ok(job)
    }

    fn after_foreground(
        &mut self,
        mut job: Job,
        was_interrupted: bool,
    ) -> Result<Vec<Status>, Unwind> {
        if !job.is_done() {
            job.is_suspended = true;
            let mut statuses = job.statuses();
            statuses.pop();
            statuses.push(SUSPENDED);
            let number = self.jobs.add(job);
            let line = self
                .jobs
                .get_mut(number)
                .map(|job| job.line(true))
                .unwrap_or_default();
            self.files.error(&format!("\n{line}"));
            return Ok(statuses);
        }
        self.tell_messages(&job);
        if was_interrupted || (self.is_interactive && job.was_interrupted()) {
            return Err(Unwind::Interrupted);
        }
        Ok(job.statuses())
    }
}

enum Kind {
    Missing,
    Folder,
    Program,
    Script,
}

/// A file that is no program is a script.
fn kind_of(path: &str) -> Kind {
    match fs::metadata(path) {
        Err(_) => Kind::Missing,
        Ok(metadata) if metadata.is_dir() => Kind::Folder,
        Ok(_) if is_program(path) => Kind::Program,
        Ok(_) => Kind::Script,
    }
}

/// Whether a file begins as programs of this system do.
fn is_program(path: &str) -> bool {
    const MAGIC: &[u8; 4] = if cfg!(target_os = "wasi") {
        b"\0asm"
    } else {
        b"\x7fELF"
    };
    let mut start = [0; MAGIC.len()];
    let read = HostFile::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start == *MAGIC
}
