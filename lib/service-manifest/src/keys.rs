//! The keys of one table, read with errors that name their place.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use toml::de::{DeTable, DeValue};

use crate::{ENTRIES_MAX, ManifestError, WORD_LEN_BYTES_MAX};

pub(crate) type Result<T> = core::result::Result<T, ManifestError>;

/// A table of a service, and where it lies.
pub(crate) struct Keys<'a> {
    service: &'a str,
    /// The tables around it with a dot behind each: `restart.`.
    prefix: String,
    table: &'a DeTable<'a>,
}

impl<'a> Keys<'a> {
    /// The table of a service itself; refused if there is another key in it than `known`.
    pub fn new(service: &'a str, table: &'a DeTable<'a>, known: &[&str]) -> Result<Self> {
        let prefix = String::new();
        Self::within(service, prefix, table, Some(known))
    }

    fn within(
        service: &'a str,
        prefix: String,
        table: &'a DeTable<'a>,
        known: Option<&[&str]>,
    ) -> Result<Self> {
        let keys = Self {
            service,
            prefix,
            table,
        };
        if keys.table.len() > ENTRIES_MAX {
            let problem = format!("it has more than {ENTRIES_MAX} entries: leave some out");
            return Err(keys.error(keys.prefix.trim_end_matches('.'), problem));
        }
        let names = keys.table.keys().map(|key| key.get_ref().as_ref());
        let unknown = |name: &&str| known.is_some_and(|known| !known.contains(name));
        match (names.into_iter().find(unknown), known) {
            (Some(name), Some(known)) => Err(keys.error(
                name,
                format!(
                    "there is no such key: those there are, are {}",
                    known.join(", ")
                ),
            )),
            _ => Ok(keys),
        }
    }

    /// An error about one of its keys.
    pub fn error(&self, key: &str, problem: impl Into<String>) -> ManifestError {
        let key = format!("{}{key}", self.prefix);
        ManifestError {
            service: Some(self.service.to_owned()),
            key: (!key.is_empty()).then_some(key),
            problem: problem.into(),
        }
    }

    fn value(&self, key: &str) -> Option<&'a DeValue<'a>> {
        let mut entries = self.table.iter();
        let (_, value) = entries.find(|(name, _)| name.get_ref() == key)?;
        Some(value.get_ref())
    }

    /// Whether the key is there.
    pub fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    fn wrong_type(&self, key: &str, value: &DeValue<'_>, wanted: &str) -> ManifestError {
        self.error(
            key,
            format!("it is of type {}: write {wanted}", value.type_str()),
        )
    }

