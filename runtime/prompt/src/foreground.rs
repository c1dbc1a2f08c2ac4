//! A program in the foreground: the terminal's input goes to it until it ends, line by line, or key by key where it, or a
//! program that it has started, wants that.
//!
//! Ctrl-C ends it, unless it has said whom else Ctrl-C is for. Three times Ctrl-\\ ends it in any case: a program that takes
//! every key cannot keep the terminal for itself. What was typed for it and not read goes when it goes.

use runtime_host::{
    Budget, ByteSink, Cancellation, KeyMeaning, KeyMode, PipeError, PipeWriter, SystemClock,
    TerminalDevice, pipe, wait_until,
};

use lib_line_editor::{CookedEvent, CookedInput};

use crate::end_mark::{EndMark, INTERRUPT, MarkedInput};
use crate::output::TerminalOutput;
use crate::prompt::{Keys, Typed};
use crate::system::Job;

/// Room in the pipe to the program.
const PIPE_BYTES: usize = 8 * 1024;
/// How much may be typed ahead of what the pipe takes.
const TYPED_AHEAD_BYTES_MAX: usize = 64 * 1024;

const BELL: &[u8] = b"\x07";
const SUSPEND: u8 = 0x1A;
/// Ctrl-\, and how often it is pressed in a row by somebody who means it.
const BREAK: u8 = 0x1C;
const BREAKS: u32 = 3;

/// The way from the keys to the program's standard input.
pub(crate) struct Stdin {
    discipline: CookedInput,
    /// Lines that the pipe has not taken yet.
    typed_ahead: Vec<u8>,
    /// `None` once the input has ended.
    pipe: Option<PipeWriter>,
    /// Ctrl-D was pressed; the pipe closes when it has taken everything.
    is_ending: bool,
    /// Ctrl-D was pressed while a shell has the terminal: only who reads next finds the end.
    end_mark: EndMark,
    terminal: TerminalDevice,
    /// How often Ctrl-\ was pressed last.
    breaks: u32,
}

/// What the prompt wakes up for.
enum Occasion {
    Ended(Option<String>),
    StdinMoves,
    Key(Typed),
}

impl Stdin {
    /// An input with nothing typed, and the end that the program reads.
    pub(crate) fn new(
        budget: &Budget,
        terminal: &TerminalDevice,
    ) -> Result<(Self, MarkedInput), PipeError> {
        let (reader, writer) = pipe(PIPE_BYTES, budget)?;
        let end_mark = EndMark::default();
        let reader = MarkedInput::new(reader, end_mark.clone());
        let stdin = Self {
            discipline: CookedInput::new(),
            typed_ahead: Vec::new(),
            pipe: Some(writer),
            is_ending: false,
            end_mark,
            terminal: terminal.clone(),
            breaks: 0,
        };
        Ok((stdin, reader))
    }

    /// Whether [`advance`](Self::advance) would do anything.
    fn can_advance(&self) -> bool {
        match &self.pipe {
            None => false,
            Some(_) if self.typed_ahead.is_empty() => self.is_ending,
            Some(pipe) => pipe.is_writable(),
        }
    }

    /// Moves what was typed on to the program, and ends its input after the last of it.
    fn advance(&mut self) {
        let Some(pipe) = &self.pipe else { return };
        match pipe.write(&self.typed_ahead) {
            Ok(taken) => {
                let has_interrupt = self.typed_ahead.drain(..taken).any(|key| key == INTERRUPT);
                // A job may have got the terminal since the key was taken for input.
                if has_interrupt && self.terminal.is_jobs() && pipe.drop_through_last(INTERRUPT) {
                    self.terminal.interrupt();
                }
            }
            // The program has closed its input.
            Err(_) => self.end(),
        }
        if self.typed_ahead.is_empty() && self.is_ending {
            self.end();
        }
    }

    fn end(&mut self) {
        self.typed_ahead = Vec::new();
        self.pipe = None;
    }

    /// Takes one key. Ctrl-C ends the job before anything is shown: a job that floods a slow terminal is
    /// the reason why nothing can be shown.
    fn key(&mut self, byte: u8, job: &dyn Job, output: &TerminalOutput) {
        self.breaks = if byte == BREAK { self.breaks + 1 } else { 0 };
        if self.breaks == BREAKS {
            return job.kill();
        }
        match self.terminal.mode() {
            KeyMode::Raw => self.raw_key(byte, output),
            KeyMode::Cooked => self.cooked_key(byte, job, output),
        }
    }

