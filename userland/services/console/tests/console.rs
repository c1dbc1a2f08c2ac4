//! What a person types and sees, and that a console may be ended at any call without anybody minding.

mod machine;

use machine::{INPUT_BYTES_MAX, Machine, serve};

const FOR_EVER: usize = usize::MAX;
const SHOW_SECOND: &[u8] = b"\x1b[1;3Q";
const SHOW_FIRST: &[u8] = b"\x1b[1;3P";
const PAGE_BACK: &[u8] = b"\x1b[5;2~";

fn served(machine: Machine) -> Machine {
    serve(machine, FOR_EVER).0
}

fn typed(keys: &[&[u8]]) -> Machine {
    Machine {
        keyboard: keys.concat(),
        ..Machine::with_screen()
    }
}

#[test]
fn lines_are_edited_and_seen() {
    let machine = served(typed(&[b"lz\x7fs -l\r", b"next"]));
    assert_eq!(machine.terminals[0].input, b"ls -l\n");
    assert_eq!(machine.text(), ["ls -l", "next", "", "", ""]);
    assert_eq!(machine.to_serial, b"lz\x08 \x08s -l\r\nnext");
    let machine = served(Machine {
        keyboard: b" line\r".to_vec(),
        ..machine
    });
    assert_eq!(machine.terminals[0].input, b"ls -l\nnext line\n");
}

#[test]
fn raw_keys_go_on_as_they_are() {
    let mut machine = typed(&[b"\x1b[A\x03\x04"]);
    machine.terminals[0].is_raw = true;
    let machine = served(machine);
    assert_eq!(machine.terminals[0].input, b"\x1b[A\x03\x04");
    assert_eq!(machine.to_serial, b"");
    assert_eq!(machine.terminals[0].interrupts, 0);
}

#[test]
fn keys_reach_the_terminal_that_is_shown_and_the_line_reaches_the_first() {
    let mut machine = typed(&[b"a\r", SHOW_SECOND, b"b\r", SHOW_FIRST, b"c\r", SHOW_SECOND]);
    machine.serial = b"d\r".to_vec();
    machine.terminals[1].written = b"on the second".to_vec();
    let machine = served(machine);
    let seen = machine
        .terminals
        .each_ref()
        .map(|terminal| terminal.is_seen);
    assert_eq!(seen, [true, true, false, false]);
    assert_eq!(machine.terminals[0].input, b"a\nc\nd\n");
    assert_eq!(machine.terminals[1].input, b"b\n");
    assert_eq!(machine.text()[..2], ["b", "on the second"]);
    assert_eq!(machine.to_serial, b"a\r\nc\r\nd\r\n");
}

#[test]
fn control_keys_are_for_the_foreground_or_input() {
    let mut machine = typed(&[b"x\x03", SHOW_SECOND, b"y\x03"]);
    machine.terminals[0].has_foreground = true;
    let machine = served(machine);
    assert_eq!(machine.terminals[0].input, b"");
    assert_eq!(machine.terminals[1].input, b"\x03");
    let machine = served(typed(&[b"\x04one\r\x04"]));
    assert_eq!(machine.terminals[0].ends, 1, "the second is behind a line");
    assert_eq!(machine.terminals[0].input, b"one\n");
    assert!(machine.terminals[0].shown.ends_with(b"\x07"));
}

#[test]
fn three_breaks_end_a_foreground_that_takes_every_key() {
    let mut machine = typed(&[b"\x1c\x1cx\x1c\x1c\x1c"]);
    machine.terminals[0].is_raw = true;
    machine.terminals[0].has_foreground = true;
    assert_eq!(served(machine).terminals[0].interrupts, 1);
}

#[test]
fn what_has_no_room_is_answered_by_a_bell() {
    let mut machine = typed(&[b"lost\r"]);
    machine.terminals[0].input = vec![b'.'; INPUT_BYTES_MAX];
    let machine = served(machine);
    assert_eq!(machine.terminals[0].input.len(), INPUT_BYTES_MAX);
    assert_eq!(machine.terminals[0].shown, b"\x07");
}

