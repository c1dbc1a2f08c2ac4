//! What may differ between the sides, and why. There is no other such place.
//!
//! Law: a normalisation is applied to the outcomes of both sides, and removes no more than its reason covers.

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
    apply: fn(&mut Outcome),
}

const NORMALISATIONS: [Normalisation; 3] = [
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
        reason: "Both sides say of a trap what the engine says, each in a sentence of its own: what stays is the trap and the \
                 functions. Offsets in front of them are of the code that was compiled.",
        apply: words_of_a_trap,
    },
];

/// The outcome with everything away that may differ.
pub fn normalised(mut outcome: Outcome) -> Outcome {
    for normalisation in NORMALISATIONS {
        (normalisation.apply)(&mut outcome);
    }
    outcome
}

const NS_PER_S: u64 = 1_000_000_000;
/// From 1 January 2025 to 1 January 2050.
const NOW_NS: std::ops::Range<u64> = 1_735_689_600 * NS_PER_S..2_524_608_000 * NS_PER_S;

fn times_of_the_run(outcome: &mut Outcome) {
    let is_now = |entry: &&mut Entry| NOW_NS.contains(&entry.modified_ns);
    let entries = outcome.tree.values_mut().filter(is_now);
    entries.for_each(|entry| entry.modified_ns = NOW_NS.start);
}

fn eight_bits(outcome: &mut Outcome) {
    outcome.code &= 0xff;
}

/// What comes before the trap's own words.
const TRAPPED: [&str; 2] = [" trapped: ", "wasm trap: "];

fn words_of_a_trap(outcome: &mut Outcome) {
    let message = &outcome.message;
    let Some(trap) = TRAPPED.iter().find_map(|mark| after(message, mark)) else {
        return;
    };
    let functions = message.lines().filter_map(function);
    let lines: Vec<&str> = std::iter::once(trap).chain(functions).collect();
    outcome.message = lines.join("\n");
}

/// The rest of the line behind `mark`.
fn after<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(mark)?;
    rest.lines().next()
}

/// The function of a line of a backtrace: `NUMBER: OFFSET - FUNCTION`.
fn function(line: &str) -> Option<&str> {
    let (number, rest) = line.trim_start().split_once(':')?;
    number.parse::<u32>().ok()?;
    rest.split_once(" - ").map(|(_, function)| function)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::tree::Kind;

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
            normalised(outcome).tree["a"].modified_ns
        };
        assert_eq!(modified(1_790_000_000), modified(1_800_000_000));
        assert_eq!(modified(1_700_000_000), 1_700_000_000 * NS_PER_S + 5);
        assert_eq!(modified(2_600_000_000), 2_600_000_000 * NS_PER_S + 5);
    }

    #[test]
    fn both_ways_to_tell_of_a_trap_become_one() {
        let said = |message: &str| {
            let outcome = Outcome {
                message: message.to_owned(),
                ..Outcome::default()
            };
            normalised(outcome).message
        };
        let here = said("p trapped: integer divide by zero\n  0: 0x12 - m!f\n  1: 0x34 - m!g");
        let there = said(
            "error while executing at wasm backtrace:\n    0: 0x56 - m!f\n    1: 0x78 - m!g\n\nCaused by:\n    wasm trap: integer divide by zero",
        );
        assert_eq!(here, "integer divide by zero\nm!f\nm!g");
        assert_eq!(there, here);
        assert_eq!(said("it cannot be linked"), "it cannot be linked");
    }
}
