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
    /// A file expects what is not so.
    Wrong(Expectation),
}

/// What a file expects, and something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expectation {
    file: &'static str,
    right: &'static str,
    wrong: &'static str,
}

/// 25 factorial modulo 2⁶⁴ is off by one.
const WRONG_RESULT: Expectation = Expectation {
    file: "latest/fac.wast",
    right: "7034535277573963776",
    wrong: "7034535277573963777",
};
/// One lane of a sum of products is off by one.
const WRONG_VECTOR: Expectation = Expectation {
    file: "simd/simd_i32x4_dot_i16x8.wast",
    right: "(v128.const i32x4 2 2 2 2)",
    wrong: "(v128.const i32x4 2 2 3 2)",
};
/// A resource is said to live after its owner has dropped it.
const WRONG_COMPONENT: Expectation = Expectation {
    file: "component/resources.wast",
    right: "(invoke \"live\") (u32.const 0)",
    wrong: "(invoke \"live\") (u32.const 1)",
};

impl Defect {
    /// The defect that the command line calls `name`.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "lost-trap" => Some(Self::LostTrap),
            "skipped-file" => Some(Self::SkippedFile),
            "wrong-result" => Some(Self::Wrong(WRONG_RESULT)),
            "wrong-vector" => Some(Self::Wrong(WRONG_VECTOR)),
            "wrong-component" => Some(Self::Wrong(WRONG_COMPONENT)),
            _ => None,
        }
    }

    /// Makes it so. The engine has been started: its handlers are set.
    pub fn plant(self, files: &mut Vec<SpecFile>) {
        match self {
            Self::LostTrap => trap_delivery::set_handler(TrapSignal::Ill, None),
            Self::SkippedFile => drop(files.remove(0)),
            Self::Wrong(expectation) => {
                for file in files
                    .iter_mut()
                    .filter(|file| file.name == expectation.file)
                {
                    file.text = file.text.replace(expectation.right, expectation.wrong);
                }
            }
        }
    }
}
