//! A picture of the guest's screen, as QEMU's `screendump` writes it (portable pixmap, P6).

use crate::failure::{Failure, Result};

/// Pixels, line by line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Screen {
    /// Pixels in a line.
    pub width_px: usize,
    /// Lines.
    pub height_px: usize,
    /// Red, green, blue.
    pub pixels: Vec<[u8; 3]>,
}

impl Screen {
    /// Reads a portable pixmap with 8 bits per colour.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let wrong = |problem: &str| Failure::input("the screendump", problem);
        let mut rest = bytes;
        let mut word = || next_word(&mut rest);
        if word() != Some("P6") {
            return Err(wrong("it is not a portable pixmap"));
        }
        let numbers: Vec<usize> = (0..3).filter_map(|_| word()?.parse().ok()).collect();
        let [width_px, height_px, 255] = numbers[..] else {
            return Err(wrong("its header is malformed"));
        };
        let pixels: Vec<[u8; 3]> = rest.chunks_exact(3).map(|p| [p[0], p[1], p[2]]).collect();
        if width_px.checked_mul(height_px) != Some(pixels.len()) {
            return Err(wrong("it is truncated"));
        }
        Ok(Self {
            width_px,
            height_px,
            pixels,
        })
    }
}

/// Takes the next word and the one white space behind it.
fn next_word<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let end = rest.iter().position(u8::is_ascii_whitespace)?;
    let (word, tail) = rest.split_at(end);
    *rest = &tail[1..];
    std::str::from_utf8(word).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_pixmap_and_refuses_half_of_one() {
        let mut bytes = b"P6\n2 2\n255\n".to_vec();
        bytes.extend([0, 0, 0, 9, 8, 7, 0, 0, 0, 0, 0, 0]);
        let screen = Screen::parse(&bytes).unwrap();
        assert_eq!((screen.width_px, screen.height_px), (2, 2));
        assert_eq!(screen.pixels[1], [9, 8, 7]);
        assert!(Screen::parse(&bytes[..bytes.len() - 3]).is_err());
        assert!(Screen::parse(b"P6\n2").is_err());
    }
}
