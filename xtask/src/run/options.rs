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
    /// The kernel compiles it, by this compiler and no other.
    pub compiler: Option<Compiler>,
    /// The function of a core module to call.
    pub invoke: Option<String>,
    /// Which kernel boots.
    pub variant: Variant,
    /// The system to boot, by the name of its file in `system/`; without it, the usual one.
    pub system: Option<String>,
    /// What to record while the program runs, and where to.
    pub recording: Option<Recording>,
    /// The machine waits for a debugger.
    pub gdb: bool,
    /// The component to run and its arguments; without it, a prompt.
    pub program: Option<(PathBuf, Vec<String>)>,
}

/// One of the kernel's compilers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compiler {
    /// Winch, which is quick.
    Baseline,
    /// Cranelift, whose code is quick.
    Cranelift,
}

impl Compiler {
    fn of(word: Option<String>) -> Result<Self> {
        match word.as_deref() {
            Some("baseline") => Ok(Self::Baseline),
            Some("cranelift") => Ok(Self::Cranelift),
            _ => Err(Failure::Usage(
                "--compiler needs `baseline` or `cranelift`".into(),
            )),
        }
    }

    /// The word of the command line by which the kernel is asked for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Baseline => "compiler=baseline",
            Self::Cranelift => "compiler=cranelift",
        }
    }
}

/// What is recorded of a program's run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recording {
    /// What happens, as JSON for trace viewers.
    Trace {
        /// Where to.
        file: PathBuf,
        /// Categories, divided by commas; `all` for all.
        events: String,
    },
    /// What runs, as a flame graph, with the stacks as text beside it.
    Profile {
        /// Where the picture goes.
        file: PathBuf,
        /// Samples a second.
        hz: u32,
    },
}

/// Every category.
const EVENTS_ALL: &str = "all";
/// Samples a second: no multiple of what machines do by themselves.
const HZ_DEFAULT: u32 = 199;

impl Recording {
    /// A trace of everything.
    pub fn trace(file: PathBuf) -> Self {
        Self::Trace {
            file,
            events: EVENTS_ALL.into(),
        }
    }

    /// A profile at the usual rate.
    pub fn profile(file: PathBuf) -> Self {
        Self::Profile {
            file,
            hz: HZ_DEFAULT,
        }
    }

    /// The word of the command line by which the kernel is asked for it.
    pub fn word(&self) -> String {
        match self {
            Self::Trace { events, .. } => format!("trace={events}"),
            Self::Profile { hz, .. } => format!("profile={hz}"),
        }
    }
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
            compiler: None,
            invoke: None,
            recording: None,
            variant: Variant::Plain,
            system: None,
            gdb: false,
            program: None,
        }
    }
}

impl Options {
    /// Reads the words behind `run`.
    pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Self> {
        Self::parse_with(None, words)
    }

    /// The same where something is recorded unless the words say otherwise.
    pub fn parse_with(
        recording: Option<Recording>,
        words: impl IntoIterator<Item = String>,
    ) -> Result<Self> {
        let mut words = words.into_iter();
        let mut options = Self {
            recording,
            ..Self::default()
        };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--headless" => options.headless = true,
                "--jit" => options.jit = true,
                "--compiler" => options.compiler = Some(Compiler::of(words.next())?),
                "--invoke" => options.invoke = Some(text(&word, words.next())?),
                "--checks" => options.variant = Variant::Checks,
                "--system" => options.system = Some(text(&word, words.next())?),
                "--gdb" => options.gdb = true,
                "--cpus" => options.cpus = number(&word, words.next())?,
                "--memory" => options.memory_mib = number(&word, words.next())?,
                "--dir" => options.tree_in = Some(path(&word, words.next())?),
                "--out" => options.tree_out = Some(path(&word, words.next())?),
                "--stdin" => options.stdin = Some(path(&word, words.next())?),
                "--trace" => options.recording = Some(Recording::trace(path(&word, words.next())?)),
                "--profile" => {
                    options.recording = Some(Recording::profile(path(&word, words.next())?));
                }
                "--events" => options.set_events(words.next())?,
                "--hz" => options.set_hz(number(&word, words.next())?)?,
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

    fn set_events(&mut self, word: Option<String>) -> Result<()> {
        match (&mut self.recording, word) {
            (Some(Recording::Trace { events, .. }), Some(word))
                if !word.contains(char::is_whitespace) =>
            {
                *events = word;
                Ok(())
            }
            _ => Err(Failure::Usage(
                "--events needs categories divided by commas, behind --trace FILE".into(),
            )),
        }
    }

    fn set_hz(&mut self, wanted: u32) -> Result<()> {
        match &mut self.recording {
            Some(Recording::Profile { hz, .. }) => {
                *hz = wanted;
                Ok(())
            }
            _ => Err(Failure::Usage("--hz belongs behind --profile FILE".into())),
        }
    }

    fn check(self) -> Result<Self> {
        if self.cpus == 0 || self.memory_mib == 0 {
            return Err(Failure::Usage(
                "a machine has at least one CPU and some memory".into(),
            ));
        }
        let for_programs = self.tree_in.is_some()
            || self.tree_out.is_some()
            || self.stdin.is_some()
            || self.jit
            || self.compiler.is_some()
            || self.invoke.is_some()
            || self.recording.is_some();
        if for_programs && self.program.is_none() {
            return Err(Failure::Usage(
                "--dir, --out, --stdin, --jit, --compiler, --invoke, --trace and --profile are for a program, `-- PROGRAM.wasm ARG…`"
                    .into(),
            ));
        }
        if self.system.is_some() && self.program.is_some() {
            return Err(Failure::Usage(
                "--system is for a prompt: a program has a system of its own".into(),
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

fn text(option: &str, word: Option<String>) -> Result<String> {
    word.ok_or_else(|| Failure::Usage(format!("{option} needs a name")))
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
            ("--compiler gcc -- a.wasm", "--compiler"),
            ("--invoke", "--invoke"),
            ("--invoke add", "--invoke"),
            ("--trace t.json", "--trace"),
            ("--trace", "--trace"),
            ("--events switch", "--events"),
            ("--profile x --events switch", "--events"),
            ("--trace x --hz 5", "--hz"),
        ] {
            let sentence = parse(line).unwrap_err().to_string();
            assert!(sentence.contains(named), "{line}: {sentence}");
        }
    }
}
