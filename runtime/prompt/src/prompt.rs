//! The prompt's loop.

use std::collections::VecDeque;
use std::sync::Arc;

use lib_line_editor::{Event, LineEditor};
use runtime_host::{Budget, ByteSource, Cancellation, Read, TerminalDevice, read_blocking};

use crate::command::{BuiltIn, Command, parse};
use crate::foreground::{Stdin, serve};
use crate::limits;
use crate::output::TerminalOutput;
use crate::report;
use crate::system::{Job, Limits, StartError, System};
use crate::words::split;

const PROMPT: &str = "kpio> ";
/// How many lines are remembered.
const HISTORY_LINES_MAX: usize = 100;
/// How many bytes of input are taken at once.
const INPUT_BYTES: usize = 256;

/// Why the prompt is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parting {
    /// The person wants the machine off.
    PowerOff,
    /// The person wants the machine to start anew.
    Reboot,
    /// The terminal's input has ended.
    TerminalGone,
}

/// What comes from the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    Byte(u8),
    /// Nothing more will come.
    End,
}

/// The terminal's input, byte by byte. Programs and the prompt take turns at it, so what one has not
/// used is there for the other.
pub(crate) struct Keys {
    source: Arc<dyn ByteSource>,
    taken: VecDeque<u8>,
    has_ended: bool,
}

impl Keys {
    fn new(source: Arc<dyn ByteSource>) -> Self {
        Self {
            source,
            taken: VecDeque::new(),
            has_ended: false,
        }
    }

    pub(crate) fn source(&self) -> Arc<dyn ByteSource> {
        Arc::clone(&self.source)
    }

    /// What was typed, if anything was. The end is told once here, since nothing can follow it.
    pub(crate) fn try_next(&mut self) -> Option<Typed> {
        if let Some(byte) = self.taken.pop_front() {
            return Some(Typed::Byte(byte));
        }
        if self.has_ended {
            return None;
        }
        let mut buffer = [0; INPUT_BYTES];
        match self.source.read(&mut buffer) {
            Ok(Read::Empty) => None,
            Ok(Read::Bytes(count)) => self.take(&buffer[..count]),
            Ok(Read::End) | Err(_) => self.take(&[]),
        }
    }

    /// What is typed next.
    fn next(&mut self) -> Typed {
        if let Some(byte) = self.taken.pop_front() {
            return Typed::Byte(byte);
        }
        if self.has_ended {
            return Typed::End;
        }
        let mut buffer = [0; INPUT_BYTES];
        // Never raised: the prompt waits for its person.
        match read_blocking(&*self.source, &mut buffer, &Cancellation::new()) {
            Ok(Ok(count)) => self.take(&buffer[..count]).unwrap_or(Typed::End),
            Ok(Err(_)) | Err(_) => self.take(&[]).unwrap_or(Typed::End),
        }
    }

    /// Queues bytes, of which none mean the end, and gives the first.
    fn take(&mut self, bytes: &[u8]) -> Option<Typed> {
        self.has_ended = bytes.is_empty();
        self.taken.extend(bytes);
        Some(self.taken.pop_front().map_or(Typed::End, Typed::Byte))
    }
}

/// The rescue prompt on one terminal.
pub struct Prompt<S> {
    system: S,
    keys: Keys,
    output: TerminalOutput,
    editor: LineEditor,
    budget: Budget,
    terminal: TerminalDevice,
}

impl<S: System> Prompt<S> {
    /// A prompt that reads keys from `input`, in raw mode, and writes to `output`, to which `system`
    /// connects the programs that it starts. Pipes to programs are paid for by `budget`. Programs ask `terminal` for how
    /// keys reach them.
    pub fn new(
        system: S,
        input: Arc<dyn ByteSource>,
        output: TerminalOutput,
        budget: Budget,
        terminal: TerminalDevice,
    ) -> Self {
        Self {
            system,
            keys: Keys::new(input),
            output,
            editor: LineEditor::new(HISTORY_LINES_MAX),
            budget,
            terminal,
        }
    }

