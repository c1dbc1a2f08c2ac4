//! Whether what was written so far ends within a control sequence or a character, so that nobody else may write there.
//!
//! Law: one byte after the other, in ECMA-48's terms and UTF-8's; any bytes may come. A sequence that is never ended keeps this said
//! for ever, and whoever asks has to set an end to waiting.

/// Where the bytes so far end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Within {
    /// Between characters.
    #[default]
    Nothing,
    /// In a character that lacks so many bytes.
    Character(u8),
    /// Behind an escape character.
    Escape,
    /// In the numbers of a control sequence.
    Numbers,
    /// In a string for the terminal, such as a title.
    Text,
}

const ESCAPE: u8 = 0x1b;
const BELL: u8 = 7;
/// What breaks off a sequence: CAN and SUB.
const BREAKS: [u8; 2] = [0x18, 0x1a];

impl Within {
    /// Where they end with these behind them.
    pub(crate) fn after(self, bytes: &[u8]) -> Self {
        bytes.iter().fold(self, |within, byte| within.next(*byte))
    }

    fn next(self, byte: u8) -> Self {
        match (self, byte) {
            (_, ESCAPE) => Self::Escape,
            (_, byte) if BREAKS.contains(&byte) => Self::Nothing,
            (Self::Escape, b'[') => Self::Numbers,
            (Self::Escape, b']' | b'P' | b'X' | b'^' | b'_') => Self::Text,
            // What stands between, and controls, which are obeyed at once.
            (Self::Escape, 0..=b'/') => Self::Escape,
            (Self::Escape, _) => Self::Nothing,
            (Self::Numbers, b'@'..=b'~') | (Self::Text, BELL) => Self::Nothing,
            (Self::Numbers | Self::Text, _) => self,
            (Self::Character(lacking @ 2..), 0x80..=0xbf) => Self::Character(lacking - 1),
            (_, 0xc2..=0xdf) => Self::Character(1),
            (_, 0xe0..=0xef) => Self::Character(2),
            (_, 0xf0..=0xf4) => Self::Character(3),
            _ => Self::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cut_of_a_sequence_or_a_character_is_within_it() {
        let wholes = [
            "é",
            "漢",
            "😀",
            "\x1b7",
            "\x1b(B",
            "\x1b[m",
            "\x1b[1;31;48:2::1:2:3m",
            "\x1b[?25l",
            "\x1b]0;título\x07",
            "\x1bPq#0\x1b\\",
        ];
        for whole in wholes {
            for cut in 1..whole.len() {
                let within = Within::default().after(&whole.as_bytes()[..cut]);
                assert_ne!(within, Within::Nothing, "{whole:?} cut at {cut}");
            }
            let text = format!("before{whole}");
            let behind = Within::default().after(text.as_bytes());
            assert_eq!(behind, Within::Nothing, "{whole:?}");
        }
    }

    #[test]
    fn what_is_broken_off_is_over() {
        for broken in [
            &b"\x1b[1\x18"[..],
            b"\x1b]0;a\x1a",
            b"\xe6\xbca",
            b"\xff\x80",
        ] {
            let behind = Within::default().after(broken);
            assert_eq!(behind, Within::Nothing, "{broken:?}");
        }
    }
}
