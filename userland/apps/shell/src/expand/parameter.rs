//! `$name`, `${name…}` and the special parameters.

use std::collections::BTreeMap;

use brush_parser::word::{
    Parameter, ParameterExpr, ParameterTestType, ParameterTransformOp, SpecialParameter,
    SubstringMatchKind, WordPiece,
};

use super::{Part, ansi_text, quoted};
use crate::options::Switch;
use crate::pattern::Pattern;
use crate::shell::{Shell, Unwind};
use crate::syntax::{self, Place};
use crate::system;
use crate::variables::Value;

/// What a parameter is.
#[derive(Clone, Debug)]
enum Found {
    /// It is not set.
    Nothing,
    One(String),
    /// `$@` and `$*`, and their like of arrays; whether they are joined in quotes.
    All {
        texts: Vec<String>,
        is_joined: bool,
    },
}

impl Found {
    fn from(text: Option<String>) -> Self {
        text.map_or(Self::Nothing, Self::One)
    }

    fn is_set(&self) -> bool {
        match self {
            Self::Nothing => false,
            Self::One(_) => true,
            Self::All { texts, .. } => !texts.is_empty(),
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Nothing => true,
            Self::One(text) => text.is_empty(),
            Self::All { texts, .. } => texts.iter().all(String::is_empty) && texts.len() < 2,
        }
    }

    fn map(self, change: impl Fn(&str) -> String) -> Self {
        match self {
            Self::Nothing => Self::Nothing,
            Self::One(text) => Self::One(change(&text)),
            Self::All { texts, is_joined } => Self::All {
                texts: texts.iter().map(|text| change(text)).collect(),
                is_joined,
            },
        }
    }

    fn joined(self) -> String {
        match self {
            Self::Nothing => String::new(),
            Self::One(text) => text,
            Self::All { texts, .. } => texts.join(" "),
        }
    }
}

/// Whether a piece of a word in quotes may be no field at all.
pub(super) fn is_all_arguments(piece: &WordPiece) -> bool {
    let is_all = |parameter: &Parameter| {
        matches!(
            parameter,
            Parameter::Special(SpecialParameter::AllPositionalParameters { concatenate: false })
                | Parameter::NamedWithAllIndices {
                    concatenate: false,
                    ..
                }
        )
    };
    match piece {
        WordPiece::ParameterExpansion(ParameterExpr::MemberKeys { concatenate, .. }) => {
            !concatenate
        }
        WordPiece::ParameterExpansion(expression) => {
            parameter_of(expression).is_some_and(|(parameter, _)| is_all(parameter))
        }
        _ => false,
    }
}

/// The parameter of an expression, and whether it names another one.
fn parameter_of(expression: &ParameterExpr) -> Option<(&Parameter, bool)> {
    match expression {
        ParameterExpr::Parameter {
            parameter,
            indirect,
        }
        | ParameterExpr::UseDefaultValues {
            parameter,
            indirect,
            ..
        }
        | ParameterExpr::AssignDefaultValues {
            parameter,
            indirect,
            ..
        }
        | ParameterExpr::IndicateErrorIfNullOrUnset {
            parameter,
            indirect,
            ..
        }
        | ParameterExpr::UseAlternativeValue {
            parameter,
            indirect,
            ..
        }
        | ParameterExpr::ParameterLength {
            parameter,
            indirect,
        }
        | ParameterExpr::RemoveSmallestSuffixPattern {
            parameter,
            indirect,
            ..
        }
        | ParameterExpr::RemoveLargestSuffixPattern {
            parameter,
            indirect,
            ..
        }
        | ParameterExpr::RemoveSmallestPrefixPattern {
            parameter,
            indirect,
            ..
        }
        | ParameterExpr::RemoveLargestPrefixPattern {
            parameter,
            indirect,
            ..
        }
        | ParameterExpr::Substring {
            parameter,
            indirect,
            ..
        }
        | ParameterExpr::Transform {
            parameter,
            indirect,
            ..
        }
        | ParameterExpr::UppercaseFirstChar {
            parameter,
            indirect,
            ..
        }
        | ParameterExpr::UppercasePattern {
            parameter,
            indirect,
            ..
        }
        | ParameterExpr::LowercaseFirstChar {
            parameter,
            indirect,
            ..
        }
        | ParameterExpr::LowercasePattern {
            parameter,
            indirect,
            ..
        }
        | ParameterExpr::ReplaceSubstring {
            parameter,
            indirect,
            ..
        } => Some((parameter, *indirect)),
        ParameterExpr::VariableNames { .. } | ParameterExpr::MemberKeys { .. } => None,
    }
}