    /// Runs a program before the prompt, where there is one of this name.
    pub fn run_first(&mut self, program: &str) {
        if self.system.programs().iter().any(|name| name == program) {
            self.output.say(&format!(
                "This is {program}; 'help' lists its commands, and 'exit' leads to the prompt of the kernel.\n"
            ));
            self.run_program(program, &[], &Limits::default());
        }
    }

    /// Serves the person at the terminal until there is a reason to part.
    pub fn run(&mut self) -> Parting {
        loop {
            match self.next_line() {
                Some(Event::Line(line)) => {
                    if let Some(parting) = self.execute(&line) {
                        return parting;
                    }
                }
                Some(Event::Interrupt | Event::Complete) => {}
                Some(Event::EndOfInput) => {
                    self.output.say("'poweroff' switches the machine off.\n")
                }
                None => return Parting::TerminalGone,
            }
        }
    }

    /// What the person makes of one prompt; `None` when the terminal's input has ended.
    fn next_line(&mut self) -> Option<Event> {
        if !self.output.is_at_line_start() {
            self.output.say("\n");
        }
        for sentence in self.system.news() {
            self.output.say(&format!("{sentence}\n"));
        }
        let mut echo = Vec::new();
        self.editor.begin(PROMPT, &mut echo);
        loop {
            self.output.echo(&echo);
            echo.clear();
            let Typed::Byte(byte) = self.keys.next() else {
                return None;
            };
            if let Some(event) = self.editor.feed(byte, &mut echo) {
                self.output.echo(&echo);
                return Some(event);
            }
        }
    }

    fn execute(&mut self, line: &str) -> Option<Parting> {
        let command = split(line)
            .map_err(|error| error.to_string())
            .and_then(parse);
        match command {
            Ok(Command::Nothing) => {}
            Ok(Command::BuiltIn(BuiltIn::PowerOff)) => return Some(Parting::PowerOff),
            Ok(Command::BuiltIn(BuiltIn::Reboot)) => return Some(Parting::Reboot),
            Ok(Command::BuiltIn(BuiltIn::Clear)) => self.output.echo(b"\x1b[H\x1b[2J\r"),
            Ok(Command::BuiltIn(built_in)) => self.output.say(&self.answer(built_in)),
            Ok(Command::Worded {
                built_in,
                arguments,
            }) => self.run_worded(built_in, &arguments),
            Ok(Command::Program { name, arguments }) => {
                self.run_program(&name, &arguments, &Limits::default());
            }
            Err(sentence) => self.output.say(&format!("{sentence}\n")),
        }
        None
    }

    /// The text that a built-in command shows; nothing for those that do something else.
    fn answer(&self, built_in: BuiltIn) -> String {
        match built_in {
            BuiltIn::Free => report::memory(&self.system.memory()),
            BuiltIn::Help => report::help(&self.system.programs()),
            BuiltIn::Ps => report::processes(&self.system.processes()),
            BuiltIn::Uptime => report::uptime(self.system.uptime()),
            BuiltIn::Capabilities
            | BuiltIn::Clear
            | BuiltIn::Dmesg
            | BuiltIn::Invoke
            | BuiltIn::Keyboard
            | BuiltIn::Kill
            | BuiltIn::Limit
            | BuiltIn::Log
            | BuiltIn::PowerOff
            | BuiltIn::Reboot
            | BuiltIn::Services
            | BuiltIn::Trace => String::new(),
        }
    }

