//! From scan codes to the bytes that a terminal sends.
//!
//! Law: the controller translates to set 1. Any byte may come: what is no scan code is dropped. Characters go out as
//! UTF-8; Ctrl with a letter or one of `@[\]^_` as the control character, Alt as `ESC` before; keys without a character
//! as xterm sends them, with modifiers (xterm's "Control Sequences", "PC-Style Function Keys"). Shift with PgUp and
//! PgDn is not sent, it moves the view; nor is Ctrl-Alt-Backspace, which is for the kernel.

use pc_keyboard::{
    DecodedKey, HandleControl, KeyCode, KeyState, Modifiers, PS2Keyboard, ScancodeSet1,
    layouts::AnyLayout,
};

use crate::layout::Layout;

const ESCAPE: u8 = 0x1b;
const DELETE: u8 = 0x7f;
/// The longest sequence, `ESC [ 24 ; 8 ~`, and one to spare.
const SEQUENCE_BYTES_MAX: usize = 8;

/// What pressing a key means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pressed {
    /// These bytes are typed.
    Bytes(Sequence),
    /// Look so many half screens back, or forward where negative.
    HalfScreens(i32),
    /// Whoever has taken over the screen is to end.
    Attention,
}

/// A few bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Sequence {
    bytes: [u8; SEQUENCE_BYTES_MAX],
    len: usize,
}

impl Sequence {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// With more bytes behind, as far as there is room.
    fn and(mut self, bytes: &[u8]) -> Self {
        let count = bytes.len().min(SEQUENCE_BYTES_MAX - self.len);
        self.bytes[self.len..self.len + count].copy_from_slice(&bytes[..count]);
        self.len += count;
        self
    }

    fn and_number(self, number: u8) -> Self {
        let digits = [b'0' + number / 10 % 10, b'0' + number % 10];
        self.and(&digits[usize::from(number < 10)..])
    }
}

/// A keyboard and what is held on it.
pub struct Keyboard {
    decoder: PS2Keyboard<AnyLayout, ScancodeSet1>,
}

impl Keyboard {
    /// A keyboard on which nothing is held.
    pub fn new(layout: Layout) -> Self {
        let decoder = PS2Keyboard::new(
            ScancodeSet1::new(),
            layout.keys(),
            HandleControl::MapLettersToUnicode,
        );
        Self { decoder }
    }

    /// Takes a byte of a scan code; answers when a key that means something has gone down.
    pub fn feed(&mut self, byte: u8) -> Option<Pressed> {
        let event = self.decoder.add_byte(byte).ok()??;
        let (code, is_down) = (event.code, event.state == KeyState::Down);
        let decoded = self.decoder.process_keyevent(event)?;
        if !is_down {
            return None;
        }
        let modifiers = self.decoder.get_modifiers();
        if code == KeyCode::Backspace && modifiers.is_ctrl() && modifiers.lalt {
            return Some(Pressed::Attention);
        }
        match (code, modifiers.is_shifted()) {
            (KeyCode::PageUp, true) => Some(Pressed::HalfScreens(1)),
            (KeyCode::PageDown, true) => Some(Pressed::HalfScreens(-1)),
            _ => bytes_of(code, decoded, modifiers).map(Pressed::Bytes),
        }
    }
}

fn bytes_of(code: KeyCode, decoded: DecodedKey, modifiers: &Modifiers) -> Option<Sequence> {
    match (code, decoded) {
        (KeyCode::Return | KeyCode::NumpadEnter, _) => Some(typed(b"\r", modifiers)),
        (KeyCode::Backspace, _) => Some(typed(&[DELETE], modifiers)),
        (KeyCode::Tab, _) if modifiers.is_shifted() => Some(Sequence::default().and(b"\x1b[Z")),
        (KeyCode::Delete, _) => function_key(KeyCode::Delete, modifiers),
        // The same on the number pad.
        (_, DecodedKey::Unicode('\x7f')) => function_key(KeyCode::Delete, modifiers),
        (_, DecodedKey::Unicode(character)) => Some(character_key(character, modifiers)),
        (_, DecodedKey::RawKey(key)) => function_key(key, modifiers),
    }
}

fn character_key(character: char, modifiers: &Modifiers) -> Sequence {
    let control = control_character(character).filter(|_| modifiers.is_ctrl());
    match control.filter(|_| !modifiers.is_altgr()) {
        Some(control) => typed(&[control], modifiers),
        None => typed(character.encode_utf8(&mut [0; 4]).as_bytes(), modifiers),
    }
}

