//! The words of `limit memory=64M cpu=50 PROGRAM …`.

use std::time::Duration;

use crate::system::Limits;

const USAGE: &str = "say what may be used, and by what: limit [memory=BYTES] [cpu=PERCENT] [time=SECONDS] [handles=COUNT] \
     [output=BYTES] [processes=COUNT] PROGRAM [WORD…]";

/// The limits at the start of `words`, and the words behind them; an error is a sentence.
pub(crate) fn parse(words: &[String]) -> Result<(Limits, &[String]), String> {
    let mut limits = Limits::default();
    let mut rest = words;
    while let [word, behind @ ..] = rest {
        let Some((name, value)) = word.split_once('=') else {
            break;
        };
        set(&mut limits, name, value).ok_or_else(|| {
            let word = word.escape_debug();
            format!("'{word}' is no limit; {USAGE}.")
        })?;
        rest = behind;
    }
    match rest {
        [] => Err(format!("There is no program to limit; {USAGE}.")),
        rest => Ok((limits, rest)),
    }
}

fn set(limits: &mut Limits, name: &str, value: &str) -> Option<()> {
    match name {
        "memory" => limits.memory_bytes = Some(bytes(value)?),
        "cpu" => limits.cpu_percent = Some(value.parse().ok().filter(|percent| *percent > 0)?),
        "time" => limits.cpu_time = Some(Duration::from_secs(value.parse().ok()?)),
        "handles" => limits.handles = Some(value.parse().ok()?),
        "output" => limits.output_bytes = Some(bytes(value)?),
        "processes" => limits.processes = Some(value.parse().ok()?),
        _ => return None,
    }
    Some(())
}

/// A number of bytes, or of KiB, MiB or GiB with a letter behind it.
fn bytes(text: &str) -> Option<u64> {
    let (digits, shift) = match text.char_indices().last()? {
        (end, 'K' | 'k') => (&text[..end], 10),
        (end, 'M' | 'm') => (&text[..end], 20),
        (end, 'G' | 'g') => (&text[..end], 30),
        _ => (text, 0),
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn limits_come_before_the_program() {
        let line = words("memory=64M cpu=50 time=2 output=1k rg x=y");
        let (limits, rest) = parse(&line).expect("a line");
        assert_eq!(rest, words("rg x=y"));
        let expected = Limits {
            memory_bytes: Some(64 << 20),
            cpu_percent: Some(50),
            cpu_time: Some(Duration::from_secs(2)),
            output_bytes: Some(1024),
            ..Limits::default()
        };
        assert_eq!(limits, expected);
    }

    #[test]
    fn nonsense_is_refused() {
        for line in [
            "memory=64X rg",
            "colour=red rg",
            "cpu=0 rg",
            "memory=64M",
            "handles=-1 rg",
            "memory=99999999999999G rg",
            "memory= rg",
        ] {
            assert!(parse(&words(line)).is_err(), "{line}");
        }
    }
}
