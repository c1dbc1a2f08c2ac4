//! The terminals, and what is seen of them.

use lib_terminal::{Cell, CellTerminal, each_run};

use crate::keys::{self, Command, Next};
use crate::notice;
use crate::typing::Typing;
use crate::within::Within;
use crate::{Devices, Origin, Step, TERMINALS};

/// Room for the lines that have left a terminal's screen.
pub const HISTORY_BYTES: usize = 512 << 10;
/// Typed bytes that the devices give at once, at most.
const TYPED_BYTES_MAX: usize = 1024;
/// The devices keep so much of what was shown: its oldest end may be cut within a sequence.
const SHOWN_BYTES_MAX: usize = 64 << 10;
/// Bytes for the serial line that are taken at once: it may be slow, and keys wait meanwhile.
const SERIAL_BYTES_MAX: usize = 512;
/// So often in a row a notice waits for the rest of what a program has begun to write.
const WAITS_MAX: u32 = 64;
/// The terminal that is the serial line's.
const ON_SERIAL_LINE: usize = 0;
/// What this one keeps says which is shown: one place, so that one step changes it.
const REMEMBERS_SHOWN: usize = 0;

/// Four terminals, of which one is seen.
pub struct Console<D> {
    devices: D,
    terminals: Vec<Terminal>,
    shown: usize,
    picture: Option<Picture>,
    /// How often in a row a notice has waited.
    waits: u32,
}

struct Terminal {
    typing: Typing,
    /// Where what was shown ends.
    within: Within,
    /// `None` where there is no screen.
    cells: Option<CellTerminal>,
}

/// What is on the screen.
struct Picture {
    lines: Vec<Vec<Cell>>,
    row: Vec<Cell>,
    /// It is not what it should be.
    is_old: bool,
}

impl<D: Devices> Console<D> {
    /// Goes on where the console before this one was ended.
    pub fn start(devices: D) -> Self {
        let size = devices.screen_size();
        let mut shown = 0;
        let terminals = (0..TERMINALS).map(|index| {
            let kept = devices.kept(index);
            let (&seen, line) = kept.split_first().unwrap_or((&0, &[]));
            if index == REMEMBERS_SHOWN {
                shown = usize::from(seen).min(TERMINALS - 1);
            }
            let mut terminal = Terminal::new(index, line, size);
            terminal.feed(whole_lines(&devices.shown(index)));
            if let Some((columns, rows)) = size {
                devices.set_size(index, columns, rows);
            }
            terminal
        });
        let terminals = terminals.collect();
        devices.show(ON_SERIAL_LINE);
        devices.show(shown);
        Self {
            devices,
            terminals,
            shown,
            picture: size.map(Picture::new),
            waits: 0,
        }
    }

    /// Deals with what was typed and written.
    pub fn serve(&mut self) {
        self.serve_keyboard();
        let typed = self.devices.typed(Origin::Serial);
        if !typed.is_empty() {
            self.type_on(ON_SERIAL_LINE, Origin::Serial, &typed);
        }
        (0..TERMINALS).for_each(|index| self.show_written(index));
        self.tell();
    }

    fn serve_keyboard(&mut self) {
        let typed = self.devices.typed(Origin::Keyboard);
        let is_cut = typed.len() >= TYPED_BYTES_MAX;
        let mut rest = typed.as_slice();
        while !rest.is_empty() {
            let len = match keys::next(rest, is_cut) {
                None => return,
                Some(Next::Plain(len)) => {
                    self.look(|cells| cells.scroll_view(isize::MIN));
                    self.type_on(self.shown, Origin::Keyboard, &rest[..len]);
                    len
                }
                Some(Next::Command(command, len)) => {
                    self.obey(command, len);
                    len
                }
            };
            rest = &rest[len..];
        }
    }

    fn type_on(&mut self, index: usize, origin: Origin, keys: &[u8]) {
        let mut rest = keys;
        while !rest.is_empty() {
            let is_raw = self.devices.is_raw(index);
            let taken = self.terminals[index].typing.take(origin, rest, is_raw);
            let kept = self.kept(index);
            let typing = &mut self.terminals[index].typing;
            let echo = typing.finish(&self.devices, kept, index == ON_SERIAL_LINE);
            self.show(index, &echo);
            rest = &rest[taken..];
        }
    }

    /// What the next console is to know: which terminal is shown, and what was typed of a line.
    fn kept(&self, index: usize) -> Vec<u8> {
        // There are four.
        let mut kept = vec![self.shown as u8];
        kept.extend_from_slice(self.terminals[index].typing.line());
        kept
    }