/// What Ctrl makes of characters that are no letters; those the layout has done already.
fn control_character(character: char) -> Option<u8> {
    match character {
        ' ' | '@' | '2' => Some(0x00),
        '[' | '3' => Some(ESCAPE),
        '\\' | '4' => Some(0x1c),
        ']' | '5' => Some(0x1d),
        '^' | '6' => Some(0x1e),
        '_' | '7' | '/' => Some(0x1f),
        '?' | '8' => Some(DELETE),
        _ => None,
    }
}

/// The bytes, after `ESC` where Alt is held for itself and not as half of AltGr.
fn typed(bytes: &[u8], modifiers: &Modifiers) -> Sequence {
    let has_alt = modifiers.lalt && !modifiers.is_altgr();
    let prefix: &[u8] = if has_alt { &[ESCAPE] } else { &[] };
    Sequence::default().and(prefix).and(bytes)
}

/// How a key without a character ends its sequence.
enum Ending {
    Letter(u8),
    Number(u8),
}

fn function_key(key: KeyCode, modifiers: &Modifiers) -> Option<Sequence> {
    let held = 1
        + u8::from(modifiers.is_shifted())
        + 2 * u8::from(modifiers.lalt)
        + 4 * u8::from(modifiers.is_ctrl());
    let start = Sequence::default();
    Some(match (ending(key)?, held) {
        (Ending::Letter(letter @ b'P'..=b'S'), 1) => start.and(&[ESCAPE, b'O', letter]),
        (Ending::Letter(letter), 1) => start.and(&[ESCAPE, b'[', letter]),
        (Ending::Letter(letter), held) => start.and(b"\x1b[1;").and_number(held).and(&[letter]),
        (Ending::Number(number), 1) => start.and(b"\x1b[").and_number(number).and(b"~"),
        (Ending::Number(number), held) => start
            .and(b"\x1b[")
            .and_number(number)
            .and(b";")
            .and_number(held)
            .and(b"~"),
    })
}

