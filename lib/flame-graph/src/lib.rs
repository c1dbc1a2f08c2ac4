//! A flame graph: folded stacks as a picture (SVG 1.1) for any browser.
//!
//! The input is text, one stack a line: `outermost;…;innermost COUNT`. In the picture each function is a bar as wide as
//! the share of samples that have it at that depth below the same callers; the outermost stand at the bottom. A bar's
//! tooltip has the whole name and the numbers. Bars narrower than [`BAR_WIDTH_PX_MIN`] are left out, with what stands on
//! them; the numbers of the others count everything.
//!
//! Names are hostile: they are escaped, and what XML cannot hold is replaced. Wrong lines are an error with
//! their number.
#![no_std]

extern crate alloc;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use core::fmt::{self, Display, Formatter, Write};

/// Width of the picture.
const WIDTH_PX: f64 = 1200.0;
/// Height of a bar, with the line that parts it from the next.
const ROW_PX: usize = 17;
/// Space above the bars, for the title.
const HEAD_PX: usize = 40;
/// About the width of one character of a bar's text.
const CHARACTER_PX: f64 = 7.0;
/// Narrower bars cannot be seen.
const BAR_WIDTH_PX_MIN: f64 = 0.2;
/// Deeper stacks are cut.
const DEPTH_MAX: usize = 200;

/// What is wrong with folded stacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoldedError {
    /// The line of this number, from 1, does not end in a space and a number.
    NoCount(usize),
}

impl Display for FoldedError {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCount(line) => {
                write!(
                    out,
                    "line {line} of the folded stacks does not end in a count"
                )
            }
        }
    }
}

impl core::error::Error for FoldedError {}

/// A function below certain callers.
#[derive(Default)]
struct Bar<'a> {
    samples: u64,
    callees: BTreeMap<&'a str, Bar<'a>>,
}

impl<'a> Bar<'a> {
    fn add(&mut self, stack: impl Iterator<Item = &'a str>, samples: u64) {
        let mut bar = self;
        bar.samples = bar.samples.saturating_add(samples);
        for name in stack.take(DEPTH_MAX) {
            bar = bar.callees.entry(name).or_default();
            bar.samples = bar.samples.saturating_add(samples);
        }
    }

    fn depth(&self) -> usize {
        let callees = self.callees.values().map(Bar::depth);
        1 + callees.max().unwrap_or(0)
    }
}

/// The picture of some folded stacks.
///
/// # Errors
/// See [`FoldedError`].
pub fn svg(folded: &str, title: &str) -> Result<String, FoldedError> {
    let all = parse(folded)?;
    let rows = all.depth();
    let mut picture = Picture {
        out: String::new(),
        samples: all.samples,
        rows,
    };
    // A `String` takes everything.
    let _ = picture.draw(&all, title, HEAD_PX + rows * ROW_PX + ROW_PX);
    Ok(picture.out)
}

fn parse(folded: &str) -> Result<Bar<'_>, FoldedError> {
    let mut all = Bar::default();
    for (number, line) in (1..).zip(folded.lines()) {
        if line.is_empty() {
            continue;
        }
        let parts = line.rsplit_once(' ');
        let parts = parts.and_then(|(stack, count)| Some((stack, count.parse().ok()?)));
        let (stack, count) = parts.ok_or(FoldedError::NoCount(number))?;
        all.add(stack.split(';'), count);
    }
    Ok(all)
}

struct Picture {
    out: String,
    samples: u64,
    rows: usize,
}

impl Picture {
    fn draw(&mut self, all: &Bar<'_>, title: &str, height_px: usize) -> fmt::Result {
        writeln!(
            self.out,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <svg xmlns=\"http://www.w3.org/2000/svg\" version=\"1.1\" width=\"{WIDTH_PX}\" height=\"{height_px}\" \
             viewBox=\"0 0 {WIDTH_PX} {height_px}\" font-family=\"monospace\" font-size=\"12\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fffdf5\"/>\n\
             <text x=\"{}\" y=\"25\" text-anchor=\"middle\" font-size=\"16\">{}, {} samples</text>",
            WIDTH_PX / 2.0,
            Xml(title),
            self.samples
        )?;
        self.bar("all", all, 0.0, 0)?;
        self.out.write_str("</svg>\n")
    }

