//! The options of `cargo xtask run`.

use std::path::PathBuf;
use std::str::FromStr;

use crate::failure::{Failure, Result};
use crate::paths::Variant;

/// What a person asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// No window, even where there is a display.
    pub headless: bool,
    /// How many CPUs.
    pub cpus: u32,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// The folder that becomes the program's `/`.
    pub tree_in: Option<PathBuf>,
    /// Where the tree goes as the program leaves it.
    pub tree_out: Option<PathBuf>,
    /// The file that becomes the program's standard input.
    pub stdin: Option<PathBuf>,
    /// The kernel compiles the program.
    pub jit: bool,
    /// Which kernel boots.
    pub variant: Variant,
    /// The machine waits for a debugger.
    pub gdb: bool,
    /// The component to run and its arguments; without it, a prompt.
    pub program: Option<(PathBuf, Vec<String>)>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            headless: false,
            cpus: 2,
            memory_mib: 1024,
            tree_in: None,
            tree_out: None,
            stdin: None,
            jit: false,
            variant: Variant::Plain,
            gdb: false,
            program: None,
        }
    }
}

impl Options {
    /// Reads the words behind `run`.
    pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Self> {
        let mut words = words.into_iter();
        let mut options = Self::default();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--headless" => options.headless = true,
                "--jit" => options.jit = true,
                "--checks" => options.variant = Variant::Checks,
                "--gdb" => options.gdb = true,
                "--cpus" => options.cpus = number(&word, words.next())?,
                "--memory" => options.memory_mib = number(&word, words.next())?,
                "--dir" => options.tree_in = Some(path(&word, words.next())?),
                "--out" => options.tree_out = Some(path(&word, words.next())?),
                "--stdin" => options.stdin = Some(path(&word, words.next())?),
                "--" => options.program = program(&mut words),
                _ => {
                    return Err(Failure::Usage(format!(
                        "`run` does not know `{word}`; a program comes behind `--`"
                    )));
                }
            }
        }
        options.check()
    }

    fn check(self) -> Result<Self> {
        if self.cpus == 0 || self.memory_mib == 0 {
            return Err(Failure::Usage(
                "a machine has at least one CPU and some memory".into(),
            ));
        }
        let for_programs =
            self.tree_in.is_some() || self.tree_out.is_some() || self.stdin.is_some() || self.jit;
        if for_programs && self.program.is_none() {
            return Err(Failure::Usage(
                "--dir, --out, --stdin and --jit are for a program, `-- PROGRAM.wasm ARG…`".into(),
            ));
        }
        Ok(self)
    }
}

fn program(words: &mut impl Iterator<Item = String>) -> Option<(PathBuf, Vec<String>)> {
    let file = words.next()?;
    Some((PathBuf::from(file), words.collect()))
}

fn path(option: &str, word: Option<String>) -> Result<PathBuf> {
    word.map(PathBuf::from)
        .ok_or_else(|| Failure::Usage(format!("{option} needs a path")))
}

fn number<N: FromStr>(option: &str, word: Option<String>) -> Result<N> {
    let number = word.as_deref().and_then(|word| word.parse().ok());
    number.ok_or_else(|| {
        Failure::Usage(format!(
            "{option} needs a number, not {:?}",
            word.unwrap_or_default()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn everything_behind_the_dashes_is_the_programs() {
        let options = parse("--cpus 4 --jit -- a.wasm --cpus x").unwrap();
        assert_eq!(options.cpus, 4);
        assert!(options.jit);
        assert_eq!(
            options.program,
            Some(("a.wasm".into(), vec!["--cpus".into(), "x".into()]))
        );
    }

    #[test]
    fn wrong_words_are_named() {
        for (line, named) in [
            ("--cpus x", "--cpus"),
            ("--cpus", "--cpus"),
            ("a.wasm", "a.wasm"),
            ("--jit", "--jit"),
        ] {
            let sentence = parse(line).unwrap_err().to_string();
            assert!(sentence.contains(named), "{line}: {sentence}");
        }
    }
}
