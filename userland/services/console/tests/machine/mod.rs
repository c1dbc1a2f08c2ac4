//! Devices that remember what was done with them, and can end whoever uses them at any call.

use std::cell::{Cell as Counter, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

use console::{Console, Control, Devices, Origin, Refusal, Step, TERMINALS};
use lib_terminal::{Cell, Style, cells_of};

pub const COLUMNS: usize = 20;
pub const LINES: usize = 5;
/// What a program leaves unread, at most.
pub const INPUT_BYTES_MAX: usize = 4096;
const TYPED_BYTES_MAX: usize = 1024;
const SHOWN_BYTES_MAX: usize = 64 << 10;

/// What is left of a console that was ended.
struct Killed;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Terminal {
    pub written: Vec<u8>,
    pub shown: Vec<u8>,
    pub kept: Vec<u8>,
    pub input: Vec<u8>,
    pub is_raw: bool,
    pub is_seen: bool,
    pub has_foreground: bool,
    pub interrupts: usize,
    pub ends: usize,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Machine {
    pub keyboard: Vec<u8>,
    pub serial: Vec<u8>,
    pub to_serial: Vec<u8>,
    pub terminals: [Terminal; TERMINALS],
    pub has_screen: bool,
    /// What is to be told, and how many were before.
    pub notices: Vec<String>,
    pub told: u64,
    pub picture: Vec<Vec<Cell>>,
}

/// The machine as one console has it.
pub struct Held {
    machine: Rc<RefCell<Machine>>,
    /// Calls that it lives to make.
    calls_left: Rc<Counter<usize>>,
}

impl Machine {
    pub fn with_screen() -> Self {
        Self {
            has_screen: true,
            ..Self::default()
        }
    }

    fn is_quiet(&self) -> bool {
        let is_read = self.terminals.iter().all(|t| t.written.is_empty());
        self.keyboard.is_empty() && self.serial.is_empty() && is_read && self.notices.is_empty()
    }

    /// The text on the screen, each line without the blanks at its end.
    pub fn text(&self) -> Vec<String> {
        let line = |line: &Vec<Cell>| {
            let text: String = line.iter().map(|cell| cell.character).collect();
            text.trim_end().to_owned()
        };
        self.picture.iter().map(line).collect()
    }
}

/// Has a new console deal with everything, or with as much as it lives for; how many calls it had left.
pub fn serve(machine: Machine, calls: usize) -> (Machine, usize) {
    let machine = Rc::new(RefCell::new(machine));
    machine.borrow_mut().picture = vec![vec![Cell::BLANK; COLUMNS]; LINES];
    let calls_left = Rc::new(Counter::new(calls));
    let held = Held {
        machine: Rc::clone(&machine),
        calls_left: Rc::clone(&calls_left),
    };
    let life = catch_unwind(AssertUnwindSafe(|| {
        let mut console = Console::start(held);
        while !machine.borrow().is_quiet() {
            console.serve();
        }
        console.draw();
    }));
    if let Err(end) = life
        && !end.is::<Killed>()
    {
        resume_unwind(end);
    }
    (machine.take(), calls_left.get())
}

impl Held {
    fn call(&self) -> std::cell::RefMut<'_, Machine> {
        match self.calls_left.get().checked_sub(1) {
            Some(left) => self.calls_left.set(left),
            None => resume_unwind(Box::new(Killed)),
        }
        self.machine.borrow_mut()
    }
}

impl Devices for Held {
    fn screen_size(&self) -> Option<(u16, u16)> {
        let size = (COLUMNS as u16, LINES as u16);
        self.call().has_screen.then_some(size)
    }

    fn draw(&self, line: usize, column: usize, text: &str, look: Style) {
        let mut machine = self.call();
        let row = &mut machine.picture[line][column..];
        for (place, cell) in row.iter_mut().zip(cells_of(text, look)) {
            *place = cell;
        }
    }

    fn typed(&self, origin: Origin) -> Vec<u8> {
        let machine = self.call();
        let queue = match origin {
            Origin::Keyboard => &machine.keyboard,
            Origin::Serial => &machine.serial,
        };
        queue.iter().take(TYPED_BYTES_MAX).copied().collect()
    }

    fn written(&self, terminal: usize) -> Vec<u8> {
        self.call().terminals[terminal].written.clone()
    }

    fn notice(&self) -> Option<(u64, String)> {
        let machine = self.call();
        Some((machine.told, machine.notices.first()?.clone()))
    }

    fn step(&self, terminal: usize, step: Step) -> Result<(), Refusal> {
        let mut machine = self.call();
        let own = &mut machine.terminals[terminal];
        let is_behind = !own.input.is_empty() || !step.input.is_empty();
        let is_late_end = step.control == Some(Control::EndInput) && is_behind;
        if is_late_end || own.input.len() + step.input.len() > INPUT_BYTES_MAX {
            return Err(Refusal::Full);
        }
        own.shown.extend(own.written.drain(..step.output));
        own.shown.extend(step.echo);
        let forgotten = own.shown.len().saturating_sub(SHOWN_BYTES_MAX);
        own.shown.drain(..forgotten);
        own.input.extend(step.input);
        match step.control {
            None => {}
            Some(Control::EndInput) => own.ends += 1,
            Some(_) if own.has_foreground => own.interrupts += 1,
            Some(_) => own.input.push(3),
        }
        if let Some(kept) = step.kept {
            own.kept = kept;
        }
        if let Some(number) = step.notice {
            assert_eq!(number, machine.told);
            machine.notices.remove(0);
            machine.told += 1;
        }
        machine.to_serial.extend(step.to_serial);
        machine.keyboard.drain(..step.keyboard);
        machine.serial.drain(..step.serial);
        Ok(())
    }

    fn shown(&self, terminal: usize) -> Vec<u8> {
        self.call().terminals[terminal].shown.clone()
    }

    fn kept(&self, terminal: usize) -> Vec<u8> {
        self.call().terminals[terminal].kept.clone()
    }

    fn is_raw(&self, terminal: usize) -> bool {
        self.call().terminals[terminal].is_raw
    }

    fn show(&self, terminal: usize) {
        self.call().terminals[terminal].is_seen = true;
    }

    fn set_size(&self, _terminal: usize, columns: u16, rows: u16) {
        drop(self.call());
        assert_eq!((usize::from(columns), usize::from(rows)), (COLUMNS, LINES));
    }
}
