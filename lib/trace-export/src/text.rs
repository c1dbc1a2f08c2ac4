//! Foreign text inside a format's own.

use core::fmt::{self, Display, Formatter, Write};

/// A text as the inside of a JSON string (RFC 8259, section 7).
pub struct JsonText<'a>(pub &'a str);

impl Display for JsonText<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '"' | '\\' => write!(out, "\\{character}")?,
                character if (character as u32) < 0x20 || character as u32 == 0x7f => {
                    write!(out, "\\u{:04x}", character as u32)?
                }
                character => out.write_char(character)?,
            }
        }
        Ok(())
    }
}

/// A text as one frame of a folded stack: no line end, no control character, and no semicolon, which divides frames.
pub struct FrameText<'a>(pub &'a str);

impl Display for FrameText<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                ';' => out.write_char(',')?,
                character if character.is_control() => out.write_char('?')?,
                character => out.write_char(character)?,
            }
        }
        Ok(())
    }
}
