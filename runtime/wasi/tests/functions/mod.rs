//! Every function of the WIT under this host: the cases of `test/guest/functions` print what Wasmtime's own host
//! prints, and the list of host calls in the docs names each function.
//!
//! What Wasmtime 48.0.0 (the PyPI package) prints lies beside the cases. It was made with an empty folder as `/`,
//! no environment, and the line "standard input" as stdin; so are the processes here.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use crate::support::{Guest, Outcome, Process, tree};
use runtime_host::{Cancellation, pipe, write_all_blocking};
use runtime_wasi::Rights;

fn run(guest: Guest, arguments: &[&str]) -> Outcome {
    let (tree, root) = tree(64 << 20);
    let (stdin, feeder) = pipe(64, &runtime_host::Budget::new(u64::MAX)).expect("a pipe");
    let line = write_all_blocking(&feeder, b"standard input\n", &Cancellation::new());
    assert_eq!(line, Ok(Ok(())));
    drop(feeder);
    Process::new(guest, arguments[0], &arguments[1..])
        .with(|context| {
            context
                .preopen(tree, root, "/", Rights::ReadWrite)
                .stdin(Arc::new(stdin))
        })
        .run()
}

fn file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Function by function, so that a failure names those that differ.
fn sections(text: &str) -> Vec<String> {
    let mut sections: Vec<String> = Vec::new();
    for line in text.lines() {
        match sections.last_mut() {
            Some(section) if line.starts_with(' ') => *section += &format!("\n{line}"),
            _ => sections.push(line.to_owned()),
        }
    }
    sections
}

fn compare(guest: Guest, expected: &str) {
    let outcome = run(guest, &["all"]).expect_success();
    let (found, expected) = (sections(&outcome.stdout), sections(&file(expected)));
    let wrong: Vec<_> = found.iter().filter(|one| !expected.contains(one)).collect();
    assert!(
        wrong.is_empty(),
        "otherwise than Wasmtime:\n{}",
        wrong
            .iter()
            .map(|one| format!("{one}\n"))
            .collect::<String>()
    );
    assert_eq!(found.len(), expected.len(), "functions are missing");
}

#[test]
fn all_functions_answer_as_under_wasmtime() {
    compare(
        Guest::Functions,
        "test/guest/functions/expected/command.txt",
    );
}

#[test]
fn http_answers_as_under_wasmtime() {
    compare(Guest::Http, "test/guest/functions/expected/http.txt");
}

#[test]
fn both_ways_to_exit_give_their_codes() {
    for (function, code) in [("exit", 1), ("exit-with-code", 7)] {
        let outcome = run(Guest::Functions, &[&format!("wasi:cli/exit#{function}")]);
        assert_eq!(outcome.ending.expect("an exit"), code, "{function}");
    }
}

/// The first words of the rows of the table in the docs.
fn documented() -> BTreeSet<String> {
    let page = file("docs/host-calls.md");
    let first_cells = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    first_cells
        .filter(|cell| cell.starts_with("wasi:"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_docs_list_every_host_call() {
    let mut functions = BTreeSet::new();
    for (guest, list) in [
        (Guest::Functions, "list"),
        (Guest::Functions, "list-gated"),
        (Guest::Http, "list"),
    ] {
        functions.extend(
            run(guest, &[list])
                .expect_success()
                .stdout
                .lines()
                .map(str::to_owned),
        );
    }
    let documented = documented();
    let missing: Vec<_> = functions.difference(&documented).collect();
    let gone: Vec<_> = documented.difference(&functions).collect();
    assert!(
        missing.is_empty() && gone.is_empty(),
        "docs/host-calls.md lacks {missing:?} and has without need {gone:?}"
    );
}
