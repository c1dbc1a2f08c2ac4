//! The state of the screen and what may be done to it.
//!
//! Units: lines and columns count from 0. The cursor is always on the screen; that the line is full is a flag, because
//! a character in the last column moves the cursor only when another follows (DEC STD 070, "last column flag").

use alloc::collections::TryReserveError;
use core::ops::Range;

use lib_text_screen::font::Part;
use unicode_width::UnicodeWidthChar;

use crate::cell::{Cell, Pen};
use crate::grid::Grid;
use crate::history::History;

const TAB_COLUMNS: usize = 8;

pub(crate) struct Screen {
    pub grid: Grid,
    pub history: History,
    pub cursor: Cursor,
    saved: Cursor,
    /// The lines that scroll.
    region: Range<usize>,
    pub wraps: bool,
    pub shows_cursor: bool,
    /// How many lines of history are seen above the screen's own.
    view_back: usize,
}

/// Where and how the next character is written.
#[derive(Clone, Copy)]
pub(crate) struct Cursor {
    pub line: usize,
    pub column: usize,
    /// The line is full: the next character begins another.
    pub is_past_end: bool,
    pub pen: Pen,
}

impl Cursor {
    const HOME: Self = Self {
        line: 0,
        column: 0,
        is_past_end: false,
        pen: Pen::DEFAULT,
    };
}

/// Which side of the cursor, which is part of both.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    After,
    Before,
    All,
}

impl Screen {
    /// `columns` and `lines` are not 0.
    pub(crate) fn new(
        columns: usize,
        lines: usize,
        history_cells: usize,
    ) -> Result<Self, TryReserveError> {
        Ok(Self {
            grid: Grid::new(columns, lines)?,
            history: History::new(history_cells)?,
            cursor: Cursor::HOME,
            saved: Cursor::HOME,
            region: 0..lines,
            wraps: true,
            shows_cursor: true,
            view_back: 0,
        })
    }

    fn blank(&self) -> Cell {
        self.cursor.pen.blank()
    }

    /// Makes everything as it was at first, save the history.
    pub(crate) fn reset(&mut self) {
        self.cursor = Cursor::HOME;
        self.saved = Cursor::HOME;
        self.region = 0..self.grid.lines();
        self.wraps = true;
        self.shows_cursor = true;
        self.erase_lines(Extent::All);
    }

    // Writing.

    pub(crate) fn put(&mut self, character: char) {
        match character.width() {
            Some(2) if self.grid.columns() >= 2 => self.put_wide(character),
            Some(1 | 2) => self.put_narrow(character),
            // Control characters, and marks on the character before, which one cell does not hold.
            _ => {}
        }
    }

    fn put_narrow(&mut self, character: char) {
        self.wrap_for(1);
        self.set(Cell::of(character, self.cursor.pen.style()));
        self.advance();
    }

    fn put_wide(&mut self, character: char) {
        self.wrap_for(2);
        let cell = Cell::of(character, self.cursor.pen.style());
        for part in [Part::Left, Part::Right] {
            self.set(Cell { part, ..cell });
            self.advance();
        }
    }

    /// Makes room for a character of so many columns.
    fn wrap_for(&mut self, columns: usize) {
        let last = self.grid.columns() - columns;
        if !self.cursor.is_past_end && self.cursor.column <= last {
            return;
        }
        if self.wraps {
            self.cursor.column = 0;
            self.line_feed();
        } else {
            self.cursor.column = last;
        }
        self.cursor.is_past_end = false;
    }

    /// Writes a cell at the cursor; half of a wide character that it cuts goes.
    fn set(&mut self, cell: Cell) {
        let column = self.cursor.column;
        self.cut_wide(column, cell.part);
        self.grid.row_mut(self.cursor.line)[column] = cell;
    }

    fn cut_wide(&mut self, column: usize, new_part: Part) {
        let row = self.grid.row_mut(self.cursor.line);
        match row[column].part {
            Part::Whole => {}
            Part::Left => orphan(row.get_mut(column + 1), Part::Right),
            // The left half that was just written is this one's.
            Part::Right if new_part == Part::Right => {}
            Part::Right => orphan(column.checked_sub(1).map(|left| &mut row[left]), Part::Left),
        }
    }

