//! Commands that the shell carries out itself.
//!
//! Law: a command gets its words expanded and its files redirected. What it cannot do is an error whose sentence is
//! shown behind its name; the status is then 1.

mod control;
mod folders;
mod jobs;
mod output;
mod read;
mod settings;
mod test;
mod variables;

use crate::shell::{Outcome, Shell, Unwind};

/// A command of the shell's own.
pub struct Builtin {
    /// What it is called.
    pub name: &'static str,
    /// Its arguments, as `help` shows them.
    pub usage: &'static str,
    /// What it does, in a few words.
    pub about: &'static str,
    /// Carries it out.
    pub run: fn(&mut Shell, &[String]) -> Outcome,
    /// Whether it reads no input, waits for nothing and writes little, so that as a part of a pipeline it can be done
    /// before the next part begins.
    pub is_brief: bool,
    /// Whether it runs other commands, whose errors are not its own.
    pub runs_commands: bool,
}

macro_rules! builtins {
    ($($kind:ident $name:literal $usage:literal $about:literal $run:path;)*) => {
        &[$(Builtin {
            name: $name,
            usage: $usage,
            about: $about,
            run: $run,
            is_brief: matches!(Kind::$kind, Kind::Brief),
            runs_commands: matches!(Kind::$kind, Kind::Commands),
        },)*]
    };
}

enum Kind {
    /// Reads nothing, waits for nothing, writes little.
    Brief,
    /// Reads or waits.
    Long,
    /// Runs commands.
    Commands,
}

/// All of them, by name.
pub const BUILTINS: &[Builtin] = builtins! {
    Commands "." "FILE [ARG…]" "runs the commands of a file in this shell" control::source;
    Brief ":" "[ARG…]" "does nothing" control::succeed;
    Brief "[" "EXPRESSION ]" "asks about texts, numbers and files" test::bracket;
    Brief "alias" "[NAME[=TEXT]…]" "sets or shows short names for the starts of commands" settings::alias;
    Long "bg" "[JOB…]" "lets jobs that stand still go on in the background" jobs::background;
    Brief "break" "[N]" "leaves N loops" control::break_loop;
    Commands "builtin" "NAME [ARG…]" "runs a command of the shell's own, whatever functions there are" control::builtin;
    Brief "cd" "[FOLDER | -]" "changes the current folder" folders::cd;
    Commands "command" "[-v] NAME [ARG…]" "runs a command, whatever functions there are; -v: says what it is" control::command;
    Brief "continue" "[N]" "begins the next turn of the N-th loop" control::continue_loop;
    Brief "declare" "[-aAirxp] [NAME[=TEXT]…]" "makes variables, or shows them" variables::declare;
    Long "disown" "[JOB…]" "forgets jobs, which then outlive the shell" jobs::disown;
    Brief "echo" "[-neE] [ARG…]" "writes its arguments" output::echo;
    Commands "eval" "[ARG…]" "runs its arguments as commands" control::eval;
    Commands "exec" "[PROGRAM [ARG…]]" "ends the shell with a program; without one keeps its redirections" control::exec;
    Brief "exit" "[STATUS]" "ends the shell" control::exit;
    Brief "export" "[-np] [NAME[=TEXT]…]" "lets children get variables" variables::export;
    Brief "false" "" "fails" control::fail;
    Long "fg" "[JOB]" "lets a job go on in the foreground" jobs::foreground;
    Brief "getopts" "LETTERS NAME [ARG…]" "takes the next option of a script's arguments" variables::getopts;
    Brief "hash" "[-r]" "does nothing: nothing is remembered that could be wrong" control::succeed;
    Brief "help" "[NAME]" "lists these commands" settings::help;
    Brief "history" "[-c]" "shows the lines that were entered" settings::history;
    Brief "jobs" "[-lp]" "lists jobs" jobs::list;
    Brief "kill" "[-SIGNAL] JOB|PROCESS…" "ends jobs; -STOP suspends them, -CONT lets them go on" jobs::kill;
    Brief "let" "EXPRESSION…" "computes" variables::compute;
    Brief "local" "[NAME[=TEXT]…]" "makes variables of a function" variables::local;
    Long "mapfile" "[-t] [NAME]" "reads lines into an array" read::mapfile;
    Brief "printf" "FORMAT [ARG…]" "writes its arguments in a form" output::printf;
    Brief "pwd" "" "writes the current folder" folders::pwd;
    Long "read" "[-rs] [-p TEXT] [-d C] [-n N] [-t SECONDS] [-a NAME] [NAME…]" "reads a line into variables" read::read;
    Long "readarray" "[-t] [NAME]" "reads lines into an array" read::mapfile;
    Brief "readonly" "[NAME[=TEXT]…]" "lets variables be changed no more" variables::readonly;
    Brief "return" "[STATUS]" "leaves a function or a sourced script" control::return_from;
    Brief "set" "[±aefnuxC] [±o NAME] [--] [ARG…]" "switches options, sets the arguments, shows variables" settings::set;
    Brief "shift" "[N]" "drops the first N arguments" variables::shift;
    Brief "shopt" "[-su] NAME…" "switches further options" settings::shopt;
    Commands "source" "FILE [ARG…]" "runs the commands of a file in this shell" control::source;
    Brief "test" "EXPRESSION" "asks about texts, numbers and files" test::test;
    Brief "trap" "[COMMANDS] EXIT|ERR|INT" "sets what runs at the end, after a failure, at Ctrl-C" settings::trap;
    Brief "true" "" "succeeds" control::succeed;
    Brief "type" "NAME…" "says what a name means" control::kind;
    Brief "typeset" "[-aAirxp] [NAME[=TEXT]…]" "makes variables, or shows them" variables::declare;
    Brief "umask" "" "does nothing: files have no permissions here" control::succeed;
    Brief "unalias" "[-a] NAME…" "removes short names" settings::unalias;
    Brief "unset" "[-fv] NAME…" "removes variables or functions" variables::unset;
    Long "wait" "[JOB|PROCESS…]" "waits until jobs have ended" jobs::wait;
};

/// The command of this name.
pub fn find(name: &str) -> Option<&'static Builtin> {
    BUILTINS.iter().find(|builtin| builtin.name == name)
}

/// Whether arguments of this command may be assignments, which are not split.
pub fn declares(name: &str) -> bool {
    matches!(
        name,
        "alias" | "declare" | "export" | "local" | "readonly" | "typeset"
    )
}

/// An error behind the command's name.
fn failed(sentence: impl Into<String>) -> Unwind {
    Unwind::Failed(sentence.into())
}

/// A number as an argument.
fn number<T: std::str::FromStr>(text: &str) -> Result<T, Unwind> {
    text.trim()
        .parse()
        .map_err(|_| failed(format!("{text}: numeric argument required")))
}

/// The letters of the leading options, which all are among `known`, and the arguments behind them.
fn options<'a>(arguments: &'a [String], known: &str) -> Result<(String, &'a [String]), Unwind> {
    let mut letters = String::new();
    let mut rest = arguments;
    while let Some((first, behind)) = rest.split_first() {
        let Some(option) = first.strip_prefix('-').filter(|option| !option.is_empty()) else {
            break;
        };
        rest = behind;
        if option == "-" {
            break;
        }
        if let Some(unknown) = option.chars().find(|letter| !known.contains(*letter)) {
            return Err(failed(format!("-{unknown}: invalid option")));
        }
        letters.push_str(option);
    }
    Ok((letters, rest))
}
