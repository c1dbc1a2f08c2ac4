//! From bytes to keys: UTF-8, control characters and escape sequences.
//!
//! Escape sequences are those of ECMA-48 as terminals send them: `ESC [` with parameters and a final
//! byte, and `ESC O` with one more byte. A control character inside a sequence or a character breaks it
//! off and counts, so that Ctrl-C always works.

/// What a person pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Char(char),
    /// A control character by the letter that makes it, such as `'C'` for Ctrl-C.
    Control(char),
    Enter,
    Backspace,
    Delete,
    Left,
    Right,
    Up,
    Down,
    Home,
    End,
}

const ESCAPE: u8 = 0x1B;
const BACKSPACE: u8 = 0x7F;

/// The greatest number in an escape sequence that is told apart; greater ones mean no key we know.
const PARAMETER_MAX: u8 = 99;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Ground,
    /// After `ESC`.
    Escape,
    /// After `ESC O`.
    SingleShift,
    /// After `ESC [`: the first parameter, and whether it is complete.
    Sequence { parameter: u8, is_complete: bool },
}

/// Collects bytes until they make a key.
#[derive(Debug, Default)]
pub(crate) struct KeyDecoder {
    state: State,
    utf8: Utf8Decoder,
    /// A line feed right after a carriage return belongs to it.
    after_return: bool,
}

impl KeyDecoder {
    /// The key that `byte` completes.
    pub(crate) fn feed(&mut self, byte: u8) -> Option<Key> {
        let after_return = core::mem::replace(&mut self.after_return, byte == b'\r');
        if after_return && byte == b'\n' {
            return None;
        }
        if byte < 0x20 || byte == BACKSPACE {
            return self.control(byte);
        }
        match self.state {
            State::Ground => self
                .utf8
                .feed(byte)
                .filter(|c| !c.is_control())
                .map(Key::Char),
            State::Escape => self.after_escape(byte),
            State::SingleShift => {
                self.state = State::Ground;
                letter_key(byte)
            }
            State::Sequence {
                parameter,
                is_complete,
            } => self.in_sequence(byte, parameter, is_complete),
        }
    }

    /// Whether an escape sequence has begun and not ended.
    pub(crate) fn is_in_sequence(&self) -> bool {
        self.state != State::Ground
    }

    fn control(&mut self, byte: u8) -> Option<Key> {
        self.utf8 = Utf8Decoder::default();
        self.state = State::Ground;
        match byte {
            ESCAPE => {
                self.state = State::Escape;
                None
            }
            b'\r' | b'\n' => Some(Key::Enter),
            BACKSPACE | 0x08 => Some(Key::Backspace),
            _ => Some(Key::Control(char::from(byte + b'@'))),
        }
    }

    fn after_escape(&mut self, byte: u8) -> Option<Key> {
        self.state = match byte {
            b'[' => State::Sequence {
                parameter: 0,
                is_complete: false,
            },
            b'O' => State::SingleShift,
            _ => State::Ground,
        };
        None
    }

    fn in_sequence(&mut self, byte: u8, parameter: u8, is_complete: bool) -> Option<Key> {
        self.state = match byte {
            b'0'..=b'9' if !is_complete => State::Sequence {
                parameter: parameter
                    .saturating_mul(10)
                    .saturating_add(byte - b'0')
                    .min(PARAMETER_MAX),
                is_complete,
            },
            // Further parameters say which modifiers are held; all mean the same key here.
            0x20..=0x3F => State::Sequence {
                parameter,
                is_complete: true,
            },
            _ => State::Ground,
        };
        match byte {
            b'~' => numbered_key(parameter),
            _ => letter_key(byte),
        }
    }
}

/// The keys that end in a letter.
fn letter_key(byte: u8) -> Option<Key> {
    match byte {
        b'A' => Some(Key::Up),
        b'B' => Some(Key::Down),
        b'C' => Some(Key::Right),
        b'D' => Some(Key::Left),
        b'H' => Some(Key::Home),
        b'F' => Some(Key::End),
        _ => None,
    }
}

/// The keys that are a number and `~`.
fn numbered_key(number: u8) -> Option<Key> {
    match number {
        1 | 7 => Some(Key::Home),
        3 => Some(Key::Delete),
        4 | 8 => Some(Key::End),
        _ => None,
    }
}

/// Collects the bytes of one character.
#[derive(Debug, Default)]
pub(crate) struct Utf8Decoder {
    bytes: [u8; 4],
    len_bytes: usize,
}

impl Utf8Decoder {
    /// The character that `byte` completes. What can never become one is dropped.
    pub(crate) fn feed(&mut self, byte: u8) -> Option<char> {
        // A byte that begins a character ends an unfinished one.
        if !is_continuation(byte) {
            self.len_bytes = 0;
        }
        *self.bytes.get_mut(self.len_bytes)? = byte;
        self.len_bytes += 1;
        match core::str::from_utf8(&self.bytes[..self.len_bytes]) {
            Ok(text) => {
                self.len_bytes = 0;
                text.chars().next()
            }
            Err(error) => {
                if error.error_len().is_some() {
                    self.len_bytes = 0;
                }
                None
            }
        }
    }
}

/// Whether `byte` can only follow others in a character.
pub(crate) fn is_continuation(byte: u8) -> bool {
    byte & 0xC0 == 0x80
}
