//! The console's devices and terminals: who has them, and what a step does.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use runtime_host::{
    Budget, ByteSink, ByteSource, Cancellation, Console, ConsoleParts, ConsoleScreen, ConsoleStep,
    Control, Controlled, INPUT_BYTES_MAX, KEPT_BYTES_MAX, KeyMode, Keys, Look, Notifier,
    OUTPUT_BYTES_MAX, PipeReader, PipeWriter, Read, SHOWN_BYTES_MAX, StepRefusal, TERMINALS,
    TerminalStep, VirtualTerminal, pipe, write_all_blocking,
};

/// A machine: what is typed, and what is seen of it.
struct Machine {
    console: Console,
    keyboard: PipeWriter,
    serial: PipeWriter,
    sent: PipeReader,
    kernels: PipeReader,
    screen: Arc<Screen>,
}

#[derive(Default)]
struct Screen {
    is_handed_out: AtomicBool,
    drawn: Mutex<Vec<String>>,
}

impl ConsoleScreen for Screen {
    fn size(&self) -> Option<(u16, u16)> {
        Some((80, 25))
    }
    fn draw(&self, line: u16, column: u16, text: &str, _look: Look) {
        let mut drawn = self.drawn.lock().unwrap();
        drawn.push(format!("{line},{column}: {text}"));
    }
    fn hand_out(&self) {
        self.is_handed_out.store(true, Ordering::Relaxed);
    }
    fn take_back(&self) {
        self.is_handed_out.store(false, Ordering::Relaxed);
    }
}

fn machine() -> Machine {
    let budget = Budget::new(4 << 20);
    let channel = || pipe(4096, &budget).expect("within the budget");
    let ((keyboard_end, keyboard), (serial_end, serial)) = (channel(), channel());
    let ((sent, sent_end), (kernels, kernels_end)) = (channel(), channel());
    let screen = Arc::new(Screen::default());
    let console = Console::new(ConsoleParts {
        keyboard: Arc::new(keyboard_end),
        serial_input: Arc::new(serial_end),
        serial_output: Arc::new(sent_end),
        kernel_output: Arc::new(kernels_end),
        screen: Arc::clone(&screen) as _,
    });
    console.make_terminals(&budget).expect("within the budget");
    Machine {
        console,
        keyboard,
        serial,
        sent,
        kernels,
        screen,
    }
}

fn read(source: &dyn ByteSource) -> Vec<u8> {
    let mut buffer = vec![0; 64 << 10];
    match source.read(&mut buffer) {
        Ok(Read::Bytes(count)) => buffer[..count].to_vec(),
        _ => Vec::new(),
    }
}

fn terminal() -> VirtualTerminal {
    VirtualTerminal::new(&Budget::new(1 << 20)).expect("within the budget")
}

#[test]
fn one_has_the_devices_and_the_kernel_while_it_is_wanted_and_nobody_does() {
    let machine = machine();
    let (input, output) = (
        machine.console.kernel_input(),
        machine.console.kernel_output(),
    );
    machine.keyboard.write(b"to the kernel").unwrap();
    assert_eq!(read(&input), b"to the kernel");
    let hold = machine.console.open().expect("nobody has it");
    assert!(machine.console.open().is_err());
    assert!(machine.screen.is_handed_out.load(Ordering::Relaxed));
    machine.serial.write(b"to the console").unwrap();
    assert!(!input.is_readable() && read(&input).is_empty());
    assert_eq!(output.write(b"unseen"), Ok(0));
    machine.console.give_to_kernel(false);
    drop(hold);
    assert!(!input.is_readable() && output.room_bytes() == Ok(0));
    drop(machine.console.open().expect("it was given back"));
    machine.console.give_to_kernel(true);
    assert!(!machine.screen.is_handed_out.load(Ordering::Relaxed));
    assert_eq!(output.write(b"seen"), Ok(4));
    assert_eq!(read(&machine.kernels), b"seen");
    assert_eq!(read(&input), b"to the console");
}

#[test]
fn keys_are_there_until_a_step_takes_them_whoever_holds_the_devices() {
    let machine = machine();
    let hold = machine.console.open().unwrap();
    machine.keyboard.write(b"abc").unwrap();
    assert!(hold.news().is_ready());
    assert_eq!(hold.typed(Keys::Keyboard), b"abc");
    drop(hold);
    let hold = machine.console.open().unwrap();
    machine.keyboard.write(b"d").unwrap();
    assert_eq!(hold.typed(Keys::Keyboard), b"abcd");
    let terminal = hold.terminal(1).unwrap().clone();
    let step = ConsoleStep {
        keyboard_bytes: 3,
        to_serial: b"sent",
        terminal: TerminalStep {
            input: b"abc",
            echo: b"ABC",
            kept: Some(b"kept"),
            ..TerminalStep::default()
        },
        ..ConsoleStep::default()
    };
    assert_eq!(hold.step(&terminal, &step), Ok(()));
    assert_eq!(hold.typed(Keys::Keyboard), b"d");
    assert_eq!(read(&terminal.input()), b"abc");
    assert_eq!(
        (terminal.shown(), terminal.kept()),
        (b"ABC".to_vec(), b"kept".to_vec())
    );
    assert_eq!(read(&machine.sent), b"sent");
}

