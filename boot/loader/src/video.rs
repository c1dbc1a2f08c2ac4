//! Which video mode to start in.
//!
//! Law: only modes with a linear framebuffer in one of the contract's pixel formats count. The size that the
//! command line asks for wins, then the sizes in [`PREFERRED`], then the mode that is set, then the largest.

use contract_boot::pixel_format;

/// Width and height in pixels, best first: large enough for a desktop, small enough to be drawn by
/// the CPU.
pub const PREFERRED: [(u32, u32); 2] = [(1280, 800), (1024, 768)];

/// One of the screen's modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoMode {
    /// Visible pixels in a line.
    pub width_px: u32,
    /// Lines.
    pub height_px: u32,
    /// One of [`pixel_format`]; `NONE` if the kernel could not draw in it.
    pub format: u32,
    /// Whether it is the one that is set.
    pub current: bool,
}

/// The size in the command line's `screen=WIDTHxHEIGHT`; words that are none are left out.
pub fn wanted_size(command_line: &[u8]) -> Option<(u32, u32)> {
    let words = core::str::from_utf8(command_line)
        .ok()?
        .split_ascii_whitespace();
    words
        .filter_map(|word| word.strip_prefix("screen="))
        .find_map(|size| {
            let (width, height) = size.split_once('x')?;
            Some((width.parse().ok()?, height.parse().ok()?))
        })
}

/// The number of the mode to use; `None` if there is none that the kernel can draw in.
pub fn choose(modes: &[VideoMode], wanted: Option<(u32, u32)>) -> Option<usize> {
    let usable = |mode: &VideoMode| mode.format != pixel_format::NONE;
    let find = |wanted: &dyn Fn(&VideoMode) -> bool| {
        modes.iter().position(|mode| usable(mode) && wanted(mode))
    };
    let preferred = wanted
        .iter()
        .chain(&PREFERRED)
        .find_map(|size| find(&|mode| (mode.width_px, mode.height_px) == *size));
    let largest = || {
        let area = |number: &usize| {
            u64::from(modes[*number].width_px) * u64::from(modes[*number].height_px)
        };
        (0..modes.len())
            .filter(|number| usable(&modes[*number]))
            .max_by_key(area)
    };
    preferred
        .or_else(|| find(&|mode| mode.current))
        .or_else(largest)
}
