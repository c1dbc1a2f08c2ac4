//! Variables and arguments.

use std::collections::BTreeMap;

use super::{failed, number, options};
use crate::shell::{FAILURE, Outcome, SUCCESS, Shell, Status, Unwind};
use crate::syntax;
use crate::variables::{Value, Variable, is_name};

/// What is done with each variable that is named.
#[derive(Clone, Copy, Default)]
struct Wish {
    is_local: bool,
    is_exported: Option<bool>,
    is_read_only: bool,
    is_integer: bool,
    is_list: bool,
    is_map: bool,
}

pub(super) fn declare(shell: &mut Shell, arguments: &[String]) -> Outcome {
    let (letters, names) = options(arguments, "aAirxpgfF")?;
    if letters.contains(['f', 'F']) {
        return show_functions(shell, names, letters.contains('F'));
    }
    if names.is_empty() || letters.contains('p') {
        return show(shell, names, |_| true);
    }
    let wish = Wish {
        is_local: shell.functions_running > 0 && !letters.contains('g'),
        is_exported: letters.contains('x').then_some(true),
        is_read_only: letters.contains('r'),
        is_integer: letters.contains('i'),
        is_list: letters.contains('a'),
        is_map: letters.contains('A'),
    };
    each(shell, names, wish)
}

pub(super) fn local(shell: &mut Shell, arguments: &[String]) -> Outcome {
    if shell.functions_running == 0 {
        return Err(failed("can only be used in a function"));
    }
    declare(shell, arguments)
}

pub(super) fn export(shell: &mut Shell, arguments: &[String]) -> Outcome {
    let (letters, names) = options(arguments, "npf")?;
    if names.is_empty() {
        return show(shell, names, |variable| variable.is_exported);
    }
    each(
        shell,
        names,
        Wish {
            is_exported: Some(!letters.contains('n')),
            ..Wish::default()
        },
    )
}

pub(super) fn readonly(shell: &mut Shell, arguments: &[String]) -> Outcome {
    let (_, names) = options(arguments, "paA")?;
    if names.is_empty() {
        return show(shell, names, |variable| variable.is_read_only);
    }
    each(
        shell,
        names,
        Wish {
            is_read_only: true,
            ..Wish::default()
        },
    )
}

fn each(shell: &mut Shell, arguments: &[String], wish: Wish) -> Outcome {
    for argument in arguments {
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (argument.as_str(), None),
        };
        let plain = name.strip_suffix('+').unwrap_or(name);
        if !is_name(plain) {
            return Err(failed(format!("`{argument}': not a valid identifier")));
        }
        make(shell, plain, wish);
        if value.is_some() {
            assign(shell, plain, argument)?;
        }
        shell.state.variables.entry(plain).is_read_only |= wish.is_read_only;
    }
    Ok(SUCCESS)
}

fn make(shell: &mut Shell, name: &str, wish: Wish) {
    let variables = &mut shell.state.variables;
    let variable = if wish.is_local {
        variables.declare_local(name)
    } else {
        variables.entry(name)
    };
    if let Some(is_exported) = wish.is_exported {
        variable.is_exported = is_exported;
    }
    variable.is_integer |= wish.is_integer;
    let is_list = matches!(variable.value, Some(Value::List(_)));
    let is_map = matches!(variable.value, Some(Value::Map(_)));
    if wish.is_list && !is_list {
        variable.value = Some(Value::List(BTreeMap::new()));
    }
    if wish.is_map && !is_map {
        variable.value = Some(Value::Map(BTreeMap::new()));
    }
}

/// `name=text` is expanded already, `name=(…)` is quoted so that it can be parsed again.
fn assign(shell: &mut Shell, name: &str, argument: &str) -> Result<(), Unwind> {
    let (start, text) = argument.split_once('=').unwrap_or((argument, ""));
    if text.starts_with('(') && text.ends_with(')') {
        let program = syntax::program(argument)?;
        shell.run_program(&program)?;
        return Ok(());
    }
    let text = if start.ends_with('+') {
        shell.variable_text(name).unwrap_or_default() + text
    } else {
        text.into()
    };
    shell.assign(name, text)
}

fn show(shell: &mut Shell, names: &[String], is_meant: fn(&Variable) -> bool) -> Outcome {
    let mut text = String::new();
    let mut status = SUCCESS;
    let all = shell.state.variables.names();
    for name in if names.is_empty() { &all[..] } else { names } {
        match shell.state.variables.get(name) {
            Some(variable) if is_meant(variable) => text += &declaration(name, variable),
            Some(_) => (),
            None => {
                shell.complain(format_args!("declare: {name}: not found"));
                status = FAILURE;
            }
        }
    }
    shell.files.write(text.as_bytes())?;
    Ok(status)
}

/// A variable as a command that makes it.
fn declaration(name: &str, variable: &Variable) -> String {
    let mut letters = String::new();
    match variable.value {
        Some(Value::List(_)) => letters.push('a'),
        Some(Value::Map(_)) => letters.push('A'),
        _ => (),
    }
    let flags = [
        (variable.is_integer, 'i'),
        (variable.is_read_only, 'r'),
        (variable.is_exported, 'x'),
    ];
    letters.extend(
        flags
            .iter()
            .filter(|(is_set, _)| *is_set)
            .map(|(_, letter)| letter),
    );
    if letters.is_empty() {
        letters.push('-');
    }
    let value = match &variable.value {
        None => String::new(),
        Some(Value::Text(text)) => format!("=\"{}\"", in_double_quotes(text)),
        Some(list) => {
            let pairs = list.keys().into_iter().zip(list.texts());
            let pairs: Vec<String> = pairs
                .map(|(key, text)| format!("[{key}]=\"{}\"", in_double_quotes(&text)))
                .collect();
            format!("=({})", pairs.join(" "))
        }
    };
    format!("declare -{letters} {name}{value}\n")
}

