//! Options, aliases, traps, history, help.

use super::{BUILTINS, failed, options};
use crate::expand::quoted;
use crate::options::{self as switches, Switch};
use crate::shell::{FAILURE, Outcome, SUCCESS, Shell, Unwind};
use crate::variables::Value;

pub(super) fn set(shell: &mut Shell, arguments: &[String]) -> Outcome {
    if arguments.is_empty() {
        return show_variables(shell);
    }
    let mut rest = arguments;
    while let Some((first, behind)) = rest.split_first() {
        let is_on = first.starts_with('-');
        let letters = match first.strip_prefix(['-', '+']) {
            Some("-") => {
                shell.state.arguments = behind.to_vec();
                return Ok(SUCCESS);
            }
            Some(letters) if !letters.is_empty() => letters,
            _ => {
                shell.state.arguments = rest.to_vec();
                return Ok(SUCCESS);
            }
        };
        rest = behind;
        for letter in letters.chars() {
            let switch = match letter {
                'o' => match rest.split_first() {
                    Some((name, behind)) => {
                        rest = behind;
                        Some(named(name)?)
                    }
                    None => return show_options(shell),
                },
                // Of no consequence here: job control and history are always on at the prompt.
                'm' | 'h' | 'b' | 'B' | 'H' | 'v' => None,
                letter => Some(
                    switches::by_letter(letter)
                        .ok_or_else(|| failed(format!("-{letter}: invalid option")))?,
                ),
            };
            if let Some(switch) = switch {
                shell.state.options.set(switch, is_on);
            }
        }
    }
    Ok(SUCCESS)
}

fn named(name: &str) -> Result<Switch, Unwind> {
    switches::by_name(name).ok_or_else(|| failed(format!("{name}: invalid option name")))
}

fn show_options(shell: &mut Shell) -> Outcome {
    let lines = shell
        .state
        .options
        .list()
        .map(|(name, is_on)| format!("{name:<15}\t{}\n", if is_on { "on" } else { "off" }));
    let text: String = lines.collect();
    shell.files.write(text.as_bytes())?;
    Ok(SUCCESS)
}

fn show_variables(shell: &mut Shell) -> Outcome {
    let mut text = String::new();
    for name in shell.state.variables.names() {
        if let Some(Value::Text(value)) = shell
            .state
            .variables
            .get(&name)
            .and_then(|variable| variable.value.as_ref())
        {
            text += &format!("{name}={}\n", quoted(value));
        }
    }
    shell.files.write(text.as_bytes())?;
    Ok(SUCCESS)
}

pub(super) fn shopt(shell: &mut Shell, arguments: &[String]) -> Outcome {
    let (letters, names) = options(arguments, "suqo")?;
    if names.is_empty() {
        return show_options(shell);
    }
    let mut status = SUCCESS;
    for name in names {
        // Extended patterns are always on.
        if matches!(name.as_str(), "extglob" | "expand_aliases") {
            continue;
        }
        let switch = named(name)?;
        if letters.contains(['s', 'u']) {
            shell.state.options.set(switch, letters.contains('s'));
        } else if !shell.has(switch) {
            status = FAILURE;
        }
    }
    Ok(status)
}

pub(super) fn alias(shell: &mut Shell, arguments: &[String]) -> Outcome {
    if arguments.is_empty() {
        let lines = shell
            .state
            .aliases
            .iter()
            .map(|(name, text)| format!("alias {name}={}\n", always_quoted(text)));
        let text: String = lines.collect();
        shell.files.write(text.as_bytes())?;
    }
    for argument in arguments {
        match argument.split_once('=') {
            Some((name, text)) => drop(shell.state.aliases.insert(name.into(), text.into())),
            None => match shell.state.aliases.get(argument) {
                Some(text) => {
                    let line = format!("alias {argument}={}\n", always_quoted(text));
                    shell.files.write(line.as_bytes())?;
                }
                None => return Err(failed(format!("{argument}: not found"))),
            },
        }
    }
    Ok(SUCCESS)
}

fn always_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

pub(super) fn unalias(shell: &mut Shell, arguments: &[String]) -> Outcome {
    let (letters, names) = options(arguments, "a")?;
    if letters.contains('a') {
        shell.state.aliases.clear();
    }
    for name in names {
        shell
            .state
            .aliases
            .remove(name)
            .ok_or_else(|| failed(format!("{name}: not found")))?;
    }
    Ok(SUCCESS)
}

/// The events at which something can run.
const EVENTS: [&str; 3] = ["EXIT", "ERR", "INT"];

pub(super) fn trap(shell: &mut Shell, arguments: &[String]) -> Outcome {
    let (letters, arguments) = options(arguments, "pl")?;
    let (commands, events) = match arguments {
        [] => {
            let lines = shell
                .traps
                .iter()
                .map(|(event, commands)| format!("trap -- {} {event}\n", always_quoted(commands)));
            let text: String = if letters.contains('l') {
                EVENTS.join(" ") + "\n"
            } else {
                lines.collect()
            };
            shell.files.write(text.as_bytes())?;
            return Ok(SUCCESS);
        }
        [event] => ("-", std::slice::from_ref(event)),
        [commands, events @ ..] => (commands.as_str(), events),
    };
    for event in events {
        let event = event_of(event)?;
        if commands == "-" {
            shell.traps.remove(event);
        } else {
            shell.traps.insert(event.into(), commands.into());
        }
    }
    Ok(SUCCESS)
}

fn event_of(text: &str) -> Result<&str, Unwind> {
    match text.strip_prefix("SIG").unwrap_or(text) {
        "0" => Ok("EXIT"),
        "2" => Ok("INT"),
        // They never come: nobody sends signals here.
        quiet @ ("TERM" | "HUP" | "QUIT" | "PIPE" | "USR1" | "USR2" | "1" | "3" | "15") => {
            Ok(quiet)
        }
        event if EVENTS.contains(&event) => Ok(event),
        other => Err(failed(format!("{other}: invalid signal specification"))),
    }
}

pub(super) fn history(shell: &mut Shell, arguments: &[String]) -> Outcome {
    let (letters, _) = options(arguments, "c")?;
    if letters.contains('c') {
        shell.history.clear();
        return Ok(SUCCESS);
    }
    let lines = shell.history.iter().enumerate();
    let text: String = lines
        .map(|(index, line)| format!("{:>5}  {line}\n", index + 1))
        .collect();
    shell.files.write(text.as_bytes())?;
    Ok(SUCCESS)
}

pub(super) fn help(shell: &mut Shell, arguments: &[String]) -> Outcome {
    let wanted =
        |name: &str| arguments.is_empty() || arguments.iter().any(|argument| argument == name);
    let shown: Vec<_> = BUILTINS
        .iter()
        .filter(|builtin| wanted(builtin.name))
        .collect();
    if shown.is_empty() {
        return Err(failed(format!("no help for `{}'", arguments.join(" "))));
    }
    let mut text = String::new();
    for builtin in shown {
        let usage = format!("{} {}", builtin.name, builtin.usage);
        text += &format!("{usage:<36} {}\n", builtin.about);
    }
    shell.files.write(text.as_bytes())?;
    Ok(SUCCESS)
}
