//! Bytes become text, however they are cut into pieces.
//!
//! Law: what comes out does not depend on where the input was cut. Each part that can never become a character is
//! replaced by one U+FFFD (Unicode, section 3.9, "maximal subparts"). The parser behind this has a decoder of
//! its own, which loses characters at some cuts; it is given whole characters only.

const CHARACTER_BYTES_MAX: usize = 4;

/// Holds the start of a character until its end comes.
#[derive(Debug, Default)]
pub(crate) struct Utf8Pieces {
    begun: [u8; CHARACTER_BYTES_MAX],
    begun_len_bytes: usize,
}

impl Utf8Pieces {
    /// Gives the text in `bytes`, as pieces, to `take`.
    pub(crate) fn feed(&mut self, bytes: &[u8], mut take: impl FnMut(&str)) {
        let mut rest = bytes;
        while self.begun_len_bytes > 0 {
            let Some((byte, tail)) = rest.split_first() else {
                return;
            };
            if self.extend(*byte, &mut take) {
                rest = tail;
            }
        }
        let begun = text_before_unfinished(rest, &mut take);
        self.begun[..begun.len()].copy_from_slice(begun);
        self.begun_len_bytes = begun.len();
    }

    /// Adds a byte to the character that has begun; false if it belongs to the next.
    fn extend(&mut self, byte: u8, take: &mut impl FnMut(&str)) -> bool {
        let len = self.begun_len_bytes;
        self.begun[len] = byte;
        match core::str::from_utf8(&self.begun[..=len]) {
            Ok(character) => take(character),
            Err(error) if error.error_len().is_none() => {
                self.begun_len_bytes += 1;
                return true;
            }
            Err(_) => {
                take(REPLACEMENT);
                self.begun_len_bytes = 0;
                return false;
            }
        }
        self.begun_len_bytes = 0;
        true
    }
}

const REPLACEMENT: &str = "\u{fffd}";

/// Gives away what is complete or can never be; the answer is the start of a character at the end.
fn text_before_unfinished<'a>(bytes: &'a [u8], take: &mut impl FnMut(&str)) -> &'a [u8] {
    for chunk in bytes.utf8_chunks() {
        if !chunk.valid().is_empty() {
            take(chunk.valid());
        }
        let invalid = chunk.invalid();
        if invalid.is_empty() {
            continue;
        }
        let is_last = invalid.as_ptr_range().end == bytes.as_ptr_range().end;
        let is_unfinished =
            core::str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none());
        if is_last && is_unfinished {
            return invalid;
        }
        take(REPLACEMENT);
    }
    &[]
}

#[cfg(test)]
mod tests {
    extern crate std;

    use proptest::prelude::*;
    use std::string::String;
    use std::vec::Vec;

    use super::*;

    fn text(pieces: &[&[u8]]) -> String {
        let mut decoder = Utf8Pieces::default();
        let mut text = String::new();
        for piece in pieces {
            decoder.feed(piece, |part| text.push_str(part));
        }
        text
    }

    #[test]
    fn characters_survive_every_cut() {
        // The second cut is the one at which decoders lose the letter between two characters.
        assert_eq!(text(&[b"\xc3", b"\xa9a\xc3", b"\xa9"]), "éaé");
        assert_eq!(
            text(&[b"\xe2\x82", b"x\xf0\x9f\x98", b"\x80"]),
            "\u{fffd}x😀"
        );
        assert_eq!(text(&[b"\xf0\x9f", b"\xc3", b"\xa9"]), "\u{fffd}é");
    }

    proptest! {
        #[test]
        fn any_bytes_cut_anywhere_are_what_the_whole_is(
            pieces in proptest::collection::vec(
                proptest::collection::vec(
                    prop_oneof![any::<u8>(), 0x80u8..0xc0, Just(0xe2), Just(0xf0), Just(b'a')],
                    0..6,
                ),
                0..8,
            ),
        ) {
            let whole: Vec<u8> = pieces.concat();
            let cut: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            let mut text = text(&cut);
            let lossy = String::from_utf8_lossy(&whole);
            // A character that has only begun is still awaited.
            if text != lossy {
                text.push_str(REPLACEMENT);
            }
            prop_assert_eq!(text, lossy);
        }
    }
}
