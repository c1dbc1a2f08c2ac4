//! Holds the table in `README.md` to the symbols that the source defines, both ways.

use std::collections::BTreeSet;
use std::string::{String, ToString};
use std::vec::Vec;
use std::{fs, path::Path};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The states that a row of the table may have.
const STATES: [&str; 3] = ["full", "partial", "error"];

/// The name in a line such as `unsafe extern "C" fn free(…` or `static environ: …`.
fn defined_name(line: &str) -> Option<String> {
    let (_, rest) = line
        .split_once(" fn ")
        .or_else(|| line.split_once("static "))?;
    let end = rest.find(['(', ':'])?;
    Some(rest[..end].to_string())
}

/// The first definition after each `no_mangle`.
fn symbols_in(source: &str) -> BTreeSet<String> {
    source
        .split("unsafe(no_mangle)")
        .skip(1)
        .filter_map(|rest| rest.lines().find_map(defined_name))
        .collect()
}

fn symbols_in_source() -> BTreeSet<String> {
    let files = fs::read_dir(Path::new(ROOT).join("src")).expect("the crate has a src folder");
    files
        .map(|file| file.expect("src can be listed").path())
        .filter(|path| !path.ends_with("symbol_list.rs"))
        .flat_map(|path| symbols_in(&fs::read_to_string(path).expect("source is text")))
        .collect()
}

/// The cells of the table's rows, which begin with a symbol in backquotes.
fn rows(readme: &str) -> impl Iterator<Item = Vec<&str>> {
    readme
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
}

#[test]
fn readme_lists_exactly_the_symbols_defined() {
    let readme = fs::read_to_string(Path::new(ROOT).join("README.md")).expect("README is text");
    let mut listed = BTreeSet::new();
    for row in rows(&readme) {
        let name = row[0].trim_matches('`').to_string();
        assert_eq!(row.len(), 4, "{name}: symbol, function, state, remark");
        assert!(
            STATES.contains(&row[2]),
            "{name}: unknown state {:?}",
            row[2]
        );
        assert!(listed.insert(name.clone()), "{name} is listed twice");
    }
    let defined = symbols_in_source();
    assert!(defined.len() > 50, "the source was read: {defined:?}");
    assert_eq!(
        listed.symmetric_difference(&defined).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "README.md and the source differ"
    );
}
