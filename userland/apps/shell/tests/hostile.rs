//! Text that nobody means: it is parsed, or refused with a sentence, and nothing panics.

use proptest::prelude::*;
use shell::syntax::{self, Place};

/// Pieces that mean something to the shell, so that garbage of them gets far into the parser.
const PIECES: &[&str] = &[
    "if",
    "then",
    "else",
    "fi",
    "for",
    "in",
    "do",
    "done",
    "while",
    "case",
    "esac",
    ";;",
    "function",
    "a",
    "echo",
    "x=1",
    "$",
    "${",
    "}",
    "$(",
    ")",
    "((",
    "))",
    "(",
    "{",
    "[",
    "]",
    "[[",
    "]]",
    "`",
    "'",
    "\"",
    "\\",
    "|",
    "||",
    "&",
    "&&",
    ";",
    "<",
    ">",
    "<<",
    "<<<",
    ">>",
    "2>&1",
    "<(",
    "*",
    "?",
    "!",
    "~",
    "#",
    "%",
    ":",
    "-",
    "+",
    "=",
    "=~",
    "@",
    ",",
    "..",
    "1",
    "99999999999999999999",
    "\n",
    "\t",
    " ",
    "\u{0}",
    "é",
    "☃",
    "$'",
    "\\x",
    "EOF",
    "<<EOF\n",
    "{1..3}",
    "${a//b/c}",
    "${#",
    "${!",
    "$((",
    "a[",
    "+=(",
];

fn garbage() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(PIECES), 0..24).prop_map(|pieces| pieces.concat())
}

fn parse_everything(text: &str) {
    let _ = syntax::program(text);
    for place in [Place::Word, Place::Assigned, Place::Quoted] {
        let _ = syntax::word(text, place);
    }
    let _ = syntax::here_document(text);
    let _ = syntax::braces(text);
    let _ = syntax::parameter(text);
    let _ = syntax::arithmetic(text);
    let arguments: Vec<String> = text.split(' ').map(str::to_owned).collect();
    let _ = syntax::test(&arguments);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn garbage_of_the_shells_own_words(text in garbage()) {
        parse_everything(&text);
    }

    #[test]
    fn any_text(text in any::<String>()) {
        parse_everything(&text);
    }
}

#[test]
fn what_nests_deeply_is_refused() {
    for open in [
        "(",
        "{ ",
        "$(",
        "${a:-",
        "[",
        "((",
        "if (",
        "`$(",
        "case a in (",
        "while (",
    ] {
        let error = syntax::program(&open.repeat(10_000)).unwrap_err();
        assert!(error.message.contains("deeper"), "{open} {}", error.message);
    }
    let keywords = "if true; then ".repeat(3_000);
    assert!(syntax::program(&keywords).is_err());
}

#[test]
fn what_is_long_is_parsed_or_refused() {
    assert!(syntax::program(&"a ".repeat(100_000)).is_ok());
    assert!(syntax::program(&"a;".repeat(20_000)).is_ok());
    assert!(syntax::program(&"a".repeat(2 << 20)).is_err());
    let _ = syntax::arithmetic(&"1+".repeat(5_000));
    let _ = syntax::arithmetic(&"-".repeat(5_000));
    let _ = syntax::program(&"! ".repeat(5_000));
}

#[test]
fn numbers_that_no_type_holds_are_refused_wherever_they_stand() {
    for text in [
        "~99999999999999999999/",
        "${x/~99999999999999999999/}",
        "echo 99999999999>a",
        "echo 999999999\\\n9999>a",
    ] {
        let error = syntax::program(text).and_then(|_| syntax::word(text, Place::Word).map(drop));
        let message = error.unwrap_err().message;
        assert!(message.contains("too large"), "{text}: {message}");
    }
}

#[test]
fn a_here_document_in_brackets_may_end_the_text() {
    for text in [
        "$(a <<E\n)\nE",
        "$(a $(b <<E\n) )\nE",
        "$((a <<E\n))\nE",
        "$[a <<E\n]\nE",
        "(a <<E\n)\nE",
    ] {
        parse_everything(text);
    }
    assert!(syntax::program("echo $(a <<E\n$x\nE\n)\n").is_ok());
    assert!(
        syntax::program("cat <<E\n$(a)\n")
            .unwrap_err()
            .is_incomplete
    );
}
