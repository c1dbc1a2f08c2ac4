//! Tab: the rest of a command's name, of a path, of a variable's name.
//!
//! Law: what is inserted is what all candidates begin with; where that is nothing new, the candidates are shown.

use std::fs;

use lib_line_editor::LineEditor;

use crate::builtins::BUILTINS;
use crate::shell::Shell;
use crate::system;

/// How many candidates are shown.
const SHOWN_MAX: usize = 200;
/// What a word ends at, blanks aside.
const SEPARATORS: &str = "|&;<>()=\"'`";
/// Behind these a command's name follows.
const BEFORE_COMMANDS: &str = "|&;(`";
/// What has to be quoted in a file's name.
const SPECIAL: &str = " \t\\'\"$`&|;<>()*?[]{}#!~";

/// What a word may become: itself, and what stands behind it when it is complete.
struct Candidate {
    text: String,
    end: &'static str,
}

impl Shell {
    /// Completes the word in front of the cursor.
    pub(super) fn complete(&self, editor: &mut LineEditor, echo: &mut Vec<u8>) {
        let line = editor.before_cursor().to_owned();
        let start = word_start(&line);
        let word = unquoted(&line[start..]);
        let mut candidates = self.candidates(&line[..start], &word);
        candidates.sort_by(|a, b| a.text.cmp(&b.text));
        candidates.dedup_by(|a, b| a.text == b.text);
        let common = common_start(&candidates);
        let rest = common.strip_prefix(&word).unwrap_or_default();
        let end = if let [only] = candidates.as_slice() {
            only.end
        } else {
            ""
        };
        if rest.is_empty() && end.is_empty() {
            self.show_candidates(&candidates, &word, editor, echo);
        } else {
            editor.insert_text(&(quoted(rest) + end), echo);
        }
    }

    fn candidates(&self, before: &str, word: &str) -> Vec<Candidate> {
        if let Some(name) = word.strip_prefix('$') {
            let names = self
                .state
                .variables
                .names()
                .into_iter()
                .filter(|other| other.starts_with(name));
            return names
                .map(|name| Candidate {
                    text: format!("${name}"),
                    end: " ",
                })
                .collect();
        }
        let is_command = before
            .trim_end()
            .chars()
            .next_back()
            .is_none_or(|c| BEFORE_COMMANDS.contains(c));
        if is_command && !word.contains('/') {
            self.commands(word)
        } else {
            self.paths(word)
        }
    }

    fn commands(&self, start: &str) -> Vec<Candidate> {
        let own = BUILTINS.iter().map(|builtin| builtin.name.to_owned());
        let state = &self.state;
        let names = own
            .chain(system::programs())
            .chain(state.functions.keys().cloned())
            .chain(state.aliases.keys().cloned());
        let fitting = names.filter(|name| name.starts_with(start));
        fitting.map(|text| Candidate { text, end: " " }).collect()
    }

    fn paths(&self, word: &str) -> Vec<Candidate> {
        let (folder, start) = word
            .rfind('/')
            .map_or(("", word), |slash| word.split_at(slash + 1));
        let home = self.state.variables.text("HOME").unwrap_or("/");
        let place = folder
            .strip_prefix("~/")
            .map_or_else(|| folder.to_owned(), |rest| format!("{home}/{rest}"));
        let place = self.absolute(&place);
        let Ok(entries) = fs::read_dir(&place) else {
            return Vec::new();
        };
        let names = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok());
        let fitting = names.filter(|name| {
            name.starts_with(start) && (!name.starts_with('.') || start.starts_with('.'))
        });
        let candidate = |name: String| {
            let is_folder = fs::metadata(format!("{place}/{name}")).is_ok_and(|file| file.is_dir());
            Candidate {
                text: format!("{folder}{name}"),
                end: if is_folder { "/" } else { " " },
            }
        };
        fitting.map(candidate).collect()
    }

    /// Below the line, in columns, and the line again.
    fn show_candidates(
        &self,
        candidates: &[Candidate],
        word: &str,
        editor: &LineEditor,
        echo: &mut Vec<u8>,
    ) {
        if candidates.is_empty() {
            echo.push(7);
            return;
        }
        let folder_len = word.rfind('/').map_or(0, |slash| slash + 1);
        let names: Vec<&str> = candidates
            .iter()
            .take(SHOWN_MAX)
            .map(|candidate| &candidate.text[folder_len..])
            .collect();
        let width = names
            .iter()
            .map(|name| name.chars().count())
            .max()
            .unwrap_or(0)
            + 2;
        let per_row = (system::terminal_columns().unwrap_or(80) / width).max(1);
        echo.extend(b"\r\n");
        for row in names.chunks(per_row) {
            let cells: String = row.iter().map(|name| format!("{name:<width$}")).collect();
            echo.extend(format!("{}\r\n", cells.trim_end()).bytes());
        }
        if candidates.len() > SHOWN_MAX {
            echo.extend(format!("and {} more\r\n", candidates.len() - SHOWN_MAX).bytes());
        }
        editor.show_again(echo);
    }
}

/// Where the word at the end of a line begins.
fn word_start(line: &str) -> usize {
    let mut start = 0;
    let mut is_escaped = false;
    for (at, c) in line.char_indices() {
        if !is_escaped && (c.is_whitespace() || SEPARATORS.contains(c)) {
            start = at + c.len_utf8();
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    start
}

fn unquoted(word: &str) -> String {
    let mut text = String::new();
    let mut characters = word.chars();
    while let Some(c) = characters.next() {
        text.extend(if c == '\\' {
            characters.next()
        } else {
            Some(c)
        });
    }
    text
}

fn quoted(text: &str) -> String {
    let quote = |c: char| {
        if SPECIAL.contains(c) {
            vec!['\\', c]
        } else {
            vec![c]
        }
    };
    text.chars().flat_map(quote).collect()
}

fn common_start(candidates: &[Candidate]) -> String {
    let Some((first, rest)) = candidates.split_first() else {
        return String::new();
    };
    let len_shared = |other: &Candidate| {
        first
            .text
            .chars()
            .zip(other.text.chars())
            .take_while(|(a, b)| a == b)
            .count()
    };
    let len = rest
        .iter()
        .map(len_shared)
        .min()
        .unwrap_or(first.text.chars().count());
    first.text.chars().take(len).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found() {
        assert_eq!(word_start("ls -l /sh"), 6);
        assert_eq!(word_start(r"cat a\ b"), 4);
        assert_eq!(word_start("a>b"), 2);
        assert_eq!(unquoted(r"a\ b"), "a b");
        assert_eq!(quoted("a b"), r"a\ b");
    }

    #[test]
    fn what_all_begin_with() {
        let candidate = |text: &str| Candidate {
            text: text.into(),
            end: " ",
        };
        assert_eq!(
            common_start(&[candidate("sha1sum"), candidate("sha256sum")]),
            "sha"
        );
        assert_eq!(common_start(&[candidate("é1"), candidate("é2")]), "é");
        assert_eq!(common_start(&[]), "");
    }
}
