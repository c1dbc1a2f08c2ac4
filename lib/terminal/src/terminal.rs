//! Parser, screen and what has been drawn.

use alloc::collections::TryReserveError;
use alloc::vec::Vec;

use lib_text_screen::{Geometry, PixelSink, fill, font};
use vte::Parser;

use crate::cell::{Cell, Style};
use crate::grid::filled;
use crate::palette::BACKGROUND;
use crate::screen::Screen;
use crate::utf8::Utf8Pieces;

/// Titles and the like, which nobody reads, are not kept for long.
const OPERATING_SYSTEM_COMMAND_BYTES: usize = 16;
/// The row of a glyph in which its underline lies.
const UNDERLINE_ROW: usize = 14;
/// A cell of which nothing is known yet: no cell holds this character.
const NEVER_DRAWN: Cell = Cell::of('\0', Style::DEFAULT);

/// A terminal for a sink of one size.
pub struct Terminal {
    geometry: Geometry,
    decoder: Utf8Pieces,
    parser: Parser<OPERATING_SYSTEM_COMMAND_BYTES>,
    /// `None` where the sink has no room for a character.
    screen: Option<Screen>,
    drawn: Vec<Cell>,
    /// The margins, which no cell covers, have the background's colour.
    is_cleared: bool,
    /// The line at which painting goes on.
    next_line: usize,
}

impl Terminal {
    /// A blank terminal for sinks of this geometry, with room for so many bytes of lines that have left the screen.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn new(geometry: Geometry, history_len_bytes: usize) -> Result<Self, TryReserveError> {
        let Geometry { columns, lines, .. } = geometry;
        let history_cells = history_len_bytes / size_of::<Cell>();
        let is_usable = columns > 0 && lines > 0;
        let screen = is_usable.then(|| Screen::new(columns, lines, history_cells));
        Ok(Self {
            geometry,
            decoder: Utf8Pieces::default(),
            parser: Parser::default(),
            screen: screen.transpose()?,
            drawn: filled(columns * lines, NEVER_DRAWN)?,
            is_cleared: false,
            next_line: 0,
        })
    }

    /// Takes bytes that a program wrote.
    pub fn feed(&mut self, bytes: &[u8]) {
        if let Some(screen) = &mut self.screen {
            let parser = &mut self.parser;
            self.decoder
                .feed(bytes, |text| parser.advance(screen, text.as_bytes()));
        }
    }

    /// Lines on the screen.
    pub fn lines(&self) -> usize {
        self.geometry.lines
    }

    /// Looks so many lines farther back, or forward where negative; never past either end.
    pub fn scroll_view(&mut self, lines: isize) {
        if let Some(screen) = &mut self.screen {
            screen.scroll_view(lines);
        }
    }

    /// Draws cells that have changed until `goes_on` says no, which it is asked before each line. True if
    /// everything is drawn; the next call goes on where this one stopped.
    pub fn paint(&mut self, sink: &mut impl PixelSink, mut goes_on: impl FnMut() -> bool) -> bool {
        if !self.is_cleared {
            fill(sink, BACKGROUND);
            self.is_cleared = true;
        }
        for _ in 0..self.geometry.lines {
            if !goes_on() {
                return false;
            }
            self.paint_line(sink, self.next_line);
            self.next_line = (self.next_line + 1) % self.geometry.lines;
        }
        true
    }

    fn paint_line(&mut self, sink: &mut impl PixelSink, line: usize) {
        let Some(screen) = &self.screen else {
            return;
        };
        let columns = self.geometry.columns;
        let drawn = &mut self.drawn[line * columns..][..columns];
        for (column, drawn) in drawn.iter_mut().enumerate() {
            let cell = screen.seen(line, column);
            if core::mem::replace(drawn, cell) != cell {
                let mut bitmap = font::bitmap(cell.character, cell.part);
                if cell.style.is_underlined {
                    bitmap[UNDERLINE_ROW] = 0xff;
                }
                self.geometry
                    .draw(sink, (column, line), &bitmap, cell.style.colours);
            }
        }
    }

    /// The screen, for tests.
    #[cfg(test)]
    pub(crate) fn screen(&self) -> &Screen {
        self.screen.as_ref().expect("the terminal has cells")
    }
}