    fn advance(&mut self) {
        if self.cursor.column + 1 < self.grid.columns() {
            self.cursor.column += 1;
        } else {
            self.cursor.is_past_end = true;
        }
    }

    // Moving.

    pub(crate) fn carriage_return(&mut self) {
        self.move_to(self.cursor.line, 0);
    }

    pub(crate) fn backspace(&mut self) {
        self.move_to(self.cursor.line, self.cursor.column.saturating_sub(1));
    }

    pub(crate) fn tabulate(&mut self) {
        let next = (self.cursor.column / TAB_COLUMNS + 1) * TAB_COLUMNS;
        self.move_to(self.cursor.line, next);
    }

    /// One line down; at the end of the region, the region moves up.
    pub(crate) fn line_feed(&mut self) {
        self.cursor.is_past_end = false;
        if self.cursor.line + 1 == self.region.end {
            self.scroll_up(1);
        } else if self.cursor.line + 1 < self.grid.lines() {
            self.cursor.line += 1;
        }
    }

    /// One line up; at the start of the region, the region moves down.
    pub(crate) fn reverse_line_feed(&mut self) {
        self.cursor.is_past_end = false;
        if self.cursor.line == self.region.start {
            self.scroll_down(1);
        } else {
            self.cursor.line = self.cursor.line.saturating_sub(1);
        }
    }

    /// Moves the cursor, no farther than the edges.
    pub(crate) fn move_to(&mut self, line: usize, column: usize) {
        self.cursor.line = line.min(self.grid.lines() - 1);
        self.cursor.column = column.min(self.grid.columns() - 1);
        self.cursor.is_past_end = false;
    }

    pub(crate) fn move_up(&mut self, count: usize) {
        self.move_to(self.cursor.line.saturating_sub(count), self.cursor.column);
    }

    pub(crate) fn move_down(&mut self, count: usize) {
        self.move_to(self.cursor.line.saturating_add(count), self.cursor.column);
    }

    pub(crate) fn move_left(&mut self, count: usize) {
        self.move_to(self.cursor.line, self.cursor.column.saturating_sub(count));
    }

    pub(crate) fn move_right(&mut self, count: usize) {
        self.move_to(self.cursor.line, self.cursor.column.saturating_add(count));
    }

    pub(crate) fn save_cursor(&mut self) {
        self.saved = self.cursor;
    }

    pub(crate) fn restore_cursor(&mut self) {
        self.cursor = self.saved;
    }

    /// Lets only the lines `start..end` scroll; nonsense is left out.
    pub(crate) fn set_region(&mut self, start: usize, end: usize) {
        let end = end.min(self.grid.lines());
        if start + 1 < end {
            self.region = start..end;
            self.move_to(0, 0);
        }
    }

    // Scrolling and erasing.

    pub(crate) fn scroll_up(&mut self, count: usize) {
        let blank = self.blank();
        for _ in 0..count.min(self.region.len()) {
            if self.region == (0..self.grid.lines()) {
                self.remember_first_line();
            }
            self.grid.scroll_up(self.region.clone(), blank);
        }
    }

    fn remember_first_line(&mut self) {
        self.history.push(self.grid.row(0));
        if self.view_back > 0 {
            // What is looked at stays where it is, as long as it is kept.
            self.view_back = (self.view_back + 1).min(self.history.len());
        }
    }

    pub(crate) fn scroll_down(&mut self, count: usize) {
        let blank = self.blank();
        for _ in 0..count.min(self.region.len()) {
            self.grid.scroll_down(self.region.clone(), blank);
        }
    }

    /// Makes room for lines at the cursor.
    pub(crate) fn insert_lines(&mut self, count: usize) {
        let blank = self.blank();
        if let Some(below) = self.region_below_cursor() {
            for _ in 0..count.min(below.len()) {
                self.grid.scroll_down(below.clone(), blank);
            }
            self.carriage_return();
        }
    }

