//! Simple commands: assignments, functions, built-in commands, programs.

use std::collections::BTreeMap;
use std::rc::Rc;

use brush_parser::ast::{
    Assignment, AssignmentName, AssignmentValue, Command, CommandPrefixOrSuffixItem as Item,
    FunctionDefinition, IoRedirect, SimpleCommand, Word,
};

use super::redirect;
use crate::builtins;
use crate::expand::quoted;
use crate::jobs::{Job, Stage};
use crate::options::Switch;
use crate::shell::{FAILURE, INTERRUPTED, Outcome, SUCCESS, Shell, Unwind};
use crate::syntax::{self, Place};
use crate::system;
use crate::variables::{Value, Variable};

/// How deep functions may call functions.
const CALLS_MAX: usize = 120;
/// How many commands are run between two looks at the keyboard.
const COMMANDS_PER_LOOK: u64 = 32;
/// How many keys typed meanwhile are kept.
const KEYS_MAX: usize = 4096;
/// Ctrl-C, as a key.
const CTRL_C: u8 = 3;

/// A simple command, expanded.
pub(super) struct Words {
    /// The command's name and its arguments.
    pub(super) words: Vec<String>,
    /// What is assigned in front of them, not expanded yet.
    pub(super) assignments: Vec<Assignment>,
}

impl Words {
    pub(super) fn name(&self) -> Option<&str> {
        self.words.first().map(String::as_str)
    }
}

impl Shell {
    /// Runs a simple command in this shell.
    pub(super) fn run_simple(&mut self, simple: &SimpleCommand) -> Outcome {
        self.look_at_keyboard()?;
        self.substitution_status = None;
        let consumers = self.consumers.len();
        let files = self.temporary_files.len();
        let outcome = match self.words_of(simple) {
            Ok(words) => self.run_words(simple, words),
            Err(unwind) => Err(unwind),
        };
        let outcome = self.run_consumers(consumers, outcome);
        self.remove_files(files);
        outcome
    }

    /// Ctrl-C ends what the shell itself does. Other keys are for later.
    pub(super) fn look_at_keyboard(&mut self) -> Result<(), Unwind> {
        self.commands += 1;
        if self.is_job_interrupted() {
            return Err(Unwind::Interrupted);
        }
        if !self.is_interactive || !self.commands.is_multiple_of(COMMANDS_PER_LOOK) {
            return Ok(());
        }
        let keys = system::pending_keys();
        let is_interrupted = keys.contains(&CTRL_C);
        self.keys
            .extend(keys.into_iter().filter(|key| *key != CTRL_C));
        self.keys.truncate(KEYS_MAX);
        if is_interrupted {
            Err(Unwind::Interrupted)
        } else {
            Ok(())
        }
    }

    /// Runs a simple command whose words are known.
    pub(super) fn run_words(&mut self, simple: &SimpleCommand, words: Words) -> Outcome {
        self.trace(&words);
        if words.words.is_empty() {
            return self.run_assignments(simple, &words.assignments);
        }
        let own = self.files.clone();
        if let Err(unwind) = self.redirect_simple(simple) {
            self.files = own;
            return self.after_redirect_failed(unwind);
        }
        let outcome = self.run_named(&words);
        // `exec` without a command is how a shell changes its own files.
        let keeps_files = words.words == ["exec"] && outcome == Ok(SUCCESS);
        if keeps_files && redirect::has_consumer(simple) {
            self.files = own;
            return Err(Unwind::Failed(
                "exec: >(…) lasts for one command, not for the rest of the shell".into(),
            ));
        }
        if !keeps_files {
            self.files = own;
        }
        outcome
    }

    fn after_redirect_failed(&mut self, unwind: Unwind) -> Outcome {
        match unwind {
            Unwind::Failed(sentence) => {
                self.complain(sentence);
                Ok(FAILURE)
            }
            other => Err(other),
        }
    }

    /// Carries out the redirections of a simple command.
    pub(super) fn redirect_simple(&mut self, simple: &SimpleCommand) -> Result<(), Unwind> {
        redirects(simple).try_for_each(|redirect| self.redirect(redirect))
    }

