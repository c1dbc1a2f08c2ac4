//! The cases, as `test/oracle/cases/*.toml` and `test/oracle/trees.toml` say.
//!
//! Law: names are unique over all files. A case that cannot be compared stays in its file with the reason, and is reported
//! as skipped. Unknown keys are errors.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::tree::Tree;
use crate::failure::{Failure, Result};
use crate::paths::{self, Paths};

const CASES: &str = "test/oracle/cases";
const TREES: &str = "test/oracle/trees.toml";

/// What every case's program finds in its environment, before what the case adds.
const ENVIRONMENT: [(&str, &str); 2] = [("LC_ALL", "C"), ("TZ", "UTC")];

/// One run of one program.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Case {
    /// What it is called in the report.
    pub name: String,
    /// The program's name and its arguments.
    pub run: Vec<String>,
    /// The tree that it gets, by name; an empty one otherwise.
    pub tree: Option<String>,
    /// Its standard input.
    #[serde(default)]
    pub stdin: String,
    /// Variables of its environment, besides those that all have.
    #[serde(default)]
    environment: BTreeMap<String, String>,
    /// Whether it may not change its tree.
    #[serde(default)]
    pub read_only: bool,
    /// Why it is not run.
    pub excluded: Option<String>,
}

impl Case {
    /// A case with nothing but arguments.
    fn of(name: String, run: Vec<String>) -> Self {
        Self {
            name,
            run,
            tree: None,
            stdin: String::new(),
            environment: BTreeMap::new(),
            read_only: false,
            excluded: None,
        }
    }

    /// The name of its program.
    pub fn program(&self) -> &str {
        self.run.first().map_or("", String::as_str)
    }

    /// All of its environment.
    pub fn environment(&self) -> Vec<(String, String)> {
        let common = ENVIRONMENT.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut all = BTreeMap::from(common);
        all.extend(self.environment.clone());
        all.into_iter().collect()
    }
}

/// One case for each line that a program prints: the line is that case's argument.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Each {
    /// What the names of its cases begin with.
    pub name: String,
    /// What prints the lines, under the reference.
    pub list: Vec<String>,
    /// Standard input of all of them.
    #[serde(default)]
    stdin: String,
}

impl Each {
    /// The case that prints the lines.
    pub fn listing(&self) -> Case {
        Case::of(format!("{}-list", self.name), self.list.clone())
    }

    /// The cases for these lines.
    pub fn cases(&self, lines: &str) -> Vec<Case> {
        let program = self.list.first().cloned().unwrap_or_default();
        let case = |line: &str| Case {
            stdin: self.stdin.clone(),
            ..Case::of(
                format!("{}-{line}", self.name),
                vec![program.clone(), line.to_owned()],
            )
        };
        lines.lines().map(case).collect()
    }
}

/// All cases and the trees that they name.
#[derive(Debug)]
pub struct Cases {
    /// In the order of files and of what is in them.
    pub all: Vec<Case>,
    /// What is to become more of them.
    pub each: Vec<Each>,
    trees: BTreeMap<String, Tree>,
    empty: Tree,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseFile {
    #[serde(default)]
    case: Vec<Case>,
    #[serde(default)]
    each: Vec<Each>,
}

impl Cases {
    /// Reads all files.
    pub fn load(paths: &Paths) -> Result<Self> {
        let (mut all, mut each) = (Vec::new(), Vec::new());
        for file in files(paths)? {
            let file: CaseFile = parse(&file)?;
            all.extend(file.case);
            each.extend(file.each);
        }
        let cases = Self {
            all,
            each,
            trees: parse(&paths.source(TREES))?,
            empty: Tree::default(),
        };
        cases.check()?;
        Ok(cases)
    }

    /// The tree that a case gets.
    pub fn tree(&self, case: &Case) -> &Tree {
        let named = case.tree.as_ref().and_then(|name| self.trees.get(name));
        named.unwrap_or(&self.empty)
    }

    fn check(&self) -> Result<()> {
        let mut names = std::collections::BTreeSet::new();
        for case in &self.all {
            if !names.insert(&case.name) {
                return Err(Failure::input(
                    CASES,
                    format!("{} is there twice", case.name),
                ));
            }
            if let Some(tree) = &case.tree
                && !self.trees.contains_key(tree)
            {
                let problem = format!(
                    "{} names the tree {tree}, which is not in {TREES}",
                    case.name
                );
                return Err(Failure::input(CASES, problem));
            }
        }
        Ok(())
    }
}

fn files(paths: &Paths) -> Result<Vec<PathBuf>> {
    let folder = paths.source(CASES);
    let entries = fs::read_dir(&folder).map_err(|e| Failure::io("read", &folder, e))?;
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    Ok(files)
}

fn parse<T: DeserializeOwned>(file: &std::path::Path) -> Result<T> {
    let parsed = toml::from_str(&paths::read_text(file)?);
    parsed.map_err(|problem| Failure::input(file.display(), problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(text: &str) -> Case {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_case_adds_to_the_environment_and_replaces() {
        let case = case("name='a'\nrun=['b']\nenvironment={ TZ='CET', A='1' }");
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let expected = [pair("A", "1"), pair("LC_ALL", "C"), pair("TZ", "CET")];
        assert_eq!(case.environment(), expected);
        assert_eq!(case.program(), "b");
    }

    #[test]
    fn each_line_becomes_a_case() {
        let each: Each = toml::from_str("name='f'\nlist=['p', 'list']\nstdin='x'").unwrap();
        let cases = each.cases("a\nb\n");
        assert_eq!(cases[0].name, "f-a");
        assert_eq!(cases[0].run, ["p", "a"]);
        assert_eq!((cases.len(), cases[1].stdin.as_str()), (2, "x"));
        assert_eq!(each.listing().run, ["p", "list"]);
    }

    #[test]
    fn names_are_unique_and_trees_are_there() {
        let cases = |all| Cases {
            all,
            each: Vec::new(),
            trees: BTreeMap::new(),
            empty: Tree::default(),
        };
        let plain = case("name='a'\nrun=['b']");
        assert!(cases(vec![plain.clone()]).check().is_ok());
        assert!(cases(vec![plain.clone(), plain]).check().is_err());
        let lost = case("name='a'\nrun=['b']\ntree='nowhere'");
        assert!(cases(vec![lost]).check().is_err());
    }
}
