//! A person at a prompt: what is typed, and what is then on the terminal. The system is made up; its
//! programs are threads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use runtime_host::{
    Budget, ByteSink, ByteSource, Cancellation, NoInput, Notifier, PipeWriter, StreamFailure,
    Subscribers, TerminalDevice, TerminalSize, pipe, read_blocking, write_all_blocking,
};

use crate::{
    Job, Limits, MemoryUse, Parting, ProcessRow, Prompt, StartError, System, TerminalOutput,
};

/// How long a test waits for what must come before it says that it did not. Nothing is judged by it but a hang.
const PATIENCE: Duration = Duration::from_secs(300);

/// A terminal that remembers what it was sent.
#[derive(Default)]
struct Screen {
    text: Mutex<String>,
    changed: Condvar,
}

impl Screen {
    /// Waits until `text` is shown, and forgets everything up to its end.
    fn expect(&self, text: &str) -> String {
        let shown = self.text.lock().expect("not poisoned");
        let mut found = None;
        // What was looked through once is not looked through again: some tests show very much, a byte at a time.
        let mut looked_through_bytes = 0;
        let (mut shown, _) = self
            .changed
            .wait_timeout_while(shown, PATIENCE, |shown| {
                let from = shown.floor_char_boundary(looked_through_bytes);
                found = shown[from..].find(text).map(|at| from + at);
                looked_through_bytes = shown.len().saturating_sub(text.len());
                found.is_none()
            })
            .expect("not poisoned");
        let Some(at) = found else {
            panic!("{text:?} did not come; there is {shown:?}");
        };
        shown.drain(..at + text.len()).collect()
    }
}

impl ByteSink for Screen {
    fn room_bytes(&self) -> Result<usize, StreamFailure> {
        Ok(1000)
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, StreamFailure> {
        let mut text = self.text.lock().expect("not poisoned");
        text.push_str(&String::from_utf8_lossy(bytes));
        self.changed.notify_all();
        Ok(bytes.len())
    }

    fn subscribe(&self, _notifier: &Notifier) {}
}

#[derive(Default)]
struct ProgramState {
    ending: Mutex<Option<Option<String>>>,
    ended: Subscribers,
    cancellation: Cancellation,
    was_killed: AtomicBool,
}

struct Program(Arc<ProgramState>);

impl Job for Program {
    fn ending(&self) -> Option<Option<String>> {
        self.0.ending.lock().expect("not poisoned").clone()
    }

    fn subscribe(&self, notifier: &Notifier) {
        self.0.ended.add(notifier);
    }

    fn kill(&self) {
        self.0.was_killed.store(true, Ordering::Relaxed);
        self.0.cancellation.cancel();
    }
}

/// A system of three programs: `echo` shows its arguments, `cat` what it reads, and `deaf` waits to be
/// killed and reads nothing.
struct Fake {
    output: TerminalOutput,
    /// Told at the next prompt.
    news: Mutex<Vec<String>>,
}

impl Fake {
    fn body(
        name: &str,
        arguments: Vec<String>,
        stdin: Arc<dyn ByteSource>,
        output: TerminalOutput,
        state: &ProgramState,
    ) -> Option<String> {
        let show = |bytes: &[u8]| {
            let shown = write_all_blocking(&output, bytes, &Cancellation::new());
            shown.expect("not cancelled").expect("the screen takes all");
        };
        match name {
            "echo" => show(format!("{arguments:?}").as_bytes()),
            "cat" => {
                let mut buffer = [0; 1000];
                while let Ok(Ok(count @ 1..)) =
                    read_blocking(&*stdin, &mut buffer, &state.cancellation)
                {
                    show(&buffer[..count]);
                }
            }
            _ => {
                show(b"waiting\n");
                let notifier = Notifier::new();
                state.cancellation.subscribe(&notifier);
                while !state.cancellation.is_cancelled() {
                    notifier.wait(None);
                }
            }
        }
        state
            .was_killed
            .load(Ordering::Relaxed)
            .then(|| "was told to end".into())
    }
}

impl System for Fake {
    fn programs(&self) -> Vec<String> {
        ["cat", "deaf", "echo"].map(String::from).into()
    }

    fn start(
        &self,
        program: &str,
        arguments: &[String],
        stdin: Arc<dyn ByteSource>,
        _limits: &Limits,
    ) -> Result<Box<dyn Job>, StartError> {
        match program {
            "cat" | "deaf" | "echo" => {}
            "broken" => return Err(StartError::Refused("is not a component".into())),
            _ => return Err(StartError::NoSuchProgram),
        }
        let state = Arc::new(ProgramState::default());
        let (shared, output) = (Arc::clone(&state), self.output.clone());
        let (name, arguments) = (program.to_string(), arguments.to_vec());
        thread::spawn(move || {
            let sentence = Self::body(&name, arguments, stdin, output, &shared);
            *shared.ending.lock().expect("not poisoned") = Some(sentence);
            shared.ended.notify_all();
        });
        Ok(Box::new(Program(state)))
    }

