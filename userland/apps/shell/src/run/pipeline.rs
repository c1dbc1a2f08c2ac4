//! Pipelines and the background.

use brush_parser::SourceSpan;
use brush_parser::ast::{
    AndOrList, BraceGroupCommand, Command, CommandPrefix, CommandSuffix, CompoundCommand,
    CompoundList, CompoundListItem, SeparatorOperator, SimpleCommand, Word,
};

use super::redirect;
use super::simple::Words;
use crate::builtins;
use crate::expand::quoted;
use crate::files::{self, Capture, File, Files};
use crate::jobs::{Job, Stage};
use crate::launch::Captures;
use crate::shell::{Outcome, SUCCESS, Shell, Status, Unwind};
use crate::system::{self, Input};

impl Shell {
    /// Runs a pipeline of several parts in the foreground.
    pub(super) fn run_stages(&mut self, commands: &[Command]) -> Result<Vec<Status>, Unwind> {
        let name = commands
            .iter()
            .map(Command::to_string)
            .collect::<Vec<_>>()
            .join(" | ");
        let files = self.temporary_files.len();
        let statuses = self.run_in_foreground(|shell, captures| {
            let stages = shell.start_stages(commands, shell.files.clone(), captures)?;
            Ok(Job::new(name, stages))
        });
        self.remove_files(files);
        statuses
    }

    /// Starts all parts of a pipeline, each with a pipe to the next; or none.
    fn start_stages(
        &mut self,
        commands: &[Command],
        own: Files,
        captures: &mut Captures,
    ) -> Result<Vec<Stage>, Unwind> {
        let mut stages = Vec::new();
        let started = self.start_each(commands, own, captures, &mut stages);
        started.map(|()| stages.clone()).inspect_err(|_| {
            let mut job = Job::new(String::new(), stages);
            job.update();
            job.kill();
        })
    }

    fn start_each(
        &mut self,
        commands: &[Command],
        own: Files,
        captures: &mut Captures,
        stages: &mut Vec<Stage>,
    ) -> Result<(), Unwind> {
        let mut files = own.clone();
        for (index, command) in commands.iter().enumerate() {
            if self.is_job_interrupted() {
                return Err(Unwind::Interrupted);
            }
            let mut next = own.clone();
            let has_next = index + 1 < commands.len();
            if has_next {
                let (input, output) = system::pipe().map_err(Unwind::Failed)?;
                files.set(1, File::Output(output));
                next.set(0, File::Input(input));
            }
            let (stage, said) = self.start_stage(command, files, has_next, captures)?;
            // What it has said already is there without a pipe.
            if let Some(input) = said {
                next.set(0, File::Input(input));
            }
            stages.push(stage);
            files = next;
        }
        Ok(())
    }

    /// Starts a part of a pipeline beside this shell. What it is handed is closed here when this returns. A built-in command
    /// that reads nothing is done at once; then what it wrote comes back, where it went to a pipe.
    fn start_stage(
        &mut self,
        command: &Command,
        files: Files,
        has_next: bool,
        captures: &mut Captures,
    ) -> Result<(Stage, Option<Input>), Unwind> {
        let simple = match command {
            // One who reads what it writes there is a part of the part.
            Command::Simple(simple) if !redirect::has_consumer(simple) => simple,
            other => return Ok((self.start_as_shell(other.clone(), &files, captures), None)),
        };
        let mut subshell = self.subshell();
        subshell.files = files;
        let started = subshell.start_simple(simple, has_next, captures);
        // Processes may not have opened them yet.
        self.temporary_files.append(&mut subshell.temporary_files);
        started
    }

    fn start_simple(
        &mut self,
        simple: &SimpleCommand,
        has_next: bool,
        captures: &mut Captures,
    ) -> Result<(Stage, Option<Input>), Unwind> {
        let words = match self.words_of(simple) {
            Ok(words) => words,
            Err(unwind) => return Ok((self.done(Err(unwind))?, None)),
        };
        if self.is_program(&words) {
            return Ok((self.start_as_program(simple, &words, captures)?, None));
        }
        if self.may_be_done_at_once(&words) {
            return self.do_at_once(simple, words, has_next);
        }
        let files = self.files.clone();
        let command = expanded(simple, &words);
        Ok((self.start_as_shell(command, &files, captures), None))
    }

    /// A part that has ended already. Ctrl-C, or what stands for it, ends all of them.
    fn done(&mut self, outcome: Outcome) -> Result<Stage, Unwind> {
        match outcome {
            Err(Unwind::Interrupted) => Err(Unwind::Interrupted),
            outcome => Ok(Stage::Done(self.settle(outcome))),
        }
    }

