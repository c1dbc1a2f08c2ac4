//! The comparison as a table: for the terminal, and for the documents.
//!
//! Law: pure. The table is the same in both places, because it is Markdown that reads well as it is.

use super::aims::{ABSENT, Limit, aim_of, reason_for};
use super::compare::{Comparison, Results, Side};
use super::statistics::Spread;

/// Between these lines of a document stands what this tool writes.
const BEGIN: &str = "<!-- figures: written by `cargo xtask bench --peer DIR --write-docs` -->";
const END: &str = "<!-- end of the figures -->";

/// The figures with an aim, then all others, then those of one side.
pub fn markdown(results: &Results, settings: &[String]) -> String {
    let all = results.comparisons();
    let (aimed, others): (Vec<_>, Vec<_>) = all
        .iter()
        .partition(|comparison| aim_of(&comparison.name).is_some());
    let mut text = String::new();
    for line in settings {
        text += &format!("- {line}\n");
    }
    text += "\n### Figures with an aim\n\n| figure | Linux | KPIO | KPIO : Linux (rounds) | aim |\n|---|---|---|---|---|\n";
    for comparison in aimed {
        text += &row(comparison, &format!(" {} |", verdict(comparison)));
    }
    text += "\n### All others that both have\n\n| figure | Linux | KPIO | KPIO : Linux (rounds) |\n|---|---|---|---|\n";
    for comparison in others {
        text += &row(comparison, "");
    }
    text += "\n### Only KPIO has\n\n| figure | KPIO | aim |\n|---|---|---|\n";
    for (name, unit, spread) in results.of_one_side(Side::Kpio) {
        let value = quantity(spread.median, unit);
        text += &format!(
            "| `{name}` | {value} | {} |\n",
            verdict_alone(name, spread.median)
        );
    }
    text + "\n### Only Linux has\n\n| figures | why KPIO has none |\n|---|---|\n" + &absent(results)
}

/// Reasons that apply to figures of this run, and figures without a reason.
fn absent(results: &Results) -> String {
    let alone = results.of_one_side(Side::Linux);
    let mut text = String::new();
    for (start, reason) in ABSENT {
        if alone
            .iter()
            .any(|(name, ..)| reason_for(name) == Some(reason))
        {
            text += &format!("| `{start}…` | {reason} |\n");
        }
    }
    for (name, unit, spread) in alone {
        if reason_for(name).is_none() {
            text += &format!(
                "| `{name}`: {} | it was not measured in this run |\n",
                quantity(spread.median, unit)
            );
        }
    }
    text
}

/// The aim, and whether it is reached.
fn verdict(comparison: &Comparison) -> String {
    let Some((text, limit)) = aim_of(&comparison.name) else {
        return String::new();
    };
    let is_reached = match limit {
        Limit::Value(value) => comparison.kpio.median <= value,
        Limit::Ratio(ratio) => comparison.ratio.median <= ratio,
    };
    said(text, is_reached)
}

/// The same for a figure that nothing is compared with.
fn verdict_alone(name: &str, median: f64) -> String {
    match aim_of(name) {
        Some((text, Limit::Value(value))) => said(text, median <= value),
        _ => String::new(),
    }
}

fn said(aim: &str, is_reached: bool) -> String {
    format!("{aim}: {}", if is_reached { "reached" } else { "missed" })
}

/// A line of a table; `more` are its cells behind those that all tables have.
fn row(comparison: &Comparison, more: &str) -> String {
    let Comparison {
        name,
        unit,
        linux,
        kpio,
        ratio,
        rounds,
    } = comparison;
    let Spread { min, median, max } = ratio;
    format!(
        "| `{name}` | {} | {} | {median:.2} ({min:.2}–{max:.2}, {rounds}) |{more}\n",
        quantity(linux.median, unit),
        quantity(kpio.median, unit),
    )
}

/// A number with its unit, with three digits that count and a unit in which they can be read.
pub fn quantity(value: f64, unit: &str) -> String {
    let steps: &[(f64, &str)] = match unit {
        "ns" => &[(1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns")],
        "ms" => &[(1e3, "s"), (1.0, "ms"), (1e-3, "µs")],
        "KiB" => &[(1024.0, "MiB"), (1.0, "KiB")],
        "instructions" => &[(1e6, "million instructions"), (1.0, "instructions")],
        _ => return digits(value, unit),
    };
    let step = steps.iter().find(|(factor, _)| value.abs() >= *factor);
    let (factor, unit) = step.or(steps.last()).copied().unwrap_or((1.0, unit));
    digits(value / factor, unit)
}

fn digits(value: f64, unit: &str) -> String {
    let decimals = match value.abs() {
        large if large >= 100.0 => 0,
        middle if middle >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.decimals$} {unit}")
}

/// The document with the table in the place of the one before; `None` where it has no place for one.
pub fn replaced(document: &str, table: &str) -> Option<String> {
    let (before, rest) = document.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!(
        "{before}{BEGIN}\n\n{}\n\n{END}{after}",
        table.trim()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::record::Record;

    #[test]
    fn quantities_have_three_digits_and_a_unit_to_read() {
        for (value, unit, text) in [
            (27_345.0, "ns", "27.3 µs"),
            (116.2, "ns", "116 ns"),
            (0.5, "ns", "0.50 ns"),
            (222.0, "ms", "222 ms"),
            (0.25, "ms", "250 µs"),
            (105_472.0, "KiB", "103 MiB"),
            (9.8, "s", "9.80 s"),
            (2415.0, "MB/s", "2415 MB/s"),
            (5210.0, "instructions", "5210 instructions"),
        ] {
            assert_eq!(quantity(value, unit), text);
        }
    }

    #[test]
    fn only_what_stands_between_the_markers_is_replaced() {
        let document = format!("a\n{BEGIN}\nold\n{END}\nb\n");
        let new = replaced(&document, "new\n").unwrap();
        assert_eq!(new, format!("a\n{BEGIN}\n\nnew\n\n{END}\nb\n"));
        assert_eq!(replaced(&new, "new"), Some(new.clone()));
        assert_eq!(replaced("no markers", "new"), None);
    }

    #[test]
    fn a_figure_with_an_aim_says_whether_it_is_reached() {
        let mut results = Results::default();
        for (side, ns) in [(Side::Linux, 423_000.0), (Side::Kpio, 132_000.0)] {
            let mut record = Record::single("native", "thread.create_join", "ns", ns);
            results.add(side, 0, &record);
            record.name = if side == Side::Linux {
                "process.fork_exit_wait"
            } else {
                "heap.malloc_free_64"
            }
            .into();
            results.add(side, 0, &record);
        }
        let idle = Record::single("channels", "idle_service", "KiB", 252.0);
        results.add(Side::Kpio, 0, &idle);
        let text = markdown(&results, &["TCG".into()]);
        let alone = "| `channels.idle_service` | 252 KiB | ≤ 512 KiB: reached |";
        assert!(text.contains(alone), "{text}");
        assert!(text.contains("| `native.thread.create_join` | 423 µs | 132 µs | 0.31 (0.31–0.31, 1) | ≤ 60 µs: missed |"), "{text}");
        assert!(
            text.contains("| `native.process.…` | there is no fork"),
            "{text}"
        );
        assert!(
            text.contains("| `native.heap.malloc_free_64` | 132 µs |  |"),
            "{text}"
        );
    }
}
