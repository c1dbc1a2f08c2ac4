//! Why an engine could not be made, or a program not be loaded. Every message is a sentence for the person
//! who asked, naming the program first.

use crate::SurveyError;
use std::fmt;

/// Why there is no engine. The machine or the build is at fault, never a program.
#[derive(Debug)]
pub enum EngineError {
    /// The processor lacks a feature of x86-64-v2.
    ProcessorLacks(&'static str),
    /// The compile threads could not be started.
    Threads(String),
    /// Wasmtime refused the settings.
    Wasmtime(String),
}

impl EngineError {
    pub(crate) fn from_wasmtime(error: wasmtime::Error) -> EngineError {
        EngineError::Wasmtime(format!("{error:#}"))
    }
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EngineError::ProcessorLacks(feature) => write!(
                f,
                "this processor lacks {feature}, which programs may use: a processor of level \
                 x86-64-v2 (2009 and later) is needed"
            ),
            EngineError::Threads(why) => write!(f, "cannot start the engine's threads: {why}"),
            EngineError::Wasmtime(why) => {
                write!(f, "Wasmtime refuses the engine's settings: {why}")
            }
        }
    }
}

impl std::error::Error for EngineError {}

/// Why one program was not loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError {
    /// The program's name as its user knows it.
    pub program: String,
    /// What is wrong with it.
    pub problem: LoadProblem,
}

/// What kept a program from being loaded. `Display` continues a sentence that begins with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadProblem {
    /// The bytes are no valid component or module.
    Unusable(SurveyError),
    /// One of the fixed limits is exceeded, however much memory there is.
    OverLimit {
        /// What there is too much of, in the plural.
        what: &'static str,
        /// How much the program has.
        found: u64,
        /// How much is allowed.
        limit: u64,
    },
    /// Compiling needs more memory than there is.
    NotEnoughMemory {
        /// The program's size in bytes.
        size_bytes: u64,
        /// The estimated peak of the compilation in bytes.
        needed_bytes: u64,
        /// What may be used, in bytes.
        available_bytes: u64,
    },
    /// The compiler refused a program that is valid.
    Compile(String),
    /// The module imports this beside WASI 0.1, as `module::name`.
    UnknownImport(String),
    /// The module uses WASI 0.1 in a way that the adapter to WASI 0.2 refuses.
    Adapt(String),
    /// The bytes are no precompiled program.
    NotPrecompiled,
    /// Precompiled with other settings or by another Wasmtime. The `.wasm` beside it still serves.
    OtherSettings(String),
    /// The image's digest is not the expected one.
    WrongDigest,
}

impl LoadProblem {
    /// Names the program that has this problem.
    pub fn of(self, program: &str) -> LoadError {
        LoadError {
            program: program.to_owned(),
            problem: self,
        }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.program, self.problem)
    }
}

impl std::error::Error for LoadError {}

impl fmt::Display for LoadProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadProblem::Unusable(error) => error.fmt(f),
            LoadProblem::OverLimit { what, found, limit } => {
                write!(
                    f,
                    "is too large: it has {found} {what}, and {limit} are allowed"
                )
            }
            LoadProblem::NotEnoughMemory {
                size_bytes,
                needed_bytes,
                available_bytes,
            } => write!(
                f,
                "is {}; compiling it here would need about {} and {} are free: run it precompiled, \
                 or give the machine more memory",
                ByteCount(*size_bytes),
                ByteCount(*needed_bytes),
                ByteCount(*available_bytes),
            ),
            LoadProblem::Compile(why) => write!(f, "could not be compiled: {why}"),
            LoadProblem::UnknownImport(name) => {
                write!(f, "imports `{name}`, which nothing here provides")
            }
            LoadProblem::Adapt(why) => write!(
                f,
                "is a module of WASI 0.1 that cannot be adapted to WASI 0.2: {why}"
            ),
            LoadProblem::NotPrecompiled => f.write_str("is not a precompiled program"),
            LoadProblem::OtherSettings(why) => {
                write!(
                    f,
                    "was precompiled for another version of this system: {why}"
                )
            }
            LoadProblem::WrongDigest => f.write_str(
                "is damaged: its SHA-256 digest is not the one that the image gives for it",
            ),
        }
    }
}

/// A number of bytes for people: "870 KB", "3.1 MB" (decimal units, rounded down).
pub struct ByteCount(pub u64);

impl fmt::Display for ByteCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes @ ..1_000 => write!(f, "{bytes} bytes"),
            bytes @ ..1_000_000 => write!(f, "{} KB", bytes / 1_000),
            bytes @ ..10_000_000 => {
                write!(
                    f,
                    "{}.{} MB",
                    bytes / 1_000_000,
                    bytes % 1_000_000 / 100_000
                )
            }
            bytes => write!(f, "{} MB", bytes / 1_000_000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_on_memory_gives_all_three_numbers() {
        let error = LoadProblem::NotEnoughMemory {
            size_bytes: 3_140_000,
            needed_bytes: 210_500_000,
            available_bytes: 40_000_000,
        }
        .of("program.wasm");
        assert_eq!(
            error.to_string(),
            "program.wasm is 3.1 MB; compiling it here would need about 210 MB and 40 MB are free: \
             run it precompiled, or give the machine more memory"
        );
    }

    #[test]
    fn byte_counts_are_rounded_down() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (999, "999 bytes"),
            (1_000, "1 KB"),
            (999_999, "999 KB"),
            (9_999_999, "9.9 MB"),
            (10_000_000, "10 MB"),
        ] {
            assert_eq!(ByteCount(bytes).to_string(), text);
        }
    }
}
