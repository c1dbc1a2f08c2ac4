//! Running programs: lists, conditions, pipelines.
//!
//! Law: the shell runs what it can itself. Processes are made for programs, for parts of a pipeline that are no programs,
//! and for what is put into the background. A subshell in the foreground is a copy of this one's state.

mod compound;
mod pipeline;
mod redirect;
mod simple;
mod tests_extended;

pub use redirect::Consumer;

use std::cell::RefCell;
use std::rc::Rc;

use brush_parser::ast::{
    AndOr, AndOrList, Command, CompoundList, Pipeline, PipelineTimed, Program, SeparatorOperator,
    SourceLocation,
};

use crate::files::File;
use crate::options::Switch;
use crate::shell::{FAILURE, INTERRUPTED, Outcome, SUCCESS, Shell, Status, USAGE, Unwind};
use crate::syntax;
use crate::variables::Value;

/// How many bytes a command substitution keeps.
const CAPTURE_LEN_BYTES_MAX: usize = 16 << 20;

impl Shell {
    /// Runs a script.
    pub fn run_text(&mut self, text: &str) -> Outcome {
        let program = match syntax::program(text) {
            Ok(program) => program,
            Err(error) => {
                self.complain(error.message);
                self.state.status = USAGE;
                return Ok(USAGE);
            }
        };
        self.run_program(&program)
    }

    /// Runs a text that stands in the command that runs.
    pub fn run_text_here(&mut self, text: &str) -> Outcome {
        self.with_line_base(self.line - 1, |shell| shell.run_text(text))
    }

    /// Runs with so many lines in front of what is run.
    pub(crate) fn with_line_base(
        &mut self,
        line_base: usize,
        run: impl FnOnce(&mut Self) -> Outcome,
    ) -> Outcome {
        let own = std::mem::replace(&mut self.line_base, line_base);
        let outcome = run(self);
        self.line_base = own;
        outcome
    }

    /// Runs a script from standard input. Commands of it may read that as well, so no more is taken than a whole command.
    pub fn run_lines(&mut self) -> Outcome {
        let mut text = String::new();
        loop {
            let line = self.script_line()?;
            text += &line;
            let is_whole =
                |text: &str| !syntax::program(text).is_err_and(|error| error.is_incomplete);
            if line.is_empty() || is_whole(&text) {
                let command = std::mem::take(&mut text);
                self.run_text(&command)?;
                self.line_base += command.lines().count();
            }
            if line.is_empty() {
                return Ok(self.state.status);
            }
        }
    }

