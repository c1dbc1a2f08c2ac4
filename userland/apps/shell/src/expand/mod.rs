//! From words as they are written to what a command gets: braces, tilde, parameters, commands, arithmetic, splitting,
//! file names, in this order.
//!
//! Law: a word becomes parts that remember whether they were quoted and whether they came out of an expansion: only
//! what came out of one and was not quoted is split, only what was not quoted is a pattern.

mod arithmetic;
mod braces;
mod names;
mod parameter;
mod quoting;

pub use quoting::{ansi_text, backslashed, quoted};

use brush_parser::ast::Word;
use brush_parser::word::{TildeExpr, WordPiece, WordPieceWithSource};

use crate::options::Switch;
use crate::pattern::{Marked, Pattern};
use crate::shell::{Shell, Unwind};
use crate::syntax::{self, Place, SyntaxError};

/// How deep expansions may contain expansions.
const DEPTH_MAX: usize = 64;

/// A part of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// As written, not quoted.
    Text(String),
    /// Quoted: itself, and there even where it is empty.
    Quoted(String),
    /// Out of an expansion, not quoted.
    Value(String),
    /// The end of a field, in `$@` and `$*`; where nothing is split, this text.
    Break(String),
}

/// Part of a field, and whether it was quoted.
type Segment = (String, bool);

impl From<SyntaxError> for Unwind {
    fn from(error: SyntaxError) -> Self {
        Self::Failed(error.message)
    }
}

