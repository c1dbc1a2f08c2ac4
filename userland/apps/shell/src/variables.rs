//! Variables: what they hold, who may change them, and where they are visible.
//!
//! Law: scopes are dynamic, as the shell's language wants it: a function sees its callers' local variables. The first
//! scope is the global one and always there. Indices of lists have gaps.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a variable holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Value {
    /// A text.
    Text(String),
    /// Texts by number.
    List(BTreeMap<i64, String>),
    /// Texts by name.
    Map(BTreeMap<String, String>),
}

impl Value {
    /// What the name alone means: an array's element 0.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::List(list) => list.get(&0).map(String::as_str),
            Self::Map(map) => map.get("0").map(String::as_str),
        }
    }

    /// All texts, in the order of their keys.
    pub fn texts(&self) -> Vec<String> {
        match self {
            Self::Text(text) => vec![text.clone()],
            Self::List(list) => list.values().cloned().collect(),
            Self::Map(map) => map.values().cloned().collect(),
        }
    }

    /// All keys.
    pub fn keys(&self) -> Vec<String> {
        match self {
            Self::Text(_) => vec!["0".into()],
            Self::List(list) => list.keys().map(i64::to_string).collect(),
            Self::Map(map) => map.keys().cloned().collect(),
        }
    }
}

/// A variable. It may be declared and hold nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    /// What it holds.
    pub value: Option<Value>,
    /// Whether children get it.
    pub is_exported: bool,
    /// Whether it can be changed no more.
    pub is_read_only: bool,
    /// Whether what is assigned is computed first.
    pub is_integer: bool,
}

/// All variables that are visible at one place of a program.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Variables {
    global: BTreeMap<String, Variable>,
    /// The innermost function's last.
    local: Vec<BTreeMap<String, Variable>>,
}

impl Variables {
    /// The variables of a shell with this environment.
    pub fn from_environment(environment: impl Iterator<Item = (String, String)>) -> Self {
        let exported = |text| Variable {
            value: Some(Value::Text(text)),
            is_exported: true,
            ..Variable::default()
        };
        let named = environment.filter(|(name, _)| is_name(name));
        Self {
            global: named.map(|(name, text)| (name, exported(text))).collect(),
            local: Vec::new(),
        }
    }

    /// The variable of this name.
    pub fn get(&self, name: &str) -> Option<&Variable> {
        let local = self.local.iter().rev().find_map(|scope| scope.get(name));
        local.or_else(|| self.global.get(name))
    }

    /// Its text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.value.as_ref()?.text()
    }

    /// The variable of this name, made in the global scope where there is none.
    pub fn entry(&mut self, name: &str) -> &mut Variable {
        let scope = self
            .local
            .iter_mut()
            .rev()
            .find(|scope| scope.contains_key(name));
        scope
            .unwrap_or(&mut self.global)
            .entry(name.into())
            .or_default()
    }

    /// Makes a variable of the innermost function, or of the program where there is no function.
    pub fn declare_local(&mut self, name: &str) -> &mut Variable {
        let scope = self.local.last_mut().unwrap_or(&mut self.global);
        scope.entry(name.into()).or_default()
    }

    /// Whether the innermost function has one of its own.
    pub fn is_local(&self, name: &str) -> bool {
        self.local
            .last()
            .is_some_and(|scope| scope.contains_key(name))
    }

    /// Removes the variable that the name means.
    pub fn remove(&mut self, name: &str) {
        let scope = self
            .local
            .iter_mut()
            .rev()
            .find(|scope| scope.contains_key(name));
        scope.unwrap_or(&mut self.global).remove(name);
    }

    /// Begins the scope of a function.
    pub fn enter(&mut self) {
        self.local.push(BTreeMap::new());
    }

    /// Ends the innermost function's scope.
    pub fn leave(&mut self) {
        self.local.pop();
    }

    /// All names, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .scopes()
            .flat_map(|scope| scope.keys().cloned())
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// What children get.
    pub fn exported(&self) -> Vec<(String, String)> {
        let names = self.names().into_iter();
        let exported =
            names.filter(|name| self.get(name).is_some_and(|variable| variable.is_exported));
        exported
            .filter_map(|name| self.text(&name).map(str::to_owned).map(|text| (name, text)))
            .collect()
    }

    fn scopes(&self) -> impl Iterator<Item = &BTreeMap<String, Variable>> {
        std::iter::once(&self.global).chain(&self.local)
    }
}

/// Whether a text can be a variable's name.
pub fn is_name(text: &str) -> bool {
    let mut characters = text.chars();
    characters
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && characters.all(|c| c.is_ascii_alphanumeric() || c == '_')
}
