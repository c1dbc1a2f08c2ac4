//! Pixels, and cells of them: where on a sink each character stands.

use crate::font::{Bitmap, GLYPH_HEIGHT_PX, GLYPH_WIDTH_PX};

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

impl Rgb {
    /// The colour `0xRRGGBB`.
    pub const fn new(hex: u32) -> Self {
        let [_, red, green, blue] = hex.to_be_bytes();
        Self { red, green, blue }
    }
}

/// The two colours of a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colours {
    /// Of the character.
    pub foreground: Rgb,
    /// Behind it.
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

/// How a sink is divided into cells of one character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Cells in a line; 0 if the sink is too narrow for one.
    pub columns: usize,
    /// Lines of cells; 0 if the sink is too low for one.
    pub lines: usize,
    /// Pixels of the sink to a side of a glyph's pixel.
    pub scale: usize,
}

impl Geometry {
    /// As many cells as fit, larger ones where pixels are small.
    pub fn of(sink: &impl PixelSink) -> Self {
        let scale = ((sink.width_px() / PIXELS_PER_SCALE) as usize).clamp(1, SCALE_MAX);
        Self {
            columns: sink.width_px() as usize / (GLYPH_WIDTH_PX * scale),
            lines: sink.height_px() as usize / (GLYPH_HEIGHT_PX * scale),
            scale,
        }
    }

    /// Draws a glyph in the cell; outside the screen, nothing.
    pub fn draw(
        &self,
        sink: &mut impl PixelSink,
        (column, line): (usize, usize),
        bitmap: &Bitmap,
        colours: Colours,
    ) {
        if column >= self.columns || line >= self.lines {
            return;
        }
        let x_px = column * GLYPH_WIDTH_PX * self.scale;
        let mut y_px = line * GLYPH_HEIGHT_PX * self.scale;
        let mut pixels = [colours.background; GLYPH_WIDTH_PX * SCALE_MAX];
        let pixels = &mut pixels[..GLYPH_WIDTH_PX * self.scale];
        for row in bitmap {
            for (index, pixel) in pixels.iter_mut().enumerate() {
                *pixel = colours.of_bit(row << (index / self.scale) & 0x80 != 0);
            }
            for _ in 0..self.scale {
                sink.write_row(x_px as u32, y_px as u32, pixels);
                y_px += 1;
            }
        }
    }
}

impl Colours {
    fn of_bit(self, is_set: bool) -> Rgb {
        if is_set {
            self.foreground
        } else {
            self.background
        }
    }
}

/// Fills the whole sink.
pub fn fill(sink: &mut impl PixelSink, colour: Rgb) {
    let row = [colour; 64];
    let (width_px, height_px) = (sink.width_px(), sink.height_px());
    for y_px in 0..height_px {
        for x_px in (0..width_px).step_by(row.len()) {
            let count = row.len().min((width_px - x_px) as usize);
            sink.write_row(x_px, y_px, &row[..count]);
        }
    }
}
