//! A shell: what it remembers from one command to the next.
//!
//! Law: [`State`] is all that a subshell inherits, and can be written down as text: a subshell that has to run beside its
//! parent is a process of its own that is handed it. What belongs to one process only (open files, jobs, the
//! terminal) stands beside it in [`Shell`].

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

use brush_parser::ast::FunctionDefinition;
use serde::{Deserialize, Serialize};

use crate::files::Files;
use crate::jobs::Jobs;
use crate::options::{Options, Switch};
use crate::run::Consumer;
use crate::system;
use crate::variables::{Value, Variable, Variables};

/// What `$?` shows.
pub type Status = u8;

/// A command did what it was to do.
pub const SUCCESS: Status = 0;
/// It did not.
pub const FAILURE: Status = 1;
/// It was used in a wrong way.
pub const USAGE: Status = 2;
/// A program cannot be run.
pub const UNUSABLE: Status = 126;
/// There is no such program.
pub const NOT_FOUND: Status = 127;
/// Ctrl-C has ended it.
pub const INTERRUPTED: Status = 130;
/// Nobody reads what it writes.
pub const BROKEN_PIPE: Status = 141;
/// The time that it had was over.
pub const TIMED_OUT: Status = 142;
/// Ctrl-Z has suspended it.
pub const SUSPENDED: Status = 148;

/// Why the commands behind one are not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unwind {
    /// `break`, out of so many loops.
    Break(usize),
    /// `continue`, of the loop so far out.
    Continue(usize),
    /// `return` from a function or a sourced script.
    Return(Status),
    /// The shell ends.
    Exit(Status),
    /// A command could not be expanded: the sentence. It ends a script, and at the prompt the line.
    Failed(String),
    /// An expression could not be computed, and that was said. It ends the outermost command, and the next one runs.
    Uncomputed,
    /// Ctrl-C.
    Interrupted,
}

/// How a command ended.
pub type Outcome = Result<Status, Unwind>;

/// What subshells inherit.
#[derive(Clone, Serialize, Deserialize)]
pub struct State {
    /// Variables.
    pub variables: Variables,
    /// Functions.
    pub functions: BTreeMap<String, Rc<FunctionDefinition>>,
    /// Short names for starts of commands.
    pub aliases: BTreeMap<String, String>,
    /// What `set` has switched.
    pub options: Options,
    /// The current folder, absolute.
    pub folder: String,
    /// `$0`.
    pub name: String,
    /// `$1` and so on.
    pub arguments: Vec<String>,
    /// `$?`.
    pub status: Status,
    /// `$$`.
    pub id: u64,
    /// `$!`.
    pub background: Option<u64>,
}

/// A shell.
pub struct Shell {
    /// What subshells inherit.
    pub state: State,
    /// Where commands read and write.
    pub files: Files,
    /// What runs in the background or stands still.
    pub jobs: Jobs,
    /// What runs when the shell ends, or at Ctrl-C.
    pub traps: BTreeMap<String, String>,
    /// The lines that were entered.
    pub history: Vec<String>,
    /// Whether a person types the commands.
    pub is_interactive: bool,
    /// Whether it is a copy within the process of another one, and ends before that goes on.
    pub is_copy: bool,
    /// Whether a job of this shell's has the terminal, which everything joins that is started.
    pub has_open_job: bool,
    /// How many conditions are being decided, in which a failure is no reason for `set -e` to end the shell.
    pub conditions: usize,
    /// How many loops are being run, in this function.
    pub loops: usize,
    /// How many functions are being run.
    pub functions_running: usize,
    /// How many sourced scripts are being run.
    pub scripts_running: usize,
    /// How deep compound commands are nested at the moment.
    pub depth: usize,
    /// How deep expansions contain expansions at the moment.
    pub expansions: usize,
    /// The status of the last command substitution, since the command began.
    pub substitution_status: Option<Status>,
    /// Files of the commands that run, to be removed when each has ended.
    pub temporary_files: Vec<String>,
    /// Files of commands that have ended, to be removed when there are no jobs, which may have yet to open them.
    pub files_of_jobs: Vec<String>,
    /// Commands that are run then, on what it has written to them.
    pub consumers: Vec<Consumer>,
    /// Keys that were typed while a command ran.
    pub keys: Vec<u8>,
    /// Counts commands, so that now and then the keyboard is looked at.
    pub commands: u64,
    /// Where `getopts` is in its argument.
    pub option_offset: usize,
    /// Which argument `getopts` has left off at.
    pub option_index: usize,
    /// When the shell began.
    pub began: Instant,
    /// `$LINENO`: where the command that runs begins.
    pub line: usize,
    /// How many lines stand in front of the text that is run.
    pub line_base: usize,
}