#[test]
fn lines_that_have_left_are_seen_again_by_a_new_console() {
    let mut machine = Machine::with_screen();
    machine.terminals[0].written = (0..20)
        .flat_map(|n| format!("{n}\n").into_bytes())
        .collect();
    let machine = served(machine);
    assert_eq!(machine.text(), ["16", "17", "18", "19", ""]);
    let back = |machine: &Machine| {
        served(Machine {
            keyboard: [PAGE_BACK, PAGE_BACK].concat(),
            ..machine.clone()
        })
    };
    assert_eq!(back(&machine).text(), ["12", "13", "14", "15", "16"]);
    assert_eq!(back(&back(&machine)).text(), ["12", "13", "14", "15", "16"]);
}

#[test]
fn what_the_system_tells_comes_above_the_line_that_is_typed() {
    let told = |before: &[u8]| {
        let mut machine = typed(&[b"ls"]);
        machine.terminals[0].written = before.to_vec();
        machine.terminals[0].is_raw = true;
        // As an editor shows what is typed.
        let mut machine = served(machine);
        machine.terminals[0].written = b"ls\x1b[D".to_vec();
        machine.notices = vec![
            "kpio: it has failed again.".to_owned(),
            "kpio: why.".to_owned(),
        ];
        let mut machine = served(machine);
        assert!(machine.notices.is_empty() && machine.told == 2);
        machine.terminals[0].written = b"X".to_vec();
        served(machine)
    };
    let machine = told(b"out\n$ ");
    let expected = ["out", "kpio: it has failed", "again.", "kpio: why.", "$ lX"];
    assert_eq!(machine.text(), expected);
    // The other end of the serial line shows the same.
    let mut far = lib_terminal::CellTerminal::new(20, 5, 0).expect("memory");
    far.feed(&machine.to_serial);
    let mut row = vec![lib_terminal::Cell::BLANK; 20];
    for (line, text) in expected.iter().enumerate() {
        far.look_at(line, &mut row);
        let seen: String = row.iter().map(|cell| cell.character).collect();
        assert_eq!(seen.trim_end(), *text);
    }
    // At the bottom all goes up.
    let machine = told(b"1\n2\n3\n4\n$ ");
    assert_eq!(
        machine.text(),
        ["4", "kpio: it has failed", "again.", "kpio: why.", "$ lX"]
    );
}

#[test]
fn what_the_system_tells_has_its_own_look_and_leaves_the_programs() {
    let told = |written: &[u8], more: &[u8]| {
        let mut machine = Machine::with_screen();
        machine.terminals[0].written = written.to_vec();
        machine.notices = vec!["kpio: why.".to_owned()];
        let mut machine = served(machine);
        machine.terminals[0].written = more.to_vec();
        served(machine)
    };
    // Black on black.
    let machine = told(b"\x1b[30;40m$ ", b"ls");
    let plain = told(b"$ ", b"ls");
    let black = told(b"\x1b[30;40m", b"$ ls");
    assert_eq!(machine.text()[..2], ["kpio: why.", "$ ls"]);
    assert_eq!(machine.picture[0], plain.picture[0]);
    assert_eq!(machine.picture[1], black.picture[1]);
    // Only lines below the cursor's are to scroll.
    let machine = told(b"\x1b[3;5r\x1b[1;1H$ l", b"s");
    assert_eq!(machine.text(), ["kpio: why.", "$ ls", "", "", ""]);
}

#[test]
fn what_the_system_tells_waits_for_what_is_being_written() {
    // More of it than goes over the serial line at once ends within these.
    for part in ["漢", "\x1b[31m", "\x1b]0;title\x07"] {
        for cut in 1..part.len() {
            let mut machine = Machine::with_screen();
            let before = "\r".repeat(512 - cut);
            machine.terminals[0].written = format!("{before}{part}end").into();
            machine.notices = vec!["kpio: why.".to_owned()];
            let shown = served(machine).to_serial;
            let shown = String::from_utf8(shown).expect("no character is parted");
            assert!(shown.contains(part), "{part:?}, {cut}: {shown:?}");
        }
    }
    // What never ends is not waited for.
    let mut machine = Machine::with_screen();
    machine.terminals[0].written = b"$ \x1b]0;".to_vec();
    machine.notices = vec!["kpio: why.".to_owned()];
    assert_eq!(served(machine).text()[..2], ["kpio: why.", "$"]);
}