    fn run_named(&mut self, words: &Words) -> Outcome {
        let name = words.name().unwrap_or_default().to_owned();
        if let Some(function) = self.state.functions.get(&name).cloned() {
            return self.with_assignments(&words.assignments, |shell| {
                shell.call(&function, &words.words[1..])
            });
        }
        if builtins::find(&name).is_some() {
            return self
                .with_assignments(&words.assignments, |shell| shell.run_builtin(&words.words));
        }
        let assigned = self.assigned_texts(&words.assignments)?;
        self.run_program_in_foreground(&words.words, &assigned)
    }

    /// Runs a built-in command; what it could not do is said behind its name.
    pub fn run_builtin(&mut self, words: &[String]) -> Outcome {
        let name = words.first().map(String::as_str).unwrap_or_default();
        let Some(builtin) = builtins::find(name) else {
            return Err(Unwind::Failed(format!("{name}: not a shell builtin")));
        };
        match (builtin.run)(self, &words[1..]) {
            Err(Unwind::Uncomputed) if !builtin.runs_commands => Ok(FAILURE),
            Err(Unwind::Failed(sentence)) if !builtin.runs_commands => {
                self.complain(format_args!("{name}: {sentence}"));
                Ok(FAILURE)
            }
            outcome => outcome,
        }
    }

    /// Runs a program and waits for it.
    pub fn run_program_in_foreground(
        &mut self,
        words: &[String],
        assigned: &[(String, String)],
    ) -> Outcome {
        let command = words
            .iter()
            .map(|word| quoted(word))
            .collect::<Vec<_>>()
            .join(" ");
        let statuses = self.run_in_foreground(|shell, captures| {
            let started = shell.start_program(words, assigned, &shell.files, captures);
            let name = words.first().cloned().unwrap_or_default();
            Ok(Job::new(command, vec![Stage::started(name, started)]))
        })?;
        Ok(statuses.last().copied().unwrap_or(INTERRUPTED))
    }

    /// Runs a function with these arguments.
    pub(super) fn call(
        &mut self,
        function: &Rc<FunctionDefinition>,
        arguments: &[String],
    ) -> Outcome {
        if self.functions_running >= CALLS_MAX {
            return Err(Unwind::Failed(format!(
                "functions call functions deeper than {CALLS_MAX}"
            )));
        }
        let own = std::mem::replace(&mut self.state.arguments, arguments.to_vec());
        let loops = std::mem::take(&mut self.loops);
        self.functions_running += 1;
        self.state.variables.enter();
        let body = Command::Compound(function.body.0.clone(), function.body.1.clone());
        let outcome = self.with_line_base(0, |shell| shell.run_command(&body));
        self.state.variables.leave();
        self.functions_running -= 1;
        self.loops = loops;
        self.state.arguments = own;
        match outcome {
            Err(Unwind::Return(status)) => Ok(status),
            outcome => outcome,
        }
    }

    /// `set -x`.
    fn trace(&self, words: &Words) {
        if self.has(Switch::XTrace) && !words.words.is_empty() {
            let words: Vec<String> = words.words.iter().map(|word| quoted(word)).collect();
            let start = self.state.variables.text("PS4").unwrap_or("+ ");
            self.files.error(&format!("{start}{}\n", words.join(" ")));
        }
    }

    /// Expands a command's words, its redirections aside.
    pub(super) fn words_of(&mut self, simple: &SimpleCommand) -> Result<Words, Unwind> {
        let mut words = match &simple.word_or_name {
            Some(name) => self.name_of(name)?,
            None => Vec::new(),
        };
        let declares = words.first().is_some_and(|name| builtins::declares(name));
        for item in simple.suffix.iter().flat_map(|suffix| &suffix.0) {
            match item {
                Item::Word(word) => words.extend(self.expand(&word.value)?),
                Item::AssignmentWord(assignment, _) if declares => {
                    words.push(self.declaration(assignment)?)
                }
                Item::AssignmentWord(_, word) => words.extend(self.expand(&word.value)?),
                Item::ProcessSubstitution(kind, subshell) => {
                    words.push(self.substitute_process(kind, subshell)?)
                }
                Item::IoRedirect(_) => (),
            }
        }
        Ok(Words {
            words,
            assignments: assignments(simple),
        })
    }