impl Shell {
    /// All that a command gets for these words.
    pub fn expand_all<'a>(
        &mut self,
        words: impl Iterator<Item = &'a Word>,
    ) -> Result<Vec<String>, Unwind> {
        let mut all = Vec::new();
        for word in words {
            all.extend(self.expand(&word.value)?);
        }
        Ok(all)
    }

    /// All that a command gets for a word: none, one or more texts.
    pub fn expand(&mut self, word: &str) -> Result<Vec<String>, Unwind> {
        let mut all = Vec::new();
        for word in braces::expand(word)? {
            let parts = self.parts(&word, Place::Word)?;
            for field in fields(parts, &self.separators()) {
                all.extend(self.file_names(field));
            }
        }
        Ok(all)
    }

    /// One text for a word: nothing is split, nothing is a pattern.
    pub fn expand_to_text(&mut self, word: &str, place: Place) -> Result<String, Unwind> {
        Ok(text(self.parts(word, place)?))
    }

    /// The text of a here-document.
    pub fn expand_document(&mut self, document: &str) -> Result<String, Unwind> {
        let pieces = syntax::here_document(document)?;
        Ok(text(self.parts_of(&pieces, true)?))
    }

    /// A word as a pattern, as `case` and `[[` want it.
    pub fn expand_to_pattern(&mut self, word: &str) -> Result<Pattern, Unwind> {
        let parts = self.parts(word, Place::Word)?;
        Ok(Pattern::new(&marked(&segments(parts))))
    }

    /// A word as a regular expression, in which what was quoted is itself.
    pub fn expand_to_expression(&mut self, word: &str) -> Result<String, Unwind> {
        let parts = self.parts(word, Place::Word)?.into_iter();
        Ok(parts
            .map(|part| match part {
                Part::Quoted(text) => regex_lite::escape(&text),
                Part::Text(text) | Part::Value(text) => text,
                Part::Break(text) => text,
            })
            .collect())
    }

    /// A word inside another one, such as that behind `:-`.
    fn inner_parts(&mut self, word: &str, is_quoted: bool) -> Result<Vec<Part>, Unwind> {
        if is_quoted && !word.contains('"') {
            return self.parts(&format!("\"{word}\""), Place::Quoted);
        }
        if is_quoted {
            return self.parts(word, Place::Quoted);
        }
        let parts = self.parts(word, Place::Word)?.into_iter();
        // It is split as what an expansion is.
        Ok(parts
            .map(|part| match part {
                Part::Text(text) => Part::Value(text),
                other => other,
            })
            .collect())
    }

    fn parts(&mut self, word: &str, place: Place) -> Result<Vec<Part>, Unwind> {
        let pieces = syntax::word(word, place)?;
        self.parts_of(&pieces, false)
    }

    fn parts_of(
        &mut self,
        pieces: &[WordPieceWithSource],
        is_quoted: bool,
    ) -> Result<Vec<Part>, Unwind> {
        if self.expansions >= DEPTH_MAX {
            return Err(Unwind::Failed(format!(
                "expansions nest deeper than {DEPTH_MAX}"
            )));
        }
        self.expansions += 1;
        let mut parts = Vec::new();
        let done = pieces
            .iter()
            .try_for_each(|piece| self.piece(&piece.piece, is_quoted, &mut parts));
        self.expansions -= 1;
        done.map(|()| parts)
    }

    fn piece(
        &mut self,
        piece: &WordPiece,
        is_quoted: bool,
        parts: &mut Vec<Part>,
    ) -> Result<(), Unwind> {
        match piece {
            WordPiece::Text(text) if is_quoted => parts.push(Part::Quoted(text.clone())),
            WordPiece::Text(text) => parts.push(Part::Text(text.clone())),
            WordPiece::SingleQuotedText(text) => parts.push(Part::Quoted(text.clone())),
            WordPiece::AnsiCQuotedText(text) => parts.push(Part::Quoted(ansi_text(text))),
            WordPiece::DoubleQuotedSequence(pieces)
            | WordPiece::GettextDoubleQuotedSequence(pieces) => {
                self.double_quoted(pieces, parts)?;
            }
            WordPiece::TildeExpansion(tilde) => parts.push(Part::Quoted(self.tilde(tilde))),
            WordPiece::ParameterExpansion(expression) => {
                parts.extend(self.parameter(expression, is_quoted)?)
            }
            WordPiece::CommandSubstitution(command) => {
                parts.push(expanded(self.substitute(command)?, is_quoted));
            }
            WordPiece::BackquotedCommandSubstitution(command) => {
                parts.push(expanded(
                    self.substitute(&quoting::backquoted(command))?,
                    is_quoted,
                ));
            }
            WordPiece::EscapeSequence(escape) => parts.extend(quoting::escaped(escape)),
            WordPiece::ArithmeticExpression(expression) => {
                parts.push(expanded(
                    self.arithmetic(&expression.value)?.to_string(),
                    is_quoted,
                ));
            }
        }
        Ok(())
    }

    /// `""` is a field; `"$@"` is none where there are no arguments.
    fn double_quoted(
        &mut self,
        pieces: &[WordPieceWithSource],
        parts: &mut Vec<Part>,
    ) -> Result<(), Unwind> {
        let inner = self.parts_of(pieces, true)?;
        if inner.is_empty()
            && !pieces
                .iter()
                .any(|piece| parameter::is_all_arguments(&piece.piece))
        {
            parts.push(Part::Quoted(String::new()));
        }
        parts.extend(inner);
        Ok(())
    }

    fn tilde(&self, tilde: &TildeExpr) -> String {
        let variable = |name: &str| {
            self.state
                .variables
                .text(name)
                .unwrap_or_default()
                .to_owned()
        };
        match tilde {
            TildeExpr::Home => variable("HOME"),
            TildeExpr::WorkingDir => self.state.folder.clone(),
            TildeExpr::OldWorkingDir => variable("OLDPWD"),
            TildeExpr::UserHome(user) => format!("~{user}"),
            TildeExpr::NthDirFromTopOfDirStack { n, plus_used: true } => format!("~+{n}"),
            TildeExpr::NthDirFromTopOfDirStack {
                n,
                plus_used: false,
            } => format!("~{n}"),
            TildeExpr::NthDirFromBottomOfDirStack { n } => format!("~-{n}"),
        }
    }

    /// `IFS`.
    fn separators(&self) -> String {
        self.state
            .variables
            .text("IFS")
            .unwrap_or(" \t\n")
            .to_owned()
    }

    /// The paths that a field with a pattern matches, or the field itself.
    fn file_names(&self, field: Vec<Segment>) -> Vec<String> {
        let plain = || {
            field
                .iter()
                .map(|(text, _)| text.as_str())
                .collect::<String>()
        };
        if self.has(Switch::NoGlob) {
            return vec![plain()];
        }
        let characters = marked(&field);
        if !Pattern::new(&characters).is_magic() {
            return vec![plain()];
        }
        let found = names::matching(&self.state.folder, &characters, self.has(Switch::DotGlob));
        if found.is_empty() && !self.has(Switch::NullGlob) {
            return vec![plain()];
        }
        found
    }
}

fn expanded(text: String, is_quoted: bool) -> Part {
    if is_quoted {
        Part::Quoted(text)
    } else {
        Part::Value(text)
    }
}

/// All parts as one text.
fn text(parts: Vec<Part>) -> String {
    let texts = parts.into_iter().map(|part| match part {
        Part::Text(text) | Part::Quoted(text) | Part::Value(text) | Part::Break(text) => text,
    });
    texts.collect()
}

fn segments(parts: Vec<Part>) -> Vec<Segment> {
    let segments = parts.into_iter().map(|part| match part {
        Part::Text(text) | Part::Value(text) => (text, false),
        Part::Quoted(text) | Part::Break(text) => (text, true),
    });
    segments.collect()
}

