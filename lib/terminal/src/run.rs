//! Cells as they travel: runs of text of one look.
//!
//! Law: cells that become runs and cells again are the same cells. Halves of wide characters never stand alone in a run:
//! whoever draws one draws both.

use alloc::string::String;
use core::ops::Range;

use lib_text_screen::font::Part;
use unicode_width::UnicodeWidthChar;

use crate::cell::{Cell, Style};

/// The cells of a text of one look, two for a wide character. What has no width of its own is left out.
pub fn cells_of(text: &str, style: Style) -> impl Iterator<Item = Cell> + '_ {
    text.chars().flat_map(move |character| {
        let cell = Cell::of(character, style);
        let parts: &[Part] = match character.width() {
            Some(1) => &[Part::Whole],
            Some(2) => &[Part::Left, Part::Right],
            _ => &[],
        };
        parts.iter().map(move |&part| Cell { part, ..cell })
    })
}

/// Calls `draw` with column, text and look of each run of cells of the line `now` that differ from those of `before`, and
/// makes `before` the same as `now`.
pub fn each_run(before: &mut [Cell], now: &[Cell], mut draw: impl FnMut(usize, &str, Style)) {
    let mut text = String::new();
    let mut start = 0;
    while let Some(run) = next_run(before, now, start) {
        text.clear();
        let seen = now[run.clone()].iter().filter(|c| c.part != Part::Right);
        text.extend(seen.map(|cell| cell.character));
        draw(run.start, &text, now[run.start].style);
        start = run.end;
    }
    let common = before.len().min(now.len());
    before[..common].copy_from_slice(&now[..common]);
}

/// The columns of the next run at `start` or behind it.
fn next_run(before: &[Cell], now: &[Cell], start: usize) -> Option<Range<usize>> {
    let differs = |column: &usize| before.get(*column) != now.get(*column);
    let first = (start..now.len()).find(differs)?;
    // A wide character is drawn whole, whichever half of it has changed.
    let first = match now[first].part {
        Part::Right => first.saturating_sub(1).max(start),
        Part::Whole | Part::Left => first,
    };
    let goes_on = |column: &usize| {
        let cell = &now[*column];
        cell.part == Part::Right || (differs(column) && cell.style == now[first].style)
    };
    let len = (first + 1..now.len()).take_while(goes_on).count();
    Some(first..first + 1 + len)
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;
    use crate::CellTerminal;

    const COLUMNS: usize = 12;

    fn line_of(bytes: &[u8]) -> Vec<Cell> {
        let mut terminal = CellTerminal::new(COLUMNS, 1, 0).expect("there is memory");
        terminal.feed(bytes);
        let mut cells = vec![Cell::BLANK; COLUMNS];
        terminal.look_at(0, &mut cells);
        cells
    }

    #[test]
    fn only_what_has_changed_is_drawn() {
        let mut before = line_of(b"abcdef\x1b[?25l");
        let now = line_of(b"abXYef\x1b[?25l");
        let mut drawn = Vec::new();
        each_run(&mut before, &now, |column, text, _| {
            drawn.push((column, text.to_string()));
        });
        assert_eq!(drawn, [(2, "XY".to_string())]);
        assert_eq!(before, now);
        each_run(&mut before, &now, |_, _, _| panic!("nothing has changed"));
    }

    #[test]
    fn runs_become_the_same_cells_again() {
        let lines: [&[u8]; 6] = [
            b"plain",
            b"\x1b[31mre\x1b[4md\x1b[0m\x1b[7m x",
            "漢字 wide".as_bytes(),
            "x漢字漢".as_bytes(),
            b"\xff\xc3 e\xcc\x81",
            b"",
        ];
        for from in lines {
            for to in lines {
                let mut before = line_of(from);
                let mut picture = before.clone();
                let now = line_of(to);
                each_run(&mut before, &now, |column, text, style| {
                    let places = &mut picture[column..];
                    for (place, cell) in places.iter_mut().zip(cells_of(text, style)) {
                        *place = cell;
                    }
                });
                assert_eq!(picture, now, "{from:?} to {to:?}");
            }
        }
    }
}