    fn call(
        &self,
        program: &str,
        function: &str,
        arguments: &[String],
        stdin: Arc<dyn ByteSource>,
    ) -> Result<Box<dyn Job>, StartError> {
        let words: Vec<String> = [&[function.to_owned()], arguments].concat();
        self.start(program, &words, stdin, &Limits::default())
    }

    fn kill(&self, id: u64) -> Result<(), String> {
        match id {
            12 => Ok(()),
            _ => Err(format!("There is no process {id}.")),
        }
    }

    fn processes(&self) -> Vec<ProcessRow> {
        vec![ProcessRow {
            id: 12,
            parent: None,
            state: "running".into(),
            memory_bytes: Some(3 << 20),
            resident_bytes: Some(1 << 20),
            cpu_time: Some(Duration::from_millis(1234)),
            threads: Some(1),
            handles: Some(5),
            age: Some(Duration::from_secs(75)),
            class: Some("interactive".into()),
            name: "clock".into(),
        }]
    }

    fn memory(&self) -> Vec<MemoryUse> {
        vec![MemoryUse {
            owner: "kernel".into(),
            len_bytes: 2 << 20,
        }]
    }

    fn uptime(&self) -> Duration {
        Duration::from_secs(3661)
    }

    fn log(&self, words: &[String]) -> Result<String, String> {
        match words {
            [] => Ok("[0.1] one\n[0.2] two\n".into()),
            words => Err(format!("no line is about {words:?}")),
        }
    }

    fn follow_log(&self, words: &[String]) -> Result<Box<dyn Job>, String> {
        let job = self.start("deaf", words, Arc::new(NoInput), &Limits::default());
        job.map_err(|error| format!("{error:?}"))
    }

    fn log_levels(&self, words: &[String]) -> Result<String, String> {
        Ok(format!("levels {words:?}\n"))
    }

    fn keyboard(&self, words: &[String]) -> Result<String, String> {
        Ok(format!("keyboard {words:?}\n"))
    }

    fn trace(&self, words: &[String]) -> Result<String, String> {
        Ok(format!("trace {words:?}\n"))
    }

    fn services(&self, words: &[String]) -> Result<String, String> {
        let mut news = self.news.lock().expect("not poisoned");
        news.push("Something has happened.".to_owned());
        Ok(format!("services {words:?}\n"))
    }

    fn capabilities(&self, words: &[String]) -> Result<String, String> {
        Err(format!("{words:?} has none."))
    }

    fn news(&self) -> Vec<String> {
        let mut news = self.news.lock().expect("not poisoned");
        std::mem::take(&mut *news)
    }
}

/// A person with a keyboard and a screen.
struct Person {
    keyboard: Option<PipeWriter>,
    screen: Arc<Screen>,
    prompt: JoinHandle<Parting>,
    budget: Budget,
}

impl Person {
    fn sits_down() -> Self {
        let budget = Budget::new(1 << 20);
        let (keys, keyboard) = pipe(1 << 18, &budget).expect("within the budget");
        let screen = Arc::new(Screen::default());
        let output = TerminalOutput::new(Arc::clone(&screen) as Arc<dyn ByteSink>);
        let system = Fake {
            news: Mutex::default(),
            output: output.clone(),
        };
        let terminal = TerminalDevice::new(TerminalSize::USUAL);
        let mut prompt = Prompt::new(
            system,
            Arc::new(keys),
            output,
            budget.clone(),
            terminal.clone(),
        );
        let person = Self {
            keyboard: Some(keyboard),
            screen,
            prompt: thread::spawn(move || prompt.run()),
            budget,
        };
        person.screen.expect("kpio> ");
        person
    }

    fn types(&self, bytes: &[u8]) {
        let keyboard = self.keyboard.as_ref().expect("still there");
        assert_eq!(keyboard.write(bytes), Ok(bytes.len()));
    }

    /// Types a line and gives what is shown between its echo and the next prompt.
    fn asks(&self, line: &str) -> String {
        self.types(line.as_bytes());
        self.types(b"\r");
        self.screen.expect("\r\n");
        let answer = self.screen.expect("\rkpio> ");
        answer.trim_end_matches("\rkpio> ").to_string()
    }

