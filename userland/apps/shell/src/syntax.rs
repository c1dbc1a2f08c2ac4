//! From text to syntax trees: crate `brush-parser`, behind limits.
//!
//! Law: any text may come. The parser descends recursively and, being a PEG, may look at the same text again at every
//! level, so text that nests deeper than [`NESTING_MAX`] or is longer than [`LEN_BYTES_MAX`] is refused before it is
//! looked at. Numbers that the parser would convert without a check are refused too. What is refused is an error
//! with a sentence. Where the parser takes characters without looking whether there are any, there are some ([`padded`]).

use std::borrow::Cow;

use brush_parser::ast::{ArithmeticExpr, Program, TestExpr};
use brush_parser::word::{self, BraceExpressionOrText, Parameter, WordPieceWithSource};
use brush_parser::{ParseError, Parser, ParserOptions, Token};

/// The longest text that is parsed at once: a script.
pub const LEN_BYTES_MAX: usize = 1 << 20;
/// How many brackets and compound commands may be open at once.
const NESTING_MAX: usize = 32;
/// The longest arithmetic expression: as deep as it is long, at worst.
const ARITHMETIC_LEN_BYTES_MAX: usize = 1024;
/// The longest row of `!`, each of which the parser descends for.
const NEGATIONS_MAX: usize = 64;

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
        Self {
            message: message.to_string(),
            is_incomplete: false,
        }
    }
}

/// Parses a script, or some of its lines.
pub fn program(text: &str) -> Result<Program, SyntaxError> {
    check(text)?;
    let padded = padded(text);
    parse(&padded).map_err(|error| SyntaxError {
        message: error.to_string(),
        is_incomplete: match &error {
            ParseError::ParsingAtEndOfInput => !Depth::of(text).is_overclosed,
            ParseError::Tokenizing { inner, .. } => inner.is_incomplete(),
            ParseError::ParsingNear(_) => false,
        },
    })
}

fn parse(text: &str) -> Result<Program, ParseError> {
    let options = ParserOptions::default();
    let tokens = text
        .contains("${")
        .then(|| brush_parser::uncached_tokenize_str(text, &options.tokenizer_options()));
    match tokens {
        Some(Ok(mut tokens)) => {
            restore_blanks(&mut tokens, text);
            brush_parser::parse_tokens(&tokens, &options)
        }
        // In an error of its own tokens the parser says where it was.
        Some(Err(_)) | None => Parser::new(text.as_bytes(), &options).parse_program(),
    }
}

/// Between `${` and `}` the tokenizer makes one blank of several, of tabs and of line ends. Such words are taken from the text
/// where nothing else differs, but for here-documents, which may have lost tabs for good reason.
fn restore_blanks(tokens: &mut [Token], text: &str) {
    let characters: Vec<char> = text.chars().collect();
    for index in 0..tokens.len() {
        let is_document = index > 1
            && matches!(&tokens[index - 2], Token::Operator(text, _) if text == "<<" || text == "<<-");
        if let Token::Word(word, span) = &mut tokens[index]
            && !is_document
            && word.contains("${")
            && let Some(written) = characters.get(span.start.index..span.end.index)
            && differs_in_blanks(word, written)
        {
            *word = written.iter().collect();
        }
    }
}

/// Whether blanks inside are all that differs.
fn differs_in_blanks(word: &str, written: &[char]) -> bool {
    let is_solid = |c: &char| !c.is_whitespace();
    word.chars().next() == written.first().copied()
        && word.chars().next_back() == written.last().copied()
        && word
            .chars()
            .filter(is_solid)
            .eq(written.iter().copied().filter(|c| is_solid(c)))
}

/// The text with blank lines behind it, if here-documents may stand in brackets: when the last of these documents ends the text, the
/// parser takes a closing bracket for each that is open, whatever there is.
fn padded(text: &str) -> Cow<'_, str> {
    if text.contains("<<") && text.contains(['(', '[']) {
        Cow::Owned(text.to_owned() + &"\n".repeat(NESTING_MAX + 1))
    } else {
        Cow::Borrowed(text)
    }
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
    if text.len() > ARITHMETIC_LEN_BYTES_MAX {
        return Err(SyntaxError::new(format!(
            "an expression of more than {ARITHMETIC_LEN_BYTES_MAX} bytes is not computed"
        )));
    }
    brush_parser::arithmetic::parse(text.trim())
        .map_err(|_| SyntaxError::new(format!("{text}: arithmetic syntax error")))
}

/// Parses the arguments of `test`.
pub fn test(arguments: &[String]) -> Result<TestExpr, SyntaxError> {
    if arguments.len() > 64 {
        return Err(SyntaxError::new("too many arguments"));
    }
    brush_parser::test_command::parse(arguments)
        .map_err(|_| SyntaxError::new("argument expected, or operator unknown"))
}

fn check(text: &str) -> Result<(), SyntaxError> {
    if text.len() > LEN_BYTES_MAX {
        return Err(SyntaxError::new(format!(
            "text of more than {LEN_BYTES_MAX} bytes is not parsed at once"
        )));
    }
    if Depth::of(text).deepest > NESTING_MAX {
        return Err(SyntaxError::new(format!(
            "it nests deeper than {NESTING_MAX}"
        )));
    }
    if text.contains(&"! ".repeat(NEGATIONS_MAX)) {
        return Err(SyntaxError::new(format!(
            "it has more than {NEGATIONS_MAX} negations in a row"
        )));
    }
    if has_huge_number(text) {
        return Err(SyntaxError::new("a number is too large"));
    }
    Ok(())
}