    /// The command's own word, in place of which an alias may stand.
    fn name_of(&mut self, name: &Word) -> Result<Vec<String>, Unwind> {
        let mut seen = Vec::new();
        let mut first = name.value.clone();
        let mut rest = Vec::new();
        while let Some(text) = self
            .state
            .aliases
            .get(&first)
            .filter(|_| !seen.contains(&first))
        {
            let program = syntax::program(&text.clone())?;
            let mut words = simple_words(&program).ok_or_else(|| {
                Unwind::Failed(format!("alias {first}: an alias stands for a command's first words, and for nothing else"))
            })?;
            seen.push(std::mem::replace(&mut first, words.remove(0)));
            words.append(&mut rest);
            rest = words;
        }
        let mut words = self.expand(&first)?;
        for word in rest {
            words.extend(self.expand(&word)?);
        }
        Ok(words)
    }

    /// `name=text` as one argument of `export` and its like, which does not split it.
    fn declaration(&mut self, assignment: &Assignment) -> Result<String, Unwind> {
        let AssignmentName::VariableName(name) = &assignment.name else {
            return Err(Unwind::Failed(
                "an array's element cannot be declared".into(),
            ));
        };
        let sign = if assignment.append { "+=" } else { "=" };
        match &assignment.value {
            AssignmentValue::Scalar(word) => {
                let text = self.expand_to_text(&word.value, Place::Assigned)?;
                Ok(format!("{name}{sign}{text}"))
            }
            AssignmentValue::Array(elements) => {
                let mut text = format!("{name}{sign}(");
                for (key, word) in elements {
                    if let Some(key) = key {
                        text += &format!("[{}]=", key.value);
                    }
                    let words = self.expand(&word.value)?;
                    text += &words
                        .iter()
                        .map(|word| quoted(word) + " ")
                        .collect::<String>();
                }
                Ok(text + ")")
            }
        }
    }

    fn run_assignments(&mut self, simple: &SimpleCommand, assignments: &[Assignment]) -> Outcome {
        assignments
            .iter()
            .try_for_each(|assignment| self.assign_from(assignment))?;
        let own = self.files.clone();
        let redirected = self.redirect_simple(simple);
        self.files = own;
        if let Err(unwind) = redirected {
            return self.after_redirect_failed(unwind);
        }
        Ok(self.substitution_status.take().unwrap_or(SUCCESS))
    }

    /// Carries out an assignment.
    pub fn assign_from(&mut self, assignment: &Assignment) -> Result<(), Unwind> {
        match (&assignment.name, &assignment.value) {
            (AssignmentName::VariableName(name), AssignmentValue::Scalar(word)) => {
                let text = self.expand_to_text(&word.value, Place::Assigned)?;
                if assignment.append {
                    self.append(name, &text)
                } else {
                    self.assign(name, text)
                }
            }
            (AssignmentName::VariableName(name), AssignmentValue::Array(elements)) => {
                self.assign_array(name, elements, assignment.append)
            }
            (AssignmentName::ArrayElementName(name, index), AssignmentValue::Scalar(word)) => {
                let text = self.expand_to_text(&word.value, Place::Assigned)?;
                self.assign_element(name, index, text, assignment.append)
            }
            (AssignmentName::ArrayElementName(name, _), AssignmentValue::Array(_)) => Err(
                Unwind::Failed(format!("{name}: an array's element cannot be an array")),
            ),
        }
    }

    fn append(&mut self, name: &str, text: &str) -> Result<(), Unwind> {
        let old = self.variable_text(name).unwrap_or_default();
        let is_integer = self
            .state
            .variables
            .get(name)
            .is_some_and(|variable| variable.is_integer);
        let whole = if is_integer {
            format!("({old})+({text})")
        } else {
            old + text
        };
        self.assign(name, whole)
    }