#[test]
fn what_is_told_on_another_terminal_is_not_on_the_serial_line() {
    let mut machine = typed(&[SHOW_SECOND]);
    machine.notices = vec!["kpio: why.".to_owned()];
    let machine = served(machine);
    assert_eq!(machine.to_serial, b"");
    assert_eq!(machine.text()[0], "kpio: why.");
    assert!(machine.terminals[0].shown.is_empty());
}

#[test]
fn without_a_screen_the_line_is_enough() {
    let mut machine = typed(&[b"ls\r", SHOW_SECOND, PAGE_BACK, b"x\r"]);
    machine.has_screen = false;
    machine.terminals[0].written = b"README\n".to_vec();
    let machine = served(machine);
    assert_eq!(machine.to_serial, b"ls\r\nREADME\r\n");
    assert_eq!(machine.terminals[1].input, b"x\n");
}

/// A busy machine: keys of both places, commands among them, output on two terminals, one of them raw.
fn busy() -> Machine {
    let mut machine = typed(&[
        b"first\r half",
        SHOW_SECOND,
        b"raw \x1b[A",
        PAGE_BACK,
        SHOW_FIRST,
        b" line\rgone\x03",
        SHOW_SECOND,
        b"end",
    ]);
    machine.serial = b" typed far away".to_vec();
    machine.terminals[0].written = "one\ntwo \x1b[1;31mrot\x1b[0m 漢字\n".repeat(40).into();
    machine.terminals[1].written = b"a\nb\nc\nd\ne\nf\ng".to_vec();
    machine.terminals[1].is_raw = true;
    machine.terminals[0].has_foreground = true;
    machine.notices = (0..3).map(|number| format!("notice {number}")).collect();
    machine
}

#[test]
fn a_console_that_is_ended_at_any_call_loses_nothing_and_doubles_nothing() {
    let (expected, calls_left) = serve(busy(), FOR_EVER);
    let calls = FOR_EVER - calls_left;
    assert!(calls > 40, "{calls}");
    for calls in 0..calls {
        let (left, _) = serve(busy(), calls);
        // What is looked at goes back to the newest lines with a new console; so it is compared at a new one.
        let (again, _) = serve(left, FOR_EVER);
        for (index, terminal) in again.terminals.iter().enumerate() {
            let expected = &expected.terminals[index];
            assert_eq!(terminal.input, expected.input, "{index}, after {calls}");
            assert_eq!(terminal.interrupts, expected.interrupts, "after {calls}");
            assert!(terminal.shown == expected.shown, "{index}, after {calls}");
        }
        assert!(again.to_serial == expected.to_serial, "after {calls}");
        let seen = served(again).text();
        assert_eq!(seen, served(expected.clone()).text(), "after {calls}");
    }
}

#[test]
fn hostile_bytes_of_keys_and_programs_end_nothing() {
    let mut seed = 1_u64;
    let mut next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as u8
    };
    for _ in 0..200 {
        let mut bytes = |len: usize| -> Vec<u8> {
            let pool = b"\x1b[;1357PQRS~<64M\n\r\x03\x04\x1aOH";
            (0..len)
                .map(|_| match next() {
                    byte @ 0..60 => byte,
                    byte => pool[usize::from(byte) % pool.len()],
                })
                .collect()
        };
        let mut machine = typed(&[&bytes(1500)]);
        machine.serial = bytes(200);
        for terminal in &mut machine.terminals {
            terminal.written = bytes(600);
        }
        let machine = served(machine);
        assert!(machine.keyboard.is_empty());
    }
}