impl Shell {
    /// The parts that an expression in a word is.
    pub(super) fn parameter(
        &mut self,
        expression: &ParameterExpr,
        is_quoted: bool,
    ) -> Result<Vec<Part>, Unwind> {
        let found = match parameter_of(expression) {
            Some((parameter, is_indirect)) => self.look_up(parameter, is_indirect)?,
            None => Found::Nothing,
        };
        if let Some(parts) = self.tested(expression, &found, is_quoted)? {
            return Ok(parts);
        }
        let changed = self.changed(expression, found)?;
        Ok(self.to_parts(changed, is_quoted))
    }

    /// The forms that ask whether it is set; none where the parameter's own value is meant.
    fn tested(
        &mut self,
        expression: &ParameterExpr,
        found: &Found,
        is_quoted: bool,
    ) -> Result<Option<Vec<Part>>, Unwind> {
        let is_missing = |test: &ParameterTestType| match test {
            ParameterTestType::Unset => !found.is_set(),
            ParameterTestType::UnsetOrNull => found.is_empty(),
        };
        match expression {
            ParameterExpr::UseDefaultValues {
                test_type,
                default_value,
                ..
            } if is_missing(test_type) => self
                .inner_parts(default_value.as_deref().unwrap_or_default(), is_quoted)
                .map(Some),
            ParameterExpr::UseAlternativeValue {
                test_type,
                alternative_value,
                ..
            } => {
                if is_missing(test_type) {
                    return Ok(Some(Vec::new()));
                }
                self.inner_parts(alternative_value.as_deref().unwrap_or_default(), is_quoted)
                    .map(Some)
            }
            ParameterExpr::AssignDefaultValues {
                parameter,
                test_type,
                default_value,
                ..
            } if is_missing(test_type) => {
                let text =
                    self.expand_to_text(default_value.as_deref().unwrap_or_default(), Place::Word)?;
                self.assign_parameter(parameter, text.clone())?;
                Ok(Some(self.to_parts(Found::One(text), is_quoted)))
            }
            ParameterExpr::IndicateErrorIfNullOrUnset {
                parameter,
                test_type,
                error_message,
                ..
            } if is_missing(test_type) => {
                let message =
                    self.expand_to_text(error_message.as_deref().unwrap_or_default(), Place::Word)?;
                let message = if message.is_empty() {
                    "parameter null or not set".into()
                } else {
                    message
                };
                Err(Unwind::Failed(format!("{}: {message}", name_of(parameter))))
            }
            _ => Ok(None),
        }
    }

    /// The forms that change its value.
    fn changed(&mut self, expression: &ParameterExpr, found: Found) -> Result<Found, Unwind> {
        let is_test = matches!(
            expression,
            ParameterExpr::UseDefaultValues { .. }
                | ParameterExpr::AssignDefaultValues { .. }
                | ParameterExpr::IndicateErrorIfNullOrUnset { .. }
        );
        if let (Some((parameter, _)), false, false) =
            (parameter_of(expression), is_test, found.is_set())
        {
            self.complain_unset(parameter)?;
        }
        Ok(match expression {
            ParameterExpr::ParameterLength { .. } => Found::One(length(&found).to_string()),
            ParameterExpr::RemoveSmallestSuffixPattern { pattern, .. } => {
                self.trimmed(found, pattern, without_suffix, false)?
            }
            ParameterExpr::RemoveLargestSuffixPattern { pattern, .. } => {
                self.trimmed(found, pattern, without_suffix, true)?
            }
            ParameterExpr::RemoveSmallestPrefixPattern { pattern, .. } => {
                self.trimmed(found, pattern, without_prefix, false)?
            }
            ParameterExpr::RemoveLargestPrefixPattern { pattern, .. } => {
                self.trimmed(found, pattern, without_prefix, true)?
            }
            ParameterExpr::UppercaseFirstChar { .. } => {
                found.map(|text| first_changed(text, |c| c.to_uppercase().collect()))
            }
            ParameterExpr::LowercaseFirstChar { .. } => {
                found.map(|text| first_changed(text, |c| c.to_lowercase().collect()))
            }
            ParameterExpr::UppercasePattern { .. } => found.map(str::to_uppercase),
            ParameterExpr::LowercasePattern { .. } => found.map(str::to_lowercase),
            ParameterExpr::Substring { offset, length, .. } => {
                let offset = self.arithmetic(&offset.value)?;
                let length = length
                    .as_ref()
                    .map(|length| self.arithmetic(&length.value))
                    .transpose()?;
                self.substring(found, offset, length)
            }
            ParameterExpr::ReplaceSubstring {
                pattern,
                replacement,
                match_kind,
                ..
            } => {
                let pattern = self.expand_to_pattern(pattern)?;
                let replacement =
                    self.expand_to_text(replacement.as_deref().unwrap_or_default(), Place::Word)?;
                found.map(|text| replaced(text, &pattern, &replacement, match_kind))
            }
            ParameterExpr::Transform { op, .. } => found.map(|text| transformed(text, op)),
            ParameterExpr::VariableNames {
                prefix,
                concatenate,
            } => {
                let names = self.state.variables.names().into_iter();
                Found::All {
                    texts: names.filter(|name| name.starts_with(prefix)).collect(),
                    is_joined: *concatenate,
                }
            }
            ParameterExpr::MemberKeys {
                variable_name,
                concatenate,
            } => {
                let variable = self.state.variables.get(variable_name);
                let value = variable.and_then(|variable| variable.value.as_ref());
                Found::All {
                    texts: value.map(Value::keys).unwrap_or_default(),
                    is_joined: *concatenate,
                }
            }
            _ => found,
        })
    }