    fn assign_array(
        &mut self,
        name: &str,
        elements: &[(Option<Word>, Word)],
        is_appended: bool,
    ) -> Result<(), Unwind> {
        let mut values = Vec::new();
        for (key, word) in elements {
            match key {
                Some(key) => values.push((
                    Some(key.value.clone()),
                    self.expand_to_text(&word.value, Place::Assigned)?,
                )),
                None => values.extend(
                    self.expand(&word.value)?
                        .into_iter()
                        .map(|text| (None, text)),
                ),
            }
        }
        if self
            .state
            .variables
            .get(name)
            .is_some_and(|variable| variable.is_read_only)
        {
            return Err(Unwind::Failed(format!("{name}: readonly variable")));
        }
        let is_map = self.is_map(name);
        let value = &mut self.state.variables.entry(name).value;
        let mut next = match value {
            Some(Value::List(list)) if is_appended => {
                list.last_key_value().map_or(0, |(last, _)| last + 1)
            }
            Some(Value::Text(text)) if is_appended => {
                *value = Some(Value::List(BTreeMap::from([(0, text.clone())])));
                1
            }
            Some(Value::Map(_)) if is_appended => 0,
            _ => {
                *value = Some(if is_map {
                    Value::Map(BTreeMap::new())
                } else {
                    Value::List(BTreeMap::new())
                });
                0
            }
        };
        for (key, text) in values {
            let index = key.unwrap_or_else(|| next.to_string());
            self.assign_element(name, &index, text, false)?;
            next = index.parse::<i64>().unwrap_or(next).saturating_add(1);
        }
        Ok(())
    }

    /// Runs with assignments that are undone afterwards.
    fn with_assignments(
        &mut self,
        assignments: &[Assignment],
        run: impl FnOnce(&mut Self) -> Outcome,
    ) -> Outcome {
        let mut old: Vec<(String, Option<Variable>)> = Vec::new();
        for assignment in assignments {
            if let AssignmentName::VariableName(name) = &assignment.name {
                old.push((name.clone(), self.state.variables.get(name).cloned()));
            }
            self.assign_from(assignment)?;
            if let AssignmentName::VariableName(name) = &assignment.name {
                self.state.variables.entry(name).is_exported = true;
            }
        }
        let outcome = run(self);
        for (name, variable) in old.into_iter().rev() {
            match variable {
                Some(variable) => *self.state.variables.entry(&name) = variable,
                None => self.state.variables.remove(&name),
            }
        }
        outcome
    }

    /// The texts that a program finds in its environment beside what is exported.
    pub(super) fn assigned_texts(
        &mut self,
        assignments: &[Assignment],
    ) -> Result<Vec<(String, String)>, Unwind> {
        let mut texts = Vec::new();
        for assignment in assignments {
            if let (AssignmentName::VariableName(name), AssignmentValue::Scalar(word)) =
                (&assignment.name, &assignment.value)
            {
                texts.push((
                    name.clone(),
                    self.expand_to_text(&word.value, Place::Assigned)?,
                ));
            }
        }
        Ok(texts)
    }
}

fn items(simple: &SimpleCommand) -> impl Iterator<Item = &Item> {
    let prefix = simple.prefix.iter().flat_map(|prefix| &prefix.0);
    prefix.chain(simple.suffix.iter().flat_map(|suffix| &suffix.0))
}

fn redirects(simple: &SimpleCommand) -> impl Iterator<Item = &IoRedirect> {
    items(simple).filter_map(|item| match item {
        Item::IoRedirect(redirect) => Some(redirect),
        _ => None,
    })
}

fn assignments(simple: &SimpleCommand) -> Vec<Assignment> {
    let prefix = simple.prefix.iter().flat_map(|prefix| &prefix.0);
    let assignments = prefix.filter_map(|item| match item {
        Item::AssignmentWord(assignment, _) => Some(assignment.clone()),
        _ => None,
    });
    assignments.collect()
}

/// The words of a program that is one simple command without anything else.
fn simple_words(program: &brush_parser::ast::Program) -> Option<Vec<String>> {
    let [list] = program.complete_commands.as_slice() else {
        return None;
    };
    let [item] = list.0.as_slice() else {
        return None;
    };
    let (true, [Command::Simple(simple)]) =
        (item.0.additional.is_empty(), item.0.first.seq.as_slice())
    else {
        return None;
    };
    let mut words = vec![simple.word_or_name.as_ref()?.value.clone()];
    for item in items(simple) {
        match item {
            Item::Word(word) | Item::AssignmentWord(_, word) => words.push(word.value.clone()),
            _ => return None,
        }
    }
    Some(words)
}