    /// Does what a built-in command with words asks for.
    fn run_worded(&mut self, built_in: BuiltIn, arguments: &[String]) {
        let answer = match (built_in, arguments) {
            (BuiltIn::Dmesg, [first, rest @ ..]) if first == "-f" => return self.follow_log(rest),
            (BuiltIn::Invoke, [program, function, words @ ..]) => {
                return self.run_in_foreground(program, |system, stdin| {
                    system.call(program, function, words, stdin)
                });
            }
            (BuiltIn::Invoke, _) => Err("'invoke' needs a program and a function.".to_owned()),
            (BuiltIn::Limit, _) => return self.run_limited(arguments),
            (BuiltIn::Kill, _) => self.kill(arguments),
            (BuiltIn::Dmesg, _) => self.system.log(arguments),
            (BuiltIn::Log, _) => self.system.log_levels(arguments),
            (BuiltIn::Keyboard, _) => self.system.keyboard(arguments),
            (BuiltIn::Trace, _) => self.system.trace(arguments),
            (BuiltIn::Services, _) => self.system.services(arguments),
            (BuiltIn::Capabilities, _) => self.system.capabilities(arguments),
            _ => Ok(String::new()),
        };
        match answer {
            Ok(text) => self.output.say(&text),
            Err(sentence) => self.output.say(&format!("{sentence}\n")),
        }
    }

    /// Shows the log as it grows, until Ctrl-C.
    fn follow_log(&mut self, words: &[String]) {
        let started = Stdin::new(&self.budget, &self.terminal).map_err(|error| error.to_string());
        match started.and_then(|(stdin, _)| Ok((stdin, self.system.follow_log(words)?))) {
            Ok((stdin, job)) => {
                serve(&*job, stdin, &mut self.keys, &self.output);
            }
            Err(sentence) => self.complain("dmesg", &sentence),
        }
    }

    /// Runs a program with less than everything.
    fn run_limited(&mut self, words: &[String]) {
        match limits::parse(words) {
            Ok((limits, [name, arguments @ ..])) => self.run_program(name, arguments, &limits),
            Ok((_, [])) => {}
            Err(sentence) => self.output.say(&format!("{sentence}\n")),
        }
    }

    /// Ends the processes of these numbers.
    fn kill(&self, words: &[String]) -> Result<String, String> {
        if words.is_empty() {
            return Err("Say which processes: kill ID…".to_owned());
        }
        for word in words {
            let id = word.parse();
            let word = report::printable(word);
            let id = id.map_err(|_| format!("'{word}' is no number of a process."))?;
            self.system.kill(id)?;
        }
        Ok(String::new())
    }

    /// Runs a program in the foreground until it ends.
    fn run_program(&mut self, name: &str, arguments: &[String], limits: &Limits) {
        self.run_in_foreground(name, |system, stdin| {
            system.start(name, arguments, stdin, limits)
        });
    }

    /// Runs what `start` starts of a program in the foreground until it ends.
    fn run_in_foreground(
        &mut self,
        name: &str,
        start: impl FnOnce(&S, Arc<dyn ByteSource>) -> Result<Box<dyn Job>, StartError>,
    ) {
        let (stdin, reader) = match Stdin::new(&self.budget, &self.terminal) {
            Ok(ends) => ends,
            Err(error) => return self.complain(name, &error.to_string()),
        };
        match start(&self.system, Arc::new(reader)) {
            Ok(job) => {
                if let Some(sentence) = serve(&*job, stdin, &mut self.keys, &self.output) {
                    self.remark(&sentence);
                }
            }
            Err(StartError::Refused(sentence)) => self.complain(name, &sentence),
            Err(StartError::NoSuchProgram) => self.output.say(&format!(
                "There is no command or program called '{}'; 'help' lists those there are.\n",
                report::printable(name)
            )),
        }
    }

    /// Says something about a program.
    fn complain(&self, name: &str, sentence: &str) {
        self.remark(&format!("{}: {sentence}", report::printable(name)));
    }

    /// Says something on a row of its own.
    fn remark(&self, sentence: &str) {
        if !self.output.is_at_line_start() {
            self.output.say("\n");
        }
        self.output.say(&format!("{sentence}\n"));
    }
}
