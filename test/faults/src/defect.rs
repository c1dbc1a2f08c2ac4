//! Defects that are planted, to see that they are noticed.

/// What is spoiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// A channel's end is kept by nobody and never dropped.
    LeakEnd,
    /// A call is never answered.
    LostAnswer,
    /// A call is answered, and was not entered.
    LostEntry,
    /// A kind of fault is counted in no state.
    SkippedKind,
    /// A provider's process is left behind.
    LeakProcess,
}

/// Every so many requests of the journal are spoiled.
const PERIOD: u64 = 97;

impl Defect {
    /// The defect of this name.
    pub fn named(name: &str) -> Option<Defect> {
        Some(match name {
            "leak-end" => Self::LeakEnd,
            "lost-answer" => Self::LostAnswer,
            "lost-entry" => Self::LostEntry,
            "skipped-kind" => Self::SkippedKind,
            "leak-process" => Self::LeakProcess,
            _ => return None,
        })
    }

    /// Whether the journal's request of this number is spoiled.
    pub(crate) fn is_due(self, requests: u64) -> bool {
        requests.is_multiple_of(PERIOD)
    }
}
