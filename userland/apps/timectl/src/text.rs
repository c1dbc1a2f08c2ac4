//! Times as people read and write them.

use crate::kpio::time::types::{CivilTime, LocalTime};

const SECONDS_PER_MINUTE: u32 = 60;

/// `2026-11-26 23:30:00 CET`.
pub fn shown(time: &LocalTime) -> String {
    let CivilTime {
        year,
        month,
        day,
        hour,
        minute,
        second,
        ..
    } = time.civil;
    format!(
        "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} {}",
        time.abbreviation
    )
}

/// `Europe/Berlin (+01:00)`.
pub fn zone(time: &LocalTime) -> String {
    let sign = if time.offset_seconds < 0 { '-' } else { '+' };
    let minutes = time.offset_seconds.unsigned_abs() / SECONDS_PER_MINUTE;
    let summer = if time.is_daylight_saving {
        ", daylight saving time"
    } else {
        ""
    };
    format!(
        "{} ({sign}{:02}:{:02}{summer})",
        time.zone,
        minutes / 60,
        minutes % 60
    )
}

/// Reads `2026-11-26 22:30:00`, with `T` in place of the space, or without seconds. Whether there is such a time is not asked.
pub fn parse(text: &str) -> Option<CivilTime> {
    let (date, time) = text.split_once([' ', 'T'])?;
    let mut date = date.splitn(3, '-');
    let mut time = time.splitn(3, ':');
    Some(CivilTime {
        year: date.next()?.parse().ok()?,
        month: date.next()?.parse().ok()?,
        day: date.next()?.parse().ok()?,
        hour: time.next()?.parse().ok()?,
        minute: time.next()?.parse().ok()?,
        second: time.next().unwrap_or("0").parse().ok()?,
        nanosecond: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(time: &CivilTime) -> (i16, [u8; 5]) {
        let fields = [time.month, time.day, time.hour, time.minute, time.second];
        (time.year, fields)
    }

    #[test]
    fn what_is_shown_is_read() {
        let civil = parse("2026-11-26 22:30:07").expect("a time");
        assert_eq!(fields(&civil), (2026, [11, 26, 22, 30, 7]));
        let local = LocalTime {
            civil,
            zone: "America/St_Johns".to_owned(),
            offset_seconds: -12_600,
            abbreviation: "NST".to_owned(),
            is_daylight_saving: false,
        };
        assert_eq!(shown(&local), "2026-11-26 22:30:07 NST");
        assert_eq!(zone(&local), "America/St_Johns (-03:30)");
        assert_eq!(parse("2026-11-26T22:30").map(|civil| civil.second), Some(0));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "now",
            "2026-11-26",
            "2026-11 22:30",
            "2026-11-26 22",
            "1-2-3 4:5:six",
        ] {
            assert!(parse(text).is_none(), "{text}");
        }
    }
}
