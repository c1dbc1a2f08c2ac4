//! Planted defects: what the suite must notice to be trusted.

use kernel_core::trap_delivery::{self, TrapSignal};
use test_spec::SpecFile;

/// One way in which the run goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// Invalid instructions, which is what `unreachable` compiles to, are not handed to the engine.
    LostTrap,
    /// The first file is not run.
    SkippedFile,
    /// What `fac.wast` expects of a factorial is off by one.
    WrongResult,
}

/// In `fac.wast`, 25 factorial modulo 2⁶⁴, and a number that it is not.
const RIGHT: &str = "7034535277573963776";
const WRONG: &str = "7034535277573963777";

impl Defect {
    /// The defect that the command line calls `name`.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "lost-trap" => Some(Self::LostTrap),
            "skipped-file" => Some(Self::SkippedFile),
            "wrong-result" => Some(Self::WrongResult),
            _ => None,
        }
    }

    /// Makes it so. The engine has been started: its handlers are set.
    pub fn plant(self, files: &mut Vec<SpecFile>) {
        match self {
            Self::LostTrap => trap_delivery::set_handler(TrapSignal::Ill, None),
            Self::SkippedFile => drop(files.remove(0)),
            Self::WrongResult => {
                for file in files {
                    file.text = file.text.replace(RIGHT, WRONG);
                }
            }
        }
    }
}
