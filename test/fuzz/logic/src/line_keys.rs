//! The line editor against a naive model: a list of characters, a cursor, a list of lines.
//!
//! Law: after every key, editor and model agree on what is before the cursor and on the event; after the last one on the whole line.

use lib_line_editor::{Event, LINE_LEN_BYTES_MAX, LineEditor};
use test_fuzz::{Input, Subject, Target, Verdict, same};

pub const TARGET: Target = Target {
    name: "line-keys",
    cases: 15_000,
    len_bytes_max: 256,
    defect: "a decoder that takes the key that deletes a word for the one that deletes all",
    try_input,
};

const HISTORY_LIMIT: usize = 3;
const KEYS_MAX: usize = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Char(char),
    Left,
    Right,
    Home,
    End,
    Backspace,
    Delete,
    DeleteToStart,
    DeleteToEnd,
    DeleteWord,
    Up,
    Down,
    Enter,
    Interrupt,
    EndOfInput,
    Tab,
    Redraw,
    /// A text inserted at once.
    Paste(usize),
}

/// A key and one of the ways in which terminals send it. A line feed alone is not among them: behind a carriage return it is
/// no key.
const SENT: &[(Key, &[u8])] = &[
    (Key::Left, b"\x1b[D"),
    (Key::Left, b"\x1bOD"),
    (Key::Left, b"\x02"),
    (Key::Left, b"\x1b[1;5D"),
    (Key::Right, b"\x1b[C"),
    (Key::Right, b"\x06"),
    (Key::Home, b"\x1b[H"),
    (Key::Home, b"\x1b[1~"),
    (Key::Home, b"\x01"),
    (Key::End, b"\x1b[F"),
    (Key::End, b"\x1b[4~"),
    (Key::End, b"\x05"),
    (Key::Backspace, b"\x7f"),
    (Key::Backspace, b"\x08"),
    (Key::Delete, b"\x1b[3~"),
    (Key::DeleteToStart, b"\x15"),
    (Key::DeleteToEnd, b"\x0b"),
    (Key::DeleteWord, b"\x17"),
    (Key::Up, b"\x1b[A"),
    (Key::Up, b"\x10"),
    (Key::Down, b"\x1b[B"),
    (Key::Down, b"\x0e"),
    (Key::Enter, b"\r"),
    (Key::Enter, b"\r\n"),
    (Key::Interrupt, b"\x03"),
    (Key::EndOfInput, b"\x04"),
    (Key::Tab, b"\t"),
    (Key::Redraw, b"\x0c"),
];
const CHARS: [char; 10] = ['a', 'b', ' ', ' ', '~', 'é', '한', '☃', '\u{301}', '🦀'];

#[derive(Default)]
struct Model {
    text: Vec<char>,
    cursor: usize,
    lines: Vec<String>,
    position: usize,
    draft: String,
}

fn try_input(subject: Subject, bytes: &[u8]) -> Verdict {
    let mut input = Input::new(bytes);
    let mut editor = LineEditor::new(HISTORY_LIMIT).completing();
    editor.set_columns(Some(input.below(100)));
    let mut model = Model::default();
    let mut echo = Vec::new();
    editor.begin("$ ", &mut echo);
    for _ in 0..KEYS_MAX {
        let (key, sent) = key(&mut input);
        let event = press(subject, &mut editor, key, &sent);
        same(&format!("the event of {key:?}"), event, model.press(key))?;
        same(
            &format!("what is before the cursor after {key:?}"),
            editor.before_cursor(),
            &model.before_cursor(),
        )?;
        if input.is_empty() {
            break;
        }
    }
    let event = press(subject, &mut editor, Key::Enter, b"\r");
    same("the last line", event, model.press(Key::Enter))
}

fn key(input: &mut Input<'_>) -> (Key, Vec<u8>) {
    match input.below(64) {
        0..=23 => {
            let c = input.one_of(&CHARS);
            (Key::Char(c), c.to_string().into_bytes())
        }
        24 if input.one_in(64) => (Key::Paste(2040 + input.below(20)), Vec::new()),
        24 => (Key::Paste(input.below(10)), Vec::new()),
        _ => {
            let (key, sent) = input.one_of(SENT);
            (key, sent.to_vec())
        }
    }
}

