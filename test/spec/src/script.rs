//! What is asked of a file's text besides running it: how many claims it makes, and the same text without some of them.

use wast::lexer::Lexer;
use wast::parser::{self, ParseBuffer};
use wast::{Wast, WastDirective};

/// Gives the parsed text to `visit`.
///
/// # Errors
/// The parser's sentence.
pub fn parsed<T>(text: &str, visit: impl FnOnce(Wast<'_>) -> T) -> Result<T, String> {
    let mut lexer = Lexer::new(text);
    // There are strange characters in names, on purpose.
    lexer.allow_confusing_unicode(true);
    let buffer = ParseBuffer::new_with_lexer(lexer).map_err(|error| error.to_string())?;
    let script = parser::parse::<Wast<'_>>(&buffer).map_err(|error| error.to_string())?;
    Ok(visit(script))
}

/// How many directives claim something; the others only prepare.
///
/// # Errors
/// The parser's sentence.
pub fn assertions(text: &str) -> Result<usize, String> {
    parsed(text, |script| {
        let claims = script.directives.iter().filter(|one| claims(one));
        claims.count()
    })
}

fn claims(directive: &WastDirective<'_>) -> bool {
    !matches!(
        directive,
        WastDirective::Module(_)
            | WastDirective::ModuleDefinition(_)
            | WastDirective::ModuleInstance { .. }
            | WastDirective::Register { .. }
            | WastDirective::Invoke(_)
            | WastDirective::Thread(_)
            | WastDirective::Wait { .. }
    )
}

/// The text without the directives that begin on those lines, which count from 1. All other lines stay where they are.
///
/// # Errors
/// A sentence if no directive begins on one of the lines.
pub fn without(text: &str, lines: &[usize]) -> Result<String, String> {
    let starts = parsed(text, |script| starts(text, &script))?;
    let mut kept = text.to_owned();
    for &line in lines {
        let index = starts
            .iter()
            .position(|&start| line_at(text, start) == line);
        let index = index.ok_or_else(|| format!("no directive begins on line {line}"))?;
        let end = starts.get(index + 1).copied().unwrap_or(text.len());
        blank(&mut kept, starts[index], end);
    }
    Ok(kept)
}

/// Where each directive's parenthesis opens. The parser says where its first word begins.
fn starts(text: &str, script: &Wast<'_>) -> Vec<usize> {
    let words = script.directives.iter().map(|one| one.span().offset());
    words
        .filter_map(|word| text.get(..word)?.rfind('('))
        .collect()
}

fn line_at(text: &str, offset: usize) -> usize {
    1 + text[..offset].matches('\n').count()
}

/// Spaces in place of all but line ends, byte for byte.
fn blank(text: &mut String, start: usize, end: usize) {
    let spaces = |byte| if byte == b'\n' { '\n' } else { ' ' };
    let blanks: String = text[start..end].bytes().map(spaces).collect();
    text.replace_range(start..end, &blanks);
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "(module)\n(assert_return\n  (invoke \"é\"))\n(assert_return (invoke \"b\"))\n";

    #[test]
    fn only_claims_are_counted() {
        assert_eq!(assertions(TEXT), Ok(2));
        assert_eq!(assertions("(module) (invoke \"a\")"), Ok(0));
    }

    #[test]
    fn a_directive_goes_and_the_others_stay_on_their_lines() {
        let rest = without(TEXT, &[2]).unwrap();
        assert_eq!(assertions(&rest), Ok(1));
        assert_eq!(rest.len(), TEXT.len());
        assert_eq!(rest.lines().nth(3), Some("(assert_return (invoke \"b\"))"));
        assert_eq!(assertions(&without(TEXT, &[4, 2]).unwrap()), Ok(0));
    }

    #[test]
    fn a_line_inside_a_directive_is_none_where_one_begins() {
        assert!(without(TEXT, &[3]).unwrap_err().contains("line 3"));
    }
}
