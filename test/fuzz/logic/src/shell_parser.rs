//! The shell's parsers with any text.
//!
//! Law: each text is a tree or an error with a sentence.

use brush_parser::{Parser, ParserOptions};
use shell::syntax::{self, Place, SyntaxError};
use test_fuzz::{Input, Subject, Target, Verdict, holds};

use crate::shell_text;

pub const TARGET: Target = Target {
    name: "shell-parser",
    cases: 10_000,
    len_bytes_max: 256,
    defect: "the parser without the limits before it",
    try_input,
};

fn try_input(subject: Subject, bytes: &[u8]) -> Verdict {
    let text = shell_text::text(&mut Input::new(bytes));
    if subject == Subject::Spoiled {
        let _program = Parser::new(text.as_bytes(), &ParserOptions::default()).parse_program();
        let _word = brush_parser::word::parse(&text, &ParserOptions::default());
        return Ok(());
    }
    says_why(syntax::program(&text))?;
    for place in [Place::Word, Place::Assigned, Place::Quoted] {
        says_why(syntax::word(&text, place))?;
    }
    says_why(syntax::here_document(&text))?;
    says_why(syntax::braces(&text))?;
    says_why(syntax::parameter(&text))?;
    says_why(syntax::arithmetic(&text))?;
    let arguments: Vec<_> = text.split(' ').map(str::to_owned).collect();
    says_why(syntax::test(&arguments))
}

fn says_why<T>(parsed: Result<T, SyntaxError>) -> Verdict {
    let is_silent = parsed.is_err_and(|error| error.message.trim().is_empty());
    holds(!is_silent, || "an error without a sentence".to_owned())
}
