//! `echo` and `printf`.

use super::{failed, number};
use crate::expand::{ansi_text, backslashed};
use crate::shell::{FAILURE, Outcome, SUCCESS, Shell, Unwind};

pub(super) fn echo(shell: &mut Shell, arguments: &[String]) -> Outcome {
    let is_option = |text: &&String| {
        text.len() > 1
            && text.starts_with('-')
            && text[1..].chars().all(|c| matches!(c, 'n' | 'e' | 'E'))
    };
    let options: String = arguments
        .iter()
        .take_while(is_option)
        .map(|text| &text[1..])
        .collect();
    let count = arguments.iter().take_while(is_option).count();
    let mut text = arguments[count..].join(" ");
    let mut ends = !options.contains('n');
    if options.rfind('e') > options.rfind('E') {
        // `\c` ends the output.
        if let Some(end) = text.find("\\c") {
            text.truncate(end);
            ends = false;
        }
        text = escaped(&text);
    }
    if ends {
        text.push('\n');
    }
    shell.files.write(text.as_bytes())?;
    Ok(SUCCESS)
}

/// Octal numbers begin with a zero here, which `$'…'` would count as a digit.
fn escaped(text: &str) -> String {
    ansi_text(
        &text
            .replace("\\0", "\\")
            .replace("\\'", "\\\\'")
            .replace("\\\"", "\\\\\""),
    )
}

pub(super) fn printf(shell: &mut Shell, arguments: &[String]) -> Outcome {
    let (name, arguments) = match arguments {
        [option, name, rest @ ..] if option == "-v" => (Some(name.clone()), rest),
        [dashes, rest @ ..] if dashes == "--" => (None, rest),
        rest => (None, rest),
    };
    let Some((format, arguments)) = arguments.split_first() else {
        return Err(failed("usage: printf [-v NAME] FORMAT [ARG…]"));
    };
    let mut writer = Writer {
        arguments,
        text: String::new(),
        is_ended: false,
        problem: None,
    };
    // As often as there are arguments for it.
    loop {
        let before = writer.arguments.len();
        writer.round(format)?;
        let is_used = writer.arguments.len() < before;
        if writer.is_ended || writer.arguments.is_empty() || !is_used {
            break;
        }
    }
    match name {
        Some(name) => shell.assign(&name, writer.text)?,
        None => shell.files.write(writer.text.as_bytes())?,
    }
    match writer.problem {
        Some(problem) => {
            shell.complain(format_args!("printf: {problem}"));
            Ok(FAILURE)
        }
        None => Ok(SUCCESS),
    }
}

/// How much `printf` pads at most.
const WIDTH_MAX: usize = 1 << 16;

struct Writer<'a> {
    arguments: &'a [String],
    text: String,
    /// `%b` has met `\c`.
    is_ended: bool,
    problem: Option<String>,
}

/// What stands between `%` and the letter.
#[derive(Default)]
struct Form {
    is_left: bool,
    is_zero: bool,
    has_sign: bool,
    has_blank: bool,
    is_alternate: bool,
    width: usize,
    precision: Option<usize>,
}