#[test]
fn a_step_that_is_refused_changes_nothing() {
    let machine = machine();
    let hold = machine.console.open().unwrap();
    machine.keyboard.write(b"x").unwrap();
    hold.typed(Keys::Keyboard);
    let terminal = hold.terminal(0).unwrap().clone();
    terminal.output().write(b"out").unwrap();
    let good = ConsoleStep {
        keyboard_bytes: 1,
        to_serial: b"sent",
        terminal: TerminalStep {
            output_bytes: 3,
            input: b"x",
            echo: b"x",
            kept: Some(b"x"),
            control: None,
        },
        ..ConsoleStep::default()
    };
    let (much, many) = (vec![0; INPUT_BYTES_MAX + 1], vec![0; KEPT_BYTES_MAX + 1]);
    let fine = good.terminal;
    let with = |terminal| ConsoleStep { terminal, ..good };
    for (step, refusal) in [
        (
            with(TerminalStep {
                input: &much,
                ..fine
            }),
            StepRefusal::Full,
        ),
        (
            with(TerminalStep {
                kept: Some(&many),
                ..fine
            }),
            StepRefusal::TooLong,
        ),
        (
            with(TerminalStep {
                output_bytes: 4,
                ..fine
            }),
            StepRefusal::NotThere,
        ),
        (
            ConsoleStep {
                keyboard_bytes: 2,
                ..good
            },
            StepRefusal::NotThere,
        ),
        (
            ConsoleStep {
                serial_bytes: usize::MAX,
                ..good
            },
            StepRefusal::NotThere,
        ),
    ] {
        assert_eq!(hold.step(&terminal, &step), Err(refusal));
    }
    assert!(read(&machine.sent).is_empty() && read(&terminal.input()).is_empty());
    assert!(terminal.shown().is_empty() && terminal.kept().is_empty());
    assert_eq!(hold.typed(Keys::Keyboard), b"x");
    assert_eq!(terminal.written(100), b"out");
    assert_eq!(hold.step(&terminal, &good), Ok(()));
    assert_eq!(terminal.shown(), b"outx");
    assert!(!hold.news().is_ready());
}

#[test]
fn the_newest_of_what_was_shown_is_kept() {
    let terminal = terminal();
    let echo: Vec<u8> = (0..SHOWN_BYTES_MAX + 10).map(|n| n as u8).collect();
    let step = TerminalStep {
        echo: &echo,
        ..TerminalStep::default()
    };
    assert_eq!(terminal.step(&step), Ok(()));
    assert_eq!(terminal.shown(), echo[10..]);
}

#[test]
fn writers_wait_for_whoever_shows_it_and_can_be_told_to_end() {
    let terminal = terminal();
    let sink = terminal.output();
    let much = vec![b'.'; OUTPUT_BYTES_MAX + 1];
    assert_eq!(sink.write(&much), Ok(OUTPUT_BYTES_MAX));
    assert_eq!(sink.room_bytes(), Ok(0));
    let (cancellation, never) = (Cancellation::new(), Cancellation::new());
    thread::scope(|scope| {
        let killed = scope.spawn(|| write_all_blocking(&sink, b"late", &cancellation));
        cancellation.cancel();
        assert!(killed.join().unwrap().is_err());
        let patient = scope.spawn(|| write_all_blocking(&sink, b"x", &never));
        let step = TerminalStep {
            output_bytes: 1,
            ..TerminalStep::default()
        };
        assert_eq!(terminal.step(&step), Ok(()));
        assert!(patient.join().unwrap().unwrap().is_ok());
    });
}

#[test]
fn the_end_of_the_input_is_read_once_behind_nothing() {
    let terminal = terminal();
    let input = terminal.input();
    let end = TerminalStep {
        control: Some(Control::EndInput),
        ..TerminalStep::default()
    };
    let typed = TerminalStep {
        input: b"line\n",
        ..TerminalStep::default()
    };
    terminal.step(&typed).unwrap();
    assert_eq!(terminal.step(&end), Err(StepRefusal::Full));
    assert_eq!(read(&input), b"line\n");
    assert_eq!(terminal.step(&end), Ok(()));
    assert!(input.is_readable());
    let mut buffer = [0; 8];
    assert_eq!(input.read(&mut buffer), Ok(Read::End));
    assert_eq!(input.read(&mut buffer), Ok(Read::Empty));
    // What is typed after it takes it back.
    assert_eq!(terminal.step(&end), Ok(()));
    terminal.step(&typed).unwrap();
    assert_eq!(read(&input), b"line\n");
    assert_eq!(input.read(&mut buffer), Ok(Read::Empty));
}

