//! What has been drawn, and drawing the difference.

use alloc::collections::TryReserveError;
use alloc::vec::Vec;

use lib_text_screen::{Geometry, PixelSink, fill, font};

use crate::cell::{Cell, Style};
use crate::grid::filled;
use crate::palette::BACKGROUND;

/// The row of a glyph in which its underline lies.
const UNDERLINE_ROW: usize = 14;
/// A cell of which nothing is known yet: no cell holds this character.
const NEVER_DRAWN: Cell = Cell::of('\0', Style::DEFAULT);

pub(crate) struct CellPainter {
    geometry: Geometry,
    drawn: Vec<Cell>,
    /// The line that is being looked at.
    row: Vec<Cell>,
    /// The margins, which no cell covers, have the background's colour.
    is_cleared: bool,
    /// The line at which painting goes on.
    next_line: usize,
}

impl CellPainter {
    pub(crate) fn new(geometry: Geometry) -> Result<Self, TryReserveError> {
        let Geometry { columns, lines, .. } = geometry;
        Ok(Self {
            geometry,
            drawn: filled(columns * lines, NEVER_DRAWN)?,
            row: filled(columns, Cell::BLANK)?,
            is_cleared: false,
            next_line: 0,
        })
    }

    pub(crate) fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Draws what differs from what was drawn before; see [`Terminal::paint`](crate::Terminal::paint).
    pub(crate) fn paint(
        &mut self,
        sink: &mut impl PixelSink,
        mut look_at: impl FnMut(usize, &mut [Cell]),
        mut goes_on: impl FnMut() -> bool,
    ) -> bool {
        if !self.is_cleared {
            fill(sink, BACKGROUND);
            self.is_cleared = true;
        }
        for _ in 0..self.geometry.lines {
            if !goes_on() {
                return false;
            }
            look_at(self.next_line, &mut self.row);
            self.paint_line(sink, self.next_line);
            self.next_line = (self.next_line + 1) % self.geometry.lines;
        }
        true
    }

    fn paint_line(&mut self, sink: &mut impl PixelSink, line: usize) {
        let columns = self.geometry.columns;
        let drawn = &mut self.drawn[line * columns..][..columns];
        for (column, (drawn, cell)) in drawn.iter_mut().zip(&self.row).enumerate() {
            if core::mem::replace(drawn, *cell) != *cell {
                let mut bitmap = font::bitmap(cell.character, cell.part);
                if cell.style.is_underlined {
                    bitmap[UNDERLINE_ROW] = 0xff;
                }
                self.geometry
                    .draw(sink, (column, line), &bitmap, cell.style.colours);
            }
        }
    }
}
