//! The texts that a package brings: its licences and notices.

use std::fs;

use crate::failure::{Failure, Result};
use crate::graph::Package;
use crate::licence::{self, Licences};

/// Things that cargo does not know of, with their text.
pub const OTHERS: [(&str, &str); 5] = [
    ("GNU Unifont", include_str!("../texts/unifont.txt")),
    (
        "LLVM exception",
        include_str!("../texts/llvm-exception.txt"),
    ),
    (
        "Rust's standard library",
        include_str!("../texts/rust-standard-library.txt"),
    ),
    ("Spleen", include_str!("../texts/spleen.txt")),
    ("wasi-libc", include_str!("../texts/wasi-libc.txt")),
];

const MIT: &str = include_str!("../../../LICENSE-MIT");
/// Beginnings of names of files that hold licences.
const LICENCE_FILES: [&str; 4] = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT"];
const NOTICE_FILES: [&str; 1] = ["NOTICE"];

/// What has to be printed for a package that is used under `licences`, besides the texts that serve all. `None` if
/// there should be something and is not.
pub fn texts(package: &Package, licences: &Licences) -> Result<Option<Vec<String>>> {
    let mut texts = files(package, &NOTICE_FILES)?;
    if licence::own_texts(licences) == 0 {
        return Ok(Some(texts));
    }
    let mut own = files(package, &LICENCE_FILES)?;
    own.retain(|text| !is_apache(text));
    if let (true, Some(file)) = (own.is_empty(), &package.license_file) {
        let file = package.folder().join(file);
        own.push(fs::read_to_string(&file).map_err(|e| Failure::io("read", &file, e))?);
    }
    if own.is_empty() && licences.contains("MIT") {
        own.push(mit_of(package));
    }
    if own.is_empty() {
        return Ok(None);
    }
    texts.extend(own);
    Ok(Some(texts))
}

/// The texts of files whose names begin with one of `beginnings`, in the order of their names.
fn files(package: &Package, beginnings: &[&str]) -> Result<Vec<String>> {
    let folder = package.folder();
    let entries = fs::read_dir(folder).map_err(|e| Failure::io("read", folder, e))?;
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.to_uppercase();
        path.is_file()
            && beginnings
                .iter()
                .any(|beginning| name.starts_with(beginning))
    });
    paths.sort();
    let texts = paths.iter().map(|path| {
        let bytes = fs::read(path).map_err(|e| Failure::io("read", path, e))?;
        Ok(normalised(&String::from_utf8_lossy(&bytes)))
    });
    texts.collect()
}

/// The same text has the same bytes: line ends, and blanks at them, differ between packages.
fn normalised(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n").trim_matches('\n').to_owned()
}

/// Apache-2.0, with or without the exception: printed once for all.
fn is_apache(text: &str) -> bool {
    text.contains("Apache License") && text.contains("TERMS AND CONDITIONS FOR USE")
}

/// Some packages say MIT and bring no text.
fn mit_of(package: &Package) -> String {
    let holders = match (&package.authors[..], &package.repository) {
        ([], Some(address)) => format!("the authors of {} ({address})", package.name),
        ([], None) => format!("the authors of {}", package.name),
        (authors, _) => authors.join(", "),
    };
    let lines = MIT.lines().map(|line| {
        if line.starts_with("Copyright") {
            format!("Copyright (c) {holders}")
        } else {
            line.to_owned()
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apache_itself_is_told_from_its_mention() {
        assert!(is_apache(
            "Apache License
TERMS AND CONDITIONS FOR USE, REPRODUCTION"
        ));
        assert!(!is_apache("Apache License or MIT, as you like"));
    }

    #[test]
    fn line_ends_do_not_make_another_text() {
        assert_eq!(normalised("\na \r\nb\r\n"), normalised("a\nb\n\n"));
    }
}