    /// The next line with its end; nothing behind the last.
    fn script_line(&self) -> Result<String, Unwind> {
        let input = self.files.input(0);
        let mut line = Vec::new();
        while !line.ends_with(b"\n") && line.len() < syntax::LEN_BYTES_MAX {
            let byte = input.read(1).map_err(Unwind::Failed)?;
            if byte.is_empty() {
                break;
            }
            line.extend(byte);
        }
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    /// Runs a program that was parsed.
    pub fn run_program(&mut self, program: &Program) -> Outcome {
        program
            .complete_commands
            .iter()
            .try_fold(self.state.status, |_, list| {
                let outcome = self.run_list(list);
                self.or_failure(outcome)
            })
    }

    /// What could not be computed is a failure, and no more than that.
    pub(super) fn or_failure(&mut self, outcome: Outcome) -> Outcome {
        if outcome == Err(Unwind::Uncomputed) {
            self.state.status = FAILURE;
            return Ok(FAILURE);
        }
        outcome
    }

    /// Runs a script to its end: what is left of it becomes a status, and the trap of its end runs.
    pub fn run_to_end(&mut self, run: impl FnOnce(&mut Self) -> Outcome) -> Status {
        let outcome = run(self);
        let status = self.settle(outcome);
        self.state.status = status;
        let Some(trap) = self.traps.remove("EXIT") else {
            return status;
        };
        match self.run_text(&trap) {
            Err(Unwind::Exit(status)) => status,
            outcome => {
                self.settle(outcome);
                status
            }
        }
    }

    /// The status that is left where nothing is further out.
    pub fn settle(&mut self, outcome: Outcome) -> Status {
        match outcome {
            Ok(status) | Err(Unwind::Return(status) | Unwind::Exit(status)) => status,
            Err(Unwind::Break(_) | Unwind::Continue(_)) => SUCCESS,
            Err(Unwind::Uncomputed) => FAILURE,
            Err(Unwind::Failed(sentence)) => {
                self.complain(sentence);
                FAILURE
            }
            Err(Unwind::Interrupted) => INTERRUPTED,
        }
    }

    /// Runs one command after the other.
    pub fn run_list(&mut self, list: &CompoundList) -> Outcome {
        list.0.iter().try_fold(SUCCESS, |_, item| {
            let status = match item.1 {
                SeparatorOperator::Async => self.run_in_background(&item.0)?,
                SeparatorOperator::Sequence => self.run_and_or(&item.0)?,
            };
            self.state.status = status;
            Ok(status)
        })
    }

    /// Runs commands as a condition: a failure is an answer.
    pub fn run_condition(&mut self, list: &CompoundList) -> Outcome {
        self.conditions += 1;
        let outcome = self.run_list(list);
        self.conditions -= 1;
        outcome
    }

    fn run_and_or(&mut self, list: &AndOrList) -> Outcome {
        let last = list.additional.len();
        let mut status = self.run_part(&list.first, last == 0)?;
        for (index, part) in list.additional.iter().enumerate() {
            self.state.status = status;
            let (pipeline, is_wanted) = match part {
                AndOr::And(pipeline) => (pipeline, status == SUCCESS),
                AndOr::Or(pipeline) => (pipeline, status != SUCCESS),
            };
            if is_wanted {
                status = self.run_part(pipeline, index + 1 == last)?;
            }
        }
        Ok(status)
    }

    /// Only the last part of `a && b || c` may end the shell by `set -e`.
    fn run_part(&mut self, pipeline: &Pipeline, is_last: bool) -> Outcome {
        if is_last {
            return self.run_pipeline(pipeline);
        }
        self.conditions += 1;
        let outcome = self.run_pipeline(pipeline);
        self.conditions -= 1;
        outcome
    }

    fn run_pipeline(&mut self, pipeline: &Pipeline) -> Outcome {
        let began = std::time::Instant::now();
        self.conditions += usize::from(pipeline.bang);
        let outcome = self.run_commands(&pipeline.seq);
        self.conditions -= usize::from(pipeline.bang);
        let status = outcome?;
        if let Some(timed) = &pipeline.timed {
            self.tell_time(timed, began.elapsed().as_secs_f64());
        }
        if pipeline.bang {
            return Ok(Status::from(status == SUCCESS));
        }
        let may_end_shell = pipeline.seq.len() > 1 || pipeline.seq.iter().all(is_checked);
        if status != SUCCESS && may_end_shell {
            self.after_failure(status)?;
        }
        Ok(status)
    }

    /// `set -e`, and the trap `ERR`.
    fn after_failure(&mut self, status: Status) -> Result<(), Unwind> {
        if self.conditions > 0 {
            return Ok(());
        }
        if let Some(trap) = self.traps.remove("ERR") {
            self.state.status = status;
            self.run_text(&trap)?;
            self.traps.insert("ERR".into(), trap);
        }
        if self.has(Switch::ErrExit) {
            Err(Unwind::Exit(status))
        } else {
            Ok(())
        }
    }

    fn run_commands(&mut self, commands: &[Command]) -> Outcome {
        match commands {
            [command] => {
                let status = self.run_command(command)?;
                self.set_statuses(&[status]);
                Ok(status)
            }
            commands => {
                let statuses = self.run_stages(commands)?;
                self.set_statuses(&statuses);
                let failed = statuses
                    .iter()
                    .rev()
                    .find(|status| **status != SUCCESS && self.has(Switch::PipeFail));
                Ok(failed.or(statuses.last()).copied().unwrap_or_default())
            }
        }
    }

    /// `PIPESTATUS`.
    fn set_statuses(&mut self, statuses: &[Status]) {
        let numbered = (0..).zip(statuses.iter().map(Status::to_string));
        self.state.variables.entry("PIPESTATUS").value = Some(Value::List(numbered.collect()));
    }

    fn tell_time(&self, timed: &PipelineTimed, seconds: f64) {
        let text = match timed {
            PipelineTimed::Timed(_) => format!(
                "\nreal\t{}m{:.3}s\n",
                (seconds / 60.0) as u64,
                seconds % 60.0
            ),
            PipelineTimed::TimedWithPosixOutput(_) => format!("real {seconds:.2}\n"),
        };
        self.files.error(&text);
    }

    /// Runs one command in this shell.
    pub fn run_command(&mut self, command: &Command) -> Outcome {
        if let Some(span) = command.location() {
            self.line = self.line_base + span.start.line;
        }
        match command {
            Command::Simple(simple) => self.run_simple(simple),
            Command::Compound(compound, redirects) => {
                self.with_redirects(redirects.as_ref(), |shell| shell.run_compound(compound))
            }
            Command::Function(function) => {
                let name =
                    self.expand_to_text(&function.fname.value, crate::syntax::Place::Word)?;
                self.state.functions.insert(name, Rc::new(function.clone()));
                Ok(SUCCESS)
            }
            Command::ExtendedTest(test, redirects) => {
                self.with_redirects(redirects.as_ref(), |shell| {
                    let outcome = shell.run_extended_test(&test.expr);
                    shell.or_failure(outcome)
                })
            }
        }
    }

    /// The output of a command, without the line ends behind it.
    pub fn substitute(&mut self, command: &str) -> Result<String, Unwind> {
        let bytes = self.capture(|subshell| subshell.run_text_here(command))?;
        let text = String::from_utf8_lossy(&bytes).replace('\0', "");
        Ok(text.trim_end_matches('\n').to_owned())
    }

    /// What a copy of this shell writes.
    fn capture(&mut self, run: impl FnOnce(&mut Shell) -> Outcome) -> Result<Vec<u8>, Unwind> {
        let capture = Rc::new(RefCell::new(Vec::new()));
        let mut subshell = self.subshell();
        subshell.files.set(1, File::Capture(capture.clone()));
        // `set -e` does not reach into it.
        subshell.state.options.set(Switch::ErrExit, false);
        subshell.expansions = self.expansions + 1;
        subshell.is_interactive = self.is_interactive;
        let outcome = self.in_subshell(&mut subshell, run)?;
        self.substitution_status = Some(outcome);
        drop(subshell);
        let bytes = capture.take();
        if bytes.len() > CAPTURE_LEN_BYTES_MAX {
            return Err(Unwind::Failed(format!(
                "a command's output of more than {CAPTURE_LEN_BYTES_MAX} bytes is not kept"
            )));
        }
        Ok(bytes)
    }

    /// Runs a copy of this shell to its end. Ctrl-C ends this one's command as well.
    fn in_subshell(
        &mut self,
        subshell: &mut Shell,
        run: impl FnOnce(&mut Shell) -> Outcome,
    ) -> Outcome {
        let mut is_interrupted = false;
        let status = subshell.run_to_end(|subshell| {
            let outcome = run(subshell);
            is_interrupted = outcome == Err(Unwind::Interrupted);
            outcome
        });
        self.keys.append(&mut subshell.keys);
        if is_interrupted {
            Err(Unwind::Interrupted)
        } else {
            Ok(status)
        }
    }
}

/// Whether a failure of the command itself counts for `set -e`: of what is inside it, the parts have counted.
fn is_checked(command: &Command) -> bool {
    use brush_parser::ast::CompoundCommand;
    match command {
        Command::Simple(_) | Command::ExtendedTest(..) => true,
        Command::Compound(compound, _) => {
            matches!(
                compound,
                CompoundCommand::Subshell(_) | CompoundCommand::Arithmetic(_)
            )
        }
        Command::Function(_) => false,
    }
}
