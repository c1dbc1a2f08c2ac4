//! Redirections.

use brush_parser::ast::{
    CompoundList, IoFileRedirectKind, IoFileRedirectTarget, IoHereDocument, IoRedirect,
    ProcessSubstitutionKind, RedirectList, SimpleCommand, SubshellCommand, Word,
};

use crate::files::{self, File, Files};
use crate::options::Switch;
use crate::shell::{FAILURE, Outcome, Shell, Unwind};
use crate::syntax::Place;
use crate::system::{self, Opening};

/// A command that reads what another one has written to `>(…)`.
pub struct Consumer {
    list: CompoundList,
    files: Files,
}

/// Whether a command has such a reader of its own.
pub(super) fn has_consumer(simple: &SimpleCommand) -> bool {
    use brush_parser::ast::CommandPrefixOrSuffixItem as Item;
    let prefix = simple.prefix.iter().flat_map(|prefix| &prefix.0);
    let suffix = simple.suffix.iter().flat_map(|suffix| &suffix.0);
    prefix.chain(suffix).any(|item| {
        let kind = match item {
            Item::ProcessSubstitution(kind, _) => kind,
            Item::IoRedirect(IoRedirect::File(
                _,
                _,
                IoFileRedirectTarget::ProcessSubstitution(kind, _),
            )) => kind,
            _ => return false,
        };
        matches!(kind, ProcessSubstitutionKind::Write)
    })
}

impl Shell {
    /// Runs with other open files, and has its own again afterwards.
    pub(super) fn with_redirects(
        &mut self,
        redirects: Option<&RedirectList>,
        run: impl FnOnce(&mut Self) -> Outcome,
    ) -> Outcome {
        let Some(redirects) = redirects else {
            return run(self);
        };
        let own = self.files.clone();
        let consumers = self.consumers.len();
        let files = self.temporary_files.len();
        let outcome = match redirects
            .0
            .iter()
            .try_for_each(|redirect| self.redirect(redirect))
        {
            Ok(()) => run(self),
            Err(Unwind::Failed(sentence)) => {
                self.complain(sentence);
                Ok(FAILURE)
            }
            Err(other) => Err(other),
        };
        self.files = own;
        let outcome = self.run_consumers(consumers, outcome);
        self.remove_files(files);
        outcome
    }

    /// Carries out one redirection.
    pub(super) fn redirect(&mut self, redirect: &IoRedirect) -> Result<(), Unwind> {
        match redirect {
            IoRedirect::File(number, kind, target) => {
                self.redirect_to_target(*number, kind, target)
            }
            IoRedirect::HereDocument(number, document) => {
                let text = self.document(document)?;
                self.redirect_to_text(*number, &text)
            }
            IoRedirect::HereString(number, word) => {
                let text = self.expand_to_text(&word.value, Place::Word)? + "\n";
                self.redirect_to_text(*number, &text)
            }
            IoRedirect::OutputAndError(word, is_appended) => {
                let opening = if *is_appended {
                    Opening::Append
                } else {
                    self.truncating()
                };
                let file = self.open(word, &IoFileRedirectKind::Write, opening)?;
                self.files.set(1, file.clone());
                self.files.set(2, file);
                Ok(())
            }
        }
    }

    fn document(&mut self, document: &IoHereDocument) -> Result<String, Unwind> {
        let text = &document.doc.value;
        let text = if document.remove_tabs {
            text.split_inclusive('\n')
                .map(|line| line.trim_start_matches('\t'))
                .collect()
        } else {
            text.clone()
        };
        if document.requires_expansion {
            self.expand_document(&text)
        } else {
            Ok(text)
        }
    }

    fn redirect_to_text(&mut self, number: Option<i32>, text: &str) -> Result<(), Unwind> {
        let input = files::saying(text.as_bytes())
            .map_err(|reason| Unwind::Failed(format!("here-document: {reason}")))?;
        self.files.set(number.unwrap_or(0), File::Input(input));
        Ok(())
    }

    fn redirect_to_target(
        &mut self,
        number: Option<i32>,
        kind: &IoFileRedirectKind,
        target: &IoFileRedirectTarget,
    ) -> Result<(), Unwind> {
        let number = number.unwrap_or(default_number(kind));
        match target {
            IoFileRedirectTarget::Filename(word) => {
                let file = self.open(word, kind, self.opening(kind))?;
                self.files.set(number, file);
            }
            IoFileRedirectTarget::Fd(source) => self.duplicate(number, *source)?,
            IoFileRedirectTarget::Duplicate(word) => {
                let text = self.expand_to_text(&word.value, Place::Word)?;
                self.duplicate_named(number, &text, word, kind)?;
            }
            IoFileRedirectTarget::ProcessSubstitution(kind, subshell) => {
                let path = self.substitute_process(kind, subshell)?;
                let file = match kind {
                    ProcessSubstitutionKind::Read => system::open_input(&path).map(File::Input),
                    ProcessSubstitutionKind::Write => {
                        system::open_output(&path, Opening::Append).map(File::Output)
                    }
                };
                let file = file.map_err(|reason| Unwind::Failed(format!("{path}: {reason}")))?;
                self.files.set(number, file);
            }
        }
        Ok(())
    }

