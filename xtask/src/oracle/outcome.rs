//! What comes of a case, and how two of them differ.

use std::collections::BTreeSet;

use super::tree::{Entries, Entry, Kind};

/// Bytes of a text or a file that a difference shows, from a little before where it begins.
const SHOWN_BYTES: usize = 400;
const BEFORE_BYTES: usize = 80;

/// What comes of a case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
    /// The exit code.
    pub code: i32,
    /// What the system says about the end; nothing about one that the program wanted.
    pub message: String,
    /// What is left in the tree.
    pub tree: Entries,
}

/// A sentence for each difference, with both sides.
pub fn differences(kpio: &Outcome, reference: &Outcome) -> Vec<String> {
    let mut found = Vec::new();
    let texts = [
        ("stdout", &kpio.stdout, &reference.stdout),
        ("stderr", &kpio.stderr, &reference.stderr),
    ];
    found.extend(
        texts
            .iter()
            .filter_map(|(what, kpio, reference)| bytes(what, kpio, reference)),
    );
    if kpio.code != reference.code {
        found.push(both(
            "exit code",
            &kpio.code.to_string(),
            &reference.code.to_string(),
        ));
    }
    if kpio.message != reference.message {
        found.push(both(
            "what is said of the end",
            &kpio.message,
            &reference.message,
        ));
    }
    let paths: BTreeSet<_> = kpio.tree.keys().chain(reference.tree.keys()).collect();
    let entries = paths
        .into_iter()
        .filter_map(|path| entry(path, kpio.tree.get(path), reference.tree.get(path)));
    found.extend(entries);
    found
}

fn both(what: &str, kpio: &str, reference: &str) -> String {
    format!("{what}:\n  KPIO:      {kpio}\n  reference: {reference}")
}

fn bytes(what: &str, kpio: &[u8], reference: &[u8]) -> Option<String> {
    let start = first_difference(kpio, reference)?;
    let from = start.saturating_sub(BEFORE_BYTES);
    Some(both(
        &format!("{what}, from byte {start}"),
        &excerpt(kpio, from),
        &excerpt(reference, from),
    ))
}

fn first_difference(one: &[u8], other: &[u8]) -> Option<usize> {
    let differs = one.iter().zip(other).position(|(one, other)| one != other);
    differs.or_else(|| (one.len() != other.len()).then(|| one.len().min(other.len())))
}

fn excerpt(bytes: &[u8], from: usize) -> String {
    let rest = &bytes[from.min(bytes.len())..];
    let shown = &rest[..rest.len().min(SHOWN_BYTES)];
    format!(
        "\"{}\" ({} bytes in all)",
        shown.escape_ascii(),
        bytes.len()
    )
}

fn entry(path: &str, kpio: Option<&Entry>, reference: Option<&Entry>) -> Option<String> {
    let (Some(kpio), Some(reference)) = (kpio, reference) else {
        let side = |entry: Option<&Entry>| entry.map_or("not there", |entry| kind(&entry.kind));
        return Some(both(&format!("/{path}"), side(kpio), side(reference)));
    };
    contents(path, &kpio.kind, &reference.kind).or_else(|| {
        let times = [kpio, reference].map(|entry| entry.modified_ns);
        (times[0] != times[1]).then(|| {
            let [kpio, reference] = times.map(|time| format!("changed {time} ns after 1970"));
            both(&format!("/{path}"), &kpio, &reference)
        })
    })
}

fn contents(path: &str, kpio: &Kind, reference: &Kind) -> Option<String> {
    match (kpio, reference) {
        (Kind::Directory, Kind::Directory) => None,
        (Kind::File(kpio), Kind::File(reference)) => bytes(&format!("/{path}"), kpio, reference),
        (Kind::Link(kpio), Kind::Link(reference)) => {
            (kpio != reference).then(|| both(&format!("the link /{path}"), kpio, reference))
        }
        _ => Some(both(&format!("/{path}"), kind(kpio), kind(reference))),
    }
}

fn kind(kind: &Kind) -> &'static str {
    match kind {
        Kind::Directory => "a directory",
        Kind::File(_) => "a file",
        Kind::Link(_) => "a symbolic link",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(kind: Kind, modified_ns: u64) -> Outcome {
        Outcome {
            stdout: b"one\ntwo\n".to_vec(),
            tree: [("a".to_owned(), Entry { kind, modified_ns })].into(),
            ..Outcome::default()
        }
    }

    #[test]
    fn each_part_that_differs_is_named_with_both_sides() {
        let reference = outcome(Kind::File(b"x".to_vec()), 1);
        assert!(differences(&reference, &reference).is_empty());
        let mut other = outcome(Kind::File(b"y".to_vec()), 1);
        other.stdout = b"one\nTwo\n".to_vec();
        other.code = 3;
        let found = differences(&other, &reference);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].contains("byte 4") && found[0].contains("Two"));
        assert!(found[1].contains('3') && found[2].starts_with("/a, from byte 0"));
        let found = differences(&outcome(Kind::Directory, 1), &reference);
        assert!(found[0].contains("a directory") && found[0].contains("a file"));
        let found = differences(&outcome(Kind::File(b"x".to_vec()), 2), &reference);
        assert!(found[0].contains("changed 2 ns"));
        let found = differences(&Outcome::default(), &reference);
        assert!(found[1].contains("not there"));
    }

    #[test]
    fn what_is_shorter_differs_where_it_ends() {
        assert_eq!(first_difference(b"ab", b"abc"), Some(2));
        assert_eq!(first_difference(b"ab", b"ab"), None);
    }
}