    fn raw_key(&mut self, byte: u8, output: &TerminalOutput) {
        // Whoever it was meant for has not read it, and is gone.
        self.end_mark.take();
        let mut bytes = self.discipline.take_line();
        bytes.push(byte);
        self.append(&bytes, output);
    }

    fn cooked_key(&mut self, byte: u8, job: &dyn Job, output: &TerminalOutput) {
        let mut echo = Vec::new();
        let event = self.discipline.feed(byte, &mut echo);
        let meaning = match event {
            Some(CookedEvent::Interrupt) => self.terminal.interrupt(),
            Some(CookedEvent::Suspend) => self.terminal.suspend(),
            _ => KeyMeaning::Obeyed,
        };
        match (&event, meaning) {
            (Some(CookedEvent::Interrupt), KeyMeaning::Unclaimed) => job.kill(),
            // Nobody would wake a job of the prompt's own.
            (Some(CookedEvent::Suspend), KeyMeaning::Unclaimed) => self.append(&[SUSPEND], output),
            (Some(CookedEvent::Interrupt), KeyMeaning::Input) => self.append(&[INTERRUPT], output),
            (Some(CookedEvent::Suspend), KeyMeaning::Input) => self.append(&[SUSPEND], output),
            _ => {}
        }
        output.echo(&echo);
        match event {
            Some(CookedEvent::Bytes(bytes)) => self.append(&bytes, output),
            Some(CookedEvent::EndOfInput) => self.end_of_input(output),
            Some(CookedEvent::Interrupt | CookedEvent::Suspend) | None => {}
        }
    }

    fn end_of_input(&mut self, output: &TerminalOutput) {
        if !self.terminal.has_foreground() {
            self.is_ending = true;
        } else if self.typed_ahead.is_empty() {
            self.end_mark.set();
        } else {
            // It would come before what was typed before it.
            output.echo(BELL);
        }
    }

    fn append(&mut self, bytes: &[u8], output: &TerminalOutput) {
        if self.pipe.is_none() || self.is_ending {
            return;
        }
        if self.typed_ahead.len() + bytes.len() > TYPED_AHEAD_BYTES_MAX {
            return output.echo(BELL);
        }
        self.typed_ahead.extend_from_slice(bytes);
    }
}

/// Serves `job` until it has ended; the answer is what there is to say about that. A terminal whose
/// input ends takes the program with it.
pub(crate) fn serve(
    job: &dyn Job,
    mut stdin: Stdin,
    keys: &mut Keys,
    output: &TerminalOutput,
) -> Option<String> {
    loop {
        match next_occasion(job, &stdin, keys) {
            Occasion::Ended(sentence) => return sentence,
            Occasion::StdinMoves => stdin.advance(),
            Occasion::Key(Typed::Byte(byte)) => stdin.key(byte, job, output),
            Occasion::Key(Typed::End) => {
                job.kill();
                stdin.is_ending = true;
            }
        }
    }
}

/// Sleeps until something is to be done. The program's end comes first, so that keys pressed after it
/// are the prompt's.
fn next_occasion(job: &dyn Job, stdin: &Stdin, keys: &mut Keys) -> Occasion {
    // Never raised: the person ends the wait, or the program does.
    let cancellation = Cancellation::new();
    let source = keys.source();
    let occasion = wait_until(
        &cancellation,
        &SystemClock::new(),
        None,
        |notifier| {
            job.subscribe(notifier);
            source.subscribe(notifier);
            if let Some(pipe) = &stdin.pipe {
                pipe.subscribe(notifier);
            }
        },
        || {
            if let Some(sentence) = job.ending() {
                return Some(Occasion::Ended(sentence));
            }
            if stdin.can_advance() {
                return Some(Occasion::StdinMoves);
            }
            keys.try_next().map(Occasion::Key)
        },
    );
    // Without cancellation and deadline there is always an answer.
    occasion.ok().flatten().unwrap_or(Occasion::Ended(None))
}
