//! Text on pixels: the kernel's early log and its last words.
//!
//! Law: nothing is allocated, nothing can fail, and no input panics: text of any kind is shown as
//! far as the font goes, and a screen too small for one character shows nothing. The sink is only
//! written, never read, because reading a framebuffer back is slow; what stands on the screen is
//! remembered in cells that the caller lends, one byte each, and scrolling redraws only cells that
//! change.
//!
//! This is no terminal: there are no escape sequences and no colours within the text. `\n`, `\r`,
//! `\t` and backspace move the cursor; other control characters and characters that the font lacks
//! show as [`REPLACEMENT`].
//!
//! Units: pixels (`_px`) from the top left corner; columns and lines are characters.
#![no_std]

use core::fmt;

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

/// Shown in place of what cannot be shown.
pub const REPLACEMENT: char = '?';

const WEIGHT: FontWeight = FontWeight::Regular;
const HEIGHT: RasterHeight = RasterHeight::Size16;
const GLYPH_WIDTH_PX: usize = get_raster_width(WEIGHT, HEIGHT);
const GLYPH_HEIGHT_PX: usize = HEIGHT.val();
const TAB_COLUMNS: usize = 8;
const BLANK: u8 = b' ';
/// Screens get one step of enlargement for each of this many pixels in a line.
const PIXELS_PER_SCALE: u32 = 1920;
const SCALE_MAX: usize = 4;

/// A colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rgb {
    /// Red.
    pub red: u8,
    /// Green.
    pub green: u8,
    /// Blue.
    pub blue: u8,
}

/// The two colours of a screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colours {
    /// Of the characters.
    pub foreground: Rgb,
    /// Behind them.
    pub background: Rgb,
}

/// Where pixels go.
pub trait PixelSink {
    /// Pixels to a line; does not change.
    fn width_px(&self) -> u32;
    /// Lines of pixels; does not change.
    fn height_px(&self) -> u32;
    /// Writes `row` from (`x_px`, `y_px`) to the right; always inside the sink.
    fn write_row(&mut self, x_px: u32, y_px: u32, row: &[Rgb]);
}

/// Text in a sink.
#[derive(Debug)]
pub struct TextScreen<'a, S> {
    sink: S,
    cells: &'a mut [u8],
    columns: usize,
    lines: usize,
    scale: usize,
    colours: Colours,
    /// May equal `columns`: the line is full, and the next character begins another.
    cursor_column: usize,
    cursor_line: usize,
}

impl<'a, S: PixelSink> TextScreen<'a, S> {
    /// Clears `sink` and begins at its top. One cell is used for each character; a slice that is
    /// too short costs lines at the bottom ([`cells_needed`] tells how long it should be).
    pub fn new(sink: S, cells: &'a mut [u8], colours: Colours) -> Self {
        let geometry = Geometry::of(&sink);
        let lines = cells
            .len()
            .checked_div(geometry.columns)
            .map_or(0, |lines| lines.min(geometry.lines));
        let mut screen = Self {
            sink,
            cells,
            columns: geometry.columns,
            lines,
            scale: geometry.scale,
            colours,
            cursor_column: 0,
            cursor_line: 0,
        };
        screen.clear(colours);
        screen
    }

    /// Characters in a line.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Lines of characters.
    pub fn lines(&self) -> usize {
        self.lines
    }

    /// Fills the whole sink with the background of `colours` and begins at the top.
    pub fn clear(&mut self, colours: Colours) {
        self.colours = colours;
        self.cursor_column = 0;
        self.cursor_line = 0;
        self.cells.fill(BLANK);
        let row = [colours.background; 64];
        let (width_px, height_px) = (self.sink.width_px(), self.sink.height_px());
        for y_px in 0..height_px {
            for x_px in (0..width_px).step_by(row.len()) {
                let count = row.len().min((width_px - x_px) as usize);
                self.sink.write_row(x_px, y_px, &row[..count]);
            }
        }
    }

    /// Shows `text` at the cursor.
    pub fn write(&mut self, text: &str) {
        if self.columns == 0 || self.lines == 0 {
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
        if self.cursor_column >= self.columns {
            self.next_line();
        }
        self.set_cell(self.cursor_column, self.cursor_line, code);
        self.cursor_column += 1;
    }

    fn tabulate(&mut self) {
        let next = (self.cursor_column / TAB_COLUMNS + 1) * TAB_COLUMNS;
        self.cursor_column = next.min(self.columns);
    }

    fn next_line(&mut self) {
        self.cursor_column = 0;
        if self.cursor_line + 1 < self.lines {
            self.cursor_line += 1;
        } else {
            self.scroll();
        }
    }

    fn scroll(&mut self) {
        for line in 0..self.lines {
            for column in 0..self.columns {
                let below = (line + 1) * self.columns + column;
                let is_last = line + 1 == self.lines;
                let code = if is_last { BLANK } else { self.cells[below] };
                self.set_cell(column, line, code);
            }
        }
    }

    /// `column` and `line` are on the screen.
    fn set_cell(&mut self, column: usize, line: usize, code: u8) {
        let cell = &mut self.cells[line * self.columns + column];
        if core::mem::replace(cell, code) != code {
            self.draw(column, line, code);
        }
    }

    fn draw(&mut self, column: usize, line: usize, code: u8) {
        let Some(raster) = get_raster(char::from(code), WEIGHT, HEIGHT) else {
            return;
        };
        let x_px = column * GLYPH_WIDTH_PX * self.scale;
        let mut y_px = line * GLYPH_HEIGHT_PX * self.scale;
        let mut pixels = [self.colours.background; GLYPH_WIDTH_PX * SCALE_MAX];
        for row in raster.rows() {
            let pixels = self.enlarge(row, &mut pixels);
            for _ in 0..self.scale {
                self.sink.write_row(x_px as u32, y_px as u32, pixels);
                y_px += 1;
            }
        }
    }

    /// Colours a row of the glyph, each pixel `scale` times.
    fn enlarge<'p>(&self, row: &[u8], pixels: &'p mut [Rgb]) -> &'p [Rgb] {
        let len = (row.len() * self.scale).min(pixels.len());
        for (index, pixel) in pixels[..len].iter_mut().enumerate() {
            *pixel = self.colours.mix(row[index / self.scale]);
        }
        &pixels[..len]
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

struct Geometry {
    columns: usize,
    lines: usize,
    scale: usize,
}

impl Geometry {
    fn of(sink: &impl PixelSink) -> Self {
        let scale = ((sink.width_px() / PIXELS_PER_SCALE) as usize).clamp(1, SCALE_MAX);
        Self {
            columns: sink.width_px() as usize / (GLYPH_WIDTH_PX * scale),
            lines: sink.height_px() as usize / (GLYPH_HEIGHT_PX * scale),
            scale,
        }
    }
}

impl Colours {
    /// From background (0) to foreground (255).
    fn mix(self, intensity: u8) -> Rgb {
        let mix = |background: u8, foreground: u8| {
            let weight = u32::from(intensity);
            let sum = u32::from(foreground) * weight + u32::from(background) * (255 - weight);
            (sum / 255) as u8
        };
        Rgb {
            red: mix(self.background.red, self.foreground.red),
            green: mix(self.background.green, self.foreground.green),
            blue: mix(self.background.blue, self.foreground.blue),
        }
    }
}

fn glyph_code(character: char) -> u8 {
    match u8::try_from(character) {
        Ok(code @ b' '..=b'~') => code,
        _ => REPLACEMENT as u8,
    }
}

#[cfg(test)]
mod tests;