fn ending(key: KeyCode) -> Option<Ending> {
    Some(match key {
        KeyCode::ArrowUp => Ending::Letter(b'A'),
        KeyCode::ArrowDown => Ending::Letter(b'B'),
        KeyCode::ArrowRight => Ending::Letter(b'C'),
        KeyCode::ArrowLeft => Ending::Letter(b'D'),
        KeyCode::End => Ending::Letter(b'F'),
        KeyCode::Home => Ending::Letter(b'H'),
        KeyCode::F1 => Ending::Letter(b'P'),
        KeyCode::F2 => Ending::Letter(b'Q'),
        KeyCode::F3 => Ending::Letter(b'R'),
        KeyCode::F4 => Ending::Letter(b'S'),
        KeyCode::Insert => Ending::Number(2),
        KeyCode::Delete => Ending::Number(3),
        KeyCode::PageUp => Ending::Number(5),
        KeyCode::PageDown => Ending::Number(6),
        KeyCode::F5 => Ending::Number(15),
        KeyCode::F6 => Ending::Number(17),
        KeyCode::F7 => Ending::Number(18),
        KeyCode::F8 => Ending::Number(19),
        KeyCode::F9 => Ending::Number(20),
        KeyCode::F10 => Ending::Number(21),
        KeyCode::F11 => Ending::Number(23),
        KeyCode::F12 => Ending::Number(24),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    extern crate std;

    use proptest::prelude::*;
    use std::string::String;
    use std::vec::Vec;

    use super::*;

    const SHIFT: u8 = 0x2a;
    const CTRL: u8 = 0x1d;
    const ALT: u8 = 0x38;
    const UP: u8 = 0x80;

    /// The bytes that are typed by scan codes.
    fn typed_by(layout: Layout, codes: &[u8]) -> String {
        let mut keyboard = Keyboard::new(layout);
        let mut bytes = Vec::new();
        for code in codes {
            if let Some(Pressed::Bytes(sequence)) = keyboard.feed(*code) {
                bytes.extend_from_slice(sequence.as_bytes());
            }
        }
        String::from_utf8(bytes).expect("keyboards type UTF-8")
    }

    #[test]
    fn letters_stand_where_the_layout_has_them() {
        let row = [0x15, 0x15 | UP, 0x2c, 0x2c | UP, 0x1a, 0x0c];
        assert_eq!(typed_by(Layout::Us, &row), "yz[-");
        assert_eq!(typed_by(Layout::De, &row), "zyüß");
        assert_eq!(typed_by(Layout::Fr, &[0x10, 0x1e]), "aq");
        assert_eq!(typed_by(Layout::Us, &[SHIFT, 0x1e, SHIFT | UP, 0x1e]), "Aa");
        assert_eq!(typed_by(Layout::De, &[SHIFT, 0x27]), "Ö");
        // AltGr.
        assert_eq!(typed_by(Layout::De, &[0xe0, ALT, 0x10]), "@");
        assert_eq!(typed_by(Layout::De, &[0xe0, ALT, 0x12]), "€");
    }

    #[test]
    fn control_and_alt() {
        assert_eq!(typed_by(Layout::Us, &[CTRL, 0x2e]), "\x03");
        assert_eq!(
            typed_by(Layout::De, &[CTRL, 0x20, CTRL | UP, 0x20]),
            "\x04d"
        );
        assert_eq!(typed_by(Layout::Us, &[CTRL, 0x2b]), "\x1c");
        assert_eq!(typed_by(Layout::Us, &[ALT, 0x1e]), "\x1ba");
        assert_eq!(
            typed_by(Layout::Us, &[0x0e, 0x1c, 0x0f, 0x01]),
            "\x7f\r\t\x1b"
        );
    }

    #[test]
    fn keys_without_characters_are_sequences() {
        let sequence = |codes: &[u8]| typed_by(Layout::Us, codes);
        assert_eq!(
            sequence(&[0xe0, 0x48, 0xe0, 0xc8, 0xe0, 0x4b]),
            "\x1b[A\x1b[D"
        );
        assert_eq!(sequence(&[0xe0, 0x47, 0xe0, 0x4f]), "\x1b[H\x1b[F");
        assert_eq!(sequence(&[0xe0, 0x53, 0xe0, 0x49]), "\x1b[3~\x1b[5~");
        assert_eq!(sequence(&[CTRL, 0xe0, 0x4d]), "\x1b[1;5C");
        assert_eq!(sequence(&[0x3b, 0x3f, 0x58]), "\x1bOP\x1b[15~\x1b[24~");
        assert_eq!(sequence(&[CTRL, ALT, SHIFT, 0x58]), "\x1b[24;8~");
        // The number pad: digits, and after NumLock the keys behind them.
        assert_eq!(
            sequence(&[0x47, 0x53, 0x45, 0xc5, 0x47, 0x53]),
            "7.\x1b[H\x1b[3~"
        );
    }

    #[test]
    fn control_alt_backspace_calls_for_attention() {
        let mut keyboard = Keyboard::new(Layout::Us);
        let mut feed = |codes: &[u8]| codes.iter().filter_map(|code| keyboard.feed(*code)).last();
        assert_eq!(feed(&[CTRL, ALT, 0x0e]), Some(Pressed::Attention));
        assert_ne!(feed(&[0x8e, 0x9d, 0x0e]), Some(Pressed::Attention));
    }

    #[test]
    fn shift_and_page_keys_move_the_view() {
        let mut keyboard = Keyboard::new(Layout::De);
        let mut feed = |codes: &[u8]| codes.iter().filter_map(|code| keyboard.feed(*code)).last();
        assert_eq!(feed(&[SHIFT, 0xe0, 0x49]), Some(Pressed::HalfScreens(1)));
        assert_eq!(feed(&[0xe0, 0x51]), Some(Pressed::HalfScreens(-1)));
    }

    proptest! {
        #[test]
        fn any_bytes_type_text_or_nothing(
            layout in 0..Layout::ALL.len(),
            codes in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            typed_by(Layout::ALL[layout], &codes);
        }

        /// Released keys are forgotten: after garbage and the release of everything, a letter is a letter.
        #[test]
        fn garbage_leaves_nothing_held(codes in proptest::collection::vec(any::<u8>(), 0..50)) {
            let mut keyboard = Keyboard::new(Layout::Us);
            for code in codes {
                let _ = keyboard.feed(code);
            }
            keyboard.feed(UP);
            for held in [SHIFT, 0x36, CTRL, ALT] {
                keyboard.feed(held | UP);
                keyboard.feed(0xe0);
                keyboard.feed(held | UP);
            }
            let pressed = keyboard.feed(0x1e);
            let letter = |letter| Some(Pressed::Bytes(Sequence::default().and(letter)));
            // Caps lock may be on.
            prop_assert!(pressed == letter(b"a") || pressed == letter(b"A"), "{pressed:?}");
        }
    }
}
