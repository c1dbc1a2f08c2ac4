//! The cells of the screen.
//!
//! Law: scrolling all of it moves no cell: lines are numbered round a ring. Lines and columns that do not exist are bugs
//! of this crate and panic; nothing that a program writes reaches them unclamped.

use alloc::collections::TryReserveError;
use alloc::vec::Vec;
use core::ops::Range;

use crate::cell::Cell;

pub(crate) struct Grid {
    cells: Vec<Cell>,
    columns: usize,
    lines: usize,
    /// Where line 0 stands.
    top: usize,
}

impl Grid {
    pub(crate) fn new(columns: usize, lines: usize) -> Result<Self, TryReserveError> {
        Ok(Self {
            cells: filled(columns * lines, Cell::BLANK)?,
            columns,
            lines,
            top: 0,
        })
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    pub(crate) fn lines(&self) -> usize {
        self.lines
    }

    fn place(&self, line: usize) -> Range<usize> {
        let start = (self.top + line) % self.lines * self.columns;
        start..start + self.columns
    }

    pub(crate) fn row(&self, line: usize) -> &[Cell] {
        &self.cells[self.place(line)]
    }

    pub(crate) fn row_mut(&mut self, line: usize) -> &mut [Cell] {
        let place = self.place(line);
        &mut self.cells[place]
    }

    /// Moves the lines of `region` up by one; the last becomes blank.
    pub(crate) fn scroll_up(&mut self, region: Range<usize>, blank: Cell) {
        if region == (0..self.lines) {
            self.top = (self.top + 1) % self.lines;
        } else {
            for line in region.start..region.end - 1 {
                self.copy(line + 1, line);
            }
        }
        self.row_mut(region.end - 1).fill(blank);
    }

    /// Moves the lines of `region` down by one; the first becomes blank.
    pub(crate) fn scroll_down(&mut self, region: Range<usize>, blank: Cell) {
        for line in (region.start..region.end - 1).rev() {
            self.copy(line, line + 1);
        }
        self.row_mut(region.start).fill(blank);
    }

    fn copy(&mut self, from: usize, to: usize) {
        let (from, to) = (self.place(from), self.place(to).start);
        self.cells.copy_within(from, to);
    }
}

/// So many copies of `cell`, or the news that there is no memory for them.
pub(crate) fn filled(count: usize, cell: Cell) -> Result<Vec<Cell>, TryReserveError> {
    let mut cells = Vec::new();
    cells.try_reserve_exact(count)?;
    cells.resize(count, cell);
    Ok(cells)
}
