//! The terminal with any bytes.
//!
//! Law: it makes no difference in which pieces the bytes come, and when it is painted in between; every pixel is drawn inside the
//! screen.

use lib_terminal::Terminal;
use lib_text_screen::{Geometry, PixelSink, Rgb};
use test_fuzz::{Input, Subject, Target, Verdict, holds};

pub const TARGET: Target = Target {
    name: "terminal",
    cases: 600,
    len_bytes_max: 1024,
    defect: "a terminal that decodes each piece by itself",
    try_input,
};

const GLYPH_PX: (usize, usize) = (8, 16);
const HISTORY_BYTES: usize = 2048;

/// A screen that remembers whether something was drawn beside it.
#[derive(PartialEq)]
struct Screen {
    width_px: usize,
    pixels: Vec<Rgb>,
    is_overdrawn: bool,
}

impl PixelSink for Screen {
    fn width_px(&self) -> u32 {
        self.width_px as u32
    }

    fn height_px(&self) -> u32 {
        (self.pixels.len() / self.width_px) as u32
    }

    fn write_row(&mut self, x_px: u32, y_px: u32, row: &[Rgb]) {
        let (x_px, y_px) = (x_px as usize, y_px as usize);
        let is_inside = x_px + row.len() <= self.width_px;
        let start = y_px * self.width_px + x_px;
        match self.pixels.get_mut(start..start + row.len()) {
            Some(pixels) if is_inside => pixels.copy_from_slice(row),
            _ => self.is_overdrawn = true,
        }
    }
}

fn try_input(subject: Subject, bytes: &[u8]) -> Verdict {
    let mut input = Input::new(bytes);
    let (columns, lines) = (1 + input.below(12), 1 + input.below(5));
    let piece_len_bytes = 1 + input.below(24);
    let view = isize::from(input.byte().cast_signed());
    let mut whole = terminal(columns, lines)?;
    whole.feed(input.clone().rest());
    let mut pieces = terminal(columns, lines)?;
    let mut screen = blank(columns, lines);
    for (number, piece) in input.rest().chunks(piece_len_bytes).enumerate() {
        match subject {
            Subject::Real => pieces.feed(piece),
            Subject::Spoiled => pieces.feed(String::from_utf8_lossy(piece).as_bytes()),
        }
        let mut lines_left = number % 3;
        pieces.paint(&mut screen, || {
            lines_left = lines_left.saturating_sub(1);
            lines_left > 0
        });
        pieces.scroll_view(view);
    }
    pieces.scroll_view(-isize::MAX);
    pieces.paint(&mut screen, || true);
    let mut expected = blank(columns, lines);
    whole.paint(&mut expected, || true);
    holds(!screen.is_overdrawn, || "drawn beside the screen".into())?;
    holds(screen == expected, || {
        "the pieces and the whole look different".into()
    })
}

fn terminal(columns: usize, lines: usize) -> Result<Terminal, String> {
    let geometry = Geometry {
        columns,
        lines,
        scale: 1,
    };
    Terminal::new(geometry, HISTORY_BYTES).map_err(|error| format!("no terminal: {error}"))
}

/// A little wider and higher than its cells.
fn blank(columns: usize, lines: usize) -> Screen {
    let width_px = columns * GLYPH_PX.0 + 3;
    let height_px = lines * GLYPH_PX.1 + 5;
    Screen {
        width_px,
        pixels: vec![Rgb::new(0); width_px * height_px],
        is_overdrawn: false,
    }
}
