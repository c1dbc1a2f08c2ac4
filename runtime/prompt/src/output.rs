//! The terminal's output: what programs write, what the prompt says, and the echo of keys.
//!
//! A program ends its lines with a line feed; a terminal needs a carriage return too, or the next line
//! begins below the end of the last. What the terminal received last is kept, so that the prompt can
//! begin on a row of its own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use runtime_host::{ByteSink, Cancellation, Notifier, StreamFailure, write_all_blocking};

/// How long a program's write stands back while an echo waits.
const ECHO_PAUSE: Duration = Duration::from_micros(500);

/// A terminal as the standard output of programs. Cloning gives another handle to the same one.
#[derive(Clone)]
pub struct TerminalOutput(Arc<Shared>);

struct Shared {
    terminal: Arc<dyn ByteSink>,
    state: Mutex<State>,
    /// How many echoes wait for the state. Programs let them go first: a program that writes without end to a
    /// slow terminal holds the lock nearly always, and whoever is woken for it would find it taken again.
    waiting_echoes: AtomicUsize,
}

/// What the terminal has received.
struct State {
    /// A carriage return was taken and its line feed not.
    owes_line_feed: bool,
    is_at_line_start: bool,
}

impl TerminalOutput {
    /// The output of the terminal whose bytes go to `terminal`, as they are.
    pub fn new(terminal: Arc<dyn ByteSink>) -> Self {
        let state = State {
            owes_line_feed: false,
            is_at_line_start: true,
        };
        Self(Arc::new(Shared {
            terminal,
            state: Mutex::new(state),
            waiting_echoes: AtomicUsize::new(0),
        }))
    }

    /// Whether the cursor is at the start of a row, as far as line feeds tell.
    pub fn is_at_line_start(&self) -> bool {
        self.0.lock().is_at_line_start
    }

    /// Writes a text whose lines end in a line feed, waiting while the terminal is busy. Nothing is
    /// reported: where the terminal itself fails there is nobody to report to.
    pub(crate) fn say(&self, text: &str) {
        self.write_all(self, text.as_bytes());
    }

    /// [`say`](Self::say) for the echo of keys, which has carriage returns where it needs them.
    pub(crate) fn echo(&self, bytes: &[u8]) {
        self.0.waiting_echoes.fetch_add(1, Ordering::Relaxed);
        self.write_all(&Echo(&self.0), bytes);
        self.0.waiting_echoes.fetch_sub(1, Ordering::Relaxed);
    }

