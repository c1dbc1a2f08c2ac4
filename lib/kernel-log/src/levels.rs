//! Levels per area, and how people write them.

use core::fmt;

use log::{Level, LevelFilter};

use crate::area::{AREAS, Area};

/// The word that stands for the terminal among the names of areas.
const TERMINAL: &str = "terminal";
/// How much of a wrong word an error shows, in characters.
const SHOWN_CHARACTERS: usize = 40;

/// For each area the least severe level that counts, and for the terminal the least severe level that it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Levels {
    areas: [LevelFilter; AREAS.len()],
    /// What the terminal shows of what is kept; `None` where nobody said.
    pub terminal: Option<LevelFilter>,
}

/// What is wrong with levels that somebody wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LevelError<'a> {
    /// No area has this name.
    UnknownArea(&'a str),
    /// No level has this name.
    UnknownLevel(&'a str),
    /// Nothing stands where a word must.
    Empty,
}

impl fmt::Display for LevelError<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownArea(word) => {
                write!(out, "there is no area '{}'; there are", Shown(word))?;
                for (_, name) in AREAS {
                    write!(out, " {name}")?;
                }
                write!(out, " {TERMINAL}")
            }
            Self::UnknownLevel(word) => write!(
                out,
                "'{}' is none of off, error, warn, info, debug, trace",
                Shown(word)
            ),
            Self::Empty => out.write_str("a level is missing"),
        }
    }
}

/// The start of a foreign word, without what a terminal would obey.
struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut characters = self.0.chars();
        for character in characters.by_ref().take(SHOWN_CHARACTERS) {
            let character = if character.is_control() {
                '?'
            } else {
                character
            };
            write!(out, "{character}")?;
        }
        out.write_str(if characters.next().is_some() {
            "…"
        } else {
            ""
        })
    }
}

impl Levels {
    /// The same level for every area.
    pub const fn all(level: LevelFilter) -> Self {
        Self {
            areas: [level; AREAS.len()],
            terminal: None,
        }
    }

    /// The area's level.
    pub fn of(&self, area: Area) -> LevelFilter {
        self.areas[area as usize]
    }

    /// Sets the area's level.
    pub fn set(&mut self, area: Area, level: LevelFilter) {
        self.areas[area as usize] = level;
    }

    /// Whether a line of this area and level counts.
    pub fn admit(&self, area: Area, level: Level) -> bool {
        level <= self.of(area)
    }

    /// The least severe level of any area: below it nothing needs a closer look.
    pub fn loosest(&self) -> LevelFilter {
        self.areas.iter().copied().max().unwrap_or(LevelFilter::Off)
    }

    /// These levels changed by words like `debug` (all areas), `memory=debug` and `terminal=warn`,
    /// separated by commas, the later ones last.
    ///
    /// # Errors
    /// The first word that is wrong; nothing is changed then.
    pub fn changed_by<'a>(&self, text: &'a str) -> Result<Self, LevelError<'a>> {
        let mut levels = *self;
        for word in text.split(',') {
            levels.change(word)?;
        }
        Ok(levels)
    }

    fn change<'a>(&mut self, word: &'a str) -> Result<(), LevelError<'a>> {
        match word.split_once('=') {
            None => self.areas = [level(word)?; AREAS.len()],
            Some((TERMINAL, value)) => self.terminal = Some(level(value)?),
            Some((name, value)) => {
                let area = Area::by_name(name).ok_or(LevelError::UnknownArea(name))?;
                self.set(area, level(value)?);
            }
        }
        Ok(())
    }

    /// What a person wants to see of a log, by words like `warn` (that level and above), `memory` (one
    /// area, all of it) and `memory=warn`. Without areas, all; without words, everything.
    ///
    /// # Errors
    /// The first word that is wrong.
    pub fn filter<'a>(words: impl Iterator<Item = &'a str>) -> Result<Self, LevelError<'a>> {
        let mut general = LevelFilter::Trace;
        let mut chosen = [None; AREAS.len()];
        for word in words {
            match (word.split_once('='), Area::by_name(word)) {
                (Some((name, value)), _) => {
                    let area = Area::by_name(name).ok_or(LevelError::UnknownArea(name))?;
                    chosen[area as usize] = Some(Some(level(value)?));
                }
                (None, Some(area)) => chosen[area as usize] = Some(None),
                (None, None) => general = level(word)?,
            }
        }
        let without_areas = chosen.iter().all(Option::is_none);
        let areas = chosen.map(|choice| match choice {
            Some(level) => level.unwrap_or(general),
            None if without_areas => general,
            None => LevelFilter::Off,
        });
        Ok(Self {
            areas,
            terminal: None,
        })
    }
}

fn level(word: &str) -> Result<LevelFilter, LevelError<'_>> {
    if word.is_empty() {
        return Err(LevelError::Empty);
    }
    word.parse().map_err(|_| LevelError::UnknownLevel(word))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString;

    use super::*;

    const INFO: Levels = Levels::all(LevelFilter::Info);

    #[test]
    fn words_change_what_they_name() {
        let levels = INFO
            .changed_by("warn,memory=debug,terminal=error")
            .expect("all words are right");
        assert_eq!(levels.of(Area::Memory), LevelFilter::Debug);
        assert_eq!(levels.of(Area::Thread), LevelFilter::Warn);
        assert_eq!(levels.terminal, Some(LevelFilter::Error));
        assert_eq!(levels.loosest(), LevelFilter::Debug);
        assert!(levels.admit(Area::Memory, Level::Debug));
        assert!(!levels.admit(Area::Thread, Level::Info));
        assert_eq!(
            INFO.changed_by("memory=OFF")
                .map(|new| new.of(Area::Memory)),
            Ok(LevelFilter::Off)
        );
    }

    #[test]
    fn hostile_words_are_one_sentence_and_change_nothing() {
        for (text, error) in [
            ("", LevelError::Empty),
            ("info,", LevelError::Empty),
            ("memory=", LevelError::Empty),
            ("=debug", LevelError::UnknownArea("")),
            ("loud", LevelError::UnknownLevel("loud")),
            ("info,memory=loud", LevelError::UnknownLevel("loud")),
            ("debug,attic=info", LevelError::UnknownArea("attic")),
            ("memory=debug=info", LevelError::UnknownLevel("debug=info")),
        ] {
            assert_eq!(INFO.changed_by(text), Err(error), "{text}");
        }
        let long = "x\x1b[2J\n".repeat(50);
        let sentence = LevelError::UnknownLevel(&long).to_string();
        assert!(!sentence.chars().any(char::is_control), "{sentence:?}");
        assert!(sentence.len() < 120, "{sentence}");
    }

    #[test]
    fn filters_choose_areas_and_levels() {
        let filter = |text: &'static str| Levels::filter(text.split_whitespace());
        assert_eq!(filter(""), Ok(Levels::all(LevelFilter::Trace)));
        assert_eq!(filter("warn"), Ok(Levels::all(LevelFilter::Warn)));
        let one = filter("warn memory").expect("both words are right");
        assert_eq!(one.of(Area::Memory), LevelFilter::Warn);
        assert_eq!(one.of(Area::Wasm), LevelFilter::Off);
        let two = filter("memory=debug wasm").expect("both words are right");
        assert_eq!(two.of(Area::Memory), LevelFilter::Debug);
        assert_eq!(two.of(Area::Wasm), LevelFilter::Trace);
        assert_eq!(filter("attic"), Err(LevelError::UnknownLevel("attic")));
    }
}
