//! The 256 colours that programs name by number, as xterm arranges them: 16 names, a cube of 6×6×6, 24 greys.

use lib_text_screen::Rgb;

/// Text that asks for nothing.
pub(crate) const FOREGROUND: Rgb = Rgb::new(0xd0_d0d0);
/// The same in bold.
pub(crate) const BRIGHT_FOREGROUND: Rgb = Rgb::new(0xff_ffff);
/// Behind all text.
pub(crate) const BACKGROUND: Rgb = Rgb::new(0x10_1418);

/// Dark enough to be told apart from the bright ones, bright enough to be read on [`BACKGROUND`].
const NAMED: [Rgb; 16] = [
    Rgb::new(0x00_0000),
    Rgb::new(0xd0_3838),
    Rgb::new(0x30_a848),
    Rgb::new(0xb8_8818),
    Rgb::new(0x48_80e0),
    Rgb::new(0xb0_58b8),
    Rgb::new(0x20_a0a8),
    Rgb::new(0xc0_c0c0),
    Rgb::new(0x70_7880),
    Rgb::new(0xff_6860),
    Rgb::new(0x60_e070),
    Rgb::new(0xf8_d850),
    Rgb::new(0x80_b0ff),
    Rgb::new(0xf0_90f0),
    Rgb::new(0x60_e0e8),
    Rgb::new(0xff_ffff),
];
const CUBE_START: u8 = 16;
const GREYS_START: u8 = 232;

/// The colour of this number.
pub(crate) fn indexed(number: u8) -> Rgb {
    match number {
        GREYS_START.. => {
            let level = 8 + 10 * (number - GREYS_START);
            Rgb {
                red: level,
                green: level,
                blue: level,
            }
        }
        CUBE_START.. => {
            let in_cube = number - CUBE_START;
            Rgb {
                red: cube_level(in_cube / 36),
                green: cube_level(in_cube / 6 % 6),
                blue: cube_level(in_cube % 6),
            }
        }
        _ => NAMED[usize::from(number)],
    }
}

fn cube_level(step: u8) -> u8 {
    if step == 0 { 0 } else { 55 + 40 * step }
}