    /// One bar, its left edge at `left_px`, and those upon it.
    fn bar(&mut self, name: &str, bar: &Bar<'_>, left_px: f64, depth: usize) -> fmt::Result {
        let width_px = self.width_px(bar.samples);
        if width_px < BAR_WIDTH_PX_MIN {
            return Ok(());
        }
        let top_px = HEAD_PX + (self.rows - 1 - depth) * ROW_PX;
        let share = 100.0 * bar.samples as f64 / self.samples.max(1) as f64;
        write!(
            self.out,
            "<g><title>{} ({} samples, {share:.2} %)</title>\
             <rect x=\"{left_px:.2}\" y=\"{top_px}\" width=\"{width_px:.2}\" height=\"{}\" fill=\"{}\" rx=\"1\"/>",
            Xml(name),
            bar.samples,
            ROW_PX - 1,
            colour(name)
        )?;
        let room = (width_px / CHARACTER_PX) as usize;
        if room >= 3 {
            let (x_px, y_px) = (left_px + 3.0, top_px + 12);
            let text = Shortened { name, room };
            write!(self.out, "<text x=\"{x_px:.2}\" y=\"{y_px}\">{text}</text>")?;
        }
        self.out.write_str("</g>\n")?;
        let mut left_px = left_px;
        for (name, callee) in &bar.callees {
            self.bar(name, callee, left_px, depth + 1)?;
            left_px += self.width_px(callee.samples);
        }
        Ok(())
    }

    fn width_px(&self, samples: u64) -> f64 {
        WIDTH_PX * samples as f64 / self.samples.max(1) as f64
    }
}

/// A warm colour, the same for the same name (FNV-1a).
fn colour(name: &str) -> String {
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    let (green, blue) = (110 + hash % 110, 40 + (hash >> 8) % 50);
    format!("rgb({},{green},{blue})", 215 + (hash >> 16) % 40)
}

/// A text as XML's character data (XML 1.0, sections 2.2 and 2.4).
struct Xml<'a>(&'a str);

impl Display for Xml<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| xml(out, character))
    }
}

fn xml(out: &mut Formatter<'_>, character: char) -> fmt::Result {
    match character {
        '&' => out.write_str("&amp;"),
        '<' => out.write_str("&lt;"),
        '>' => out.write_str("&gt;"),
        '"' => out.write_str("&quot;"),
        '\u{fffe}' | '\u{ffff}' => out.write_char('?'),
        character if character.is_control() => out.write_char('?'),
        character => out.write_char(character),
    }
}

/// As much of a name as fits, as XML.
struct Shortened<'a> {
    name: &'a str,
    room: usize,
}

impl Display for Shortened<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        if self.name.chars().count() <= self.room {
            return Xml(self.name).fmt(out);
        }
        let mut shown = self.name.chars().take(self.room - 1);
        shown.try_for_each(|character| xml(out, character))?;
        out.write_char('…')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_shares() {
        let picture = svg("a;b 3\na;c 1\n", "two").expect("both lines have counts");
        for bar in [
            "<title>all (4 samples, 100.00 %)</title><rect x=\"0.00\" y=\"74\" width=\"1200.00\"",
            "<title>a (4 samples, 100.00 %)</title><rect x=\"0.00\" y=\"57\" width=\"1200.00\"",
            "<title>b (3 samples, 75.00 %)</title><rect x=\"0.00\" y=\"40\" width=\"900.00\"",
            "<title>c (1 samples, 25.00 %)</title><rect x=\"900.00\" y=\"40\" width=\"300.00\"",
        ] {
            assert!(picture.contains(bar), "{bar}\n{picture}");
        }
    }

    #[test]
    fn hostile_names_stay_text() {
        let name = "</title><script>alert(\"&\")\u{1b}[2J\u{7}";
        let picture = svg(&format!("{name} 1\n"), name).expect("the line has a count");
        assert!(!picture.contains("<script"));
        assert!(!picture.chars().any(|c| c.is_control() && c != '\n'));
        assert!(picture.contains("&lt;/title&gt;&lt;script&gt;alert(&quot;&amp;&quot;)?[2J?"));
    }

    #[test]
    fn long_names_are_cut_where_they_are_shown_only() {
        let name = "n".repeat(500);
        let picture = svg(&format!("{name} 1\nx 99\n"), "").expect("both lines have counts");
        assert_eq!(picture.matches(&name).count(), 1);
    }

    #[test]
    fn nonsense_is_an_error_or_an_empty_picture() {
        assert_eq!(svg("a 1\nb\n", ""), Err(FoldedError::NoCount(2)));
        assert_eq!(svg("a -1", ""), Err(FoldedError::NoCount(1)));
        assert!(svg("", "nothing").is_ok_and(|picture| picture.ends_with("</svg>\n")));
        let huge = format!("a {0}\nb {0}\n{1} 1\n", u64::MAX, "x;".repeat(5000));
        assert!(svg(&huge, "").is_ok());
    }
}
