//! What control characters and sequences do.
//!
//! Source: ECMA-48 (C0, CSI), and xterm's "Control Sequences" for what it adds. What is not listed here does nothing.

use lib_text_screen::Rgb;
use vte::{Params, ParamsIter, Perform};

use crate::cell::{Colour, Pen};
use crate::screen::{Extent, Screen};

impl Perform for Screen {
    fn print(&mut self, character: char) {
        self.put(character);
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            b'\x08' => self.backspace(),
            b'\t' => self.tabulate(),
            b'\n' | b'\x0b' | b'\x0c' => self.line_feed(),
            b'\r' => self.carriage_return(),
            _ => {}
        }
    }

    fn esc_dispatch(&mut self, intermediates: &[u8], _ignore: bool, byte: u8) {
        if !intermediates.is_empty() {
            return;
        }
        match byte {
            b'7' => self.save_cursor(),
            b'8' => self.restore_cursor(),
            b'D' => self.line_feed(),
            b'E' => {
                self.carriage_return();
                self.line_feed();
            }
            b'M' => self.reverse_line_feed(),
            b'c' => self.reset(),
            _ => {}
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], ignore: bool, action: char) {
        match intermediates {
            _ if ignore => {}
            [] => self.control(params, action),
            [b'?'] => self.set_modes(params, action),
            _ => {}
        }
    }
}

impl Screen {
    fn control(&mut self, params: &Params, action: char) {
        let number = |index| number(params, index);
        // A count or a place that is left out, or 0, is 1.
        let count = |index| number(index).max(1);
        match action {
            '@' => self.insert_characters(count(0)),
            'A' => self.move_up(count(0)),
            'B' | 'e' => self.move_down(count(0)),
            'C' | 'a' => self.move_right(count(0)),
            'D' => self.move_left(count(0)),
            'E' => self.move_to(self.cursor.line.saturating_add(count(0)), 0),
            'F' => self.move_to(self.cursor.line.saturating_sub(count(0)), 0),
            'G' | '`' => self.move_to(self.cursor.line, count(0) - 1),
            'H' | 'f' => self.move_to(count(0) - 1, count(1) - 1),
            'J' if number(0) == 3 => self.forget_history(),
            'J' => each(extent(number(0)), |extent| self.erase_lines(extent)),
            'K' => each(extent(number(0)), |extent| self.erase_line(extent)),
            'L' => self.insert_lines(count(0)),
            'M' => self.delete_lines(count(0)),
            'P' => self.delete_characters(count(0)),
            'S' => self.scroll_up(count(0)),
            'T' => self.scroll_down(count(0)),
            'X' => self.erase_characters(count(0)),
            'd' => self.move_to(count(0) - 1, self.cursor.column),
            'm' => select_rendition(&mut self.cursor.pen, params),
            'r' => self.set_region(count(0) - 1, some_or(number(1), usize::MAX)),
            's' => self.save_cursor(),
            'u' => self.restore_cursor(),
            _ => {}
        }
    }

    /// DEC's private modes.
    fn set_modes(&mut self, params: &Params, action: char) {
        let on = match action {
            'h' => true,
            'l' => false,
            _ => return,
        };
        for mode in params {
            match mode {
                [7] => self.wraps = on,
                [25] => self.shows_cursor = on,
                _ => {}
            }
        }
    }
}

fn each<T>(value: Option<T>, act: impl FnMut(T)) {
    value.into_iter().for_each(act);
}

fn number(params: &Params, index: usize) -> usize {
    let values = params.iter().nth(index);
    values.map_or(0, |values| usize::from(values[0]))
}

fn some_or(number: usize, default: usize) -> usize {
    if number == 0 { default } else { number }
}

fn extent(number: usize) -> Option<Extent> {
    [Extent::After, Extent::Before, Extent::All]
        .get(number)
        .copied()
}

fn select_rendition(pen: &mut Pen, params: &Params) {
    let mut params = params.iter();
    while let Some(values) = params.next() {
        match values[0] {
            // A style of underline, of which there is one and none.
            4 => pen.is_underlined = values.get(1) != Some(&0),
            38 => set(&mut pen.foreground, extended_colour(values, &mut params)),
            48 => set(&mut pen.background, extended_colour(values, &mut params)),
            code => select_simple(pen, code),
        }
    }
}

fn set(colour: &mut Colour, chosen: Option<Colour>) {
    *colour = chosen.unwrap_or(*colour);
}

fn select_simple(pen: &mut Pen, code: u16) {
    match code {
        0 => *pen = Pen::DEFAULT,
        1 => pen.is_bold = true,
        2 => pen.is_faint = true,
        7 => pen.is_reversed = true,
        8 => pen.is_concealed = true,
        22 => (pen.is_bold, pen.is_faint) = (false, false),
        24 => pen.is_underlined = false,
        27 => pen.is_reversed = false,
        28 => pen.is_concealed = false,
        30..=37 => pen.foreground = Colour::Indexed((code - 30) as u8),
        39 => pen.foreground = Colour::Default,
        40..=47 => pen.background = Colour::Indexed((code - 40) as u8),
        49 => pen.background = Colour::Default,
        90..=97 => pen.foreground = Colour::Indexed((code - 90 + 8) as u8),
        100..=107 => pen.background = Colour::Indexed((code - 100 + 8) as u8),
        _ => {}
    }
}

/// The colour after 38 or 48: in the same parameter (`38:2::r:g:b`), or in those that follow (`38;2;r;g;b`).
fn extended_colour(values: &[u16], rest: &mut ParamsIter<'_>) -> Option<Colour> {
    match values {
        [_, 5, number, ..] => indexed(*number),
        [_, 2, _, red, green, blue, ..] | [_, 2, red, green, blue] => direct(*red, *green, *blue),
        [_] => {
            let mut next = || rest.next().map(|values| values[0]);
            match next()? {
                5 => indexed(next()?),
                2 => direct(next()?, next()?, next()?),
                _ => None,
            }
        }
        _ => None,
    }
}

fn indexed(number: u16) -> Option<Colour> {
    u8::try_from(number).ok().map(Colour::Indexed)
}

fn direct(red: u16, green: u16, blue: u16) -> Option<Colour> {
    Some(Colour::Direct(Rgb {
        red: u8::try_from(red).ok()?,
        green: u8::try_from(green).ok()?,
        blue: u8::try_from(blue).ok()?,
    }))
}