fn in_double_quotes(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            if "\"$`\\".contains(c) {
                vec!['\\', c]
            } else {
                vec![c]
            }
        })
        .collect()
}

fn show_functions(shell: &mut Shell, names: &[String], only_names: bool) -> Outcome {
    let is_meant = |name: &String| names.is_empty() || names.contains(name);
    let functions = shell
        .state
        .functions
        .iter()
        .filter(|(name, _)| is_meant(name));
    let lines: Vec<String> = functions
        .map(|(name, function)| {
            if only_names {
                format!("declare -f {name}\n")
            } else {
                format!("{function}\n")
            }
        })
        .collect();
    shell.files.write(lines.concat().as_bytes())?;
    Ok(Status::from(!names.is_empty() && lines.len() < names.len()))
}

pub(super) fn unset(shell: &mut Shell, arguments: &[String]) -> Outcome {
    let (letters, names) = options(arguments, "fvn")?;
    for name in names {
        if letters.contains('f') {
            shell.state.functions.remove(name);
        } else if let Some((list, index)) =
            name.strip_suffix(']').and_then(|name| name.split_once('['))
        {
            unset_element(shell, list, index)?;
        } else if shell
            .state
            .variables
            .get(name)
            .is_some_and(|variable| variable.is_read_only)
        {
            return Err(failed(format!("{name}: cannot unset: readonly variable")));
        } else if shell.state.variables.get(name).is_some() {
            shell.state.variables.remove(name);
        } else {
            shell.state.functions.remove(name);
        }
    }
    Ok(SUCCESS)
}

fn unset_element(shell: &mut Shell, name: &str, index: &str) -> Result<(), Unwind> {
    let number = if shell.is_map(name) {
        0
    } else {
        shell.arithmetic(index)?
    };
    match &mut shell.state.variables.entry(name).value {
        Some(Value::List(list)) => drop(list.remove(&number)),
        Some(Value::Map(map)) => drop(map.remove(index)),
        _ => (),
    }
    Ok(())
}

pub(super) fn shift(shell: &mut Shell, arguments: &[String]) -> Outcome {
    let count: usize = arguments.first().map_or(Ok(1), |text| number(text))?;
    if count > shell.state.arguments.len() {
        return Ok(FAILURE);
    }
    shell.state.arguments.drain(..count);
    Ok(SUCCESS)
}

pub(super) fn compute(shell: &mut Shell, arguments: &[String]) -> Outcome {
    let mut value = 0;
    for argument in arguments {
        value = shell.arithmetic(argument)?;
    }
    Ok(Status::from(value == 0))
}

pub(super) fn getopts(shell: &mut Shell, arguments: &[String]) -> Outcome {
    let [letters, name, own @ ..] = arguments else {
        return Err(failed("usage: getopts LETTERS NAME [ARG…]"));
    };
    let own = if own.is_empty() {
        shell.state.arguments.clone()
    } else {
        own.to_vec()
    };
    let mut index: usize = shell
        .variable_text("OPTIND")
        .and_then(|text| text.parse().ok())
        .unwrap_or(1);
    if index <= 1 && shell.option_index != index {
        shell.option_offset = 0;
    }
    let current = own
        .get(index.saturating_sub(1))
        .filter(|text| text.starts_with('-') && text.len() > 1);
    let Some(current) = current.filter(|text| *text != "--") else {
        let is_end = own
            .get(index.saturating_sub(1))
            .is_some_and(|text| text == "--");
        return finish_options(shell, name, index + usize::from(is_end));
    };
    let rest: String = current.chars().skip(1 + shell.option_offset).collect();
    let Some(letter) = rest.chars().next() else {
        return finish_options(shell, name, index + 1);
    };
    let behind: String = rest.chars().skip(1).collect();
    let place = letters.trim_start_matches(':').find(letter);
    let takes_value = place.is_some_and(|at| {
        letters.trim_start_matches(':')[at + letter.len_utf8()..].starts_with(':')
    });
    let mut found = letter.to_string();
    let mut value = None;
    if takes_value && !behind.is_empty() {
        value = Some(behind);
        index += 1;
        shell.option_offset = 0;
    } else if takes_value {
        value = own.get(index).cloned();
        index += if value.is_some() { 2 } else { 1 };
        shell.option_offset = 0;
    } else if behind.is_empty() {
        index += 1;
        shell.option_offset = 0;
    } else {
        shell.option_offset += 1;
    }
    if place.is_none() || letter == ':' || (takes_value && value.is_none()) {
        found = complain_option(shell, letters, letter, place.is_some(), &mut value);
    }
    shell.option_index = index;
    shell.assign("OPTIND", index.to_string())?;
    match value {
        Some(value) => shell.assign("OPTARG", value)?,
        None => shell.state.variables.remove("OPTARG"),
    }
    shell.assign(name, found)?;
    Ok(SUCCESS)
}

/// A colon in front of the letters means that the script itself complains.
fn complain_option(
    shell: &Shell,
    letters: &str,
    letter: char,
    is_known: bool,
    value: &mut Option<String>,
) -> String {
    if letters.starts_with(':') {
        *value = Some(letter.to_string());
        return if is_known { ":".into() } else { "?".into() };
    }
    let problem = if is_known {
        "option requires an argument"
    } else {
        "illegal option"
    };
    shell.complain(format_args!("{problem} -- {letter}"));
    "?".into()
}

fn finish_options(shell: &mut Shell, name: &str, index: usize) -> Outcome {
    shell.option_offset = 0;
    shell.option_index = index;
    shell.assign("OPTIND", index.to_string())?;
    shell.assign(name, "?".into())?;
    Ok(FAILURE)
}