    pub(crate) fn delete_lines(&mut self, count: usize) {
        let blank = self.blank();
        if let Some(below) = self.region_below_cursor() {
            for _ in 0..count.min(below.len()) {
                self.grid.scroll_up(below.clone(), blank);
            }
            self.carriage_return();
        }
    }

    fn region_below_cursor(&self) -> Option<Range<usize>> {
        let line = self.cursor.line;
        self.region.contains(&line).then_some(line..self.region.end)
    }

    /// Erases lines before or after the cursor, and the part of its own.
    pub(crate) fn erase_lines(&mut self, extent: Extent) {
        let line = self.cursor.line;
        let lines = match extent {
            Extent::After => line + 1..self.grid.lines(),
            Extent::Before => 0..line,
            Extent::All => 0..self.grid.lines(),
        };
        let blank = self.blank();
        for line in lines {
            self.grid.row_mut(line).fill(blank);
        }
        self.erase_line(extent);
    }

    pub(crate) fn erase_line(&mut self, extent: Extent) {
        let (column, columns) = (self.cursor.column, self.grid.columns());
        self.erase(match extent {
            Extent::After => column..columns,
            Extent::Before => 0..column + 1,
            Extent::All => 0..columns,
        });
    }

    pub(crate) fn erase_characters(&mut self, count: usize) {
        let column = self.cursor.column;
        self.erase(column..column.saturating_add(count).min(self.grid.columns()));
    }

    fn erase(&mut self, columns: Range<usize>) {
        let blank = self.blank();
        let row = self.grid.row_mut(self.cursor.line);
        row[columns].fill(blank);
        drop_halves(row);
        self.cursor.is_past_end = false;
    }

    pub(crate) fn insert_characters(&mut self, count: usize) {
        let (column, blank) = (self.cursor.column, self.blank());
        let row = self.grid.row_mut(self.cursor.line);
        let tail = &mut row[column..];
        let count = count.min(tail.len());
        tail.rotate_right(count);
        tail[..count].fill(blank);
        drop_halves(row);
        self.cursor.is_past_end = false;
    }

    pub(crate) fn delete_characters(&mut self, count: usize) {
        let (column, blank) = (self.cursor.column, self.blank());
        let row = self.grid.row_mut(self.cursor.line);
        let tail = &mut row[column..];
        let count = count.min(tail.len());
        tail.rotate_left(count);
        let kept = tail.len() - count;
        tail[kept..].fill(blank);
        drop_halves(row);
        self.cursor.is_past_end = false;
    }

    pub(crate) fn forget_history(&mut self) {
        self.history.clear();
        self.view_back = 0;
    }

    // Looking.

    /// Looks so many lines farther back, or forward where negative.
    pub(crate) fn scroll_view(&mut self, lines: isize) {
        let back = self.view_back.saturating_add_signed(lines);
        self.view_back = back.min(self.history.len());
    }

    /// What is to be seen there.
    pub(crate) fn seen(&self, line: usize, column: usize) -> Cell {
        let Some(own_line) = line.checked_sub(self.view_back) else {
            return self.history.cell(self.view_back - 1 - line, column);
        };
        let cell = self.grid.row(own_line)[column];
        let is_cursor = (line, column) == (self.cursor.line, self.cursor.column);
        if is_cursor && self.shows_cursor && self.view_back == 0 {
            let style = cell.style.reversed();
            return Cell { style, ..cell };
        }
        cell
    }
}

/// Blanks a cell that was the half of a wide character whose other half has gone.
fn orphan(cell: Option<&mut Cell>, part: Part) {
    if let Some(cell) = cell.filter(|cell| cell.part == part) {
        *cell = Cell::of(' ', cell.style);
    }
}

/// Blanks every half of a wide character without the other.
fn drop_halves(row: &mut [Cell]) {
    for column in 0..row.len() {
        let is_lone = match row[column].part {
            Part::Whole => false,
            Part::Left => row
                .get(column + 1)
                .is_none_or(|next| next.part != Part::Right),
            Part::Right => column == 0 || row[column - 1].part != Part::Left,
        };
        if is_lone {
            row[column] = Cell::of(' ', row[column].style);
        }
    }
}
