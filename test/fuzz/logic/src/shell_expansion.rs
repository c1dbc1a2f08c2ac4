//! Words as the shell expands them: braces, parameters, arithmetic, quotes, patterns.
//!
//! Law: each word becomes texts or is refused with a sentence; what is expanded in single quotes is itself.
//!
//! Commands are not run: what would substitute one, or open a file, is taken out of the text.

use shell::shell::{Shell, Unwind};
use test_fuzz::{Input, Subject, Target, Verdict, holds, same};

use crate::shell_text;

pub const TARGET: Target = Target {
    name: "shell-expansion",
    cases: 3_000,
    len_bytes_max: 192,
    defect: "quotes that a quote inside ends",
    try_input,
};

fn try_input(subject: Subject, bytes: &[u8]) -> Verdict {
    let text = harmless(&shell_text::text(&mut Input::new(bytes)));
    let mut shell = shell();
    says_why(shell.expand(&text))?;
    says_why(shell.expand_document(&text))?;
    says_why(shell.expand_to_pattern(&text))?;
    says_why(shell.arithmetic(&text))?;
    let short = &text[..text.floor_char_boundary(16)];
    let is_plain = !short.is_empty() && !short.contains(['\0', '\n']);
    if is_plain && let Ok(texts) = shell.expand(&quoted(subject, short)) {
        same("a quoted text", texts, vec![short.to_owned()])?;
    }
    Ok(())
}

fn quoted(subject: Subject, text: &str) -> String {
    match subject {
        Subject::Real => shell::expand::quoted(text),
        Subject::Spoiled => format!("'{text}'"),
    }
}

fn harmless(text: &str) -> String {
    text.replace(['`', '<', '>'], "")
        .replace("$(", "$((")
        .replace('/', ".")
}

/// A shell that has some variables, no programs, and a folder that is not there.
fn shell() -> Shell {
    let environment = [
        ("PWD", "/nonexistent"),
        ("PATH", ""),
        ("x", "a b*"),
        ("a", "12"),
        ("b", "x+a"),
        ("HOME", "/home"),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let arguments = ["one", "", "two words"].map(str::to_owned).to_vec();
    Shell::new("sh".to_owned(), arguments, environment.into_iter())
}

fn says_why<T>(expanded: Result<T, Unwind>) -> Verdict {
    let is_silent = matches!(&expanded, Err(Unwind::Failed(why)) if why.trim().is_empty());
    holds(!is_silent, || "an error without a sentence".to_owned())
}
