//! Which keys are for the console itself.
//!
//! Law: a sequence comes whole, because whoever types it types it at once. Only where as many bytes were taken as could be may
//! its end be missing.

/// What a person wants of the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// See this terminal.
    Show(usize),
    /// Look so many half screens back, or forward where negative.
    HalfScreens(isize),
    /// The same by lines.
    Lines(isize),
}

/// Lines that one step of the wheel moves.
const WHEEL_LINES: isize = 3;

/// As xterm sends them: Alt with function keys, Shift with PgUp and PgDn, the wheel.
const COMMANDS: [(&[u8], Command); 8] = [
    (b"\x1b[1;3P", Command::Show(0)),
    (b"\x1b[1;3Q", Command::Show(1)),
    (b"\x1b[1;3R", Command::Show(2)),
    (b"\x1b[1;3S", Command::Show(3)),
    (b"\x1b[5;2~", Command::HalfScreens(1)),
    (b"\x1b[6;2~", Command::HalfScreens(-1)),
    (b"\x1b[<64;1;1M", Command::Lines(WHEEL_LINES)),
    (b"\x1b[<65;1;1M", Command::Lines(-WHEEL_LINES)),
];

/// What typed bytes begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// So many bytes for a program.
    Plain(usize),
    /// A command, and how many bytes it takes.
    Command(Command, usize),
}

/// What `bytes`, which are not empty, begin with; nothing if that cannot be known before more is there, and more
/// comes (`is_cut`).
pub(crate) fn next(bytes: &[u8], is_cut: bool) -> Option<Next> {
    let plain = (0..bytes.len()).find(|&at| command(&bytes[at..], is_cut) != Found::Nothing);
    match plain {
        None => Some(Next::Plain(bytes.len())),
        Some(0) => match command(bytes, is_cut) {
            Found::Command(command, len) => Some(Next::Command(command, len)),
            Found::Beginning | Found::Nothing => None,
        },
        Some(len) => Some(Next::Plain(len)),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    Command(Command, usize),
    Beginning,
}

fn command(bytes: &[u8], is_cut: bool) -> Found {
    let whole = COMMANDS.iter().find(|(keys, _)| bytes.starts_with(keys));
    let is_beginning = || COMMANDS.iter().any(|(keys, _)| keys.starts_with(bytes));
    match whole {
        Some((keys, command)) => Found::Command(*command, keys.len()),
        None if is_cut && is_beginning() => Found::Beginning,
        None => Found::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_stand_among_other_keys() {
        let show = |index| Some(Next::Command(Command::Show(index), 6));
        assert_eq!(next(b"ls\x1b[1;3Qx", false), Some(Next::Plain(2)));
        assert_eq!(next(b"\x1b[1;3Qx", false), show(1));
        assert_eq!(next(b"\x1b[A\x1bOP", false), Some(Next::Plain(6)));
        assert_eq!(next(b"\x1b", false), Some(Next::Plain(1)));
    }

    #[test]
    fn a_sequence_that_is_cut_waits_for_its_end() {
        assert_eq!(next(b"x\x1b[1;", true), Some(Next::Plain(1)));
        assert_eq!(next(b"\x1b[1;", true), None);
        assert_eq!(next(b"\x1b[1;", false), Some(Next::Plain(4)));
    }
}
