//! The options of `cargo xtask bench`.

use std::path::PathBuf;

use crate::failure::{Failure, Result};

/// All suites, in the order in which they run.
pub const SUITES: [&str; 8] = [
    "boot",
    "memory",
    "native",
    "wasm",
    "wasi",
    "calls",
    "processes",
    "channels",
];

/// What a person asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The suites to run; none means all.
    pub suites: Vec<String>,
    /// Names of figures contain it.
    pub filter: String,
    /// How often everything is run; once, or as often as makes a spread.
    pub rounds: Option<u32>,
    /// Modules that take minutes to compile are measured, too.
    pub large: bool,
    /// Write the comparison into the documents.
    pub write_docs: bool,
    /// Files with results of earlier comparisons, which are shown instead of new ones.
    pub results: Vec<PathBuf>,
    /// Count instructions and make that the budgets.
    pub bless_budgets: bool,
    /// The folder of the Linux guest to compare with.
    pub peer: Option<PathBuf>,
}

impl Options {
    /// Reads the words behind `bench`.
    pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Self> {
        let mut words = words.into_iter();
        let mut options = Self::default();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--filter" => options.filter = value(&word, words.next())?,
                "--rounds" => options.rounds = Some(number(&word, words.next())?),
                "--large" => options.large = true,
                "--write-docs" => options.write_docs = true,
                "--bless-budgets" => options.bless_budgets = true,
                "--results" => options.results.push(value(&word, words.next())?.into()),
                "--peer" => options.peer = Some(value(&word, words.next())?.into()),
                suite if SUITES.contains(&suite) => options.suites.push(word),
                _ => {
                    return Err(Failure::Usage(format!(
                        "`bench` does not know `{word}`; its suites are {}",
                        SUITES.join(", ")
                    )));
                }
            }
        }
        if options.filter.contains([' ', ',', '\'']) {
            return Err(Failure::Usage(
                "no figure's name holds a space, a comma or a quote".into(),
            ));
        }
        Ok(options)
    }

    /// The suites that run.
    pub fn suites(&self) -> impl Iterator<Item = &'static str> {
        let wants =
            |suite: &&str| self.suites.is_empty() || self.suites.iter().any(|name| name == suite);
        SUITES.into_iter().filter(wants)
    }
}

fn value(option: &str, word: Option<String>) -> Result<String> {
    word.ok_or_else(|| Failure::Usage(format!("{option} needs a word behind it")))
}

fn number(option: &str, word: Option<String>) -> Result<u32> {
    let number = value(option, word)?
        .parse()
        .ok()
        .filter(|number| *number > 0);
    number.ok_or_else(|| Failure::Usage(format!("{option} needs a number from 1 on")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn suites_are_those_named_or_all() {
        let options = parse("native --filter futex --rounds 3").unwrap();
        assert_eq!(options.suites().collect::<Vec<_>>(), ["native"]);
        assert_eq!(
            (options.filter.as_str(), options.rounds),
            ("futex", Some(3))
        );
        assert_eq!(parse("").unwrap().suites().count(), SUITES.len());
    }

    #[test]
    fn wrong_words_are_named() {
        for (line, named) in [
            ("naitve", "naitve"),
            ("--rounds 0", "--rounds"),
            ("--peer", "--peer"),
        ] {
            let sentence = parse(line).unwrap_err().to_string();
            assert!(sentence.contains(named), "{line}: {sentence}");
        }
    }
}