    /// `2>&1`, `2>&-`, and `>&file`.
    fn duplicate_named(
        &mut self,
        number: i32,
        text: &str,
        word: &Word,
        kind: &IoFileRedirectKind,
    ) -> Result<(), Unwind> {
        if text == "-" {
            self.files.close(number);
            return Ok(());
        }
        let (text, is_moved) = text
            .strip_suffix('-')
            .map_or((text, false), |text| (text, true));
        match text.parse() {
            Ok(source) => {
                self.duplicate(number, source)?;
                if is_moved && source != number {
                    self.files.close(source);
                }
                Ok(())
            }
            Err(_) if matches!(kind, IoFileRedirectKind::DuplicateOutput) => {
                self.redirect(&IoRedirect::OutputAndError(word.clone(), false))
            }
            Err(_) => Err(Unwind::Failed(format!("{text}: ambiguous redirect"))),
        }
    }

    fn duplicate(&mut self, number: i32, source: i32) -> Result<(), Unwind> {
        let file = self.files.get(source).cloned();
        let file = file.ok_or_else(|| Unwind::Failed(format!("{source}: Bad file descriptor")))?;
        self.files.set(number, file);
        Ok(())
    }

    fn opening(&self, kind: &IoFileRedirectKind) -> Opening {
        match kind {
            IoFileRedirectKind::Append => Opening::Append,
            IoFileRedirectKind::ReadAndWrite => Opening::Keep,
            IoFileRedirectKind::Clobber => Opening::Truncate,
            _ => self.truncating(),
        }
    }

    fn truncating(&self) -> Opening {
        if self.has(Switch::NoClobber) {
            Opening::New
        } else {
            Opening::Truncate
        }
    }

    fn open(
        &mut self,
        word: &Word,
        kind: &IoFileRedirectKind,
        opening: Opening,
    ) -> Result<File, Unwind> {
        let mut names = self.expand(&word.value)?;
        let (Some(name), true) = (names.pop(), names.is_empty()) else {
            return Err(Unwind::Failed(format!(
                "{}: ambiguous redirect",
                word.value
            )));
        };
        let path = self.absolute(&name);
        // The shell's own are those of the command, not of the process.
        let own = match path.as_str() {
            "/dev/stdin" | "/dev/fd/0" => self.files.get(0),
            "/dev/stdout" | "/dev/fd/1" => self.files.get(1),
            "/dev/stderr" | "/dev/fd/2" => self.files.get(2),
            _ => None,
        };
        if let Some(own) = own {
            return Ok(own.clone());
        }
        let opened = match kind {
            IoFileRedirectKind::Read => system::open_input(&path).map(File::Input),
            _ => system::open_output(&path, opening).map(File::Output),
        };
        opened.map_err(|reason| Unwind::Failed(format!("{name}: {reason}")))
    }

    /// `<(…)`: what the commands write, in a file whose name is the word. There are no names for pipes.
    pub(super) fn substitute_process(
        &mut self,
        kind: &ProcessSubstitutionKind,
        subshell: &SubshellCommand,
    ) -> Result<String, Unwind> {
        let bytes = match kind {
            ProcessSubstitutionKind::Read => self.capture(|copy| copy.run_list(&subshell.list))?,
            ProcessSubstitutionKind::Write => Vec::new(),
        };
        let failed = |reason| Unwind::Failed(format!("/tmp: {reason}"));
        let path = files::temporary(&bytes).map_err(failed)?;
        self.temporary_files.push(path.clone());
        if matches!(kind, ProcessSubstitutionKind::Write) {
            // Opened now, so that it can be read also when its name is gone.
            let mut files = self.files.clone();
            files.set(0, File::Input(system::open_input(&path).map_err(failed)?));
            self.consumers.push(Consumer {
                list: subshell.list.clone(),
                files,
            });
        }
        Ok(path)
    }

    /// Runs those that were to read what the command that has ended has written, of all behind so many; the last first, since it may
    /// have been told to write to one before it. The command's status stays.
    pub(super) fn run_consumers(&mut self, after: usize, outcome: Outcome) -> Outcome {
        let consumers = self.consumers.split_off(after);
        if outcome == Err(Unwind::Interrupted) {
            return outcome;
        }
        for consumer in consumers.into_iter().rev() {
            let mut subshell = self.subshell();
            subshell.files = consumer.files;
            subshell.is_interactive = self.is_interactive;
            self.in_subshell(&mut subshell, |copy| copy.run_list(&consumer.list))?;
        }
        outcome
    }

    /// Removes the files of `<(…)` and `>(…)` of a command that has ended, which are those behind so many. Its jobs may go on and
    /// have yet to open them: then they go once there is no job.
    pub(super) fn remove_files(&mut self, after: usize) {
        let mut ended = self.temporary_files.split_off(after);
        self.files_of_jobs.append(&mut ended);
        if !self.jobs.has_own() {
            // They may be gone already.
            self.files_of_jobs
                .drain(..)
                .for_each(|path| drop(std::fs::remove_file(path)));
        }
    }
}

fn default_number(kind: &IoFileRedirectKind) -> i32 {
    match kind {
        IoFileRedirectKind::Read
        | IoFileRedirectKind::ReadAndWrite
        | IoFileRedirectKind::DuplicateInput => 0,
        _ => 1,
    }
}
