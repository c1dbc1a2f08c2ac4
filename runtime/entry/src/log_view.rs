//! The kernel's log as a person asks for it: all that is left, as it grows, and what is logged.
//!
//! Law: the log does not wake its readers (`kernel_core::log` says why), so who follows it looks every
//! [`PAUSE`], and only while somebody follows. What the ring lost between two looks is said.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use kernel_core::log::{self as kernel_log, Levels, TEXT_BYTES_MAX};
use lib_kernel_log::{AREAS, HeaderKind};
use log::LevelFilter;
use runtime_host::{Cancellation, Notifier, Subscribers, write_all_blocking};
use runtime_prompt::{Job, TerminalOutput};

/// How often a follower looks for new lines.
const PAUSE: Duration = Duration::from_millis(50);
/// Text that a follower shows in one go: bounds how long Ctrl-C waits.
const CHUNK_BYTES: usize = 4 * 1024;
const FOLLOWER_STACK_BYTES: usize = 128 * 1024;

/// The log so far, as far as `words` choose it.
///
/// # Errors
/// A sentence about the words.
pub fn text(words: &[String]) -> Result<String, String> {
    let mut reader = Reader::new(filter(words)?, 0);
    let mut text = String::new();
    // Not for ever, if the log grows faster than it is read.
    let end = kernel_log::end();
    while reader.position < end && reader.append_next(&mut text) {}
    end_line(&mut text);
    Ok(text)
}

/// Changes what is logged as `words` say and tells what is logged.
///
/// # Errors
/// A sentence about the words; nothing is changed then.
pub fn levels(words: &[String]) -> Result<String, String> {
    let mut levels = kernel_log::levels();
    for word in words {
        levels = levels
            .changed_by(word)
            .map_err(|error| format!("{error}."))?;
    }
    if !words.is_empty() {
        kernel_log::set_levels(&levels);
    }
    Ok(table(&levels))
}

fn table(levels: &Levels) -> String {
    let mut text = String::new();
    for (area, name) in AREAS {
        text += &format!("{name:<12}{}\n", level_name(levels.of(area)));
    }
    let terminal = levels.terminal.unwrap_or(LevelFilter::Off);
    text + &format!("{:<12}{}\n", "terminal", level_name(terminal))
}

fn level_name(level: LevelFilter) -> String {
    level.as_str().to_ascii_lowercase()
}

fn filter(words: &[String]) -> Result<Levels, String> {
    Levels::filter(words.iter().map(String::as_str)).map_err(|error| format!("{error}."))
}

/// Walks through the log.
struct Reader {
    filter: Levels,
    position: u64,
}

impl Reader {
    fn new(filter: Levels, position: u64) -> Self {
        Self { filter, position }
    }

    /// Appends the next record if it is chosen, and a remark where records were lost on the way; false at the
    /// end of the log.
    fn append_next(&mut self, text: &mut String) -> bool {
        let mut bytes = [0; TEXT_BYTES_MAX];
        let Some(read) = kernel_log::read(self.position, &mut bytes) else {
            return false;
        };
        if read.lost_bytes > 0 && self.position > 0 {
            end_line(text);
            text.push_str("(lines were lost: the log grows faster than it is shown)\n");
        }
        self.position = read.next;
        let bytes = &bytes[..read.len_bytes];
        match read.header.kind {
            HeaderKind::Line(level) if self.filter.admit(read.header.area, level) => {
                end_line(text);
                // A `String` takes everything.
                let _ = kernel_log::write_prefix(text, &read.header);
                text.push_str(&String::from_utf8_lossy(bytes));
                text.push('\n');
            }
            HeaderKind::Raw if self.filter.admit(read.header.area, log::Level::Info) => {
                text.push_str(&String::from_utf8_lossy(bytes));
            }
            HeaderKind::Line(_) | HeaderKind::Raw => {}
        }
        true
    }
}

/// What was printed without the log's macros need not end its line.
fn end_line(text: &mut String) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
}

/// Shows the log, as far as `words` choose it, as it grows; the job ends when it is killed.
///
/// # Errors
/// A sentence.
pub fn follow(words: &[String], output: TerminalOutput) -> Result<Box<dyn Job>, String> {
    let reader = Reader::new(filter(words)?, 0);
    let state = Arc::new(State::default());
    let shared = Arc::clone(&state);
    thread::Builder::new()
        .name("dmesg".to_owned())
        .stack_size(FOLLOWER_STACK_BYTES)
        .spawn(move || {
            show_for_ever(reader, &output, &shared.cancellation);
            shared.has_ended.store(true, Ordering::Release);
            shared.ended.notify_all();
        })
        .map_err(|error| format!("no thread can follow the log: {error}"))?;
    Ok(Box::new(Follower(state)))
}

fn show_for_ever(mut reader: Reader, output: &TerminalOutput, cancellation: &Cancellation) {
    let killed = Notifier::new();
    cancellation.subscribe(&killed);
    let mut text = String::new();
    while !cancellation.is_cancelled() {
        while text.len() < CHUNK_BYTES && reader.append_next(&mut text) {}
        if text.is_empty() {
            killed.wait(Some(PAUSE));
        }
        // It fails only when it is cancelled, or the terminal is gone; both are seen by whoever waits.
        let _shown = write_all_blocking(output, text.as_bytes(), cancellation);
        text.clear();
    }
}

#[derive(Default)]
struct State {
    cancellation: Cancellation,
    has_ended: AtomicBool,
    ended: Subscribers,
}

struct Follower(Arc<State>);

impl Job for Follower {
    fn ending(&self) -> Option<Option<String>> {
        self.0.has_ended.load(Ordering::Acquire).then_some(None)
    }

    fn subscribe(&self, notifier: &Notifier) {
        self.0.ended.add(notifier);
    }

    fn kill(&self) {
        self.0.cancellation.cancel();
    }
}
