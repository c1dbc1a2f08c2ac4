//! Bad input, made and tried: targets, and the driver that runs a fixed number of cases of each.
//!
//! Laws:
//! - A target is an ordinary function from bytes to a verdict. It has a *law*, which holds for any bytes; that nothing panics is
//!   part of each. It keeps nothing between cases and reads no clock.
//! - A case is a function of the seed, the target's name and its number: whoever knows these three has its bytes again
//!   ([`cases`]). The first cases are the kept seeds as they are.
//! - A target whose law is not broken by anything may check nothing. So each has a *spoiled subject*, a defect put
//!   where the tested code answers, which the same cases must find ([`Subject`]). That proves that the cases reach the place and that
//!   the law is looked at there; it does not prove that every other defect would be found.
//! - The driver is stable Rust without instrumentation, for continuous integration. The same functions are targets of libFuzzer in
//!   `test/fuzz/fuzz`, which looks at coverage and searches for as long as it is let.
//!
//! Why not property tests only: those build values, these get bytes, and what libFuzzer found is kept as a file. Why not the
//! crate `arbitrary` for logic: seeds would change their meaning with its version; [`Input`] is small and ours.

pub mod cases;
mod driver;
mod input;
mod options;
mod watchdog;

pub use driver::run;
pub use input::Input;

/// Whether the law held, and if not, what was seen instead.
pub type Verdict = Result<(), String>;

/// What is under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The product.
    Real,
    /// The product with the target's defect in front of it.
    Spoiled,
}

/// One thing that takes bytes.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: on the command line, of its folder of seeds, of libFuzzer's program.
    pub name: &'static str,
    /// How many cases continuous integration runs.
    pub cases: u64,
    /// The longest input, in bytes.
    pub len_bytes_max: usize,
    /// What the spoiled subject does.
    pub defect: &'static str,
    /// Tries one input.
    pub try_input: fn(Subject, &[u8]) -> Verdict,
}

impl Target {
    /// For libFuzzer: a broken law is a panic.
    ///
    /// # Panics
    /// If the law is broken.
    pub fn hold(&self, bytes: &[u8]) {
        let bytes = &bytes[..bytes.len().min(self.len_bytes_max)];
        if let Err(why) = (self.try_input)(Subject::Real, bytes) {
            panic!("{}: {why}", self.name);
        }
    }
}

/// The target of this name.
///
/// # Panics
/// If there is none.
pub fn named(targets: &'static [Target], name: &str) -> &'static Target {
    let found = targets.iter().find(|target| target.name == name);
    found.unwrap_or_else(|| panic!("there is no target `{name}`"))
}

/// An error unless the two are equal.
pub fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Verdict {
    if found == expected {
        return Ok(());
    }
    Err(format!("{what}: {found:?} instead of {expected:?}"))
}

/// An error unless it is so.
pub fn holds(is_so: bool, what: impl FnOnce() -> String) -> Verdict {
    if is_so { Ok(()) } else { Err(what()) }
}