/// What is open in a text: an upper bound, which takes quotes for quotes only within a line. Closing a bracket that was not
/// opened does no harm: it ends a pattern of `case`.
#[derive(Default)]
struct Depth {
    brackets: usize,
    keywords: usize,
    deepest: usize,
    /// A keyword has ended what had not begun.
    is_overclosed: bool,
}

impl Depth {
    fn of(text: &str) -> Self {
        let mut depth = Self::default();
        text.lines().for_each(|line| depth.scan(line));
        depth
    }

    fn scan(&mut self, line: &str) {
        let mut scan = Scan {
            may_be_keyword: true,
            ..Scan::default()
        };
        for c in line.chars().chain(['\n']) {
            match scan.step(c) {
                Step::OpenBracket => self.brackets += 1,
                Step::CloseBracket => self.brackets = self.brackets.saturating_sub(1),
                Step::OpenKeyword => self.keywords += 1,
                Step::CloseKeyword => {
                    self.is_overclosed |= self.keywords == 0;
                    self.keywords = self.keywords.saturating_sub(1);
                }
                Step::Nothing => (),
            }
            self.deepest = self.deepest.max(self.brackets + self.keywords);
        }
    }
}

/// What a character does to the depth.
enum Step {
    OpenBracket,
    CloseBracket,
    OpenKeyword,
    CloseKeyword,
    Nothing,
}

#[derive(Default)]
struct Scan {
    is_quoted: bool,
    is_escaped: bool,
    /// The unquoted word so far.
    word: String,
    /// Whether a command may begin with it.
    may_be_keyword: bool,
}

impl Scan {
    fn step(&mut self, c: char) -> Step {
        if std::mem::take(&mut self.is_escaped) {
            return Step::Nothing;
        }
        match c {
            '\'' => self.is_quoted = !self.is_quoted,
            _ if self.is_quoted => (),
            '\\' => self.is_escaped = true,
            '(' | '{' | '[' => {
                self.end_word(true);
                return Step::OpenBracket;
            }
            ')' | '}' | ']' => {
                self.end_word(true);
                return Step::CloseBracket;
            }
            ';' | '&' | '|' | '`' | '!' => return self.end_word(true),
            c if c.is_whitespace() => return self.end_word(false),
            c if self.word.len() < 8 => self.word.push(c),
            // No keyword is so long.
            _ => (),
        }
        Step::Nothing
    }

    fn end_word(&mut self, begins_command: bool) -> Step {
        let word = std::mem::take(&mut self.word);
        if word.is_empty() {
            self.may_be_keyword |= begins_command;
            return Step::Nothing;
        }
        let was_keyword = self.may_be_keyword;
        self.may_be_keyword = begins_command;
        match word.as_str() {
            "if" | "while" | "until" | "for" | "case" if was_keyword => {
                self.may_be_keyword = true;
                Step::OpenKeyword
            }
            "then" | "do" | "else" | "elif" | "time" if was_keyword => {
                self.may_be_keyword = true;
                Step::Nothing
            }
            "fi" | "done" | "esac" if was_keyword => Step::CloseKeyword,
            _ => Step::Nothing,
        }
    }
}

/// Whether digits follow each other that are more than an `i64` holds. They are text in quotes and file names too, so only
/// where something that is not text may begin is looked at: behind brackets, `$` and `~`, and before `<` and `>`. A line's end behind
/// a backslash separates no digits.
fn has_huge_number(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_digit();
    let mut run = 0;
    let mut before = 0_u8;
    let mut start = 0_u8;
    for byte in text.replace("\\\n", "").bytes() {
        if is_part(byte) {
            if run == 0 {
                start = before;
            }
            run += 1;
        } else {
            let opens = matches!(
                start,
                b'{' | b'(' | b'$' | b'~' | b'[' | b'.' | b'-' | b'+' | b'&' | b'<' | b'>'
            );
            if run > 18 && opens || run > 9 && (start == b'$' || matches!(byte, b'<' | b'>')) {
                return true;
            }
            run = 0;
        }
        before = byte;
    }
    run > 18 && start != b' ' && start != 0 || run > 9 && start == b'$'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deepest(text: &str) -> usize {
        Depth::of(text).deepest
    }

    #[test]
    fn what_is_open_is_counted() {
        assert_eq!(deepest("( ( a ) )"), 2);
        assert_eq!(
            deepest("if a; then if b; then c; fi; fi; if d; then e; fi"),
            2
        );
        assert_eq!(
            deepest("while a; do\n for b in c; do\n (d)\n done\ndone"),
            3
        );
        assert_eq!(deepest("echo if for while case"), 0);
        assert_eq!(deepest(r"echo '(((' \( \["), 0);
        assert_eq!(deepest(&"case x in a) b;; esac\n".repeat(100)), 1);
    }

    #[test]
    fn more_could_make_it_a_program() {
        for text in [
            "if a; then",
            "echo 'a",
            "a |",
            "cat <<E\n",
            "for a in b",
            "a &&",
            "f() {",
            "echo $(",
            "(a",
        ] {
            assert!(program(text).unwrap_err().is_incomplete, "{text}");
        }
        for text in ["fi", "done", "echo )", "a | | b"] {
            assert!(!program(text).unwrap_err().is_incomplete, "{text}");
        }
    }
}
