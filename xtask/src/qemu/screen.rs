//! A picture of the guest's screen, as QEMU's `screendump` writes it (portable pixmap, P6), and as it is kept (PNG).

use crate::failure::{Failure, Result};

/// Pixels, line by line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Screen {
    /// Pixels in a line.
    pub width_px: usize,
    /// Lines.
    pub height_px: usize,
    /// Red, green, blue.
    pub pixels: Vec<[u8; 3]>,
}

impl Screen {
    /// Reads a portable pixmap with 8 bits per colour.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let wrong = |problem: &str| Failure::input("the screendump", problem);
        let mut rest = bytes;
        let mut word = || next_word(&mut rest);
        if word() != Some("P6") {
            return Err(wrong("it is not a portable pixmap"));
        }
        let numbers: Vec<usize> = (0..3).filter_map(|_| word()?.parse().ok()).collect();
        let [width_px, height_px, 255] = numbers[..] else {
            return Err(wrong("its header is malformed"));
        };
        let pixels: Vec<[u8; 3]> = rest.chunks_exact(3).map(|p| [p[0], p[1], p[2]]).collect();
        if width_px.checked_mul(height_px) != Some(pixels.len()) {
            return Err(wrong("it is truncated"));
        }
        Ok(Self {
            width_px,
            height_px,
            pixels,
        })
    }
}

impl Screen {
    /// Reads a PNG with 8 bits per colour and no transparency.
    pub fn from_png(bytes: &[u8]) -> Result<Self> {
        let wrong = |problem: String| Failure::input("the picture", problem);
        let decoder = png::Decoder::new(std::io::Cursor::new(bytes));
        let mut reader = decoder.read_info().map_err(|e| wrong(e.to_string()))?;
        let info = reader.info();
        if (info.color_type, info.bit_depth) != (png::ColorType::Rgb, png::BitDepth::Eight) {
            return Err(wrong("it is not made of 8-bit colours".into()));
        }
        let (width_px, height_px) = (info.width as usize, info.height as usize);
        let mut raw = vec![0; width_px * height_px * 3];
        reader
            .next_frame(&mut raw)
            .map_err(|e| wrong(e.to_string()))?;
        Ok(Self {
            width_px,
            height_px,
            pixels: raw.chunks_exact(3).map(|p| [p[0], p[1], p[2]]).collect(),
        })
    }

    /// The picture as PNG.
    pub fn to_png(&self) -> Result<Vec<u8>> {
        let wrong = |problem: png::EncodingError| Failure::input("the picture", problem);
        let mut bytes = Vec::new();
        let mut encoder =
            png::Encoder::new(&mut bytes, self.width_px as u32, self.height_px as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::High);
        let mut writer = encoder.write_header().map_err(wrong)?;
        writer
            .write_image_data(self.pixels.as_flattened())
            .map_err(wrong)?;
        writer.finish().map_err(wrong)?;
        Ok(bytes)
    }

    /// This picture in grey, with red where the other one has something else.
    pub fn difference(&self, other: &Self) -> Self {
        let same_size = (self.width_px, self.height_px) == (other.width_px, other.height_px);
        let pixels = self.pixels.iter().enumerate().map(|(index, pixel)| {
            let is_same = same_size && other.pixels[index] == *pixel;
            let grey = (pixel.iter().map(|&part| u16::from(part)).sum::<u16>() / 6) as u8;
            if is_same {
                [grey; 3]
            } else {
                [0xff, grey, grey]
            }
        });
        Self {
            pixels: pixels.collect(),
            ..*self
        }
    }
}

/// Takes the next word and the one white space behind it.
fn next_word<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let end = rest.iter().position(u8::is_ascii_whitespace)?;
    let (word, tail) = rest.split_at(end);
    *rest = &tail[1..];
    std::str::from_utf8(word).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_pixmap_and_refuses_half_of_one() {
        let mut bytes = b"P6\n2 2\n255\n".to_vec();
        bytes.extend([0, 0, 0, 9, 8, 7, 0, 0, 0, 0, 0, 0]);
        let screen = Screen::parse(&bytes).unwrap();
        assert_eq!((screen.width_px, screen.height_px), (2, 2));
        assert_eq!(screen.pixels[1], [9, 8, 7]);
        assert!(Screen::parse(&bytes[..bytes.len() - 3]).is_err());
        assert!(Screen::parse(b"P6\n2").is_err());
    }

    #[test]
    fn a_picture_is_kept_and_compared() {
        let pixels = vec![[0, 0, 0], [9, 8, 7], [255, 0, 3], [1, 2, 3]];
        let screen = Screen {
            width_px: 2,
            height_px: 2,
            pixels,
        };
        let png = screen.to_png().unwrap();
        assert_eq!(Screen::from_png(&png).unwrap(), screen);
        assert!(Screen::from_png(&png[..png.len() / 2]).is_err());
        let mut other = screen.clone();
        other.pixels[2] = [255, 0, 4];
        let difference = screen.difference(&other);
        assert_eq!(difference.pixels[2][0], 255);
        assert_eq!(difference.pixels[3], [1, 1, 1]);
    }
}
