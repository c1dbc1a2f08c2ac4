//! Patterns with `*`, `?`, `[…]` and the extended forms `?(…) *(…) +(…) @(…) !(…)`.
//!
//! Law: matching takes steps in proportion to at most the pattern's length times the square of the text's, whatever they
//! are: it follows all positions that can be reached, not one guess after the other. A quoted character is itself.

use std::collections::BTreeSet;

/// A character of a pattern, and whether it was quoted.
pub type Marked = (char, bool);

/// A pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<Token>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Character(char),
    One,
    Any,
    Class {
        is_negated: bool,
        ranges: Vec<(char, char)>,
    },
    Group {
        kind: Kind,
        alternatives: Vec<Pattern>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    AtMostOnce,
    AnyTimes,
    AtLeastOnce,
    Once,
    Not,
}

/// How deep groups may nest.
const GROUPS_MAX: usize = 8;

impl Pattern {
    /// The pattern that these characters are.
    pub fn new(text: &[Marked]) -> Self {
        Self(tokens(text, 0))
    }

    /// Whether it can match anything but itself.
    pub fn is_magic(&self) -> bool {
        self.0
            .iter()
            .any(|token| !matches!(token, Token::Character(_)))
    }

    /// Whether its first character is this one, itself.
    pub fn begins_with(&self, c: char) -> bool {
        self.0.first() == Some(&Token::Character(c))
    }

    /// The text that a pattern without magic is.
    pub fn literal(&self) -> String {
        let characters = self.0.iter().filter_map(|token| match token {
            Token::Character(c) => Some(*c),
            _ => None,
        });
        characters.collect()
    }

    /// Whether it matches all of the text.
    pub fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        self.ends(&text, 0).contains(&text.len())
    }

    /// Where matches that begin at `start` can end.
    pub fn ends(&self, text: &[char], start: usize) -> BTreeSet<usize> {
        let from = BTreeSet::from([start]);
        self.0
            .iter()
            .fold(from, |from, token| token.ends(text, &from))
    }
}

impl Token {
    fn ends(&self, text: &[char], from: &BTreeSet<usize>) -> BTreeSet<usize> {
        match self {
            Self::Any => from
                .first()
                .map_or_else(BTreeSet::new, |first| (*first..=text.len()).collect()),
            Self::Group { kind, alternatives } => group_ends(*kind, alternatives, text, from),
            single => {
                let fits = |at: &&usize| text.get(**at).is_some_and(|c| single.fits(*c));
                from.iter().filter(fits).map(|at| at + 1).collect()
            }
        }
    }

    fn fits(&self, c: char) -> bool {
        match self {
            Self::Character(own) => *own == c,
            Self::One => true,
            Self::Class { is_negated, ranges } => {
                ranges
                    .iter()
                    .any(|(first, last)| (*first..=*last).contains(&c))
                    != *is_negated
            }
            Self::Any | Self::Group { .. } => false,
        }
    }
}

fn group_ends(
    kind: Kind,
    alternatives: &[Pattern],
    text: &[char],
    from: &BTreeSet<usize>,
) -> BTreeSet<usize> {
    let once = |from: &BTreeSet<usize>| -> BTreeSet<usize> {
        let each = |start: &usize| {
            alternatives
                .iter()
                .flat_map(|pattern| pattern.ends(text, *start))
                .collect::<Vec<_>>()
        };
        from.iter().flat_map(each).collect()
    };
    match kind {
        Kind::Once => once(from),
        Kind::AtMostOnce => from.union(&once(from)).copied().collect(),
        Kind::AtLeastOnce => repeated(once(from), once),
        Kind::AnyTimes => repeated(from.clone(), once),
        Kind::Not => {
            let others = |start: &usize| {
                let matched = once(&BTreeSet::from([*start]));
                (*start..=text.len())
                    .filter(move |end| !matched.contains(end))
                    .collect::<Vec<_>>()
            };
            from.iter().flat_map(others).collect()
        }
    }
}

/// Everything that can be reached by steps from `reached`, itself included.
fn repeated(
    mut reached: BTreeSet<usize>,
    step: impl Fn(&BTreeSet<usize>) -> BTreeSet<usize>,
) -> BTreeSet<usize> {
    let mut new = reached.clone();
    while !new.is_empty() {
        new = step(&new).difference(&reached).copied().collect();
        reached.extend(&new);
    }
    reached
}

fn tokens(text: &[Marked], depth: usize) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some((&(c, is_quoted), behind)) = rest.split_first() {
        let special = if is_quoted {
            None
        } else {
            special(c, behind, depth)
        };
        let (token, len) = special.unwrap_or((Token::Character(c), 0));
        // Two in a row match what one does.
        if token != Token::Any || tokens.last() != Some(&Token::Any) {
            tokens.push(token);
        }
        rest = &behind[len..];
    }
    tokens
}

/// The token that an unquoted character begins, and how many of the characters behind it belong to it.
fn special(c: char, behind: &[Marked], depth: usize) -> Option<(Token, usize)> {
    let group = || group(c, behind, depth);
    match c {
        '?' => group().or(Some((Token::One, 0))),
        '*' => group().or(Some((Token::Any, 0))),
        '+' | '@' | '!' => group(),
        '[' => class(behind),
        // Left over from words that quote nothing else, such as a pattern in a variable.
        '\\' => behind.first().map(|(c, _)| (Token::Character(*c), 1)),
        _ => None,
    }
}

