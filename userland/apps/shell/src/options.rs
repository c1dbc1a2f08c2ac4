//! What `set` and `shopt` switch.

use serde::{Deserialize, Serialize};

/// The options that are on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    on: Vec<Switch>,
}

/// An option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Switch {
    /// Variables that are assigned are exported.
    AllExport,
    /// A command that fails ends the shell.
    ErrExit,
    /// Patterns are not expanded to file names.
    NoGlob,
    /// `>` does not overwrite.
    NoClobber,
    /// Commands are read and not run.
    NoExec,
    /// A variable that is not set is an error.
    NoUnset,
    /// Commands are shown before they run.
    XTrace,
    /// A pipeline fails where any part of it does.
    PipeFail,
    /// A pattern that matches nothing is nothing.
    NullGlob,
    /// `*` matches names that begin with a dot.
    DotGlob,
}

/// An option, its letter where it has one, and its name.
const SWITCHES: [(Switch, Option<char>, &str); 10] = [
    (Switch::AllExport, Some('a'), "allexport"),
    (Switch::ErrExit, Some('e'), "errexit"),
    (Switch::NoGlob, Some('f'), "noglob"),
    (Switch::NoClobber, Some('C'), "noclobber"),
    (Switch::NoExec, Some('n'), "noexec"),
    (Switch::NoUnset, Some('u'), "nounset"),
    (Switch::XTrace, Some('x'), "xtrace"),
    (Switch::PipeFail, None, "pipefail"),
    (Switch::NullGlob, None, "nullglob"),
    (Switch::DotGlob, None, "dotglob"),
];

impl Options {
    /// Whether it is on.
    pub fn has(&self, switch: Switch) -> bool {
        self.on.contains(&switch)
    }

    /// Switches it.
    pub fn set(&mut self, switch: Switch, is_on: bool) {
        self.on.retain(|other| *other != switch);
        if is_on {
            self.on.push(switch);
        }
    }

    /// What `$-` is.
    pub fn letters(&self) -> String {
        SWITCHES
            .iter()
            .filter(|(switch, ..)| self.has(*switch))
            .filter_map(|(_, letter, _)| *letter)
            .collect()
    }

    /// All options by name, and whether they are on.
    pub fn list(&self) -> impl Iterator<Item = (&'static str, bool)> {
        SWITCHES
            .iter()
            .map(|(switch, _, name)| (*name, self.has(*switch)))
    }
}

/// The option of this letter.
pub fn by_letter(letter: char) -> Option<Switch> {
    SWITCHES
        .iter()
        .find(|(_, own, _)| *own == Some(letter))
        .map(|(switch, ..)| *switch)
}

/// The option of this name.
pub fn by_name(name: &str) -> Option<Switch> {
    SWITCHES
        .iter()
        .find(|(.., own)| *own == name)
        .map(|(switch, ..)| *switch)
}