    /// A text that may be left out.
    pub fn text(&self, key: &str, example: &str) -> Result<Option<String>> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        self.as_text(key, value, example).map(Some)
    }

    fn as_text(&self, key: &str, value: &DeValue<'_>, example: &str) -> Result<String> {
        let text = value.as_str();
        let text =
            text.ok_or_else(|| self.wrong_type(key, value, &format!("a text, as {example}")))?;
        if text.len() > WORD_LEN_BYTES_MAX || text.contains('\0') {
            let problem = format!("a text has at most {WORD_LEN_BYTES_MAX} bytes and no zero byte");
            return Err(self.error(key, problem));
        }
        Ok(text.to_owned())
    }

    /// A text that must be there.
    pub fn required(&self, key: &str, example: &str) -> Result<String> {
        let missing = || self.error(key, format!("it is missing: write {key} = {example}"));
        self.text(key, example)?.ok_or_else(missing)
    }

    /// One of some words; the first of them if it is left out.
    pub fn choice<T: Copy>(&self, key: &str, choices: &[(&str, T)]) -> Result<Option<T>> {
        let words: Vec<_> = choices
            .iter()
            .map(|(word, _)| format!("\"{word}\""))
            .collect();
        let words = words.join(" or ");
        let Some(text) = self.text(key, &words)? else {
            return Ok(None);
        };
        let found = choices.iter().find(|(word, _)| *word == text);
        let unknown = || {
            let text = text.escape_debug();
            self.error(key, format!("'{text}' is not possible: write {words}"))
        };
        found.map(|(_, choice)| Some(*choice)).ok_or_else(unknown)
    }

    /// A whole number within its bounds that may be left out.
    pub fn number(&self, key: &str, bounds: RangeInclusive<u64>) -> Result<Option<u64>> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        let (least, most) = (bounds.start(), bounds.end());
        let wanted = format!("a whole number from {least} to {most}");
        let number = value.as_integer();
        let number = number.ok_or_else(|| self.wrong_type(key, value, &wanted))?;
        let parsed = u64::from_str_radix(number.as_str(), number.radix()).ok();
        let out_of_bounds = || self.error(key, format!("{number} is not possible: write {wanted}"));
        parsed
            .filter(|number| bounds.contains(number))
            .map(Some)
            .ok_or_else(out_of_bounds)
    }

    /// A size in bytes, written as "16M", that may be left out.
    pub fn size(&self, key: &str, bounds: RangeInclusive<u64>) -> Result<Option<u64>> {
        let Some(text) = self.text(key, "\"16M\"")? else {
            return Ok(None);
        };
        let out_of_bounds = || {
            let (least, most) = (bounds.start() >> 10, bounds.end() >> 30);
            let text = text.escape_debug();
            self.error(
                key,
                format!("'{text}' is not possible: write a size from \"{least}K\" to \"{most}G\", as \"16M\""),
            )
        };
        let size = size_bytes(&text).filter(|size| bounds.contains(size));
        size.map(Some).ok_or_else(out_of_bounds)
    }

    /// A list of texts; empty if it is left out.
    pub fn list(&self, key: &str, example: &str) -> Result<Vec<String>> {
        let entries = self.array(key, example)?;
        let texts = entries.map(|value| self.as_text(key, value, example));
        texts.collect()
    }

    /// A list of tables, each with the keys `known`; empty if it is left out.
    pub fn tables(&self, key: &str, known: &[&str], example: &str) -> Result<Vec<Keys<'a>>> {
        let entries = self.array(key, example)?;
        let tables = entries.map(|value| self.as_table(key, value, Some(known), example));
        tables.collect()
    }

    fn array(
        &self,
        key: &str,
        example: &str,
    ) -> Result<impl Iterator<Item = &'a DeValue<'a>> + use<'a>> {
        let entries: &[_] = match self.value(key) {
            None => &[],
            Some(DeValue::Array(entries)) => entries,
            Some(value) => {
                return Err(self.wrong_type(key, value, &format!("a list, as [{example}]")));
            }
        };
        if entries.len() > ENTRIES_MAX {
            let problem = format!("it has more than {ENTRIES_MAX} entries: leave some out");
            return Err(self.error(key, problem));
        }
        Ok(entries.iter().map(|entry| entry.get_ref()))
    }

    /// A table with the keys `known`, or with any keys; `None` if it is left out.
    pub fn table(
        &self,
        key: &str,
        known: Option<&[&str]>,
        example: &str,
    ) -> Result<Option<Keys<'a>>> {
        let value = self.value(key);
        value
            .map(|value| self.as_table(key, value, known, example))
            .transpose()
    }

    fn as_table(
        &self,
        key: &str,
        value: &'a DeValue<'a>,
        known: Option<&[&str]>,
        example: &str,
    ) -> Result<Keys<'a>> {
        let table = value.as_table();
        let table = table
            .ok_or_else(|| self.wrong_type(key, value, &format!("a table, as {{ {example} }}")))?;
        Keys::within(self.service, format!("{}{key}.", self.prefix), table, known)
    }

    /// All keys of the table.
    pub fn names(&self) -> impl Iterator<Item = &'a str> {
        self.table.keys().map(|key| key.get_ref().as_ref())
    }

    /// Whether the key's value is a table.
    pub fn is_table(&self, key: &str) -> bool {
        self.value(key).is_some_and(|value| value.is_table())
    }
}

/// A number of bytes, or of KiB, MiB or GiB.
fn size_bytes(text: &str) -> Option<u64> {
    let (digits, shift) = match text.as_bytes().last()? {
        b'K' => (&text[..text.len() - 1], 10),
        b'M' => (&text[..text.len() - 1], 20),
        b'G' => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = digits.parse().ok().filter(|_| is_plain)?;
    number.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::size_bytes;

    #[test]
    fn sizes_have_one_unit_and_no_sign() {
        assert_eq!(size_bytes("16M"), Some(16 << 20));
        assert_eq!(size_bytes("7"), Some(7));
        for wrong in [
            "",
            "M",
            "+1K",
            "-1",
            "1 M",
            "1MM",
            "99999999999999999999",
            "18446744073709551615K",
        ] {
            assert_eq!(size_bytes(wrong), None, "{wrong}");
        }
    }
}
