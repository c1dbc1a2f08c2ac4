//! How a notice comes onto a terminal on which somebody types.
//!
//! Law: the line that the cursor is in is moved down whole and goes on below the notice, with the cursor where it was; nobody who
//! writes there need know. It takes what every terminal understands (DEC's VT102), because the serial line leads to another one, of
//! which only the width is assumed. A line that is edited and goes over several lines of the screen is parted above the cursor's.
//! The notice has the look that a terminal begins with, and the program's goes on behind it. Two things of the program's are lost: the
//! place that it had remembered, and the lines that alone were to scroll, since the notice needs all of them to.

/// What a terminal is as wide as of which nothing is known, and what a notice fits in if a screen is wider.
const COLUMNS: usize = 80;

/// Remembers the cursor's place and look, has all lines scroll, for which the cursor moves and is brought back, and takes the usual
/// look; has a line below it, and makes an empty one in its place.
const BEGIN: &str = "\x1b7\x1b[r\x1b8\x1b[m\r\n\x1b[A\x1b[L";
/// The cursor, with its look, is in the line that was moved down.
const END: &str = "\x1b8\x1b[B";

/// The bytes that show a text above the line that the cursor is in.
pub(crate) fn above_the_line(text: &str, columns: Option<usize>) -> Vec<u8> {
    // The last column stays free: terminals differ in what they do behind it.
    let width = columns
        .unwrap_or(COLUMNS)
        .min(COLUMNS)
        .saturating_sub(1)
        .max(1);
    let mut shown = String::new();
    for line in lines(text, width) {
        shown += BEGIN;
        shown += &line;
        shown += END;
    }
    shown.into_bytes()
}

/// The words in lines of at most so many characters; a longer word is parted.
fn lines(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut room = 0;
    for word in text.split_whitespace() {
        let letters: Vec<char> = word.chars().filter(|letter| !letter.is_control()).collect();
        for part in letters.chunks(width) {
            match lines.last_mut() {
                Some(line) if room > part.len() => {
                    room -= part.len() + 1;
                    line.push(' ');
                    line.extend(part);
                }
                _ => {
                    room = width - part.len();
                    lines.push(part.iter().collect());
                }
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_fill_lines_and_none_is_too_long() {
        assert_eq!(lines("one two three", 7), ["one two", "three"]);
        assert_eq!(lines("one two three", 13), ["one two three"]);
        assert_eq!(lines("  abcdefgh\tij ", 3), ["abc", "def", "gh", "ij"]);
        assert_eq!(lines("a\x1b[2J\u{9b}b", 80), ["a[2Jb"]);
        assert!(lines(" ", 5).is_empty());
    }

    #[test]
    fn what_is_shown_fits_every_width() {
        for columns in [None, Some(0), Some(1), Some(20), Some(300)] {
            let shown = above_the_line(&"the service ends ".repeat(20), columns);
            let shown = String::from_utf8(shown).expect("text");
            let width = columns.unwrap_or(80).clamp(2, 80) - 1;
            for line in shown.split(BEGIN).skip(1) {
                let line = line.strip_suffix(END).expect("it ends");
                assert!(line.chars().count() <= width, "{columns:?}: {line}");
            }
        }
    }
}