    fn write_all(&self, sink: &dyn ByteSink, bytes: &[u8]) {
        // Never raised: a terminal takes what it is given sooner or later.
        let cancellation = Cancellation::new();
        let written = write_all_blocking(sink, bytes, &cancellation);
        drop(written);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends bytes as they are, and says how many were taken.
    fn send(&self, state: &mut State, bytes: &[u8]) -> Result<usize, StreamFailure> {
        let taken = self.terminal.write(bytes)?;
        if let Some(last) = bytes[..taken].last() {
            state.is_at_line_start = *last == b'\n';
        }
        Ok(taken)
    }

    /// Sends the line feed that a full terminal left over; `false` where it still is.
    fn settle(&self, state: &mut State) -> Result<bool, StreamFailure> {
        if state.owes_line_feed {
            state.owes_line_feed = self.send(state, b"\n")? == 0;
        }
        Ok(!state.owes_line_feed)
    }

    /// Sends the start of `bytes`, of one line at most, and says how many of them were taken.
    fn send_line(&self, state: &mut State, bytes: &[u8]) -> Result<usize, StreamFailure> {
        match bytes.iter().position(|&byte| byte == b'\n') {
            Some(0) => {
                let taken = self.send(state, b"\r\n")?;
                state.owes_line_feed = taken == 1;
                Ok(taken.min(1))
            }
            Some(end) => self.send(state, &bytes[..end]),
            None => self.send(state, bytes),
        }
    }
}

impl ByteSink for TerminalOutput {
    fn room_bytes(&self) -> Result<usize, StreamFailure> {
        // A line feed takes two.
        Ok(self.0.terminal.room_bytes()? / 2)
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, StreamFailure> {
        while self.0.waiting_echoes.load(Ordering::Relaxed) > 0 {
            thread::sleep(ECHO_PAUSE);
        }
        let mut state = self.0.lock();
        let mut taken = 0;
        while self.0.settle(&mut state)? && taken < bytes.len() {
            match self.0.send_line(&mut state, &bytes[taken..])? {
                0 => break,
                more => taken += more,
            }
        }
        Ok(taken)
    }

    fn subscribe(&self, notifier: &Notifier) {
        self.0.terminal.subscribe(notifier);
    }
}

/// The same terminal without the conversion of line feeds.
struct Echo<'a>(&'a Shared);

impl ByteSink for Echo<'_> {
    fn room_bytes(&self) -> Result<usize, StreamFailure> {
        self.0.terminal.room_bytes()
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, StreamFailure> {
        let mut state = self.0.lock();
        if !self.0.settle(&mut state)? {
            return Ok(0);
        }
        let taken = self.0.send(&mut state, bytes)?;
        // The prompt returns only to rows that it has cleared.
        state.is_at_line_start |= bytes[..taken].ends_with(b"\r");
        Ok(taken)
    }

    fn subscribe(&self, notifier: &Notifier) {
        self.0.terminal.subscribe(notifier);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;
    use std::time::Duration;

    use runtime_host::{
        Budget, ByteSink, ByteSource, Notifier, PipeReader, Read, StreamFailure, pipe,
    };

    use super::TerminalOutput;

    /// A terminal that takes `capacity_bytes` before somebody reads.
    fn terminal(capacity_bytes: usize) -> (PipeReader, TerminalOutput) {
        let (reader, writer) =
            pipe(capacity_bytes, &Budget::new(1 << 20)).expect("within the budget");
        (reader, TerminalOutput::new(Arc::new(writer)))
    }

    fn read(reader: &PipeReader) -> String {
        let mut buffer = [0; 100];
        match reader.read(&mut buffer) {
            Ok(Read::Bytes(count)) => String::from_utf8_lossy(&buffer[..count]).into_owned(),
            _ => String::new(),
        }
    }

    #[test]
    fn lines_get_their_carriage_return() {
        let (reader, output) = terminal(100);
        assert_eq!(output.write(b"a\n\nb"), Ok(4));
        assert_eq!(read(&reader), "a\r\n\r\nb");
        assert!(!output.is_at_line_start());
        output.say("\n");
        assert!(output.is_at_line_start());
    }

    #[test]
    fn the_echo_is_sent_as_it_is() {
        let (reader, output) = terminal(100);
        output.echo(b"x\r\n\x1b[K");
        assert_eq!(read(&reader), "x\r\n\x1b[K");
    }

    /// Takes everything, slowly.
    struct SlowTerminal;

    impl ByteSink for SlowTerminal {
        fn room_bytes(&self) -> Result<usize, StreamFailure> {
            Ok(64)
        }
        fn write(&self, bytes: &[u8]) -> Result<usize, StreamFailure> {
            thread::sleep(Duration::from_millis(2));
            Ok(bytes.len())
        }
        fn subscribe(&self, _notifier: &Notifier) {}
    }

    #[test]
    fn an_echo_comes_through_a_flood() {
        let output = TerminalOutput::new(Arc::new(SlowTerminal));
        let stop = Arc::new(AtomicUsize::new(0));
        let (flood, stopped) = (output.clone(), Arc::clone(&stop));
        let writer = thread::spawn(move || {
            while stopped.load(Ordering::Relaxed) == 0 {
                flood.write(b"y").expect("the terminal takes everything");
            }
        });
        (0..20).for_each(|_| output.echo(b"^C"));
        stop.store(1, Ordering::Relaxed);
        writer.join().expect("the flood ends");
    }

    #[test]
    fn a_busy_terminal_gets_every_byte_once() {
        for capacity_bytes in 1..6 {
            let (reader, output) = terminal(capacity_bytes);
            let mut rest = &b"ab\n\ncd\n"[..];
            let mut shown = String::new();
            while !rest.is_empty() {
                let taken = output.write(rest).expect("the reader is there");
                rest = &rest[taken..];
                shown += &read(&reader);
            }
            assert_eq!(output.write(b""), Ok(0));
            shown += &read(&reader);
            assert_eq!(shown, "ab\r\n\r\ncd\r\n", "room for {capacity_bytes}");
        }
    }
}
