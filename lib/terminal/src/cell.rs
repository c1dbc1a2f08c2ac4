//! What stands in one cell, and how text that follows is to look.

use lib_text_screen::font::Part;
use lib_text_screen::{Colours, Rgb};

use crate::palette::{BACKGROUND, BRIGHT_FOREGROUND, FOREGROUND, indexed};

/// One cell. Its colours are final: what was bold, faint or reversed is in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The character, of which a wide one takes two cells.
    pub character: char,
    /// Which part of it stands here.
    pub part: Part,
    /// Its look.
    pub style: Style,
}

/// The look of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Its colours.
    pub colours: Colours,
    /// Whether a line is below it.
    pub is_underlined: bool,
}

impl Style {
    pub(crate) const DEFAULT: Self = Self::blank(BACKGROUND);

    const fn blank(background: Rgb) -> Self {
        Self {
            colours: Colours {
                foreground: FOREGROUND,
                background,
            },
            is_underlined: false,
        }
    }

    /// The same with colours exchanged.
    pub(crate) fn reversed(self) -> Self {
        let Colours {
            foreground,
            background,
        } = self.colours;
        Self {
            colours: Colours {
                foreground: background,
                background: foreground,
            },
            ..self
        }
    }
}

impl Cell {
    /// Nothing, as a screen begins.
    pub const BLANK: Self = Self::of(' ', Style::DEFAULT);

    pub(crate) const fn of(character: char, style: Style) -> Self {
        Self {
            character,
            part: Part::Whole,
            style,
        }
    }
}

/// A colour as a program names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colour {
    Default,
    Indexed(u8),
    Direct(Rgb),
}

/// How what is written next looks (ECMA-48, 8.3.117, SGR).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pen {
    pub foreground: Colour,
    pub background: Colour,
    pub is_bold: bool,
    pub is_faint: bool,
    pub is_underlined: bool,
    pub is_reversed: bool,
    pub is_concealed: bool,
}

impl Pen {
    pub(crate) const DEFAULT: Self = Self {
        foreground: Colour::Default,
        background: Colour::Default,
        is_bold: false,
        is_faint: false,
        is_underlined: false,
        is_reversed: false,
        is_concealed: false,
    };

    /// The look of what is written.
    pub(crate) fn style(&self) -> Style {
        let background = self.background_rgb();
        let foreground = match self.foreground_rgb() {
            _ if self.is_concealed => background,
            foreground if self.is_faint => between(foreground, background),
            foreground => foreground,
        };
        let style = Style {
            colours: Colours {
                foreground,
                background,
            },
            is_underlined: self.is_underlined,
        };
        if self.is_reversed {
            style.reversed()
        } else {
            style
        }
    }

    /// What erased cells become: they take the background's colour.
    pub(crate) fn blank(&self) -> Cell {
        Cell::of(' ', Style::blank(self.background_rgb()))
    }

    /// Bold text is brighter: the font has one weight.
    fn foreground_rgb(&self) -> Rgb {
        match self.foreground {
            Colour::Default if self.is_bold => BRIGHT_FOREGROUND,
            Colour::Default => FOREGROUND,
            Colour::Indexed(number @ 0..8) if self.is_bold => indexed(number + 8),
            Colour::Indexed(number) => indexed(number),
            Colour::Direct(rgb) => rgb,
        }
    }

    fn background_rgb(&self) -> Rgb {
        match self.background {
            Colour::Default => BACKGROUND,
            Colour::Indexed(number) => indexed(number),
            Colour::Direct(rgb) => rgb,
        }
    }
}

fn between(one: Rgb, other: Rgb) -> Rgb {
    let middle = |one: u8, other: u8| one.midpoint(other);
    Rgb {
        red: middle(one.red, other.red),
        green: middle(one.green, other.green),
        blue: middle(one.blue, other.blue),
    }
}