impl Writer<'_> {
    /// Writes the whole format once.
    fn round(&mut self, format: &str) -> Result<(), Unwind> {
        let mut rest = format;
        while let Some(at) = rest.find('%') {
            self.text += &escaped_format(&rest[..at]);
            rest = self.conversion(&rest[at + 1..])?;
            if self.is_ended {
                return Ok(());
            }
        }
        self.text += &escaped_format(rest);
        Ok(())
    }

    fn argument(&mut self) -> Option<String> {
        let (first, rest) = self.arguments.split_first()?;
        self.arguments = rest;
        Some(first.clone())
    }

    /// Writes what one `%…` says, and answers what is behind it.
    fn conversion<'f>(&mut self, format: &'f str) -> Result<&'f str, Unwind> {
        let mut form = Form::default();
        let mut rest = format;
        while let Some(flag) = rest.chars().next().filter(|c| "-0+ #".contains(*c)) {
            match flag {
                '-' => form.is_left = true,
                '0' => form.is_zero = true,
                '+' => form.has_sign = true,
                ' ' => form.has_blank = true,
                _ => form.is_alternate = true,
            }
            rest = &rest[1..];
        }
        let width;
        (width, rest) = self.count(rest)?;
        form.is_left |= width.is_some_and(|width| width < 0);
        form.width = usize::try_from(width.unwrap_or(0).unsigned_abs())
            .unwrap_or(WIDTH_MAX)
            .min(WIDTH_MAX);
        if let Some(behind) = rest.strip_prefix('.') {
            let precision;
            (precision, rest) = self.count(behind)?;
            form.precision = usize::try_from(precision.unwrap_or(0))
                .ok()
                .map(|precision| precision.min(WIDTH_MAX));
        }
        let Some(letter) = rest.chars().next() else {
            return Err(failed("`%': missing format character"));
        };
        self.convert(letter, &form)?;
        Ok(&rest[letter.len_utf8()..])
    }

    /// A number in the format, or `*`, which takes one from the arguments.
    fn count<'f>(&mut self, format: &'f str) -> Result<(Option<i64>, &'f str), Unwind> {
        if let Some(rest) = format.strip_prefix('*') {
            let text = self.argument().unwrap_or_default();
            return Ok((Some(if text.is_empty() { 0 } else { number(&text)? }), rest));
        }
        let len = format.bytes().take_while(u8::is_ascii_digit).count();
        Ok((format[..len].parse().ok(), &format[len..]))
    }

    fn convert(&mut self, letter: char, form: &Form) -> Result<(), Unwind> {
        let text = match letter {
            '%' => "%".into(),
            's' => cut(self.argument().unwrap_or_default(), form),
            'q' => backslashed(&self.argument().unwrap_or_default()),
            'c' => self
                .argument()
                .and_then(|text| text.chars().next())
                .map(String::from)
                .unwrap_or_default(),
            'b' => {
                let text = self.argument().unwrap_or_default();
                let end = text.find("\\c");
                self.is_ended = end.is_some();
                cut(escaped(&text[..end.unwrap_or(text.len())]), form)
            }
            'd' | 'i' => {
                let value = self.integer();
                digits(value.unsigned_abs().to_string(), value < 0, form, true)
            }
            'u' => digits((self.integer() as u64).to_string(), false, form, false),
            'o' => digits(format!("{:o}", self.integer()), false, form, false),
            'x' => digits(format!("{:x}", self.integer()), false, form, false).prefixed("0x", form),
            'X' => digits(format!("{:X}", self.integer()), false, form, false).prefixed("0X", form),
            'e' | 'E' | 'f' | 'F' | 'g' | 'G' => {
                let value = self.float();
                digits(
                    float_digits(value.abs(), letter, form),
                    value.is_sign_negative(),
                    &Form {
                        precision: None,
                        ..*form
                    },
                    true,
                )
            }
            other => return Err(failed(format!("`{other}': invalid format character"))),
        };
        let may_have_zeros = match letter {
            's' | 'q' | 'c' | 'b' | '%' => false,
            // A precision says how many digits there are, but of a fraction how many behind the point.
            'd' | 'i' | 'u' | 'o' | 'x' | 'X' => form.precision.is_none(),
            _ => true,
        };
        self.pad(&text, form, may_have_zeros);
        Ok(())
    }

    fn pad(&mut self, text: &str, form: &Form, may_have_zeros: bool) {
        let missing = form.width.saturating_sub(text.chars().count());
        let sign_len = usize::from(text.starts_with(['-', '+', ' ']));
        if form.is_left {
            self.text += text;
            self.text.extend(std::iter::repeat_n(' ', missing));
        } else if form.is_zero && may_have_zeros {
            self.text += &text[..sign_len];
            self.text.extend(std::iter::repeat_n('0', missing));
            self.text += &text[sign_len..];
        } else {
            self.text.extend(std::iter::repeat_n(' ', missing));
            self.text += text;
        }
    }

    /// A missing argument is 0; a quote makes a character its number.
    fn integer(&mut self) -> i64 {
        let text = self.argument().unwrap_or_default();
        if let Some(c) = text
            .strip_prefix(['\'', '"'])
            .and_then(|rest| rest.chars().next())
        {
            return u32::from(c).into();
        }
        let (is_negative, digits) = match text.trim().strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text.trim().trim_start_matches('+')),
        };
        let parsed = match digits {
            "" => Ok(0),
            hex if hex.starts_with("0x") || hex.starts_with("0X") => {
                u64::from_str_radix(&hex[2..], 16)
            }
            octal if octal.len() > 1 && octal.starts_with('0') => {
                u64::from_str_radix(&octal[1..], 8)
            }
            decimal => decimal.parse(),
        };
        let value = parsed.unwrap_or_else(|_| {
            self.problem = Some(format!("{text}: invalid number"));
            let len = digits.bytes().take_while(u8::is_ascii_digit).count();
            digits[..len].parse().unwrap_or(0)
        }) as i64;
        if is_negative {
            value.wrapping_neg()
        } else {
            value
        }
    }

    fn float(&mut self) -> f64 {
        let text = self.argument().unwrap_or_default();
        if text.is_empty() {
            return 0.0;
        }
        text.trim().parse().unwrap_or_else(|_| {
            self.problem = Some(format!("{text}: invalid number"));
            0.0
        })
    }
}