fn group(c: char, behind: &[Marked], depth: usize) -> Option<(Token, usize)> {
    if behind.first() != Some(&('(', false)) || depth == GROUPS_MAX {
        return None;
    }
    let kind = match c {
        '?' => Kind::AtMostOnce,
        '*' => Kind::AnyTimes,
        '+' => Kind::AtLeastOnce,
        '@' => Kind::Once,
        _ => Kind::Not,
    };
    let mut alternatives = vec![Vec::new()];
    let mut open = 1;
    for (at, &(c, is_quoted)) in behind.iter().enumerate().skip(1) {
        match (c, is_quoted, open) {
            (')', false, 1) => {
                let parse = |text: &Vec<Marked>| Pattern(tokens(text, depth + 1));
                let alternatives = alternatives.iter().map(parse).collect();
                return Some((Token::Group { kind, alternatives }, at + 1));
            }
            ('|', false, 1) => {
                alternatives.push(Vec::new());
                continue;
            }
            ('(', false, _) => open += 1,
            (')', false, _) => open -= 1,
            _ => (),
        }
        alternatives.last_mut()?.push((c, is_quoted));
    }
    None
}

/// `[a-z]`, `[!a-z]`, `[[:alpha:]]`; a `]` right at the start is itself.
fn class(behind: &[Marked]) -> Option<(Token, usize)> {
    let at = |index: usize| behind.get(index).copied();
    let is_negated = matches!(at(0), Some(('!' | '^', false)));
    let start = usize::from(is_negated);
    let mut ranges = Vec::new();
    let mut index = start;
    loop {
        let (c, is_quoted) = at(index)?;
        if c == ']' && !is_quoted && index > start {
            return Some((Token::Class { is_negated, ranges }, index + 1));
        }
        if let Some((named, len)) = named_class(&behind[index..]) {
            ranges.extend(named);
            index += len;
        } else if let (Some(('-', false)), Some((last, _))) = (at(index + 1), at(index + 2))
            && (last, at(index + 2)?.1) != (']', false)
        {
            ranges.push((c, last));
            index += 3;
        } else {
            ranges.push((c, c));
            index += 1;
        }
    }
}

/// `[:alpha:]` and its like, as ranges, and its length.
fn named_class(text: &[Marked]) -> Option<(&'static [(char, char)], usize)> {
    const NAMES: [(&str, &[(char, char)]); 10] = [
        (
            "alpha",
            &[
                ('a', 'z'),
                ('A', 'Z'),
                ('\u{aa}', '\u{2ff}'),
                ('\u{370}', '\u{1fff}'),
            ],
        ),
        ("digit", &[('0', '9')]),
        (
            "alnum",
            &[
                ('a', 'z'),
                ('A', 'Z'),
                ('0', '9'),
                ('\u{aa}', '\u{2ff}'),
                ('\u{370}', '\u{1fff}'),
            ],
        ),
        ("upper", &[('A', 'Z'), ('\u{c0}', '\u{de}')]),
        ("lower", &[('a', 'z'), ('\u{df}', '\u{ff}')]),
        ("space", &[(' ', ' '), ('\t', '\r')]),
        ("blank", &[(' ', ' '), ('\t', '\t')]),
        ("punct", &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')]),
        ("xdigit", &[('0', '9'), ('a', 'f'), ('A', 'F')]),
        ("cntrl", &[('\0', '\u{1f}'), ('\u{7f}', '\u{7f}')]),
    ];
    NAMES.iter().find_map(|(name, ranges)| {
        let written = format!("[:{name}:]");
        let len = written.chars().count();
        let is_there = text.len() >= len
            && text
                .iter()
                .zip(written.chars())
                .all(|((c, _), own)| *c == own);
        is_there.then_some((*ranges, len))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        let marked: Vec<Marked> = pattern.chars().map(|c| (c, false)).collect();
        Pattern::new(&marked).matches(text)
    }

    #[test]
    fn what_matches_and_what_does_not() {
        let table = [
            ("*.rs", "main.rs", true),
            ("*.rs", "main.rst", false),
            ("a?c", "aéc", true),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]x]", "]", true),
            ("[[:digit:]]*", "7up", true),
            ("[[:digit:]]*", "up7", false),
            ("[unclosed", "[unclosed", true),
            ("@(a|b)c", "bc", true),
            ("+(ab)", "ababab", true),
            ("+(ab)", "", false),
            ("*(ab)", "", true),
            ("!(a|b)", "c", true),
            ("!(a|b)", "a", false),
            ("?(x)y", "y", true),
            ("**a**b**", "xaxbx", true),
            ("", "", true),
        ];
        for (pattern, text, expected) in table {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn quoted_characters_are_themselves() {
        let pattern = Pattern::new(&[('*', true), ('*', false)]);
        assert!(pattern.matches("*a") && !pattern.matches("ba"));
    }

    #[test]
    fn a_hostile_pattern_ends() {
        assert!(!matches(&"*a".repeat(40), &"a".repeat(39)));
        assert!(!matches(
            &"+(+(a|aa)|a)".repeat(3),
            &"a".repeat(60).replace("aaaa", "aaab")
        ));
    }
}
