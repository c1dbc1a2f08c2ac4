//! Lines that have left the screen at its top.
//!
//! Law: room for so many cells is taken at the start and never more. Blank ends of lines are not kept; where a line does
//! not fit, the oldest go. A line that never fits is not kept.

use alloc::collections::{TryReserveError, VecDeque};

use crate::cell::Cell;

/// A line takes this much of the room beside its cells, so that empty lines do not come for nothing.
const CELLS_PER_ROW: usize = 4;

pub(crate) struct History {
    cells: VecDeque<Cell>,
    cells_max: usize,
    rows: VecDeque<Row>,
    rows_max: usize,
    /// Cells that have gone, ever.
    gone: u64,
}

struct Row {
    /// Its first cell, counted from the first one ever.
    start: u64,
    len: usize,
}

impl History {
    pub(crate) fn new(cells_max: usize) -> Result<Self, TryReserveError> {
        let rows_max = cells_max / CELLS_PER_ROW;
        let (mut cells, mut rows) = (VecDeque::new(), VecDeque::new());
        cells.try_reserve_exact(cells_max)?;
        rows.try_reserve_exact(rows_max)?;
        Ok(Self {
            cells,
            cells_max,
            rows,
            rows_max,
            gone: 0,
        })
    }

    /// How many lines there are.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn push(&mut self, row: &[Cell]) {
        let end = row.iter().rposition(|cell| *cell != Cell::BLANK);
        let row = &row[..end.map_or(0, |last| last + 1)];
        if row.len() > self.cells_max || self.rows_max == 0 {
            return;
        }
        while self.cells.len() + row.len() > self.cells_max || self.rows.len() == self.rows_max {
            self.drop_oldest();
        }
        self.rows.push_back(Row {
            start: self.gone + self.cells.len() as u64,
            len: row.len(),
        });
        self.cells.extend(row);
    }

    fn drop_oldest(&mut self) {
        if let Some(row) = self.rows.pop_front() {
            drop(self.cells.drain(..row.len));
            self.gone += row.len as u64;
        }
    }

    /// The cell of a line, of which 0 is the newest; blank where there is none.
    pub(crate) fn cell(&self, back: usize, column: usize) -> Cell {
        let newest_first = self.rows.len().checked_sub(back + 1);
        let row = newest_first.and_then(|index| self.rows.get(index));
        row.filter(|row| column < row.len)
            .and_then(|row| self.cells.get((row.start - self.gone) as usize + column))
            .copied()
            .unwrap_or(Cell::BLANK)
    }

    pub(crate) fn clear(&mut self) {
        self.cells.clear();
        self.rows.clear();
    }
}