trait Prefixed {
    fn prefixed(self, prefix: &str, form: &Form) -> String;
}

impl Prefixed for String {
    fn prefixed(self, prefix: &str, form: &Form) -> String {
        if form.is_alternate {
            format!("{prefix}{self}")
        } else {
            self
        }
    }
}

fn cut(text: String, form: &Form) -> String {
    match form.precision {
        Some(precision) => text.chars().take(precision).collect(),
        None => text,
    }
}

fn digits(digits: String, is_negative: bool, form: &Form, is_signed: bool) -> String {
    let missing = form.precision.unwrap_or(0).saturating_sub(digits.len());
    let sign = match (
        is_negative,
        is_signed && form.has_sign,
        is_signed && form.has_blank,
    ) {
        (true, ..) => "-",
        (_, true, _) => "+",
        (_, _, true) => " ",
        _ => "",
    };
    format!("{sign}{}{digits}", "0".repeat(missing))
}

fn float_digits(value: f64, letter: char, form: &Form) -> String {
    let precision = form.precision.unwrap_or(6);
    match letter {
        'f' | 'F' => format!("{value:.precision$}"),
        'e' | 'E' => exponential(value, precision, letter),
        _ => general(value, precision.max(1), letter),
    }
}

/// `1.5e+02`: the exponent has a sign and two digits.
fn exponential(value: f64, precision: usize, letter: char) -> String {
    let text = format!("{value:.precision$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let e = if letter.is_ascii_uppercase() {
        'E'
    } else {
        'e'
    };
    format!(
        "{digits}{e}{}{:02}",
        if exponent < 0 { '-' } else { '+' },
        exponent.abs()
    )
}

fn general(value: f64, precision: usize, letter: char) -> String {
    let exponent = if value == 0.0 {
        0
    } else {
        value.log10().floor() as i32
    };
    let limit = i32::try_from(precision).unwrap_or(i32::MAX);
    if (-4..limit).contains(&exponent) {
        let decimals = usize::try_from(limit - 1 - exponent).unwrap_or(0);
        return trimmed(&format!("{value:.decimals$}"));
    }
    let letter = if letter == 'G' { 'E' } else { 'e' };
    let text = exponential(value, precision - 1, letter);
    match text.split_once(letter) {
        Some((digits, exponent)) => format!("{}{letter}{exponent}", trimmed(digits)),
        None => text,
    }
}

fn trimmed(digits: &str) -> String {
    if digits.contains('.') {
        digits.trim_end_matches('0').trim_end_matches('.').into()
    } else {
        digits.into()
    }
}

fn escaped_format(text: &str) -> String {
    if text.contains('\\') {
        ansi_text(text)
    } else {
        text.to_owned()
    }
}
