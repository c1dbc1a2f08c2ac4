//! What the text of a line may hold.

use alloc::string::String;

/// The text without anything that a terminal obeys: tabs are blanks, and what else moves, colours, ends or turns around a line is
/// shown escaped.
pub fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\t' => plain.push(' '),
            obeyed if is_obeyed(obeyed) => plain.extend(obeyed.escape_unicode()),
            shown => plain.push(shown),
        }
    }
    plain.shrink_to_fit();
    plain
}

/// Control characters, separators of lines and paragraphs, and what changes the direction of writing.
fn is_obeyed(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{061c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
        )
}
