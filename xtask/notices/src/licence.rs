//! Licence expressions (SPDX 2.3, annex D) and which of their alternatives is used.
//!
//! The grammar is what crates use: identifiers, `WITH`, `AND`, `OR`, parentheses, and the old `/` for `OR`. `AND`
//! binds closer than `OR`. The alternative with the fewest texts to print wins; among equals, the first.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::failure::{Failure, Result};

/// Licences whose text does not differ from author to author: one print serves all.
pub const COMMON: [&str; 2] = ["Apache-2.0", "Apache-2.0 WITH LLVM-exception"];

/// A set of licences that all apply.
pub type Licences = BTreeSet<String>;

/// The licences that may be used.
#[derive(Debug)]
pub struct Allowed(BTreeSet<String>);

#[derive(Deserialize)]
struct DenyFile {
    licenses: LicenceTable,
}

#[derive(Deserialize)]
struct AboutFile {
    accepted: BTreeSet<String>,
}

#[derive(Deserialize)]
struct LicenceTable {
    allow: BTreeSet<String>,
}

impl Allowed {
    /// Reads the list of a `deny.toml`.
    pub fn read(file: &Path) -> Result<Self> {
        Ok(Self(read::<DenyFile>(file)?.licenses.allow))
    }

    /// Holds the list of an `about.toml` against this one: two tools read two files, and there is one list.
    pub fn check_same(&self, file: &Path) -> Result<()> {
        let accepted = read::<AboutFile>(file)?.accepted;
        let differing: Vec<&str> = accepted
            .symmetric_difference(&self.0)
            .map(String::as_str)
            .collect();
        if differing.is_empty() {
            return Ok(());
        }
        let problem = format!("differs from deny.toml in {}", differing.join(", "));
        Err(Failure::input(file.display(), problem))
    }

    /// The licences under which something with this expression is used. The error continues a sentence that
    /// begins with its name.
    pub fn choose(&self, expression: &str) -> std::result::Result<Licences, String> {
        let alternatives = alternatives(expression)
            .ok_or_else(|| format!("has a licence that cannot be read: {expression:?}"))?;
        let usable = alternatives
            .into_iter()
            .filter(|licences| licences.is_subset(&self.0));
        usable
            .min_by_key(own_texts)
            .ok_or_else(|| format!("is under {expression}, which deny.toml does not allow"))
    }
}

fn read<T: DeserializeOwned>(file: &Path) -> Result<T> {
    let text = fs::read_to_string(file).map_err(|e| Failure::io("read", file, e))?;
    toml::from_str(&text).map_err(|e| Failure::input(file.display(), e))
}

/// How many of the licences have a text that is its package's own.
pub fn own_texts(licences: &Licences) -> usize {
    let own = licences.iter().filter(|id| !COMMON.contains(&id.as_str()));
    own.count()
}

/// All ways to satisfy an expression; `None` if it is none.
fn alternatives(expression: &str) -> Option<Vec<Licences>> {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut parser = Parser { words: &words };
    let found = parser.alternatives()?;
    parser.words.is_empty().then_some(found)
}

struct Parser<'a> {
    words: &'a [&'a str],
}

impl Parser<'_> {
    fn accept(&mut self, word: &str) -> bool {
        let found = self.words.first() == Some(&word);
        self.words = &self.words[usize::from(found)..];
        found
    }

    fn alternatives(&mut self) -> Option<Vec<Licences>> {
        let mut found = self.conjunction()?;
        while self.accept("OR") {
            found.extend(self.conjunction()?);
        }
        Some(found)
    }

    fn conjunction(&mut self) -> Option<Vec<Licences>> {
        let mut found = self.operand()?;
        while self.accept("AND") {
            let right = self.operand()?;
            let pairs = found
                .iter()
                .flat_map(|left| right.iter().map(move |right| left | right));
            found = pairs.collect();
        }
        Some(found)
    }

    fn operand(&mut self) -> Option<Vec<Licences>> {
        if self.accept("(") {
            let inside = self.alternatives()?;
            return self.accept(")").then_some(inside);
        }
        let mut identifier = self.identifier()?;
        if self.accept("WITH") {
            identifier = format!("{identifier} WITH {}", self.identifier()?);
        }
        Some(vec![Licences::from([identifier])])
    }

    fn identifier(&mut self) -> Option<String> {
        let (first, rest) = self.words.split_first()?;
        let plain = |c: char| c.is_ascii_alphanumeric() || ".-+".contains(c);
        if !first.chars().all(plain) || ["AND", "OR", "WITH"].contains(first) {
            return None;
        }
        self.words = rest;
        Some((*first).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(expression: &str) -> std::result::Result<String, String> {
        let ids = [
            "Apache-2.0",
            "Apache-2.0 WITH LLVM-exception",
            "BSD-3-Clause",
            "MIT",
        ];
        let allowed = Allowed(ids.map(str::to_owned).into());
        let licences = allowed.choose(expression)?;
        Ok(licences.into_iter().collect::<Vec<_>>().join(" + "))
    }

    #[test]
    fn the_alternative_with_the_fewest_texts_wins() {
        for (expression, licences) in [
            ("MIT", "MIT"),
            ("MIT OR Apache-2.0", "Apache-2.0"),
            ("Unlicense/MIT", "MIT"),
            (
                "Apache-2.0 WITH LLVM-exception",
                "Apache-2.0 WITH LLVM-exception",
            ),
            (
                "MIT OR Apache-2.0 WITH LLVM-exception OR Apache-2.0",
                "Apache-2.0 WITH LLVM-exception",
            ),
            (
                "(Apache-2.0 OR MIT) AND BSD-3-Clause",
                "Apache-2.0 + BSD-3-Clause",
            ),
            ("GPL-3.0-only OR MIT AND BSD-3-Clause", "BSD-3-Clause + MIT"),
        ] {
            assert_eq!(chosen(expression).as_deref(), Ok(licences), "{expression}");
        }
    }

    #[test]
    fn what_is_not_allowed_or_not_readable_is_named() {
        for expression in ["GPL-3.0-only", "MIT AND GPL-3.0-only"] {
            assert!(chosen(expression).unwrap_err().contains("does not allow"));
        }
        for expression in ["", "MIT OR", "(MIT", "MIT)", "MIT MIT", "WITH", "MIT, BSD"] {
            assert!(
                chosen(expression).unwrap_err().contains("cannot be read"),
                "{expression}"
            );
        }
    }
}
