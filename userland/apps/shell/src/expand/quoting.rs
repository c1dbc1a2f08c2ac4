//! Quotes and backslashes.

use super::Part;

/// What a backslash and the character behind it are.
pub(super) fn escaped(escape: &str) -> Option<Part> {
    match escape.strip_prefix('\\') {
        Some("\n") => None,
        Some(c) => Some(Part::Quoted(c.to_owned())),
        None => Some(Part::Quoted(escape.to_owned())),
    }
}

/// The command between backquotes, in which a backslash quotes only some characters.
pub(super) fn backquoted(command: &str) -> String {
    let mut text = String::new();
    let mut characters = command.chars().peekable();
    while let Some(c) = characters.next() {
        match characters.peek() {
            Some('`' | '$' | '\\') if c == '\\' => text.extend(characters.next()),
            _ => text.push(c),
        }
    }
    text
}

/// The text of `$'…'`.
pub fn ansi_text(text: &str) -> String {
    let mut result = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        if c == '\\' {
            rest = escape(rest, &mut result);
        } else {
            result.extend(c.encode_utf8(&mut [0; 4]).bytes());
        }
    }
    String::from_utf8_lossy(&result).into_owned()
}

/// Appends what stands behind a backslash means, and returns what is behind that.
fn escape<'a>(rest: &'a str, to: &mut Vec<u8>) -> &'a str {
    let Some(c) = rest.chars().next() else {
        to.push(b'\\');
        return rest;
    };
    let behind = &rest[c.len_utf8()..];
    let simple = match c {
        'a' => 7,
        'b' => 8,
        'e' | 'E' => 0x1B,
        'f' => 0x0C,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0B,
        '\\' | '\'' | '"' | '?' => c as u8,
        'x' => return number(rest, behind, 16, 2, to),
        'u' => return character(rest, behind, 4, to),
        'U' => return character(rest, behind, 8, to),
        '0'..='7' => return number(rest, rest, 8, 3, to),
        _ => {
            to.push(b'\\');
            to.extend(c.encode_utf8(&mut [0; 4]).bytes());
            return behind;
        }
    };
    to.push(simple);
    behind
}

fn digits(text: &str, radix: u32, len_max: usize) -> (&str, Option<u32>) {
    let len = text
        .chars()
        .take(len_max)
        .take_while(|c| c.is_digit(radix))
        .count();
    (&text[len..], u32::from_str_radix(&text[..len], radix).ok())
}

fn number<'a>(
    whole: &'a str,
    text: &'a str,
    radix: u32,
    len_max: usize,
    to: &mut Vec<u8>,
) -> &'a str {
    let (behind, number) = digits(text, radix, len_max);
    push(
        whole,
        number.map(|number| vec![(number & 0xFF) as u8]),
        behind,
        to,
    )
}

fn character<'a>(whole: &'a str, text: &'a str, len_max: usize, to: &mut Vec<u8>) -> &'a str {
    let (behind, number) = digits(text, 16, len_max);
    let character = number.and_then(char::from_u32);
    push(
        whole,
        character.map(|c| c.to_string().into_bytes()),
        behind,
        to,
    )
}

/// An escape without a number is text.
fn push<'a>(whole: &'a str, bytes: Option<Vec<u8>>, behind: &'a str, to: &mut Vec<u8>) -> &'a str {
    match bytes {
        Some(bytes) => {
            to.extend(bytes);
            behind
        }
        None => {
            to.push(b'\\');
            whole
        }
    }
}

/// A text as a word that expands to it.
pub fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-./:=@%+,".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    if text.chars().any(char::is_control) {
        let escaped: String = text.chars().map(escaped_character).collect();
        return format!("$'{escaped}'");
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The same with backslashes, as `printf %q` does it.
pub fn backslashed(text: &str) -> String {
    if text.is_empty() || text.chars().any(char::is_control) {
        return quoted(text);
    }
    let escape = |c: char| {
        if c.is_alphanumeric() || "_-./:=@%+".contains(c) {
            vec![c]
        } else {
            vec!['\\', c]
        }
    };
    text.chars().flat_map(escape).collect()
}

fn escaped_character(c: char) -> String {
    match c {
        '\n' => "\\n".into(),
        '\t' => "\\t".into(),
        '\'' => "\\'".into(),
        '\\' => "\\\\".into(),
        c if c.is_control() => {
            let mut utf8 = [0; 4];
            let bytes = c.encode_utf8(&mut utf8).bytes();
            bytes.map(|byte| format!("\\{byte:03o}")).collect()
        }
        c => c.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_understood() {
        assert_eq!(ansi_text(r"a\tb\x41\101é\n\q\'"), "a\tbAAé\n\\q'");
        assert_eq!(ansi_text(r"\x\u00e9\U1F600 \"), "\\xé😀 \\");
    }

    #[test]
    fn what_is_quoted_can_be_read_again() {
        assert_eq!(quoted("plain-1.0"), "plain-1.0");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted("a\nb"), r"$'a\nb'");
        assert_eq!(quoted(""), "''");
        for control in ["\u{1b}7", "a\u{8c}b", "\u{7f}\u{9f}'"] {
            let word = quoted(control);
            let text = word
                .strip_prefix("$'")
                .and_then(|text| text.strip_suffix('\''));
            assert_eq!(text.map(ansi_text).as_deref(), Some(control), "{word}");
        }
    }
}
