//! The screen that the loader left: pixels in device memory.
//!
//! Law: what the boot contract says about the mode is checked against the memory behind it before
//! the first pixel; after that every write is checked against the mode. The memory is only written:
//! reading it back is slow.
//!
//! Source: UEFI 2.10, section 12.9 (graphics output), from which the loader takes the mode.

use contract_boot::{Framebuffer as Mode, pixel_format};
use lib_text_screen::{PixelSink, Rgb};

use crate::mmio::{Mmio, MmioError};

const BYTES_PER_PIXEL: u64 = 4;
/// No screen has more pixels to a side.
const SIDE_MAX_PX: u32 = 16_384;

/// Why the screen cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FramebufferError {
    /// The loader gave none, or one of an unknown pixel layout.
    None,
    /// Width, height and line length do not fit each other or the memory.
    BadMode(Mode),
    /// It could not be mapped.
    Map(MmioError),
}

impl core::fmt::Display for FramebufferError {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::None => out.write_str("the loader found no screen with 32-bit pixels"),
            Self::BadMode(mode) => write!(
                out,
                "the loader's screen of {}x{} pixels, {} to a line, does not fit its {} bytes of memory",
                mode.width_px, mode.height_px, mode.stride_px, mode.memory.len_bytes
            ),
            Self::Map(error) => write!(out, "the screen's memory cannot be used: {error}"),
        }
    }
}

impl core::error::Error for FramebufferError {}

/// Pixels that can be written.
#[derive(Debug)]
pub struct PixelSurface {
    pixels: Mmio,
    layout: Layout,
}

impl PixelSurface {
    /// Maps the screen.
    pub fn map(mode: &Mode) -> Result<Self, FramebufferError> {
        let layout = Layout::check(mode)?;
        let pixels =
            Mmio::map(mode.memory.start, layout.len_bytes()).map_err(FramebufferError::Map)?;
        Ok(Self { pixels, layout })
    }
}

impl PixelSink for PixelSurface {
    fn width_px(&self) -> u32 {
        self.layout.width_px
    }
    fn height_px(&self) -> u32 {
        self.layout.height_px
    }
    /// As much of the row as lies on the screen.
    fn write_row(&mut self, x_px: u32, y_px: u32, row: &[Rgb]) {
        let Some(start) = self.layout.offset(x_px, y_px) else {
            return;
        };
        let visible = (self.layout.width_px - x_px) as usize;
        for (index, colour) in row.iter().take(visible).enumerate() {
            let offset = start + index * BYTES_PER_PIXEL as usize;
            self.pixels.write32(offset, self.layout.encode(*colour));
        }
    }
}

/// A mode that fits its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    width_px: u32,
    height_px: u32,
    stride_px: u32,
    red_first: bool,
}

impl Layout {
    fn check(mode: &Mode) -> Result<Self, FramebufferError> {
        let red_first = match mode.format {
            pixel_format::RGBX => true,
            pixel_format::BGRX => false,
            _ => return Err(FramebufferError::None),
        };
        let layout = Self {
            width_px: mode.width_px,
            height_px: mode.height_px,
            stride_px: mode.stride_px,
            red_first,
        };
        if layout.is_sane() && layout.len_bytes() as u64 <= mode.memory.len_bytes {
            Ok(layout)
        } else {
            Err(FramebufferError::BadMode(*mode))
        }
    }

    fn is_sane(&self) -> bool {
        let side = 1..=SIDE_MAX_PX;
        side.contains(&self.width_px)
            && side.contains(&self.height_px)
            && (self.width_px..=SIDE_MAX_PX).contains(&self.stride_px)
    }

    /// Sides are bounded, so this stays below 2³⁰ bytes.
    fn len_bytes(&self) -> usize {
        (u64::from(self.stride_px) * u64::from(self.height_px) * BYTES_PER_PIXEL) as usize
    }

    fn offset(&self, x_px: u32, y_px: u32) -> Option<usize> {
        (x_px < self.width_px && y_px < self.height_px).then(|| {
            let pixel = u64::from(y_px) * u64::from(self.stride_px) + u64::from(x_px);
            (pixel * BYTES_PER_PIXEL) as usize
        })
    }

    fn encode(&self, colour: Rgb) -> u32 {
        let Rgb { red, green, blue } = colour;
        u32::from_le_bytes(if self.red_first {
            [red, green, blue, 0]
        } else {
            [blue, green, red, 0]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract_boot::PhysRange;
    use proptest::prelude::*;

    fn mode(width_px: u32, height_px: u32, stride_px: u32, len_bytes: u64) -> Mode {
        Mode {
            memory: PhysRange {
                start: 0x8000_0000,
                len_bytes,
            },
            width_px,
            height_px,
            stride_px,
            format: pixel_format::BGRX,
        }
    }

    #[test]
    fn a_real_mode_fits_and_addresses_its_corners() {
        let layout = Layout::check(&mode(1280, 800, 1344, 1344 * 800 * 4)).unwrap();
        assert_eq!(layout.offset(0, 0), Some(0));
        assert_eq!(layout.offset(1279, 799), Some((799 * 1344 + 1279) * 4));
        assert_eq!(layout.offset(1280, 0), None);
        assert_eq!(layout.offset(0, 800), None);
        let orange = Rgb {
            red: 0xff,
            green: 0x80,
            blue: 1,
        };
        assert_eq!(layout.encode(orange), 0x00ff_8001);
        let other = Layout {
            red_first: true,
            ..layout
        };
        assert_eq!(other.encode(orange), 0x0001_80ff);
    }

    #[test]
    fn modes_that_do_not_fit_are_refused() {
        for bad in [
            mode(0, 800, 1280, 1 << 30),
            mode(1280, 0, 1280, 1 << 30),
            mode(1280, 800, 1279, 1 << 30),
            mode(1280, 800, 1280, 1280 * 800 * 4 - 1),
            mode(u32::MAX, u32::MAX, u32::MAX, u64::MAX),
        ] {
            assert_eq!(Layout::check(&bad), Err(FramebufferError::BadMode(bad)));
        }
        let unknown = Mode {
            format: 77,
            ..mode(640, 480, 640, 1 << 30)
        };
        assert_eq!(Layout::check(&unknown), Err(FramebufferError::None));
    }

    proptest! {
        #[test]
        fn no_pixel_lies_outside_the_memory(
            width: u32, height: u32, stride: u32, len_bytes: u64, x: u32, y: u32,
        ) {
            let mode = mode(width % 20_000, height % 20_000, stride % 20_000, len_bytes);
            if let Ok(layout) = Layout::check(&mode)
                && let Some(offset) = layout.offset(x % 20_000, y % 20_000)
            {
                prop_assert!(offset as u64 + 4 <= len_bytes);
            }
        }
    }
}
