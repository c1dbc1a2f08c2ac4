//! From text to syntax trees: crate `brush-parser`, behind limits.
//!
//! Law: any text may come. The parser descends recursively and, being a PEG, may look at the same text again at every
//! level, so text that nests deeper than [`NESTING_MAX`] or is longer than [`LEN_BYTES_MAX`] is refused before it is
//! looked at. Numbers that the parser would convert without a check are refused too. What is refused is an error
//! with a sentence.

use brush_parser::ast::{ArithmeticExpr, Program, TestExpr};
use brush_parser::word::{self, BraceExpressionOrText, Parameter, WordPieceWithSource};
use brush_parser::{ParseError, Parser, ParserOptions};

/// The longest text that is parsed at once: a script.
pub const LEN_BYTES_MAX: usize = 1 << 20;
/// How many brackets and quotes may be open at once.
const NESTING_MAX: usize = 24;

/// Why a text is no program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// What a person reads.
    pub message: String,
    /// Whether more text could make it a program.
    pub is_incomplete: bool,
}

impl SyntaxError {
    fn new(message: impl ToString) -> Self {
        Self { message: message.to_string(), is_incomplete: false }
    }
}

/// Parses a script, or some of its lines.
pub fn program(text: &str) -> Result<Program, SyntaxError> {
    check(text)?;
    let mut parser = Parser::new(text.as_bytes(), &ParserOptions::default());
    parser.parse_program().map_err(|error| SyntaxError {
        message: error.to_string(),
        is_incomplete: match &error {
            ParseError::ParsingAtEndOfInput => true,
            ParseError::Tokenizing { inner, .. } => inner.is_incomplete(),
            ParseError::ParsingNear(_) => false,
        },
    })
}

/// Where a word stands, which decides what a tilde in it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A command's word.
    Word,
    /// Behind `=`: a tilde may follow a colon too.
    Assigned,
    /// In quotes, or in an arithmetic expression: a tilde is a tilde.
    Quoted,
}

fn options(place: Place) -> ParserOptions {
    ParserOptions {
        tilde_expansion_at_word_start: place != Place::Quoted,
        tilde_expansion_after_colon: place == Place::Assigned,
        ..ParserOptions::default()
    }
}

/// Parses one word into literal text, quotes and expansions.
pub fn word(text: &str, place: Place) -> Result<Vec<WordPieceWithSource>, SyntaxError> {
    check(text)?;
    word::parse(text, &options(place)).map_err(SyntaxError::new)
}

/// Parses a here-document, in which quotes are text.
pub fn here_document(text: &str) -> Result<Vec<WordPieceWithSource>, SyntaxError> {
    check(text)?;
    word::parse_heredoc(text, &options(Place::Quoted)).map_err(SyntaxError::new)
}

/// Parses a word's braces; none where it has none.
pub fn braces(text: &str) -> Result<Option<Vec<BraceExpressionOrText>>, SyntaxError> {
    if !text.contains('{') {
        return Ok(None);
    }
    check(text)?;
    word::parse_brace_expansions(text, &options(Place::Word)).map_err(SyntaxError::new)
}

/// Parses what may stand behind `$` in braces: a name, a number, an element of an array.
pub fn parameter(text: &str) -> Result<Parameter, SyntaxError> {
    check(text)?;
    word::parse_parameter(text, &options(Place::Quoted)).map_err(SyntaxError::new)
}

/// Parses an arithmetic expression, its expansions done.
pub fn arithmetic(text: &str) -> Result<ArithmeticExpr, SyntaxError> {
    check(text)?;
    brush_parser::arithmetic::parse(text.trim()).map_err(|_| SyntaxError::new(format!("{text}: arithmetic syntax error")))
}

/// Parses the arguments of `test`.
pub fn test(arguments: &[String]) -> Result<TestExpr, SyntaxError> {
    if arguments.len() > 64 {
        return Err(SyntaxError::new("too many arguments"));
    }
    brush_parser::test_command::parse(arguments).map_err(|_| SyntaxError::new("argument expected, or operator unknown"))
}

fn check(text: &str) -> Result<(), SyntaxError> {
    if text.len() > LEN_BYTES_MAX {
        return Err(SyntaxError::new(format!("text of more than {LEN_BYTES_MAX} bytes is not parsed at once")));
    }
    if nesting(text) > NESTING_MAX {
        return Err(SyntaxError::new(format!("it nests deeper than {NESTING_MAX}")));
    }
    if has_huge_number(text) {
        return Err(SyntaxError::new("a number is too large"));
    }
    Ok(())
}

/// How many brackets are open at once, at most. Quotes do not matter: this is an upper bound, and a text with so many
/// brackets that are never closed is no program a person writes.
fn nesting(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut deepest = 0;
    for byte in text.bytes() {
        match byte {
            b'(' | b'{' | b'[' => depth += 1,
            b')' | b'}' | b']' => depth = depth.saturating_sub(1),
            _ => (),
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// Whether digits follow each other that are more than an `i64` holds. They are text in quotes and file names too, so only
/// where something that is not text may begin is looked at: behind brackets, `$`, and before `<` and `>`.
fn has_huge_number(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_digit();
    let mut run = 0;
    let mut before = 0_u8;
    let mut start = 0_u8;
    for byte in text.bytes() {
        if is_part(byte) {
            if run == 0 {
                start = before;
            }
            run += 1;
        } else {
            let opens = matches!(start, b'{' | b'(' | b'$' | b'[' | b'.' | b'-' | b'+' | b'&' | b'<' | b'>');
            if run > 18 && opens || run > 9 && (start == b'$' || matches!(byte, b'<' | b'>')) {
                return true;
            }
            run = 0;
        }
        before = byte;
    }
    run > 18 && start != b' ' && start != 0 || run > 9 && start == b'$'
}
