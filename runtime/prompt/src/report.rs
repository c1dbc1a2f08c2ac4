//! The answers of the built-in commands as text, lines ending in a line feed.

use std::time::Duration;

use crate::command::BUILT_INS;
use crate::system::{MemoryUse, ProcessRow};

/// Width to which lists are wrapped, in columns.
const LIST_COLUMNS: usize = 78;

pub(crate) fn help(programs: &[String]) -> String {
    let mut text = String::from("Commands:\n");
    for (_, name, purpose) in BUILT_INS {
        text += &format!("  {name:<10}{purpose}\n");
    }
    text +=
        "Any other name starts the program of that name, with the words behind it as arguments.\n";
    text += "While it runs, Ctrl-C ends it, and Ctrl-D tells it that its input has ended.\n";
    if !programs.is_empty() {
        text += "Programs:\n";
        text += &wrapped(programs);
    }
    text
}

/// Words in lines of limited width.
fn wrapped(words: &[String]) -> String {
    let mut text = String::new();
    let mut line = String::from(" ");
    for word in words {
        let is_full = line.chars().count() + 1 + word.chars().count() > LIST_COLUMNS;
        if is_full && line != " " {
            text += &line;
            text.push('\n');
            line = String::from(" ");
        }
        line.push(' ');
        line += word;
    }
    text + &line + "\n"
}

pub(crate) fn processes(rows: &[ProcessRow]) -> String {
    if rows.is_empty() {
        return "No process runs.\n".into();
    }
    let mut text = format!(
        "{:>6}  {:<9}{:>11}{:>13}{:>9}{:>8}{:>8}  {:>8}  {:<15} NAME\n",
        "ID", "STATE", "MEMORY KiB", "RESIDENT KiB", "CPU ms", "THREADS", "HANDLES", "AGE", "CLASS"
    );
    for (depth, row) in as_tree(rows) {
        text += &format!(
            "{:>6}  {:<9}{:>11}{:>13}{:>9}{:>8}{:>8}  {:>8}  {:<15} {:indent$}{}\n",
            row.id,
            printable(&row.state),
            or_dash(row.memory_bytes.map(|bytes| bytes.div_ceil(1024))),
            or_dash(row.resident_bytes.map(|bytes| bytes.div_ceil(1024))),
            or_dash(row.cpu_time.map(|time| time.as_millis())),
            or_dash(row.threads),
            or_dash(row.handles),
            or_dash(row.age.map(age)),
            or_dash(row.class.as_deref().map(printable)),
            "",
            printable(&row.name),
            indent = 2 * depth,
        );
    }
    text
}

/// The rows with how deep each stands in the tree, children behind their parents.
fn as_tree(rows: &[ProcessRow]) -> Vec<(usize, &ProcessRow)> {
    let has_row = |id| rows.iter().any(|row| row.threads.is_some() && row.id == id);
    let roots = rows.iter().filter(|row| !row.parent.is_some_and(has_row));
    let mut found = Vec::new();
    let mut waiting: Vec<_> = roots.map(|row| (0, row)).rev().collect();
    while let Some((depth, row)) = waiting.pop() {
        found.push((depth, row));
        let is_child = |other: &&ProcessRow| row.threads.is_some() && other.parent == Some(row.id);
        let children = rows.iter().filter(is_child);
        waiting.extend(children.map(|child| (depth + 1, child)).rev());
    }
    found
}

/// What nobody knows is a dash.
fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or("-".into(), |value| value.to_string())
}

pub(crate) fn memory(uses: &[MemoryUse]) -> String {
    let mut text = String::new();
    for MemoryUse { owner, len_bytes } in uses {
        text += &memory_line(owner, *len_bytes);
    }
    let all_bytes = uses
        .iter()
        .map(|part| part.len_bytes)
        .fold(0, u64::saturating_add);
    text + &memory_line("all", all_bytes)
}

fn memory_line(owner: &str, len_bytes: u64) -> String {
    format!("{owner:<20}{:>12} KiB\n", len_bytes / 1024)
}

pub(crate) fn uptime(uptime: Duration) -> String {
    format!("Up for {}.\n", age(uptime))
}

/// A time as `days-hours:minutes:seconds`, from the first part that is not zero, at least minutes.
fn age(time: Duration) -> String {
    let seconds = time.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match (days, hours) {
        (0, 0) => format!("{minutes}:{:02}", seconds % 60),
        (0, _) => format!("{hours}:{:02}:{:02}", minutes % 60, seconds % 60),
        _ => format!(
            "{days}-{:02}:{:02}:{:02}",
            hours % 24,
            minutes % 60,
            seconds % 60
        ),
    }
}

/// A text that somebody else chose, without what a terminal would obey.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_the_parts_they_need() {
        for (seconds, text) in [
            (0, "0:00"),
            (61, "1:01"),
            (3600, "1:00:00"),
            (86399, "23:59:59"),
            (90061, "1-01:01:01"),
        ] {
            assert_eq!(age(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn memory_ends_in_the_sum() {
        let part = |owner: &str, len_bytes| MemoryUse {
            owner: owner.into(),
            len_bytes,
        };
        let text = memory(&[part("kernel", 4096), part("free", 1 << 20)]);
        let last = text
            .lines()
            .last()
            .map(|line| line.split_whitespace().collect::<Vec<_>>());
        assert_eq!(last, Some(vec!["all", "1028", "KiB"]));
    }

    #[test]
    fn names_cannot_command_the_terminal() {
        let text = processes(&[row(7, None, "evil\x1b[2J\nx")]);
        assert!(
            text.ends_with("0:00  batch -3        evil?[2J?x\n"),
            "{text}"
        );
        assert_eq!(processes(&[]), "No process runs.\n");
    }

    fn row(id: u64, parent: Option<u64>, name: &str) -> ProcessRow {
        ProcessRow {
            id,
            parent,
            state: "running".into(),
            memory_bytes: Some(1),
            resident_bytes: None,
            cpu_time: None,
            threads: Some(1),
            handles: Some(0),
            age: Some(Duration::ZERO),
            class: Some("batch -3".into()),
            name: name.into(),
        }
    }

    #[test]
    fn children_stand_behind_their_parents() {
        let rows = [
            row(1, None, "shell"),
            row(2, None, "other"),
            row(3, Some(1), "child"),
            row(4, Some(3), "grandchild"),
            row(5, Some(1), "sibling"),
            row(6, Some(99), "of one who is gone"),
        ];
        let text = processes(&rows);
        let name_column = text.find("NAME").expect("a heading");
        let lines = text.lines().skip(1);
        let names: Vec<&str> = lines.map(|line| &line[name_column..]).collect();
        let tree = [
            "shell",
            "  child",
            "    grandchild",
            "  sibling",
            "other",
            "of one who is gone",
        ];
        assert_eq!(names, tree, "{text}");
    }

    #[test]
    fn help_names_all_and_stays_narrow() {
        let programs: Vec<String> = (0..60).map(|number| format!("program{number}")).collect();
        let text = help(&programs);
        assert!(programs.iter().all(|program| text.contains(program)));
        assert!(BUILT_INS.iter().all(|(_, name, _)| text.contains(name)));
        assert!(
            text.lines()
                .skip(3 + BUILT_INS.len())
                .all(|line| line.len() <= LIST_COLUMNS)
        );
    }
}
