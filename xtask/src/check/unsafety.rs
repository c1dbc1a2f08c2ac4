//! Where unsafe code may be.

use std::path::{Path, PathBuf};

use super::{files, place, verdict};
use crate::failure::Result;
use crate::paths::{self, Paths};

/// Folders whose purpose needs unsafe code; the last is a program for Linux, which loads code that it has compiled.
const ALLOWED: [&str; 5] = [
    "kernel/machine",
    "kernel/libc",
    "runtime/engine",
    "boot/loader",
    "bench/linux",
];
/// Ways to begin unsafe code, or to open a crate for it.
const MARKS: [&str; 6] = [
    "unsafe {",
    "unsafe fn",
    "unsafe impl",
    "unsafe extern",
    "unsafe trait",
    "unsafe(",
];

/// No source outside the allowed folders contains unsafe code or lets it in.
pub fn check(paths: &Paths) -> Result<()> {
    let sources = files(paths, &[".rs"])?;
    let strict = sources
        .into_iter()
        .filter(|file| !ALLOWED.iter().any(|folder| file.starts_with(folder)));
    let found: Vec<Vec<String>> = strict
        .map(|file| findings(paths, &file))
        .collect::<Result<_>>()?;
    verdict(found.concat())
}

fn findings(paths: &Paths, file: &PathBuf) -> Result<Vec<String>> {
    let text = paths::read_text(&paths.root.join(file))?;
    Ok(lines_with_unsafe(&text)
        .map(|index| found_at(file, index))
        .collect())
}

fn found_at(file: &Path, index: usize) -> String {
    format!(
        "{}: unsafe code outside {}",
        place(file, index),
        ALLOWED.join(", ")
    )
}

fn lines_with_unsafe(text: &str) -> impl Iterator<Item = usize> {
    let code = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim_start().starts_with("//"));
    code.filter(|(_, line)| is_unsafe(line))
        .map(|(index, _)| index)
}

/// What stands in quotes is not code.
fn is_unsafe(line: &str) -> bool {
    let code: String = line.split('"').step_by(2).collect();
    let word_start =
        |start: usize| !code[..start].ends_with(|c: char| c.is_alphanumeric() || c == '_');
    let lets_in = code.contains("allow(unsafe_code") || code.contains("expect(unsafe_code");
    lets_in
        || MARKS
            .iter()
            .any(|mark| code.match_indices(mark).any(|(start, _)| word_start(start)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_found_and_talk_is_not() {
        let found = |text| lines_with_unsafe(text).count();
        assert_eq!(
            found("let x = unsafe { y };\n#[unsafe(no_mangle)]\npub unsafe fn a() {}\n"),
            3
        );
        assert_eq!(found("#![expect(unsafe_code)]\n"), 1);
        assert_eq!(found("// unsafe { }\nlet not_unsafe = (1);\n"), 0);
    }
}