    fn complain_unset(&self, parameter: &Parameter) -> Result<(), Unwind> {
        let is_exempt = matches!(
            parameter,
            Parameter::Special(SpecialParameter::AllPositionalParameters { .. })
                | Parameter::NamedWithAllIndices { .. }
        );
        if self.has(Switch::NoUnset) && !is_exempt {
            return Err(Unwind::Failed(format!(
                "{}: unbound variable",
                name_of(parameter)
            )));
        }
        Ok(())
    }

    fn trimmed(
        &mut self,
        found: Found,
        pattern: &Option<String>,
        trim: fn(&str, &Pattern, bool) -> String,
        is_greedy: bool,
    ) -> Result<Found, Unwind> {
        let pattern = self.expand_to_pattern(pattern.as_deref().unwrap_or_default())?;
        Ok(found.map(|text| trim(text, &pattern, is_greedy)))
    }

    fn to_parts(&self, found: Found, is_quoted: bool) -> Vec<Part> {
        let part = |text| {
            if is_quoted {
                Part::Quoted(text)
            } else {
                Part::Value(text)
            }
        };
        match found {
            // An unset variable in quotes is still a field.
            Found::Nothing => vec![part(String::new())],
            Found::One(text) => vec![part(text)],
            Found::All {
                texts,
                is_joined: true,
            } if is_quoted => vec![Part::Quoted(texts.join(&self.joint()))],
            Found::All { texts, is_joined } => {
                let joint = if is_joined { self.joint() } else { " ".into() };
                let mut parts: Vec<Part> = texts
                    .into_iter()
                    .flat_map(|text| [part(text), Part::Break(joint.clone())])
                    .collect();
                parts.pop();
                parts
            }
        }
    }

    /// What stands between the arguments in `"$*"`.
    fn joint(&self) -> String {
        self.separators().chars().take(1).collect()
    }

    fn look_up(&mut self, parameter: &Parameter, is_indirect: bool) -> Result<Found, Unwind> {
        let found = self.value_of(parameter)?;
        if !is_indirect {
            return Ok(found);
        }
        let target = syntax::parameter(&found.joined())?;
        self.value_of(&target)
    }

    fn value_of(&mut self, parameter: &Parameter) -> Result<Found, Unwind> {
        Ok(match parameter {
            Parameter::Positional(0) => Found::One(self.state.name.clone()),
            Parameter::Positional(number) => {
                let index = usize::try_from(*number).unwrap_or(usize::MAX) - 1;
                Found::from(self.state.arguments.get(index).cloned())
            }
            Parameter::Special(special) => self.special(special),
            Parameter::Named(name) => Found::from(self.variable_text(name)),
            Parameter::NamedWithIndex { name, index } => Found::from(self.element(name, index)?),
            Parameter::NamedWithAllIndices { name, concatenate } => {
                let variable = self.state.variables.get(name);
                let value = variable.and_then(|variable| variable.value.as_ref());
                Found::All {
                    texts: value.map(Value::texts).unwrap_or_default(),
                    is_joined: *concatenate,
                }
            }
        })
    }

