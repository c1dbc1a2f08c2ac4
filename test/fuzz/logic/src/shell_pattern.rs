//! The shell's patterns against a naive matcher, which tries every division of the text.
//!
//! Law: both say the same about each pattern and text.

use shell::pattern::Pattern;
use test_fuzz::{Input, Subject, Target, Verdict, same};

pub const TARGET: Target = Target {
    name: "shell-pattern",
    cases: 20_000,
    len_bytes_max: 64,
    defect: "a class that takes no notice of its negation",
    try_input,
};

const TOKENS_MAX: usize = 4;
const GROUPS_MAX: usize = 2;
const TEXT_CHARS_MAX: usize = 6;

enum Token {
    Character(char),
    One,
    Any,
    Class {
        is_negated: bool,
        first: char,
        last: char,
    },
    Group {
        kind: char,
        alternatives: Vec<Vec<Token>>,
    },
}

fn try_input(subject: Subject, bytes: &[u8]) -> Verdict {
    let mut input = Input::new(bytes);
    let tokens = tokens(&mut input, 0);
    let written: String = tokens.iter().map(|token| written(subject, token)).collect();
    let marked: Vec<_> = written.chars().map(|c| (c, false)).collect();
    let pattern = Pattern::new(&marked);
    let len = input.below(TEXT_CHARS_MAX + 1);
    let text: Vec<char> = (0..len)
        .map(|_| input.one_of(&['a', 'b', 'é', '-']))
        .collect();
    let joined: String = text.iter().collect();
    same(
        &format!("{written} and {joined}"),
        pattern.matches(&joined),
        all_match(&tokens, &text),
    )
}

fn tokens(input: &mut Input<'_>, depth: usize) -> Vec<Token> {
    let count = input.below(TOKENS_MAX + 1);
    (0..count).map(|_| token(input, depth)).collect()
}

fn token(input: &mut Input<'_>, depth: usize) -> Token {
    match input.below(10) {
        0..=3 => Token::Character(input.one_of(&['a', 'b', 'é'])),
        4 => Token::One,
        5 => Token::Any,
        6..=7 => Token::Class {
            is_negated: input.one_in(2),
            first: input.one_of(&['a', 'b']),
            last: input.one_of(&['a', 'b', 'é']),
        },
        _ if depth < GROUPS_MAX => Token::Group {
            kind: input.one_of(&['?', '*', '+', '@', '!']),
            alternatives: (0..=input.below(2))
                .map(|_| tokens(input, depth + 1))
                .collect(),
        },
        _ => Token::Character('b'),
    }
}

fn written(subject: Subject, token: &Token) -> String {
    match token {
        Token::Character(c) => c.to_string(),
        Token::One => "?".to_owned(),
        Token::Any => "*".to_owned(),
        Token::Class {
            is_negated,
            first,
            last,
        } => {
            let is_negated = *is_negated && subject == Subject::Real;
            format!("[{}{first}-{last}]", if is_negated { "!" } else { "" })
        }
        Token::Group { kind, alternatives } => {
            let each = |tokens: &Vec<Token>| -> String {
                tokens.iter().map(|token| written(subject, token)).collect()
            };
            let alternatives: Vec<_> = alternatives.iter().map(each).collect();
            format!("{kind}({})", alternatives.join("|"))
        }
    }
}

fn all_match(tokens: &[Token], text: &[char]) -> bool {
    match tokens.split_first() {
        None => text.is_empty(),
        Some((first, rest)) => (0..=text.len())
            .any(|at| token_matches(first, &text[..at]) && all_match(rest, &text[at..])),
    }
}

fn token_matches(token: &Token, text: &[char]) -> bool {
    match (token, text) {
        (Token::Any, _) => true,
        (Token::Group { kind, alternatives }, _) => group_matches(*kind, alternatives, text),
        (Token::Character(own), [c]) => own == c,
        (Token::One, [_]) => true,
        (
            Token::Class {
                is_negated,
                first,
                last,
            },
            [c],
        ) => (*first..=*last).contains(c) != *is_negated,
        _ => false,
    }
}

fn group_matches(kind: char, alternatives: &[Vec<Token>], text: &[char]) -> bool {
    let once = |text: &[char]| alternatives.iter().any(|tokens| all_match(tokens, text));
    match kind {
        '@' => once(text),
        '!' => !once(text),
        '?' => text.is_empty() || once(text),
        '+' => once(text) || repeats(&once, text),
        _ => text.is_empty() || repeats(&once, text),
    }
}

/// Whether the text is some pieces, none of them empty, that each match.
fn repeats(once: &dyn Fn(&[char]) -> bool, text: &[char]) -> bool {
    (1..=text.len()).any(|at| once(&text[..at]) && (at == text.len() || repeats(once, &text[at..])))
}
