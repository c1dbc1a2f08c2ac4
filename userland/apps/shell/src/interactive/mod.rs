//! The shell as a person has it: prompt, line editor, completion, reports about jobs.
//!
//! Law: while the shell itself reads or computes, the terminal hands on every key; while a job is in the foreground the
//! terminal is the job's. Keys are taken one by one, so that what is typed ahead is read by whoever is there then.

mod completion;
mod prompt;

use std::fs;

use brush_parser::ast::Program;
use lib_line_editor::{Event, LineEditor};

use crate::shell::{INTERRUPTED, Shell, Status, Unwind};
use crate::syntax;
use crate::system::{self, Input};

/// How many lines are remembered.
const HISTORY_MAX: usize = 1000;
/// What a new shell runs first, below the home folder.
const START_FILE: &str = ".shrc";

/// What a person has entered.
enum Entered {
    Program(Program),
    /// Nothing that could be run.
    Nothing,
    End,
}

impl Shell {
    /// Reads commands from the terminal and runs them until the person leaves.
    pub fn interact(mut self) -> Status {
        self.is_interactive = true;
        system::set_raw(true);
        self.run_start_file();
        let mut editor = LineEditor::new(HISTORY_MAX).completing();
        let status = self.run_to_end(|shell| Err(Unwind::Exit(shell.talk(&mut editor))));
        system::set_raw(false);
        status
    }

    fn run_start_file(&mut self) {
        let home = self.state.variables.text("HOME").unwrap_or("/").to_owned();
        if let Ok(text) = fs::read(self.absolute(&format!("{home}/{START_FILE}"))) {
            let outcome = self.run_text(&String::from_utf8_lossy(&text));
            self.state.status = self.settle(outcome);
        }
    }

    fn talk(&mut self, editor: &mut LineEditor) -> Status {
        let mut was_warned = false;
        loop {
            self.report_jobs();
            let program = match self.enter(editor) {
                Entered::Program(program) => program,
                Entered::Nothing => continue,
                Entered::End => {
                    self.files.error("exit\n");
                    Program {
                        complete_commands: Vec::new(),
                    }
                }
            };
            let is_end = program.complete_commands.is_empty();
            let outcome = if is_end {
                Err(Unwind::Exit(self.state.status))
            } else {
                self.run_program(&program)
            };
            match outcome {
                Err(Unwind::Exit(_)) if self.has_suspended_jobs() && !was_warned => {
                    self.files.error("There are stopped jobs.\n");
                    was_warned = true;
                }
                Err(Unwind::Exit(status)) => return status,
                Err(Unwind::Interrupted) => self.after_interrupt(),
                outcome => {
                    self.state.status = self.settle(outcome);
                    was_warned = false;
                }
            }
            self.conditions = 0;
        }
    }

    fn has_suspended_jobs(&self) -> bool {
        self.jobs.iter().any(|job| job.is_suspended)
    }

    fn after_interrupt(&mut self) {
        self.files.error("\n");
        self.state.status = INTERRUPTED;
        if let Some(trap) = self.traps.get("INT").cloned() {
            let outcome = self.run_text(&trap);
            self.settle(outcome);
        }
    }

    /// Tells of the jobs that have ended since the last prompt.
    fn report_jobs(&mut self) {
        for job in self.jobs.take_done() {
            self.tell_messages(&job);
            self.files.error(&job.line(true));
        }
    }

    /// A whole command, however many lines it takes.
    fn enter(&mut self, editor: &mut LineEditor) -> Entered {
        let mut text = String::new();
        loop {
            let prompt = self.prompt(if text.is_empty() { "PS1" } else { "PS2" });
            match self.edit(editor, &prompt) {
                Event::EndOfInput if text.is_empty() => return Entered::End,
                Event::EndOfInput | Event::Interrupt => return Entered::Nothing,
                Event::Line(line) => text += &(line + "\n"),
                Event::Complete => continue,
            }
            if text.trim().is_empty() {
                return Entered::Nothing;
            }
            match syntax::program(&text) {
                Ok(program) => {
                    self.remember(&text);
                    // A comment is nothing either.
                    let is_empty = program
                        .complete_commands
                        .iter()
                        .all(|list| list.0.is_empty());
                    return if is_empty {
                        Entered::Nothing
                    } else {
                        Entered::Program(program)
                    };
                }
                Err(error) if error.is_incomplete => (),
                Err(error) => {
                    self.remember(&text);
                    self.complain(error.message);
                    return Entered::Nothing;
                }
            }
        }
    }

    fn remember(&mut self, text: &str) {
        if self.history.len() == HISTORY_MAX {
            self.history.remove(0);
        }
        self.history.push(text.trim_end().to_owned());
    }

    /// One line.
    fn edit(&mut self, editor: &mut LineEditor, prompt: &str) -> Event {
        let mut echo = Vec::new();
        editor.set_columns(system::terminal_columns());
        editor.begin(prompt, &mut echo);
        loop {
            self.show(&mut echo);
            let Some(key) = self.key() else {
                return Event::EndOfInput;
            };
            match editor.feed(key, &mut echo) {
                Some(Event::Complete) => self.complete(editor, &mut echo),
                Some(event) => {
                    self.show(&mut echo);
                    return event;
                }
                None => (),
            }
        }
    }

    fn show(&self, echo: &mut Vec<u8>) {
        self.files.error(&String::from_utf8_lossy(echo));
        echo.clear();
    }

    /// The next key; none where there will be no more.
    fn key(&mut self) -> Option<u8> {
        if !self.keys.is_empty() {
            return Some(self.keys.remove(0));
        }
        Input::Standard.read(1).ok()?.first().copied()
    }
}