    fn special(&self, special: &SpecialParameter) -> Found {
        let state = &self.state;
        Found::One(match special {
            SpecialParameter::AllPositionalParameters { concatenate } => {
                return Found::All {
                    texts: state.arguments.clone(),
                    is_joined: *concatenate,
                };
            }
            SpecialParameter::LastBackgroundProcessId => {
                return Found::from(state.background.map(|id| id.to_string()));
            }
            SpecialParameter::PositionalParameterCount => state.arguments.len().to_string(),
            SpecialParameter::LastExitStatus => state.status.to_string(),
            SpecialParameter::CurrentOptionFlags => state.options.letters(),
            SpecialParameter::ProcessId => state.id.to_string(),
            SpecialParameter::ShellName => state.name.clone(),
        })
    }

    /// A variable's text; some are made when they are asked for.
    pub fn variable_text(&self, name: &str) -> Option<String> {
        match name {
            "RANDOM" => Some((system::random() & 0x7FFF).to_string()),
            "LINENO" => Some(self.line.to_string()),
            "SECONDS" => Some(self.began.elapsed().as_secs().to_string()),
            name => self.state.variables.text(name).map(str::to_owned),
        }
    }

    /// Whether it is an array by name.
    pub fn is_map(&self, name: &str) -> bool {
        let variable = self.state.variables.get(name);
        variable.is_some_and(|variable| matches!(variable.value, Some(Value::Map(_))))
    }

    /// The element of an array; the index is an expression, or for an array by name a word.
    pub fn element(&mut self, name: &str, index: &str) -> Result<Option<String>, Unwind> {
        if self.is_map(name) {
            let key = self.expand_to_text(index, Place::Quoted)?;
            return Ok(match self.value(name) {
                Some(Value::Map(map)) => map.get(&key).cloned(),
                _ => None,
            });
        }
        let number = self.arithmetic(index)?;
        Ok(match self.value(name) {
            Some(Value::List(list)) => list.get(&from_end(list, number)).cloned(),
            Some(Value::Text(text)) if number == 0 || number == -1 => Some(text.clone()),
            _ => None,
        })
    }

    fn value(&self, name: &str) -> Option<&Value> {
        self.state.variables.get(name)?.value.as_ref()
    }

    /// Gives an array's element a text, or adds to it.
    pub fn assign_element(
        &mut self,
        name: &str,
        index: &str,
        text: String,
        is_appended: bool,
    ) -> Result<(), Unwind> {
        let is_map = self.is_map(name);
        let key = if is_map {
            self.expand_to_text(index, Place::Quoted)?
        } else {
            self.arithmetic(index)?.to_string()
        };
        let old = if is_appended {
            self.element(name, index)?.unwrap_or_default()
        } else {
            String::new()
        };
        let variable = self.state.variables.entry(name);
        if variable.is_read_only {
            return Err(Unwind::Failed(format!("{name}: readonly variable")));
        }
        let mut list = match variable.value.take() {
            Some(Value::Map(mut map)) => {
                map.insert(key, old + &text);
                variable.value = Some(Value::Map(map));
                return Ok(());
            }
            Some(Value::List(list)) => list,
            Some(Value::Text(text)) => BTreeMap::from([(0, text)]),
            None => BTreeMap::new(),
        };
        let number = from_end(&list, key.parse().unwrap_or_default());
        let is_valid = number >= 0;
        if is_valid {
            list.insert(number, old + &text);
        }
        variable.value = Some(Value::List(list));
        if is_valid {
            Ok(())
        } else {
            Err(Unwind::Failed(format!(
                "{name}[{index}]: bad array subscript"
            )))
        }
    }

    fn assign_parameter(&mut self, parameter: &Parameter, text: String) -> Result<(), Unwind> {
        match parameter {
            Parameter::Named(name) => self.assign(name, text),
            Parameter::NamedWithIndex { name, index } => {
                self.assign_element(name, index, text, false)
            }
            other => Err(Unwind::Failed(format!(
                "{}: cannot assign in this way",
                name_of(other)
            ))),
        }
    }

    /// Of `$@` the arguments from `offset` on, of a text its characters.
    fn substring(&self, found: Found, offset: i64, length: Option<i64>) -> Found {
        match found {
            Found::All {
                mut texts,
                is_joined,
            } => {
                // `$0` counts where the arguments do.
                if texts == self.state.arguments {
                    texts.insert(0, self.state.name.clone());
                }
                let (start, end) = range(texts.len(), offset, length);
                Found::All {
                    texts: texts.drain(start..end).collect(),
                    is_joined,
                }
            }
            one => one.map(|text| {
                let characters: Vec<char> = text.chars().collect();
                let (start, end) = range(characters.len(), offset, length);
                characters[start..end].iter().collect()
            }),
        }
    }
}