    fn obey(&mut self, command: Command, len: usize) {
        match command {
            Command::Show(index) => {
                self.shown = index;
                self.devices.show(index);
                self.make_old();
            }
            Command::HalfScreens(count) => {
                let lines = self.picture.as_ref().map_or(0, |p| p.lines.len());
                let half_screen = (lines / 2).max(1).cast_signed();
                self.look(|cells| cells.scroll_view(count * half_screen));
            }
            Command::Lines(count) => self.look(|cells| cells.scroll_view(count)),
        }
        let step = Step {
            keyboard: len,
            kept: Some(self.kept(REMEMBERS_SHOWN)),
            ..Step::default()
        };
        // It takes no more than there is and keeps no more than a line.
        let _done = self.devices.step(REMEMBERS_SHOWN, step);
    }

    fn show_written(&mut self, index: usize) {
        let mut written = self.devices.written(index);
        let is_on_serial_line = index == ON_SERIAL_LINE;
        if is_on_serial_line {
            written.truncate(SERIAL_BYTES_MAX);
        }
        if written.is_empty() {
            return;
        }
        let step = Step {
            output: written.len(),
            to_serial: match is_on_serial_line {
                true => with_carriage_returns(&written),
                false => Vec::new(),
            },
            ..Step::default()
        };
        if self.devices.step(index, step).is_ok() {
            self.show(index, &written);
        }
    }

    /// Shows what the system has to tell, but not within what a program is writing.
    fn tell(&mut self) {
        let Some((number, text)) = self.devices.notice() else {
            return;
        };
        let is_within = self.terminals[self.shown].within != Within::Nothing;
        if is_within && self.waits < WAITS_MAX {
            self.waits += 1;
            return;
        }
        self.waits = 0;
        let columns = self.picture.as_ref().map(|picture| picture.row.len());
        let above = notice::above_the_line(&text, columns);
        let step = Step {
            notice: Some(number),
            echo: above.clone(),
            to_serial: match self.shown == ON_SERIAL_LINE {
                true => above.clone(),
                false => Vec::new(),
            },
            ..Step::default()
        };
        if self.devices.step(self.shown, step).is_ok() {
            self.show(self.shown, &above);
        }
    }

    fn show(&mut self, index: usize, bytes: &[u8]) {
        self.terminals[index].feed(bytes);
        if index == self.shown && !bytes.is_empty() {
            self.make_old();
        }
    }

    fn look(&mut self, change: impl FnOnce(&mut CellTerminal)) {
        if let Some(cells) = &mut self.terminals[self.shown].cells {
            change(cells);
        }
        self.make_old();
    }

    fn make_old(&mut self) {
        if let Some(picture) = &mut self.picture {
            picture.is_old = true;
        }
    }

    /// Whether [`draw`](Self::draw) would draw anything.
    pub fn is_to_be_drawn(&self) -> bool {
        self.picture.as_ref().is_some_and(|picture| picture.is_old)
    }

    /// Draws what has changed.
    pub fn draw(&mut self) {
        let cells = self.terminals[self.shown].cells.as_ref();
        if let (Some(picture), Some(cells)) = (&mut self.picture, cells) {
            picture.draw(cells, &self.devices);
        }
    }
}

impl Terminal {
    fn new(index: usize, line: &[u8], size: Option<(u16, u16)>) -> Self {
        let cells = size.and_then(|(columns, lines)| {
            CellTerminal::new(columns.into(), lines.into(), HISTORY_BYTES).ok()
        });
        Self {
            typing: Typing::new(index, line),
            within: Within::default(),
            cells,
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.within = self.within.after(bytes);
        if let Some(cells) = &mut self.cells {
            cells.feed(&with_carriage_returns(bytes));
        }
    }
}

impl Picture {
    /// A blank screen.
    fn new((columns, lines): (u16, u16)) -> Self {
        let row = vec![Cell::BLANK; columns.into()];
        Self {
            lines: vec![row.clone(); lines.into()],
            row,
            is_old: true,
        }
    }

    fn draw(&mut self, cells: &CellTerminal, devices: &impl Devices) {
        for (line, drawn) in self.lines.iter_mut().enumerate() {
            cells.look_at(line, &mut self.row);
            each_run(drawn, &self.row, |column, text, look| {
                devices.draw(line, column, text, look);
            });
        }
        self.is_old = false;
    }
}

/// A program ends its lines with a line feed; a terminal needs a carriage return too.
fn with_carriage_returns(bytes: &[u8]) -> Vec<u8> {
    let mut converted = Vec::with_capacity(bytes.len());
    for &byte in bytes {
        if byte == b'\n' {
            converted.push(b'\r');
        }
        converted.push(byte);
    }
    converted
}

/// What was shown, from the start of a line on if something before it has been forgotten.
fn whole_lines(shown: &[u8]) -> &[u8] {
    let first_end = shown.iter().position(|&byte| byte == b'\n');
    match first_end {
        Some(end) if shown.len() >= SHOWN_BYTES_MAX => &shown[end + 1..],
        _ => shown,
    }
}