impl Shell {
    /// A shell in this environment.
    pub fn new(
        name: String,
        arguments: Vec<String>,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Self {
        let variables = Variables::from_environment(environment);
        let folder = variables
            .text("PWD")
            .filter(|folder| folder.starts_with('/'))
            .unwrap_or("/")
            .to_owned();
        let state = State {
            variables,
            functions: BTreeMap::new(),
            aliases: BTreeMap::new(),
            options: Options::default(),
            folder,
            name,
            arguments,
            status: SUCCESS,
            id: system::id(),
            background: None,
        };
        let mut shell = Self::with_state(state, Files::standard());
        shell.set_defaults();
        shell
    }

    /// A shell that goes on where another one was.
    pub fn with_state(state: State, files: Files) -> Self {
        Self {
            state,
            files,
            jobs: Jobs::default(),
            traps: BTreeMap::new(),
            history: Vec::new(),
            is_interactive: false,
            is_copy: false,
            has_open_job: false,
            conditions: 0,
            loops: 0,
            functions_running: 0,
            scripts_running: 0,
            depth: 0,
            expansions: 0,
            substitution_status: None,
            temporary_files: Vec::new(),
            files_of_jobs: Vec::new(),
            consumers: Vec::new(),
            keys: Vec::new(),
            commands: 0,
            option_offset: 0,
            option_index: 1,
            began: Instant::now(),
            line: 1,
            line_base: 0,
        }
    }

    /// A shell that begins as this one is, and whose changes are its own.
    pub fn subshell(&self) -> Self {
        let mut subshell = Self::with_state(self.state.clone(), self.files.clone());
        subshell.is_copy = true;
        subshell.jobs = self.jobs.for_subshell();
        subshell.conditions = self.conditions;
        subshell.loops = self.loops;
        subshell.depth = self.depth;
        subshell.functions_running = self.functions_running;
        subshell.has_open_job = self.has_open_job;
        subshell.began = self.began;
        subshell.line = self.line;
        subshell.line_base = self.line_base;
        subshell
    }

    fn set_defaults(&mut self) {
        let folder = self.state.folder.clone();
        self.set_exported("PWD", folder);
        for (name, text) in [
            ("IFS", " \t\n"),
            ("OPTIND", "1"),
            ("PS2", "> "),
            ("PS4", "+ "),
        ] {
            self.state.variables.entry(name).value = Some(Value::Text(text.into()));
        }
        for (name, text) in [("HOME", "/"), ("PATH", "/bin")] {
            if self.state.variables.get(name).is_none() {
                self.set_exported(name, text.into());
            }
        }
    }

    fn set_exported(&mut self, name: &str, text: String) {
        *self.state.variables.entry(name) = Variable {
            value: Some(Value::Text(text)),
            is_exported: true,
            ..Variable::default()
        };
    }

    /// Whether an option is on.
    pub fn has(&self, switch: Switch) -> bool {
        self.state.options.has(switch)
    }

    /// Gives a variable a text.
    pub fn assign(&mut self, name: &str, text: String) -> Result<(), Unwind> {
        let all_exported = self.has(Switch::AllExport);
        let variable = self.state.variables.entry(name);
        if variable.is_read_only {
            return Err(Unwind::Failed(format!("{name}: readonly variable")));
        }
        variable.is_exported |= all_exported;
        if !variable.is_integer {
            put(&mut variable.value, text);
            return Ok(());
        }
        let number = self.arithmetic(&text)?;
        put(
            &mut self.state.variables.entry(name).value,
            number.to_string(),
        );
        Ok(())
    }

    /// A path from the current folder on, made absolute, `.` and `..` resolved as they are written.
    pub fn absolute(&self, path: &str) -> String {
        let whole = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("{}/{path}", self.state.folder)
        };
        let mut parts: Vec<&str> = Vec::new();
        for part in whole.split('/') {
            match part {
                "" | "." => (),
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        let is_folder = path.ends_with('/') && !parts.is_empty();
        format!("/{}{}", parts.join("/"), if is_folder { "/" } else { "" })
    }

    /// Writes a sentence on standard error, behind the shell's name.
    pub fn complain(&self, sentence: impl std::fmt::Display) {
        let name = self.state.name.rsplit('/').next().unwrap_or_default();
        self.files.error(&format!("{name}: {sentence}\n"));
    }
}

/// An array's element 0 is what its name alone means.
fn put(value: &mut Option<Value>, text: String) {
    match value {
        Some(Value::List(list)) => drop(list.insert(0, text)),
        Some(Value::Map(map)) => drop(map.insert("0".into(), text)),
        other => *other = Some(Value::Text(text)),
    }
}
