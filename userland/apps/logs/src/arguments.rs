//! What the person wants to see.

use sdk::log::types::{Filter, Level};

/// How it is used.
pub const USAGE: &str = "\
usage: logs [-f] [-n LINES] [-l LEVEL] [-s SOURCE] [TEXT]
  -f         goes on as lines come
  -n LINES   the last lines only
  -l LEVEL   error, warning, notice, info (this without -l), debug or trace, and what matters more
  -s SOURCE  a service's name, or kernel, or a part of it: kernel/memory
  TEXT       lines with this text in them";

/// Arguments that make sense.
pub struct Arguments {
    /// Whether it goes on.
    pub is_following: bool,
    /// How many of the last lines, if not all.
    pub lines: Option<u32>,
    /// Which lines.
    pub filter: Filter,
}

/// Reads the words behind the program's name; an error is a sentence.
pub fn parse(words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut arguments = Arguments {
        is_following: false,
        lines: None,
        filter: Filter {
            up_to: Level::Info,
            source: None,
            text: None,
        },
    };
    let mut words = words;
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} needs a value"));
        match word.as_str() {
            "-f" => arguments.is_following = true,
            "-n" => arguments.lines = Some(number(&value()?)?),
            "-l" => arguments.filter.up_to = level(&value()?)?,
            "-s" => arguments.filter.source = Some(value()?),
            option if option.starts_with('-') => {
                return Err(format!("there is no option '{}'", option.escape_debug()));
            }
            _ if arguments.filter.text.is_some() => {
                return Err("one text can be looked for; put it in quotes".to_owned());
            }
            _ => arguments.filter.text = Some(word),
        }
    }
    Ok(arguments)
}

fn number(word: &str) -> Result<u32, String> {
    let number = word.parse();
    number.map_err(|_| format!("'{}' is no number of lines", word.escape_debug()))
}

fn level(word: &str) -> Result<Level, String> {
    let level = lib_log_line::Level::of_word(word).map_err(|error| error.to_string())?;
    Ok(level.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Arguments, String> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_come_in_any_order() {
        let arguments = parsed("-n 3 out -f -s web -l warning").expect("right");
        assert!(arguments.is_following && arguments.lines == Some(3));
        assert_eq!(arguments.filter.source.as_deref(), Some("web"));
        assert_eq!(arguments.filter.text.as_deref(), Some("out"));
        assert_eq!(arguments.filter.up_to as u8, Level::Warning as u8);
    }

    #[test]
    fn levels_are_those_of_lines() {
        for shown in lib_log_line::Level::ALL {
            assert_eq!(
                level(shown.name()).map(lib_log_line::Level::from),
                Ok(shown)
            );
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (line, sentence) in [
            ("-n", "-n needs a value"),
            ("-n many", "'many' is no number of lines"),
            ("-l loud", "'loud' is no level"),
            ("-x", "there is no option '-x'"),
            ("a b", "one text can be looked for"),
        ] {
            let said = parsed(line).err().unwrap_or_default();
            assert!(said.starts_with(sentence), "{line}: {said}");
        }
    }
}