fn press(subject: Subject, editor: &mut LineEditor, key: Key, sent: &[u8]) -> Option<Event> {
    let mut echo = Vec::new();
    if let Key::Paste(count) = key {
        editor.insert_text(&pasted(count), &mut echo);
        return None;
    }
    let sent = match (subject, key) {
        (Subject::Spoiled, Key::DeleteWord) => b"\x15",
        _ => sent,
    };
    let mut events = sent.iter().filter_map(|&byte| editor.feed(byte, &mut echo));
    let event = events.next();
    if events.next().is_some() {
        // One key is never two events.
        return None;
    }
    event
}

fn pasted(count: usize) -> String {
    "é".repeat(count)
}

impl Model {
    fn before_cursor(&self) -> String {
        self.text[..self.cursor].iter().collect()
    }

    fn line(&self) -> String {
        self.text.iter().collect()
    }

    fn insert(&mut self, c: char) {
        let len_bytes: usize = self.text.iter().map(|c| c.len_utf8()).sum();
        if len_bytes + c.len_utf8() <= LINE_LEN_BYTES_MAX {
            self.text.insert(self.cursor, c);
            self.cursor += 1;
        }
    }

    fn set(&mut self, text: &str) {
        self.text = text.chars().collect();
        self.cursor = self.text.len();
    }

    /// From `start` to the cursor.
    fn delete_from(&mut self, start: usize) {
        self.text.drain(start..self.cursor);
        self.cursor = start;
    }

    fn word_start(&self) -> usize {
        let before = &self.text[..self.cursor];
        let is_letter = |c: &char| *c != ' ';
        let word_end = before.iter().rposition(is_letter).map_or(0, |at| at + 1);
        let blank = before[..word_end].iter().rposition(|c| *c == ' ');
        blank.map_or(0, |at| at + 1)
    }

    fn press(&mut self, key: Key) -> Option<Event> {
        match key {
            Key::Enter => return Some(self.enter()),
            Key::Interrupt => {
                self.set("");
                self.leave_history();
                return Some(Event::Interrupt);
            }
            Key::EndOfInput if self.text.is_empty() => return Some(Event::EndOfInput),
            Key::Tab => return Some(Event::Complete),
            Key::Up => self.older(),
            Key::Down => self.newer(),
            key => self.edit(key),
        }
        None
    }

    fn edit(&mut self, key: Key) {
        match key {
            Key::Char(c) => self.insert(c),
            Key::Paste(count) => pasted(count).chars().for_each(|c| self.insert(c)),
            Key::Left => self.cursor = self.cursor.saturating_sub(1),
            Key::Right => self.cursor = (self.cursor + 1).min(self.text.len()),
            Key::Home => self.cursor = 0,
            Key::End => self.cursor = self.text.len(),
            Key::Backspace => self.delete_from(self.cursor.saturating_sub(1)),
            Key::Delete | Key::EndOfInput if self.cursor < self.text.len() => {
                self.text.remove(self.cursor);
            }
            Key::DeleteToStart => self.delete_from(0),
            Key::DeleteToEnd => self.text.truncate(self.cursor),
            Key::DeleteWord => self.delete_from(self.word_start()),
            _ => {}
        }
    }

    fn enter(&mut self) -> Event {
        let line = self.line();
        if !line.trim().is_empty() && self.lines.last() != Some(&line) {
            self.lines.push(line.clone());
        }
        let surplus = self.lines.len().saturating_sub(HISTORY_LIMIT);
        self.lines.drain(..surplus);
        self.set("");
        self.leave_history();
        Event::Line(line)
    }

    fn leave_history(&mut self) {
        self.position = self.lines.len();
        self.draft.clear();
    }

    fn older(&mut self) {
        if self.position == 0 {
            return;
        }
        if self.position == self.lines.len() {
            self.draft = self.line();
        }
        self.position -= 1;
        self.set(&self.lines[self.position].clone());
    }

    fn newer(&mut self) {
        if self.position == self.lines.len() {
            return;
        }
        self.position += 1;
        let shown = self.lines.get(self.position).unwrap_or(&self.draft);
        self.set(&shown.clone());
    }
}
