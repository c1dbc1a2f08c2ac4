//! Parser and screen as cells, and the same with what has been drawn of it.

use alloc::collections::TryReserveError;

use lib_text_screen::{Geometry, PixelSink};
use vte::Parser;

use crate::cell::Cell;
use crate::painter::CellPainter;
use crate::screen::Screen;
use crate::utf8::Utf8Pieces;

/// Titles and the like, which nobody reads, are not kept for long.
const OPERATING_SYSTEM_COMMAND_BYTES: usize = 16;

/// A terminal of cells, which nobody has drawn yet.
pub struct CellTerminal {
    decoder: Utf8Pieces,
    parser: Parser<OPERATING_SYSTEM_COMMAND_BYTES>,
    /// `None` where there is no room for a character.
    screen: Option<Screen>,
}

impl CellTerminal {
    /// A blank terminal of so many columns and lines, with room for so many bytes of lines that have left the screen.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn new(
        columns: usize,
        lines: usize,
        history_len_bytes: usize,
    ) -> Result<Self, TryReserveError> {
        let history_cells = history_len_bytes / size_of::<Cell>();
        let is_usable = columns > 0 && lines > 0;
        let screen = is_usable.then(|| Screen::new(columns, lines, history_cells));
        Ok(Self {
            decoder: Utf8Pieces::default(),
            parser: Parser::default(),
            screen: screen.transpose()?,
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

    /// Looks so many lines farther back, or forward where negative; never past either end.
    pub fn scroll_view(&mut self, lines: isize) {
        if let Some(screen) = &mut self.screen {
            screen.scroll_view(lines);
        }
    }

    /// Puts what is to be seen of a line, cursor and all, into `cells`; what the terminal does not have is blank.
    pub fn look_at(&self, line: usize, cells: &mut [Cell]) {
        cells.fill(Cell::BLANK);
        let screen = self.screen.as_ref().filter(|s| line < s.grid.lines());
        if let Some(screen) = screen {
            let columns = 0..screen.grid.columns();
            for (cell, column) in cells.iter_mut().zip(columns) {
                *cell = screen.seen(line, column);
            }
        }
    }

    /// The screen, for tests.
    #[cfg(test)]
    pub(crate) fn screen(&self) -> &Screen {
        self.screen.as_ref().expect("the terminal has cells")
    }
}

/// A terminal for a sink of one size.
pub struct Terminal {
    cells: CellTerminal,
    painter: CellPainter,
}

impl Terminal {
    /// A blank terminal for sinks of this geometry, with room for so many bytes of lines that have left the screen.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn new(geometry: Geometry, history_len_bytes: usize) -> Result<Self, TryReserveError> {
        let Geometry { columns, lines, .. } = geometry;
        Ok(Self {
            cells: CellTerminal::new(columns, lines, history_len_bytes)?,
            painter: CellPainter::new(geometry)?,
        })
    }

    /// Takes bytes that a program wrote.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.cells.feed(bytes);
    }

    /// Lines on the screen.
    pub fn lines(&self) -> usize {
        self.painter.geometry().lines
    }

    /// Looks so many lines farther back, or forward where negative; never past either end.
    pub fn scroll_view(&mut self, lines: isize) {
        self.cells.scroll_view(lines);
    }

    /// Draws cells that have changed until `goes_on` says no, which it is asked before each line. True if
    /// everything is drawn; the next call goes on where this one stopped.
    pub fn paint(&mut self, sink: &mut impl PixelSink, goes_on: impl FnMut() -> bool) -> bool {
        let cells = &self.cells;
        self.painter
            .paint(sink, |line, row| cells.look_at(line, row), goes_on)
    }

    /// The same with cells of somebody else in place of the terminal's own, which `look_at` puts there line by line.
    pub fn paint_over(
        &mut self,
        sink: &mut impl PixelSink,
        look_at: impl FnMut(usize, &mut [Cell]),
        goes_on: impl FnMut() -> bool,
    ) -> bool {
        self.painter.paint(sink, look_at, goes_on)
    }

    /// The screen, for tests.
    #[cfg(test)]
    pub(crate) fn screen(&self) -> &Screen {
        self.cells.screen()
    }
}
