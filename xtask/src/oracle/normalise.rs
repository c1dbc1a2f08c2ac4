//! What may differ between the sides, and why. There is no other such place.
//!
//! Law: a normalisation is applied to the outcomes of both sides, and removes no more than its reason covers.

use super::Case;
use super::outcome::Outcome;
use super::tree::Entry;

/// One thing that may differ.
struct Normalisation {
    /// What differs and why that is right.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "it is for people who read the table")
    )]
    reason: &'static str,
    apply: fn(&Case, &mut Outcome),
}

const NORMALISATIONS: [Normalisation; 5] = [
    Normalisation {
        reason: "What a program changes without naming a time is changed now, and now is another time on each side. Cases \
                 name no time of these years, so whatever lies in them is one and the same.",
        apply: times_of_the_run,
    },
    Normalisation {
        reason: "Of an exit code, the process that waits gets eight bits, here as on every Unix; the reference's library hands \
                 out what the program gave.",
        apply: eight_bits,
    },
    Normalisation {
        reason: "Each side tells of a trap in a sentence of its own: what stays is the engine's words and the first functions. \
                 KPIO's image has no table of offsets, so only the reference shows them, and the address of a fault. Where it \
                 was a host that refused a call, each host has its own words.",
        apply: words_of_a_trap,
    },
    Normalisation {
        reason: "Why a program cannot be run at all, each side says in its own words; that it cannot stays, as its exit code.",
        apply: words_of_the_unusable,
    },
    Normalisation {
        reason: "For a change in a tree that may not be changed, WASI's documentation asks for the error `read-only`, and KPIO gives \
                 it; the reference gives `not-permitted`, which some programs tell of as a denied permission.",
        apply: error_of_a_read_only_tree,
    },
];

/// The outcome with everything away that may differ.
pub fn normalised(case: &Case, mut outcome: Outcome) -> Outcome {
    for normalisation in NORMALISATIONS {
        (normalisation.apply)(case, &mut outcome);
    }
    outcome
}

const NS_PER_S: u64 = 1_000_000_000;
/// From 1 January 2025 to 1 January 2050.
const NOW_NS: std::ops::Range<u64> = 1_735_689_600 * NS_PER_S..2_524_608_000 * NS_PER_S;

fn times_of_the_run(_: &Case, outcome: &mut Outcome) {
    let is_now = |entry: &&mut Entry| NOW_NS.contains(&entry.modified_ns);
    let entries = outcome.tree.values_mut().filter(is_now);
    entries.for_each(|entry| entry.modified_ns = NOW_NS.start);
}

fn eight_bits(_: &Case, outcome: &mut Outcome) {
    outcome.code &= 0xff;
}

/// What each side says before its words about an end that the program did not want.
const TRAPPED: [&str; 2] = [" trapped: ", "error while executing at wasm backtrace:"];
/// The engine's own words. All others are a host's.
const TRAPS: [&str; 9] = [
    "call stack exhausted",
    "indirect call type mismatch",
    "integer divide by zero",
    "integer overflow",
    "invalid conversion to integer",
    "out of bounds memory access",
    "undefined element: out of bounds table access",
    "uninitialized element",
    "wasm `unreachable` instruction executed",
];

/// What comes after the reference's backtrace.
const BEHIND_BACKTRACE: &str = "Caused by:";
/// As many functions as both sides show.
const FUNCTIONS_MAX: usize = 20;

fn words_of_a_trap(_: &Case, outcome: &mut Outcome) {
    let message = &outcome.message;
    if !TRAPPED.iter().any(|words| message.contains(words)) {
        return;
    }
    let trap = TRAPS.iter().find(|trap| message.contains(**trap));
    let backtrace = message.split(BEHIND_BACKTRACE).next().unwrap_or_default();
    let functions = backtrace.lines().filter_map(function).take(FUNCTIONS_MAX);
    let lines: Vec<&str> = std::iter::once(*trap.unwrap_or(&"refused by the host"))
        .chain(functions)
        .collect();
    outcome.message = lines.join("\n");
}

/// The function of a line of a backtrace: `NUMBER: FUNCTION`, or `NUMBER: OFFSET - FUNCTION`.
fn function(line: &str) -> Option<&str> {
    let (number, rest) = line.trim_start().split_once(": ")?;
    number.parse::<u32>().ok()?;
    let behind_offset = rest.split_once(" - ");
    Some(behind_offset.map_or(rest, |(_, function)| function).trim())
}

/// Exit code of a program that cannot be run, as shells have it.
const UNUSABLE: i32 = 126;

fn words_of_the_unusable(_: &Case, outcome: &mut Outcome) {
    if outcome.code == UNUSABLE {
        outcome.message.clear();
    }
}

const READ_ONLY: &str = "Read-only file system";
const NOT_PERMITTED: [&str; 2] = ["Operation not permitted", "Permission denied"];

fn error_of_a_read_only_tree(case: &Case, outcome: &mut Outcome) {
    if !case.read_only {
        return;
    }
    if let Ok(text) = std::str::from_utf8(&outcome.stderr) {
        let text = NOT_PERMITTED.iter().fold(text.to_owned(), |text, words| {
            text.replace(words, READ_ONLY)
        });
        outcome.stderr = text.into_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::tree::Kind;

    fn normalised_in(case: &str, outcome: Outcome) -> Outcome {
        normalised(&toml::from_str(case).unwrap(), outcome)
    }

    const PLAIN: &str = "name='a'\nrun=['b']";

    #[test]
    fn every_row_has_its_reason() {
        assert!(NORMALISATIONS.iter().all(|row| row.reason.ends_with('.')));
    }

    #[test]
    fn only_times_of_the_run_become_one() {
        let modified = |seconds: u64| {
            let entry = Entry {
                kind: Kind::Directory,
                modified_ns: seconds * NS_PER_S + 5,
            };
            let outcome = Outcome {
                tree: [("a".to_owned(), entry)].into(),
                ..Outcome::default()
            };
            normalised_in(PLAIN, outcome).tree["a"].modified_ns
        };
        assert_eq!(modified(1_790_000_000), modified(1_800_000_000));
        assert_eq!(modified(1_700_000_000), 1_700_000_000 * NS_PER_S + 5);
        assert_eq!(modified(2_600_000_000), 2_600_000_000 * NS_PER_S + 5);
    }

    #[test]
    fn errors_become_one_only_where_nothing_may_be_changed() {
        let denied = Outcome {
            stderr: b"a: Permission denied".to_vec(),
            ..Outcome::default()
        };
        assert_eq!(normalised_in(PLAIN, denied.clone()), denied);
        let read_only = normalised_in("name='a'\nrun=['b']\nread-only=true", denied);
        assert_eq!(read_only.stderr, b"a: Read-only file system");
    }

    #[test]
    fn both_ways_to_tell_of_a_trap_become_one() {
        let said = |message: &str| {
            let outcome = Outcome {
                message: message.to_owned(),
                ..Outcome::default()
            };
            normalised_in(PLAIN, outcome).message
        };
        let here = said("p trapped: integer divide by zero\n  0: m!f\n  1: m!g");
        let there = said(
            "error while executing at wasm backtrace:\n    0: 0x56 - m!f\n    1: 0x78 - m!g\n\nCaused by:\n    0: wasm trap: integer divide by zero",
        );
        assert_eq!(here, "integer divide by zero\nm!f\nm!g");
        assert_eq!(there, here);
        let refused = said("p trapped: an empty list\n  0: m!f");
        assert_eq!(refused, "refused by the host\nm!f");
        assert_eq!(said("it cannot be linked"), "it cannot be linked");
    }
}
