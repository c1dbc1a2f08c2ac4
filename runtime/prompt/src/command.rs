//! The commands.

/// A command that is part of the prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BuiltIn {
    Capabilities,
    Clear,
    Dmesg,
    Free,
    Help,
    Invoke,
    Keyboard,
    Kill,
    Limit,
    Log,
    PowerOff,
    Ps,
    Reboot,
    Services,
    Trace,
    Uptime,
}

/// Every built-in: its name, and what it does in a few words.
pub(crate) const BUILT_INS: [(BuiltIn, &str, &str); 16] = [
    (
        BuiltIn::Capabilities,
        "caps",
        "show what a service or process can reach, and through whom: caps NAME|ID",
    ),
    (BuiltIn::Clear, "clear", "clear the screen"),
    (
        BuiltIn::Dmesg,
        "dmesg",
        "show the kernel's log: dmesg [-f] [LEVEL] [AREA[=LEVEL]…]",
    ),
    (BuiltIn::Free, "free", "show who uses how much memory"),
    (BuiltIn::Help, "help", "show this list"),
    (
        BuiltIn::Invoke,
        "invoke",
        "call a function of a core module: invoke PROGRAM FUNCTION [ARG…]",
    ),
    (
        BuiltIn::Keyboard,
        "keyboard",
        "show or choose the layout: keyboard [LAYOUT]",
    ),
    (
        BuiltIn::Kill,
        "kill",
        "end a process and all that it started: kill ID…",
    ),
    (
        BuiltIn::Limit,
        "limit",
        "run a program that may use so much: limit [memory=64M] [cpu=50] … PROGRAM",
    ),
    (
        BuiltIn::Log,
        "log",
        "show or set what is logged: log [AREA=LEVEL…]",
    ),
    (BuiltIn::PowerOff, "poweroff", "switch the machine off"),
    (BuiltIn::Ps, "ps", "list the processes"),
    (BuiltIn::Reboot, "reboot", "start the machine anew"),
    (
        BuiltIn::Services,
        "svc",
        "show or control services: svc [start|stop|restart|kill|replace|log|reload …]",
    ),
    (
        BuiltIn::Trace,
        "trace",
        "trace the kernel: trace start [CATEGORY…] | stop | status | save PATH",
    ),
    (
        BuiltIn::Uptime,
        "uptime",
        "show for how long the machine has been running",
    ),
];

/// What a line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Nothing,
    BuiltIn(BuiltIn),
    /// A built-in that takes words.
    Worded {
        built_in: BuiltIn,
        arguments: Vec<String>,
    },
    Program {
        name: String,
        arguments: Vec<String>,
    },
}

/// The command that some words are; an error is a sentence.
pub(crate) fn parse(words: Vec<String>) -> Result<Command, String> {
    let mut words = words.into_iter();
    let Some(name) = words.next() else {
        return Ok(Command::Nothing);
    };
    match BUILT_INS.iter().find(|(_, known, _)| *known == name) {
        Some((
            built_in @ (BuiltIn::Capabilities
            | BuiltIn::Dmesg
            | BuiltIn::Invoke
            | BuiltIn::Keyboard
            | BuiltIn::Kill
            | BuiltIn::Limit
            | BuiltIn::Log
            | BuiltIn::Services
            | BuiltIn::Trace),
            ..,
        )) => Ok(Command::Worded {
            built_in: *built_in,
            arguments: words.collect(),
        }),
        Some(_) if words.len() > 0 => Err(format!("'{name}' takes no arguments.")),
        Some((built_in, ..)) => Ok(Command::BuiltIn(*built_in)),
        None => Ok(Command::Program {
            name,
            arguments: words.collect(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::{BuiltIn, Command, parse};

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(String::from).collect()
    }

    #[test]
    fn built_ins_programs_and_nothing() {
        assert_eq!(parse(Vec::new()), Ok(Command::Nothing));
        assert_eq!(parse(words("ps")), Ok(Command::BuiltIn(BuiltIn::Ps)));
        assert_eq!(
            parse(words("ps -l")),
            Err("'ps' takes no arguments.".into())
        );
        let log = Command::Worded {
            built_in: BuiltIn::Log,
            arguments: words("memory=debug"),
        };
        assert_eq!(parse(words("log memory=debug")), Ok(log));
        let program = Command::Program {
            name: "ls".into(),
            arguments: words("-l /"),
        };
        assert_eq!(parse(words("ls -l /")), Ok(program));
    }
}