    fn leaves(mut self) -> Parting {
        self.keyboard = None;
        self.prompt.join().expect("the prompt does not panic")
    }
}

#[test]
fn built_in_commands_answer() {
    let person = Person::sits_down();
    assert_eq!(person.asks("uptime"), "Up for 1:01:01.\r\n");
    assert_eq!(person.asks("dmesg"), "[0.1] one\r\n[0.2] two\r\n");
    assert_eq!(person.asks("dmesg x"), "no line is about [\"x\"]\r\n");
    assert_eq!(
        person.asks("log memory=debug"),
        "levels [\"memory=debug\"]\r\n"
    );
    assert_eq!(
        person.asks("trace start switch"),
        "trace [\"start\", \"switch\"]\r\n"
    );
    assert!(person.asks("ps").contains(
        "    12  running         3072         1024     1234       1       5      1:15  interactive     clock\r\n"
    ));
    assert!(person.asks("free").contains("2048 KiB\r\n"));
    assert!(
        person
            .asks("help")
            .contains("poweroff  switch the machine off\r\n")
    );
    assert_eq!(person.asks("keyboard de"), "keyboard [\"de\"]\r\n");
    assert_eq!(
        person.asks("invoke echo add 1 2"),
        "[\"add\", \"1\", \"2\"]\r\n"
    );
    assert_eq!(
        person.asks("invoke echo"),
        "'invoke' needs a program and a function.\r\n"
    );
    assert_eq!(person.asks("clear"), "\x1b[H\x1b[2J\r");
    assert_eq!(person.asks(""), "");
    assert_eq!(person.leaves(), Parting::TerminalGone);
}

#[test]
fn nonsense_is_answered_with_a_sentence() {
    let person = Person::sits_down();
    assert!(
        person
            .asks("frobnicate x")
            .starts_with("There is no command or program called 'frobnicate'")
    );
    assert!(
        person
            .asks("free all")
            .starts_with("'free' takes no arguments.")
    );
    assert!(
        person
            .asks("echo 'x")
            .starts_with("The line has an opening '")
    );
    assert_eq!(person.asks("broken"), "broken: is not a component\r\n");
    person.types(b"\x04");
    person
        .screen
        .expect("'poweroff' switches the machine off.\r\n");
    person.types(b"abc\x03");
    person.screen.expect("^C\r\n\rkpio> ");
}

#[test]
fn programs_get_their_arguments_and_the_prompt_a_row_of_its_own() {
    let person = Person::sits_down();
    assert_eq!(person.asks("echo 'a b' c"), "[\"a b\", \"c\"]\r\n");
}

#[test]
fn lines_go_to_the_program_until_end_of_input() {
    let person = Person::sits_down();
    person.types(b"cat\r");
    person.screen.expect("\r\n");
    person.types(b"one\x7fE\r");
    person.screen.expect("onE\r\n");
    person.types(b"\x04");
    person.screen.expect("\rkpio> ");
    // The keys are the prompt's again.
    assert_eq!(person.asks("uptime"), "Up for 1:01:01.\r\n");
}

#[test]
fn ctrl_c_ends_a_program_that_reads_and_one_that_does_not() {
    let person = Person::sits_down();
    for program in ["cat", "deaf"] {
        person.types(format!("{program}\r").as_bytes());
        person.screen.expect("\r\n");
        person.types(b"half a line\x03");
        person.screen.expect("was told to end\r\n\rkpio> ");
    }
}

#[test]
fn the_log_is_followed_until_ctrl_c() {
    let person = Person::sits_down();
    person.types(b"dmesg -f\r");
    person.screen.expect("waiting\r\n");
    person.types(b"\x03");
    person.screen.expect("\rkpio> ");
    assert_eq!(person.asks("uptime"), "Up for 1:01:01.\r\n");
}

#[test]
fn a_program_that_reads_nothing_does_not_fill_the_prompt_up() {
    let person = Person::sits_down();
    person.types(b"deaf\r");
    person.screen.expect("waiting\r\n");
    person.types(&b"0123456789012345678901234567890123456789\r".repeat(3000));
    person.types(b"\x03");
    let shown = person.screen.expect("was told to end\r\n");
    assert!(shown.contains('\x07'));
}

#[test]
fn every_program_gives_its_memory_back() {
    let person = Person::sits_down();
    let before_bytes = person.budget.used_bytes();
    for _ in 0..20 {
        person.asks("echo x");
    }
    assert_eq!(person.budget.used_bytes(), before_bytes);
}

#[test]
fn a_terminal_that_goes_takes_the_program_along() {
    let person = Person::sits_down();
    person.types(b"deaf\r");
    person.screen.expect("waiting\r\n");
    assert_eq!(person.leaves(), Parting::TerminalGone);
}

#[test]
fn services_are_asked_and_news_come_before_the_next_prompt() {
    let person = Person::sits_down();
    let answer = person.asks("svc stop log");
    assert!(answer.contains("services [\"stop\", \"log\"]"));
    assert!(answer.contains("Something has happened."));
    let answer = person.asks("caps 7");
    assert!(answer.contains("[\"7\"] has none.") && !answer.contains("happened"));
}

#[test]
fn leaving() {
    for (line, parting) in [
        (&b"reboot\r"[..], Parting::Reboot),
        (b"poweroff\r", Parting::PowerOff),
    ] {
        let person = Person::sits_down();
        person.types(line);
        assert_eq!(person.leaves(), parting);
    }
}

#[test]
fn any_bytes_are_survived() {
    let mut state = 0x9E37_79B9_u32;
    let mut bytes = Vec::new();
    for _ in 0..5000 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        bytes.push((state >> 24) as u8);
    }
    let person = Person::sits_down();
    person.types(&bytes);
    assert_eq!(person.leaves(), Parting::TerminalGone);
}