/// A negative index counts from the end.
fn from_end(list: &BTreeMap<i64, String>, number: i64) -> i64 {
    if number >= 0 {
        return number;
    }
    let end = list
        .last_key_value()
        .map_or(0, |(last, _)| last.saturating_add(1));
    end.saturating_add(number)
}

/// Start and end within `len`; negative numbers count from the end.
fn range(len: usize, offset: i64, length: Option<i64>) -> (usize, usize) {
    let len = i64::try_from(len).unwrap_or(i64::MAX);
    let start = if offset < 0 {
        len.saturating_add(offset)
    } else {
        offset
    };
    let start = if start < 0 { len } else { start.min(len) };
    let end = match length {
        None => len,
        Some(length) if length < 0 => len.saturating_add(length),
        Some(length) => start.saturating_add(length).min(len),
    };
    let index = |number: i64| usize::try_from(number).unwrap_or(0);
    (index(start), index(end.max(start)))
}

fn name_of(parameter: &Parameter) -> String {
    match parameter {
        Parameter::Named(name) => name.clone(),
        Parameter::NamedWithIndex { name, index } => format!("{name}[{index}]"),
        other => other.to_string(),
    }
}

fn length(found: &Found) -> usize {
    match found {
        Found::Nothing => 0,
        Found::One(text) => text.chars().count(),
        Found::All { texts, .. } => texts.len(),
    }
}

fn first_changed(text: &str, change: fn(char) -> String) -> String {
    let mut characters = text.chars();
    characters.next().map(change).unwrap_or_default() + characters.as_str()
}

fn without_prefix(text: &str, pattern: &Pattern, is_greedy: bool) -> String {
    let characters: Vec<char> = text.chars().collect();
    let ends = pattern.ends(&characters, 0);
    let end = if is_greedy { ends.last() } else { ends.first() };
    characters[end.copied().unwrap_or(0)..].iter().collect()
}

fn without_suffix(text: &str, pattern: &Pattern, is_greedy: bool) -> String {
    let characters: Vec<char> = text.chars().collect();
    let fits = |start: &usize| {
        pattern
            .ends(&characters, *start)
            .contains(&characters.len())
    };
    let mut starts = 0..=characters.len();
    let start = if is_greedy {
        starts.find(fits)
    } else {
        starts.rev().find(fits)
    };
    characters[..start.unwrap_or(characters.len())]
        .iter()
        .collect()
}

fn replaced(text: &str, pattern: &Pattern, replacement: &str, kind: &SubstringMatchKind) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut result = String::new();
    let mut at = 0;
    let mut is_done = false;
    while at <= characters.len() {
        let may_begin = !is_done && (at == 0 || !matches!(kind, SubstringMatchKind::Prefix));
        let end = if may_begin {
            match_at(&characters, at, pattern, kind)
        } else {
            None
        };
        match end {
            Some(end) => {
                result.push_str(replacement);
                is_done = !matches!(kind, SubstringMatchKind::Anywhere);
                at = end;
            }
            None => {
                result.extend(characters.get(at));
                at += 1;
            }
        }
    }
    result
}

/// The end of the longest match at one place that is not empty.
fn match_at(
    text: &[char],
    at: usize,
    pattern: &Pattern,
    kind: &SubstringMatchKind,
) -> Option<usize> {
    let ends = pattern.ends(text, at);
    let end = match kind {
        SubstringMatchKind::Suffix => ends.get(&text.len()),
        _ => ends.last(),
    };
    end.copied().filter(|end| *end > at)
}

fn transformed(text: &str, op: &ParameterTransformOp) -> String {
    match op {
        ParameterTransformOp::CapitalizeInitial => {
            first_changed(text, |c| c.to_uppercase().collect())
        }
        ParameterTransformOp::ExpandEscapeSequences => ansi_text(text),
        ParameterTransformOp::ToLowerCase => text.to_lowercase(),
        ParameterTransformOp::ToUpperCase => text.to_uppercase(),
        ParameterTransformOp::Quoted
        | ParameterTransformOp::PossiblyQuoteWithArraysExpanded { .. } => quoted(text),
        ParameterTransformOp::PromptExpand
        | ParameterTransformOp::ToAssignmentLogic
        | ParameterTransformOp::ToAttributeFlags => text.to_owned(),
    }
}
