//! `sh`: from arguments to a shell.

use std::fs;

use shell::files::Files;
use shell::launch::Handoff;
use shell::shell::{NOT_FOUND, Shell, Status, USAGE};
use shell::system;

fn main() {
    let mut arguments = std::env::args();
    let name = arguments.next().unwrap_or_else(|| "sh".into());
    let arguments: Vec<String> = arguments.collect();
    system::exit(run(name, arguments));
}

fn run(name: String, mut arguments: Vec<String>) -> Status {
    let environment = std::env::vars_os()
        .filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?)));
    if let Some(handoff) = Handoff::from_arguments(&arguments) {
        return go_on(handoff);
    }
    let options: Vec<String> = arguments
        .extract_if(0..leading_options(&arguments), |_| true)
        .collect();
    let letters: String = options.iter().map(|option| &option[1..]).collect();
    if letters.contains('c') {
        return run_command(name, arguments, environment, &options);
    }
    match arguments.first().cloned() {
        Some(script) => run_script(script, arguments.split_off(1), environment, &options),
        None => run_input(Shell::new(name, Vec::new(), environment), &options),
    }
}

fn leading_options(arguments: &[String]) -> usize {
    arguments
        .iter()
        .take_while(|text| text.len() > 1 && text.starts_with(['-', '+']) && *text != "--")
        .count()
}

/// A subshell that has to run beside its parent.
fn go_on(handoff: Result<Handoff, String>) -> Status {
    match handoff {
        Ok(Handoff { state, command }) => {
            let mut shell = Shell::with_state(state, Files::standard());
            shell.run_to_end(|shell| shell.run_command(&command))
        }
        Err(reason) => {
            eprintln!("sh: what the parent has handed over cannot be read: {reason}");
            USAGE
        }
    }
}

/// `sh -c COMMANDS [NAME [ARG…]]`.
fn run_command(
    name: String,
    mut arguments: Vec<String>,
    environment: impl Iterator<Item = (String, String)>,
    options: &[String],
) -> Status {
    if arguments.is_empty() {
        eprintln!("{name}: -c: option requires an argument");
        return USAGE;
    }
    let text = arguments.remove(0);
    let name = if arguments.is_empty() {
        name
    } else {
        arguments.remove(0)
    };
    let mut shell = Shell::new(name, arguments, environment);
    set_options(&mut shell, options);
    shell.run_to_end(|shell| shell.run_text(&text))
}

/// `sh FILE [ARG…]`.
fn run_script(
    script: String,
    arguments: Vec<String>,
    environment: impl Iterator<Item = (String, String)>,
    options: &[String],
) -> Status {
    let mut shell = Shell::new(script.clone(), arguments, environment);
    set_options(&mut shell, options);
    match fs::read(shell.absolute(&script)) {
        Ok(text) => shell.run_to_end(|shell| shell.run_text(&String::from_utf8_lossy(&text))),
        Err(_) => {
            eprintln!("{script}: No such file or directory");
            NOT_FOUND
        }
    }
}

/// Commands from standard input: a person's, or a script's.
fn run_input(mut shell: Shell, options: &[String]) -> Status {
    set_options(&mut shell, options);
    if system::has_terminal() {
        return shell.interact();
    }
    shell.run_to_end(Shell::run_lines)
}

/// The options that `set` knows; others are none of a script's business.
fn set_options(shell: &mut Shell, options: &[String]) {
    for option in options {
        let is_on = option.starts_with('-');
        let switches = option.chars().skip(1).filter_map(shell::options::by_letter);
        switches.for_each(|switch| shell.state.options.set(switch, is_on));
    }
}
