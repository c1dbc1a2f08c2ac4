//! The services and the machine, for the person in front of it: `svc`, `caps`, `poweroff` and `reboot`, which are names of one
//! program. What it shows is made by the host, so it is what the kernel's own prompt shows.
#![expect(missing_docs, reason = "what is generated is documented in the WIT")]

use std::io::{self, Write};
use std::process::ExitCode;

include!(concat!(env!("OUT_DIR"), "/wit.rs"));

generate! {
    world: "kpio:service/controlling",
    generate_all,
    with: { "wasi:io/poll@0.2.12": wasip2::io::poll },
}

use kpio::service::control::{self, Action, Level, Off};

const SVC: &str = "svc [list] | start NAME | stop NAME | restart NAME | kill NAME | replace NAME PROGRAM | \
                   revoke NAME INTERFACE | log [-f] NAME [LEVEL] | reload [PATH]";
const CAPS: &str = "caps NAME|ID";

/// An error is a sentence.
type Done = Result<(), String>;

fn main() -> ExitCode {
    let mut arguments = std::env::args();
    let path = arguments.next().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    let words: Vec<String> = arguments.collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match run(name, &words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("{name}: {sentence}");
            ExitCode::FAILURE
        }
    }
}

fn run(name: &str, words: &[&str]) -> Done {
    match (name, words) {
        ("caps", [whose]) => show(&control::capabilities(whose)?),
        ("caps", _) => Err(usage(CAPS)),
        ("poweroff", []) => control::switch_off(Off::PowerOff),
        ("reboot", []) => control::switch_off(Off::Reboot),
        ("poweroff" | "reboot", _) => Err(usage(name)),
        _ => svc(words),
    }
}

fn usage(text: &str) -> String {
    format!("Say it so: {text}")
}

fn svc(words: &[&str]) -> Done {
    match words {
        [] | ["list"] => show(&control::services()?),
        ["start", name] => control::act(name, &Action::Start),
        ["stop", name] => control::act(name, &Action::Stop),
        ["restart", name] => control::act(name, &Action::Restart),
        ["kill", name] => control::act(name, &Action::Kill),
        ["replace", name, program] => control::act(name, &Action::Replace((*program).to_owned())),
        ["revoke", name, interface] => control::act(name, &Action::Revoke((*interface).to_owned())),
        ["reload"] => control::reload(None),
        ["reload", path] => control::reload(Some(path)),
        ["log", "-f", name] => follow(name, Level::Info),
        ["log", "-f", name, word] => follow(name, level(word)?),
        ["log", name] => show(&control::log(name, Level::Info, 0)?.text),
        ["log", name, word] => show(&control::log(name, level(word)?, 0)?.text),
        _ => Err(usage(SVC)),
    }
}

fn level(word: &str) -> Result<Level, String> {
    use lib_log_line::Level as Shown;
    let level = Shown::of_word(word).map_err(|error| error.to_string())?;
    Ok(match level {
        Shown::Error => Level::Error,
        Shown::Warning => Level::Warning,
        Shown::Notice => Level::Notice,
        // A service says nothing that matters less.
        Shown::Info | Shown::Debug | Shown::Trace => Level::Info,
    })
}

/// Shows a log, and what comes into it, until somebody ends this or the service has left the manifest.
fn follow(name: &str, level: Level) -> Done {
    let mut part = control::log(name, level, 0)?;
    loop {
        show(&part.text)?;
        let more = control::subscribe_log(name, part.next);
        more.map_err(|error| end(name, error))?.block();
        part = control::log(name, level, part.next).map_err(|error| end(name, error))?;
    }
}

/// Why a log that was there cannot be read on: mostly because its service has left the manifest.
fn end(name: &str, error: String) -> String {
    match control::services() {
        Ok(table) if !lists(&table, name) => {
            format!("the service '{name}' is in the manifest no more")
        }
        _ => error,
    }
}

/// Whether a table of services has this one.
fn lists(table: &str, name: &str) -> bool {
    let mut names = table
        .lines()
        .filter_map(|row| row.split_whitespace().next());
    names.any(|first| first == name)
}

fn show(text: &str) -> Done {
    let mut out = io::stdout();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|error| format!("The output is closed: {error}."))
}
