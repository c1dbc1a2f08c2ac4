//! What decides which command is next.

use std::fs;

use super::{BUILTINS, failed, number, options};
use crate::expand::quoted;
use crate::shell::{FAILURE, Outcome, SUCCESS, Shell, Status, Unwind};
use crate::system;

pub(super) fn succeed(_shell: &mut Shell, _arguments: &[String]) -> Outcome {
    Ok(SUCCESS)
}

pub(super) fn fail(_shell: &mut Shell, _arguments: &[String]) -> Outcome {
    Ok(FAILURE)
}

pub(super) fn break_loop(shell: &mut Shell, arguments: &[String]) -> Outcome {
    match levels(shell, arguments)? {
        0 => Ok(SUCCESS),
        levels => Err(Unwind::Break(levels)),
    }
}

pub(super) fn continue_loop(shell: &mut Shell, arguments: &[String]) -> Outcome {
    match levels(shell, arguments)? {
        0 => Ok(SUCCESS),
        levels => Err(Unwind::Continue(levels)),
    }
}

/// As many loops as were asked for, or as there are.
fn levels(shell: &Shell, arguments: &[String]) -> Result<usize, Unwind> {
    let wanted: usize = arguments.first().map_or(Ok(1), |text| number(text))?;
    if wanted == 0 {
        return Err(failed("0: loop count out of range"));
    }
    Ok(wanted.min(shell.loops))
}

/// The status in the argument, or the last one.
fn status(shell: &Shell, arguments: &[String]) -> Result<Status, Unwind> {
    let Some(text) = arguments.first() else {
        return Ok(shell.state.status);
    };
    number::<i64>(text).map(|status| (status & 0xFF) as Status)
}

pub(super) fn return_from(shell: &mut Shell, arguments: &[String]) -> Outcome {
    if shell.functions_running == 0 && shell.scripts_running == 0 {
        return Err(failed(
            "can only `return' from a function or sourced script",
        ));
    }
    Err(Unwind::Return(status(shell, arguments)?))
}

pub(super) fn exit(shell: &mut Shell, arguments: &[String]) -> Outcome {
    Err(Unwind::Exit(status(shell, arguments)?))
}

pub(super) fn eval(shell: &mut Shell, arguments: &[String]) -> Outcome {
    let text = arguments.join(" ");
    if text.trim().is_empty() {
        Ok(SUCCESS)
    } else {
        shell.run_text_here(&text)
    }
}

pub(super) fn source(shell: &mut Shell, arguments: &[String]) -> Outcome {
    let Some((name, arguments)) = arguments.split_first() else {
        return Err(failed("source: filename argument required"));
    };
    let path = shell.absolute(name);
    let text = fs::read(&path).map_err(|_| failed(format!("{name}: No such file or directory")))?;
    let own = (!arguments.is_empty())
        .then(|| std::mem::replace(&mut shell.state.arguments, arguments.to_vec()));
    shell.scripts_running += 1;
    let outcome = shell.with_line_base(0, |shell| shell.run_text(&String::from_utf8_lossy(&text)));
    shell.scripts_running -= 1;
    if let Some(own) = own {
        shell.state.arguments = own;
    }
    match outcome {
        Err(Unwind::Return(status)) => Ok(status),
        outcome => outcome,
    }
}

pub(super) fn exec(shell: &mut Shell, arguments: &[String]) -> Outcome {
    if arguments.is_empty() {
        return Ok(SUCCESS);
    }
    let status = shell.run_program_in_foreground(arguments, &[])?;
    Err(Unwind::Exit(status))
}

pub(super) fn builtin(shell: &mut Shell, arguments: &[String]) -> Outcome {
    if arguments.is_empty() {
        Ok(SUCCESS)
    } else {
        shell.run_builtin(arguments)
    }
}

pub(super) fn command(shell: &mut Shell, arguments: &[String]) -> Outcome {
    let (letters, rest) = options(arguments, "pvV")?;
    if letters.contains('V') {
        return kind(shell, rest);
    }
    if letters.contains('v') {
        return describe(shell, rest, |_, meaning| meaning.short());
    }
    match rest.first() {
        None => Ok(SUCCESS),
        Some(name) if super::find(name).is_some() => shell.run_builtin(rest),
        Some(_) => shell.run_program_in_foreground(rest, &[]),
    }
}

pub(super) fn kind(shell: &mut Shell, arguments: &[String]) -> Outcome {
    let (letters, names) = options(arguments, "tapP")?;
    if letters.contains('t') {
        return describe(shell, names, |_, meaning| meaning.word().into());
    }
    let status = describe(shell, names, |name, meaning| meaning.sentence(name))?;
    if status != SUCCESS {
        let unknown = names
            .iter()
            .filter(|name| Meaning::of(shell, name).is_none());
        unknown.for_each(|name| shell.complain(format_args!("type: {name}: not found")));
    }
    Ok(status)
}

fn describe(shell: &mut Shell, names: &[String], say: fn(&str, &Meaning) -> String) -> Outcome {
    let mut status = SUCCESS;
    for name in names {
        match Meaning::of(shell, name) {
            Some(meaning) => shell
                .files
                .write(format!("{}\n", say(name, &meaning)).as_bytes())?,
            None => status = FAILURE,
        }
    }
    Ok(status)
}

/// What a command's name means.
enum Meaning {
    Alias(String),
    Keyword(String),
    Function(String, String),
    Builtin(String),
    Program(String),
}

const KEYWORDS: [&str; 18] = [
    "if", "then", "else", "elif", "fi", "case", "esac", "for", "while", "until", "do", "done",
    "in", "function", "time", "{", "}", "!",
];

impl Meaning {
    fn of(shell: &Shell, name: &str) -> Option<Self> {
        let state = &shell.state;
        if let Some(text) = state.aliases.get(name) {
            return Some(Self::Alias(format!("{name}={}", quoted(text))));
        }
        if KEYWORDS.contains(&name) || name == "[[" || name == "]]" {
            return Some(Self::Keyword(name.into()));
        }
        if let Some(function) = state.functions.get(name) {
            return Some(Self::Function(name.into(), function.to_string()));
        }
        if BUILTINS.iter().any(|builtin| builtin.name == name) {
            return Some(Self::Builtin(name.into()));
        }
        if name.contains('/') {
            let is_file = fs::metadata(shell.absolute(name)).is_ok_and(|file| file.is_file());
            return is_file.then(|| Self::Program(name.into()));
        }
        system::programs()
            .iter()
            .any(|program| program == name)
            .then(|| Self::Program(format!("/bin/{name}")))
    }

    /// As `command -v` says it.
    fn short(&self) -> String {
        match self {
            Self::Alias(text) => format!("alias {text}"),
            Self::Keyword(name)
            | Self::Function(name, _)
            | Self::Builtin(name)
            | Self::Program(name) => name.clone(),
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Alias(_) => "alias",
            Self::Keyword(_) => "keyword",
            Self::Function(..) => "function",
            Self::Builtin(_) => "builtin",
            Self::Program(_) => "file",
        }
    }

    fn sentence(&self, name: &str) -> String {
        match self {
            Self::Alias(text) => format!(
                "{name} is aliased to `{}'",
                text.split_once('=').map_or("", |(_, text)| text)
            ),
            Self::Keyword(_) => format!("{name} is a shell keyword"),
            Self::Function(_, text) => format!("{name} is a function\n{}", text.trim_end()),
            Self::Builtin(_) => format!("{name} is a shell builtin"),
            Self::Program(path) => format!("{name} is {path}"),
        }
    }
}
