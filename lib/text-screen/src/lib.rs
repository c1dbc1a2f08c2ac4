//! Text on pixels: the font, cells, and a screen for the kernel's last words.
//!
//! Law: nothing is allocated, nothing can fail, and no input panics: text of any kind is shown as
//! far as the font goes, and a screen too small for one character shows nothing. The sink is only
//! written, never read, because reading a framebuffer back is slow; what stands on the screen is
//! remembered in cells that the caller lends, one byte each, and scrolling redraws only cells that
//! change.
//!
//! [`TextScreen`] is no terminal (that is `lib-terminal`, over the same font): there are no escape sequences and no
//! colours within the text. `\n`, `\r`, `\t` and backspace move the cursor; other control characters and
//! what is not ASCII show as [`REPLACEMENT`], because a cell is one byte.
//!
//! Units: pixels (`_px`) from the top left corner; columns and lines are characters.
#![no_std]

pub mod font;
mod pixels;

use core::fmt;

use font::Part;
pub use pixels::{Colours, Geometry, PixelSink, Rgb, fill};

/// Shown in place of what cannot be shown.
pub const REPLACEMENT: char = '?';

const TAB_COLUMNS: usize = 8;
const BLANK: u8 = b' ';

/// Text in a sink.
#[derive(Debug)]
pub struct TextScreen<'a, S> {
    sink: S,
    cells: &'a mut [u8],
    geometry: Geometry,
    colours: Colours,
    /// May equal `columns`: the line is full, and the next character begins another.
    cursor_column: usize,
    cursor_line: usize,
}

impl<'a, S: PixelSink> TextScreen<'a, S> {
    /// Clears `sink` and begins at its top. One cell is used for each character; a slice that is
    /// too short costs lines at the bottom ([`cells_needed`] tells how long it should be).
    pub fn new(sink: S, cells: &'a mut [u8], colours: Colours) -> Self {
        let mut geometry = Geometry::of(&sink);
        geometry.lines = cells
            .len()
            .checked_div(geometry.columns)
            .map_or(0, |lines| lines.min(geometry.lines));
        let mut screen = Self {
            sink,
            cells,
            geometry,
            colours,
            cursor_column: 0,
            cursor_line: 0,
        };
        screen.clear(colours);
        screen
    }

    /// Characters in a line.
    pub fn columns(&self) -> usize {
        self.geometry.columns
    }

    /// Lines of characters.
    pub fn lines(&self) -> usize {
        self.geometry.lines
    }

    /// Fills the whole sink with the background of `colours` and begins at the top.
    pub fn clear(&mut self, colours: Colours) {
        self.colours = colours;
        self.cursor_column = 0;
        self.cursor_line = 0;
        self.cells.fill(BLANK);
        fill(&mut self.sink, colours.background);
    }

    /// Shows `text` at the cursor.
    pub fn write(&mut self, text: &str) {
        if self.geometry.columns == 0 || self.geometry.lines == 0 {
            return;
        }
        text.chars().for_each(|character| self.put(character));
    }

    fn put(&mut self, character: char) {
        match character {
            '\n' => self.next_line(),
            '\r' => self.cursor_column = 0,
            '\t' => self.tabulate(),
            '\u{8}' => self.cursor_column = self.cursor_column.saturating_sub(1),
            _ => self.put_glyph(glyph_code(character)),
        }
    }

    fn put_glyph(&mut self, code: u8) {
        if self.cursor_column >= self.geometry.columns {
            self.next_line();
        }
        self.set_cell(self.cursor_column, self.cursor_line, code);
        self.cursor_column += 1;
    }

    fn tabulate(&mut self) {
        let next = (self.cursor_column / TAB_COLUMNS + 1) * TAB_COLUMNS;
        self.cursor_column = next.min(self.geometry.columns);
    }

    fn next_line(&mut self) {
        self.cursor_column = 0;
        if self.cursor_line + 1 < self.geometry.lines {
            self.cursor_line += 1;
        } else {
            self.scroll();
        }
    }

    fn scroll(&mut self) {
        for line in 0..self.geometry.lines {
            for column in 0..self.geometry.columns {
                let below = (line + 1) * self.geometry.columns + column;
                let is_last = line + 1 == self.geometry.lines;
                let code = if is_last { BLANK } else { self.cells[below] };
                self.set_cell(column, line, code);
            }
        }
    }

    /// `column` and `line` are on the screen.
    fn set_cell(&mut self, column: usize, line: usize, code: u8) {
        let cell = &mut self.cells[line * self.geometry.columns + column];
        if core::mem::replace(cell, code) != code {
            self.draw(column, line, code);
        }
    }

    fn draw(&mut self, column: usize, line: usize, code: u8) {
        let bitmap = font::bitmap(char::from(code), Part::Whole);
        self.geometry
            .draw(&mut self.sink, (column, line), &bitmap, self.colours);
    }
}

impl<S: PixelSink> fmt::Write for TextScreen<'_, S> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write(text);
        Ok(())
    }
}

/// How many cells a [`TextScreen`] on `sink` uses.
pub fn cells_needed(sink: &impl PixelSink) -> usize {
    let geometry = Geometry::of(sink);
    geometry.columns * geometry.lines
}

fn glyph_code(character: char) -> u8 {
    match u8::try_from(character) {
        Ok(code @ b' '..=b'~') => code,
        _ => REPLACEMENT as u8,
    }
}

#[cfg(test)]
mod tests;