    /// Whether the words are no function, built-in command or mere assignment.
    fn is_program(&self, words: &Words) -> bool {
        let name = words.name();
        name.is_some_and(|name| {
            !self.state.functions.contains_key(name) && builtins::find(name).is_none()
        })
    }

    /// Whether it reads nothing and writes little.
    fn may_be_done_at_once(&self, words: &Words) -> bool {
        let Some(name) = words.name() else {
            return true;
        };
        !self.state.functions.contains_key(name)
            && builtins::find(name).is_some_and(|builtin| builtin.is_brief)
    }

    fn start_as_shell(
        &mut self,
        command: Command,
        files: &Files,
        captures: &mut Captures,
    ) -> Stage {
        let name = self.state.name.clone();
        Stage::started(name, self.start_subshell(command, files, captures))
    }

    fn start_as_program(
        &mut self,
        simple: &SimpleCommand,
        words: &Words,
        captures: &mut Captures,
    ) -> Result<Stage, Unwind> {
        if let Err(unwind) = self.redirect_simple(simple) {
            return self.done(Err(unwind));
        }
        let assigned = match self.assigned_texts(&words.assignments) {
            Ok(assigned) => assigned,
            Err(unwind) => return self.done(Err(unwind)),
        };
        let name = words.name().unwrap_or_default().to_owned();
        let started = self.start_program(&words.words, &assigned, &self.files, captures);
        Ok(Stage::started(name, started))
    }

    /// What goes to the next part is kept and handed on.
    fn do_at_once(
        &mut self,
        simple: &SimpleCommand,
        words: Words,
        has_next: bool,
    ) -> Result<(Stage, Option<Input>), Unwind> {
        let capture = Capture::default();
        if has_next {
            self.files.set(1, File::Capture(capture.clone()));
        }
        let outcome = self.run_words(simple, words);
        let stage = self.done(outcome)?;
        if !has_next {
            return Ok((stage, None));
        }
        match files::saying(&capture.take()) {
            Ok(input) => Ok((stage, Some(input))),
            Err(reason) => Ok((self.done(Err(Unwind::Failed(reason)))?, None)),
        }
    }

    /// Starts a list in the background.
    pub(super) fn run_in_background(&mut self, list: &AndOrList) -> Outcome {
        let mut files = self.files.clone();
        if matches!(files.get(0), Some(File::Input(Input::Standard))) {
            files.set(0, File::Input(Input::Empty));
        }
        let temporary_files = self.temporary_files.len();
        let mut captures = Captures::default();
        // Ctrl-C is not for the background, wherever it is begun.
        let has_open_job = std::mem::take(&mut self.has_open_job);
        let stages = if list.additional.is_empty() && !list.first.bang {
            self.start_stages(&list.first.seq, files, &mut captures)
        } else {
            Ok(vec![self.start_as_shell(
                grouped(list),
                &files,
                &mut captures,
            )])
        };
        self.has_open_job = has_open_job;
        let stages = stages?;
        captures.drain(false);
        let job = Job::new(list.to_string(), stages);
        if let Some(id) = job.id() {
            self.state.background = Some(id);
        }
        let id = job.id().unwrap_or_default();
        let number = self.jobs.add(job);
        self.remove_files(temporary_files);
        if self.is_interactive {
            self.files.error(&format!("[{number}] {id}\n"));
        }
        Ok(SUCCESS)
    }
}

/// The same command with its words expanded, so that nothing is expanded twice.
fn expanded(simple: &SimpleCommand, words: &Words) -> Command {
    use brush_parser::ast::CommandPrefixOrSuffixItem as Item;
    let is_kept = |item: &&Item| !matches!(item, Item::Word(_));
    let prefix = simple.prefix.clone();
    let mut suffix: Vec<Item> = words
        .words
        .iter()
        .skip(1)
        .map(|word| Item::Word(Word::new(&quoted(word))))
        .collect();
    let kept = simple
        .suffix
        .iter()
        .flat_map(|suffix| &suffix.0)
        .filter(is_kept);
    suffix.extend(
        kept.filter(|item| matches!(item, Item::IoRedirect(_)))
            .cloned(),
    );
    Command::Simple(SimpleCommand {
        prefix: prefix.map(|prefix| CommandPrefix(prefix.0)),
        word_or_name: words.name().map(|name| Word::new(&quoted(name))),
        suffix: Some(CommandSuffix(suffix)),
    })
}

/// A list as one command.
fn grouped(list: &AndOrList) -> Command {
    let list = CompoundList(vec![CompoundListItem(
        list.clone(),
        SeparatorOperator::Sequence,
    )]);
    let group = BraceGroupCommand {
        list,
        loc: SourceSpan::default(),
    };
    Command::Compound(CompoundCommand::BraceGroup(group), None)
}
