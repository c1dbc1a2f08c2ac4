//! From a line to words.
//!
//! Blanks separate words. Single quotes keep everything as it is; double quotes keep everything but a
//! backslash before a double quote or a backslash; outside quotes a backslash keeps the next character.
//! There are no variables, patterns, pipes or redirections: a shell is a program.

use std::fmt;
use std::str::Chars;

/// Why a line cannot be split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SplitError {
    /// A quote is opened and not closed.
    OpenQuote(char),
    /// The line ends in a backslash.
    LoneBackslash,
}

impl fmt::Display for SplitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OpenQuote(quote) => {
                write!(f, "The line has an opening {quote} and no closing one.")
            }
            Self::LoneBackslash => {
                f.write_str("The line ends in a backslash, which keeps the next character.")
            }
        }
    }
}

/// The words of a line.
pub(crate) fn split(line: &str) -> Result<Vec<String>, SplitError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        if c == ' ' || c == '\t' {
            words.extend(word.take());
            continue;
        }
        let word = word.get_or_insert_default();
        match c {
            '\'' | '"' => quoted(c, &mut rest, word)?,
            '\\' => word.push(rest.next().ok_or(SplitError::LoneBackslash)?),
            _ => word.push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

/// Appends what stands between `quote` and the next one to `word`.
fn quoted(quote: char, rest: &mut Chars<'_>, word: &mut String) -> Result<(), SplitError> {
    while let Some(c) = rest.next() {
        match c {
            _ if c == quote => return Ok(()),
            '\\' if quote == '"' => match rest.next() {
                Some(kept @ ('"' | '\\')) => word.push(kept),
                Some(other) => word.extend(['\\', other]),
                None => break,
            },
            _ => word.push(c),
        }
    }
    Err(SplitError::OpenQuote(quote))
}

#[cfg(test)]
mod tests {
    use super::{SplitError, split};

    #[test]
    fn words_and_quotes() {
        for (line, words) in [
            ("", &[][..]),
            ("  \t ", &[]),
            ("ls  -l /", &["ls", "-l", "/"]),
            ("rg 'a b' \"c d\"", &["rg", "a b", "c d"]),
            (r#"a'b'"c"d"#, &["abcd"]),
            (r#"'' """#, &["", ""]),
            (r#"'a\' "b\"c\\d\e""#, &[r"a\", r#"b"c\d\e"#]),
            (r"a\ b \'c \\", &["a b", "'c", r"\"]),
            ("é'ü x'", &["éü x"]),
        ] {
            assert_eq!(
                split(line).as_deref(),
                Ok(words
                    .iter()
                    .map(|word| word.to_string())
                    .collect::<Vec<_>>()
                    .as_slice()),
                "{line}"
            );
        }
    }

    #[test]
    fn unfinished_lines_are_refused() {
        assert_eq!(split("a 'b"), Err(SplitError::OpenQuote('\'')));
        assert_eq!(split("a \"b'"), Err(SplitError::OpenQuote('"')));
        assert_eq!(split("\"b\\"), Err(SplitError::OpenQuote('"')));
        assert_eq!(split("a\\"), Err(SplitError::LoneBackslash));
    }
}
