//! One result, as it stands on one line of JSON.
//!
//! Law: guests, the peer's programs and this tool write the same form, so that lines can be mixed in one file. What
//! a side does not know is left out.

use serde::{Deserialize, Serialize};

/// A figure with its samples, or why there is none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// The suite: boot, memory, native, wasm, wasi, calls, processes.
    pub suite: String,
    /// The figure's name in the suite.
    pub name: String,
    /// Unit of the samples.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// Which samples are better: "lower", "higher"; "info" where neither is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub better: String,
    /// Operations of one sample.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iters: Option<u64>,
    /// The samples, in the order in which they were taken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<f64>,
    /// Why there are no samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What is said instead of measured: an engine's settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Number of the round, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<u32>,
    /// Which guest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guest: Option<String>,
    /// What the host did meanwhile.
    #[serde(flatten)]
    pub host: HostState,
}

/// What the host did while a figure was taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostState {
    /// Time on the host's clock, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wall: Option<f64>,
    /// The same without `wait`: what a boot would have taken on a quiet host, because one virtual CPU carries it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub net: Option<f64>,
    /// CPU time of the machine's process, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<f64>,
    /// How long virtual CPU 0 was ready and had no processor, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait: Option<f64>,
    /// Share of the host's CPU time that others took, from 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other: Option<f64>,
}

impl Record {
    /// Reads a line; `None` where it is no result.
    pub fn parse(line: &str) -> Option<Self> {
        // Firmware leaves movements of the cursor in front of a guest's first line.
        let start = line.find("{\"suite\"")?;
        serde_json::from_str(line[start..].trim_end()).ok()
    }

    /// A figure with one sample.
    pub fn single(suite: &str, name: &str, unit: &str, value: f64) -> Self {
        Self {
            suite: suite.into(),
            name: name.into(),
            unit: unit.into(),
            better: "lower".into(),
            samples: vec![value],
            ..Self::default()
        }
    }

    /// Something that is said.
    pub fn said(suite: &str, text: &str) -> Self {
        Self {
            suite: suite.into(),
            text: Some(text.into()),
            ..Self::default()
        }
    }

    /// As one line, without its end.
    pub fn to_line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guests_line_is_read_behind_what_firmware_left() {
        let line = "\x1b[2J{\"suite\":\"native\",\"name\":\"a\",\"unit\":\"ns\",\"better\":\"lower\",\"iters\":8,\"samples\":[1.5e0,2]}\r";
        let record = Record::parse(line).unwrap();
        assert_eq!(
            (record.name.as_str(), record.iters, &record.samples[..]),
            ("a", Some(8), &[1.5, 2.0][..])
        );
        assert_eq!(Record::parse("[    0.1] ready"), None);
        assert_eq!(Record::parse("{\"suite\":\"native\",\"na"), None);
    }

    #[test]
    fn what_is_not_known_is_not_written() {
        let record = Record::single("boot", "x.prompt", "s", 2.5);
        assert_eq!(
            record.to_line(),
            r#"{"suite":"boot","name":"x.prompt","unit":"s","better":"lower","samples":[2.5]}"#
        );
        assert_eq!(Record::parse(&record.to_line()), Some(record));
    }
}
