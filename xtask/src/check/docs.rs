//! Paths that the documents name exist.
//!
//! What counts as a path: text in backquotes that begins with a folder or file of the repository's root and holds a slash or
//! an ending, and the target of a link that is no address.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::{files, place, verdict};
use crate::failure::{Failure, Result};
use crate::paths::{self, Paths};

/// Every named path exists.
pub fn check(paths: &Paths) -> Result<()> {
    let top = top_level(paths)?;
    let found: Vec<Vec<String>> = files(paths, &[".md"])?
        .iter()
        .map(|file| findings(paths, &top, file))
        .collect::<Result<_>>()?;
    verdict(found.concat())
}

fn top_level(paths: &Paths) -> Result<BTreeSet<String>> {
    let entries = fs::read_dir(&paths.root).map_err(|e| Failure::io("read", &paths.root, e))?;
    let names = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned());
    // What is built is not there in a fresh clone.
    Ok(names.filter(|name| name != "target").collect())
}

fn findings(paths: &Paths, top: &BTreeSet<String>, file: &PathBuf) -> Result<Vec<String>> {
    let text = paths::read_text(&paths.root.join(file))?;
    let folder = paths
        .root
        .join(file)
        .parent()
        .map(Path::to_path_buf)
        .unwrap_or_default();
    let lines = text.lines().enumerate();
    let missing = lines.flat_map(|(index, line)| {
        let quoted = quoted_paths(line, top).filter(|path| !paths.root.join(path).exists());
        let linked = link_targets(line).filter(|target| !folder.join(target).exists());
        let missing: Vec<&str> = quoted.chain(linked).collect();
        missing
            .into_iter()
            .map(move |path| format!("{}: {path} does not exist", place(file, index)))
    });
    Ok(missing.collect())
}

fn quoted_paths<'a>(line: &'a str, top: &'a BTreeSet<String>) -> impl Iterator<Item = &'a str> {
    let quoted = line.split('`').skip(1).step_by(2);
    quoted
        .filter(|text| is_path(text, top))
        .map(|text| text.trim_end_matches('/'))
}

/// Patterns (`lib/*`), placeholders and commands are not paths.
fn is_path(text: &str, top: &BTreeSet<String>) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    let first = text.split('/').next().unwrap_or_default();
    text.contains('/') && text.chars().all(plain) && top.contains(first)
}

fn link_targets(line: &str) -> impl Iterator<Item = &str> {
    let behind = line
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next());
    let files = behind.filter(|target| !target.contains("://") && !target.starts_with('#'));
    files.filter_map(|target| target.split('#').next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_paths_and_links_and_nothing_else() {
        let top = BTreeSet::from(["lib".to_owned(), "kernel".to_owned()]);
        let line = "`lib/pipe/` and `lib/*`, `cargo x`, `a/b`, [x](docs/y.md#z) [w](https://example.org) `kernel`";
        assert_eq!(quoted_paths(line, &top).collect::<Vec<_>>(), ["lib/pipe"]);
        assert_eq!(link_targets(line).collect::<Vec<_>>(), ["docs/y.md"]);
    }
}
