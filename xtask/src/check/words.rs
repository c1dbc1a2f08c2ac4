//! Words that do not belong into a repository: paths of somebody's machine, lint switches without a reason.

use std::path::{Path, PathBuf};

use super::{files, place, verdict};
use crate::failure::Result;
use crate::paths::{self, Paths};

/// Files that people read or that decide what is built.
const ENDINGS: [&str; 8] = [
    ".rs", ".md", ".toml", ".ld", ".wit", ".S", ".yml", ".ci/run",
];

/// Words, each in two parts so that this file does not contain them, and what is wrong with them.
const FORBIDDEN: &[(&str, &str, &str)] = &[
    ("/ho", "me/", "a path of somebody's machine"),
    ("/ro", "ot/", "a path of somebody's machine"),
    ("/wo", "rk/", "a path of somebody's machine"),
    (
        "#[al",
        "low(",
        "a lint is switched off by #[expect(…, reason = …)]",
    ),
    (
        "#![al",
        "low(",
        "a lint is switched off by #![expect(…, reason = …)]",
    ),
    (
        "RUSTC_BOOT",
        "STRAP=",
        "unstable features are for the sysroot only",
    ),
    ("artifact", "ory", "an address of somebody's network"),
];

/// None of them is in any file.
pub fn check(paths: &Paths) -> Result<()> {
    let found: Vec<Vec<String>> = files(paths, &ENDINGS)?
        .iter()
        .map(|file| findings(paths, file))
        .collect::<Result<_>>()?;
    verdict(found.concat())
}

fn findings(paths: &Paths, file: &PathBuf) -> Result<Vec<String>> {
    let text = paths::read_text(&paths.root.join(file))?;
    Ok(text
        .lines()
        .enumerate()
        .flat_map(|(index, line)| in_line(file, index, line))
        .collect())
}

fn in_line(file: &Path, index: usize, line: &str) -> Vec<String> {
    let wrong = FORBIDDEN
        .iter()
        .filter(|(start, end, _)| line.contains(&format!("{start}{end}")));
    wrong
        .map(|(start, end, why)| format!("{}: \"{start}{end}\" ({why})", place(file, index)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forbidden_word_is_found() {
        let line = ["see /ho", "me/somebody/x"].concat();
        assert_eq!(in_line(Path::new("a.md"), 0, &line).len(), 1);
        assert!(in_line(Path::new("a.md"), 0, "see home/x").is_empty());
    }
}