#[test]
fn control_keys_are_for_the_foreground_or_input() {
    let terminal = terminal();
    let interrupt = TerminalStep {
        input: b"x",
        control: Some(Control::Interrupt),
        ..TerminalStep::default()
    };
    assert_eq!(terminal.step(&interrupt), Ok(()));
    assert_eq!(read(&terminal.input()), b"x\x03");
    let member = Arc::new(Member::default());
    let members: Vec<Arc<dyn Controlled>> = vec![Arc::clone(&member) as _];
    terminal.device().set_foreground(1, members);
    assert_eq!(terminal.step(&interrupt), Ok(()));
    assert_eq!(read(&terminal.input()), b"x");
    assert!(member.0.load(Ordering::Relaxed));
}

/// Ctrl-C that went for input, because a job had not begun yet, is that job's however close it was.
#[test]
fn an_interrupt_that_nobody_has_read_is_the_next_jobs() {
    let terminal = terminal();
    let device = terminal.device();
    device.set_foreground(1, Vec::new());
    let typed = |input: &[u8]| {
        let step = TerminalStep {
            input,
            ..TerminalStep::default()
        };
        terminal.step(&step).unwrap();
    };
    typed(b"for nobody\x03for cat\n");
    device.begin_foreground(1);
    assert!(terminal.input().take_interrupt() && !terminal.input().take_interrupt());
    assert_eq!(read(&terminal.input()), b"for cat\n");
    // The console had asked how keys are to be taken before the job began.
    let member = Arc::new(Member::default());
    device.join_foreground(1, Arc::clone(&member) as _);
    typed(b"for nobody\x03");
    assert!(member.0.load(Ordering::Relaxed) && device.was_interrupted(1));
    assert!(!terminal.input().is_readable());
    // Whoever takes every key gets this one too.
    device.set_mode(2, KeyMode::Raw);
    typed(b"\x03");
    assert_eq!(read(&terminal.input()), b"\x03");
}

/// Whether it was killed.
#[derive(Default)]
struct Member(AtomicBool);

impl Controlled for Member {
    fn kill(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
    fn suspend(&self, _is_suspended: bool) {}
}

#[test]
fn a_notice_is_told_where_a_person_looks_and_by_a_step() {
    let machine = machine();
    let hold = machine.console.open().expect("nobody has it");
    hold.show(1);
    let terminal = hold.terminal(1).expect("it was made").clone();
    assert!(hold.notice().is_none() && !hold.news().is_ready());
    // An editor is open there.
    terminal.device().begin_foreground(1);
    terminal.device().set_mode(2, KeyMode::Raw);
    let news = hold.news();
    let notifier = Notifier::new();
    news.subscribe(&notifier);
    machine.console.notices().push("told".to_owned());
    assert!(notifier.wait(None) && !news.is_ready() && hold.notice().is_none());
    terminal.device().release(2);
    assert!(notifier.wait(None) && news.is_ready());
    let number = hold.notice().expect("it waits").number;
    let step = ConsoleStep {
        notice: Some(number),
        ..ConsoleStep::default()
    };
    let refused = ConsoleStep {
        keyboard_bytes: 1,
        ..step
    };
    assert!(hold.step(&terminal, &refused).is_err() && news.is_ready());
    assert_eq!(hold.step(&terminal, &step), Ok(()));
    assert!(hold.notice().is_none() && !news.is_ready());
    assert!(machine.console.notices().take_all().is_empty());
}

#[test]
fn terminals_are_paid_for() {
    let machine = machine();
    assert!(machine.console.terminal(TERMINALS - 1).is_some());
    assert!(machine.console.terminal(TERMINALS).is_none());
    assert!(
        machine
            .console
            .make_terminals(&Budget::new(100 << 10))
            .is_err()
    );
    assert!(machine.screen.drawn.lock().unwrap().is_empty());
}

#[test]
fn which_terminals_a_person_has_seen_is_told_once_each() {
    let machine = machine();
    let hold = machine.console.open().expect("nobody has it");
    hold.show(0);
    hold.show(2);
    assert_eq!(machine.console.wait_for_seen(0), 0b101);
    let console = machine.console.clone();
    let waiting = std::thread::spawn(move || console.wait_for_seen(0b101));
    hold.show(2);
    hold.show(3);
    assert_eq!(waiting.join().expect("it waits and ends"), 0b1101);
}

/// However much is unread, whoever is in the foreground can be ended; and what was typed before that is there when it is.
#[test]
fn a_key_that_is_obeyed_needs_no_room_and_comes_after_what_was_typed() {
    let terminal = terminal();
    let input = terminal.input();
    let member = Arc::new(Member::default());
    let members: Vec<Arc<dyn Controlled>> = vec![Arc::clone(&member) as _];
    terminal.device().set_foreground(1, members);
    let typed = |bytes: &[u8]| {
        terminal.step(&TerminalStep {
            input: bytes,
            control: Some(Control::Interrupt),
            ..TerminalStep::default()
        })
    };
    let room = vec![b'x'; 16 << 10];
    assert_eq!(typed(&room), Ok(()));
    assert!(member.0.swap(false, Ordering::Relaxed));
    assert_eq!(typed(b""), Ok(()));
    assert!(member.0.swap(false, Ordering::Relaxed));
    assert_eq!(typed(b"x"), Err(StepRefusal::Full));
    assert!(!member.0.load(Ordering::Relaxed));
    assert_eq!(read(&input).len(), room.len());
}