fn marked(segments: &[Segment]) -> Vec<Marked> {
    segments
        .iter()
        .flat_map(|(text, is_quoted)| text.chars().map(|c| (c, *is_quoted)))
        .collect()
}

/// Splits parts into fields at `separators`.
fn fields(parts: Vec<Part>, separators: &str) -> Vec<Vec<Segment>> {
    let mut splitter = Splitter {
        separators,
        fields: Vec::new(),
        field: None,
    };
    for part in parts {
        match part {
            Part::Text(text) => splitter.push(text, false),
            Part::Quoted(text) => splitter.push(text, true),
            Part::Value(text) => splitter.split(&text),
            Part::Break(_) => splitter.end(),
        }
    }
    splitter.end();
    splitter.fields
}

struct Splitter<'a> {
    separators: &'a str,
    fields: Vec<Vec<Segment>>,
    /// The field that is being made; none between fields.
    field: Option<Vec<Segment>>,
}

impl Splitter<'_> {
    fn push(&mut self, text: String, is_quoted: bool) {
        self.field.get_or_insert_default().push((text, is_quoted));
    }

    fn end(&mut self) {
        self.fields.extend(self.field.take());
    }

    /// Blanks among the separators only divide; any other separator ends a field, be it empty.
    fn split(&mut self, text: &str) {
        let is_blank = |c: char| c.is_ascii_whitespace() && self.separators.contains(c);
        let blanks: Vec<char> = text.chars().filter(|c| is_blank(*c)).collect();
        let mut after_blank = false;
        for c in text.chars() {
            if blanks.contains(&c) {
                after_blank |= self.field.is_some();
                self.end();
            } else if self.separators.contains(c) {
                // A blank before it has ended the field already.
                if !after_blank || self.field.is_some() {
                    self.field.get_or_insert_default();
                }
                self.end();
                after_blank = false;
            } else {
                self.push_character(c);
                after_blank = false;
            }
        }
    }

    fn push_character(&mut self, c: char) {
        let field = self.field.get_or_insert_default();
        match field.last_mut() {
            Some((text, false)) => text.push(c),
            _ => field.push((c.into(), false)),
        }
    }
}

/// Splits a line for `read`: at most `count` fields, the last of which keeps the rest.
pub fn split_line(line: &[Marked], separators: &str, count: usize) -> Vec<String> {
    let is_separator = |(c, is_quoted): Marked| !is_quoted && separators.contains(c);
    let is_blank =
        |(c, is_quoted): Marked| !is_quoted && c.is_ascii_whitespace() && separators.contains(c);
    let skip = |mut at: usize| {
        while line.get(at).is_some_and(|c| is_blank(*c)) {
            at += 1;
        }
        at
    };
    let mut fields = Vec::new();
    let mut at = skip(0);
    while at < line.len() && fields.len() + 1 < count {
        let end = (at..line.len())
            .find(|index| is_separator(line[*index]))
            .unwrap_or(line.len());
        fields.push(line[at..end].iter().map(|(c, _)| c).collect());
        at = skip(end);
        if at < line.len() && is_separator(line[at]) && (at > end || !is_blank(line[end])) {
            at = skip(at + 1);
        }
    }
    if at < line.len() {
        let rest_len = line[at..]
            .iter()
            .rposition(|c| !is_blank(*c))
            .map_or(0, |last| last + 1);
        fields.push(line[at..at + rest_len].iter().map(|(c, _)| c).collect());
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str, separators: &str) -> Vec<String> {
        let fields = fields(vec![Part::Value(text.into())], separators);
        fields
            .into_iter()
            .map(|field| field.into_iter().map(|(text, _)| text).collect())
            .collect()
    }

    #[test]
    fn values_are_split() {
        assert_eq!(split("  a  b ", " \t\n"), ["a", "b"]);
        assert_eq!(split("a::b:", ":"), ["a", "", "b"]);
        assert_eq!(split("a : b", " :"), ["a", "b"]);
        assert_eq!(split("a : : b", " :"), ["a", "", "b"]);
        assert_eq!(split("", " "), Vec::<String>::new());
        assert_eq!(split("a b", ""), ["a b"]);
    }

    #[test]
    fn lines_are_split() {
        let line = |text: &str| text.chars().map(|c| (c, false)).collect::<Vec<Marked>>();
        assert_eq!(
            split_line(&line(" a b  c d "), " \t\n", 3),
            ["a", "b", "c d"]
        );
        assert_eq!(split_line(&line("a:b::c"), ":", 4), ["a", "b", "", "c"]);
        assert_eq!(split_line(&line("one"), " ", 2), ["one"]);
    }
}
