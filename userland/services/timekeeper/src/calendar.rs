//! Moments and what clocks on walls show, by the IANA time zone database that is built in.
//!
//! Law: whatever is asked has an answer or an error. Zones have the names of the database, in its spelling.

use jiff::civil::DateTime;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, Zoned};

use crate::kpio::time::types::{CivilTime, Instant, LocalTime, TimeError};

/// The zone without an offset.
pub const UTC: &str = "UTC";
/// Nanoseconds of a second.
pub const NS_PER_SECOND: u32 = 1_000_000_000;

/// All zones, sorted.
pub fn names() -> Vec<String> {
    let database = TimeZoneDatabase::bundled();
    let mut names: Vec<String> = database.available().map(|name| name.to_string()).collect();
    names.sort_unstable();
    names
}

/// The name of a zone as the database spells it.
pub fn known_name(name: &str) -> Result<String, TimeError> {
    let zone = zone(name)?;
    Ok(zone.iana_name().unwrap_or(UTC).to_owned())
}

/// What clocks in `zone` show.
pub fn local(at: Instant, zone: &str) -> Result<LocalTime, TimeError> {
    let zoned = timestamp(at)?.to_zoned(self::zone(zone)?);
    let info = zoned.time_zone().to_offset_info(zoned.timestamp());
    Ok(LocalTime {
        civil: civil(&zoned),
        zone: zoned.time_zone().iana_name().unwrap_or(UTC).to_owned(),
        offset_seconds: info.offset().seconds(),
        abbreviation: info.abbreviation().to_owned(),
        is_daylight_saving: info.dst().is_dst(),
    })
}

/// When clocks in `zone` show it; the database's documentation calls its choice of one moment "compatible".
pub fn moment(civil: CivilTime, zone: &str) -> Result<Instant, TimeError> {
    let zoned = date_time(civil)?.to_zoned(self::zone(zone)?);
    let timestamp = zoned.map_err(|_| TimeError::OutOfRange)?.timestamp();
    // Before 1970 both are negative.
    let seconds = u64::try_from(timestamp.as_second());
    let nanoseconds = u32::try_from(timestamp.subsec_nanosecond());
    match (seconds, nanoseconds) {
        (Ok(seconds), Ok(nanoseconds)) => Ok(Instant {
            seconds,
            nanoseconds,
        }),
        _ => Err(TimeError::OutOfRange),
    }
}

fn zone(name: &str) -> Result<TimeZone, TimeError> {
    let found = TimeZoneDatabase::bundled().get(name);
    found.map_err(|_| TimeError::UnknownZone(name.to_owned()))
}

fn timestamp(at: Instant) -> Result<Timestamp, TimeError> {
    let seconds = i64::try_from(at.seconds).map_err(|_| TimeError::OutOfRange)?;
    if at.nanoseconds >= NS_PER_SECOND {
        return Err(TimeError::OutOfRange);
    }
    let timestamp = Timestamp::new(seconds, at.nanoseconds as i32);
    timestamp.map_err(|_| TimeError::OutOfRange)
}

fn civil(zoned: &Zoned) -> CivilTime {
    CivilTime {
        year: zoned.year(),
        month: zoned.month() as u8,
        day: zoned.day() as u8,
        hour: zoned.hour() as u8,
        minute: zoned.minute() as u8,
        second: zoned.second() as u8,
        nanosecond: zoned.subsec_nanosecond() as u32,
    }
}

fn date_time(civil: CivilTime) -> Result<DateTime, TimeError> {
    let small = |number: u8| i8::try_from(number).map_err(|_| TimeError::OutOfRange);
    let nanosecond = i32::try_from(civil.nanosecond).map_err(|_| TimeError::OutOfRange)?;
    let date_time = DateTime::new(
        civil.year,
        small(civil.month)?,
        small(civil.day)?,
        small(civil.hour)?,
        small(civil.minute)?,
        small(civil.second)?,
        nanosecond,
    );
    date_time.map_err(|_| TimeError::OutOfRange)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant {
            seconds,
            nanoseconds: 5,
        }
    }

    fn shown(seconds: u64, zone: &str) -> (i16, u8, u8, u8, u8, i32, String, bool) {
        let LocalTime {
            civil,
            offset_seconds,
            abbreviation,
            is_daylight_saving,
            ..
        } = local(at(seconds), zone).expect("a known zone");
        let CivilTime {
            year,
            month,
            day,
            hour,
            minute,
            ..
        } = civil;
        (
            year,
            month,
            day,
            hour,
            minute,
            offset_seconds,
            abbreviation,
            is_daylight_saving,
        )
    }

    #[test]
    fn summer_and_winter_are_told_apart() {
        // `TZ=Europe/Berlin date -d @…` says the same.
        assert_eq!(
            shown(1_795_361_600, "Europe/Berlin"),
            (2026, 11, 22, 16, 33, 3600, "CET".to_owned(), false)
        );
        assert_eq!(
            shown(1_783_000_000, "Europe/Berlin"),
            (2026, 7, 2, 15, 46, 7200, "CEST".to_owned(), true)
        );
        assert_eq!(
            shown(1_783_000_000, "Asia/Kathmandu"),
            (2026, 7, 2, 19, 31, 20_700, "+0545".to_owned(), false)
        );
    }

    #[test]
    fn a_moment_comes_back_from_every_zone() {
        let names = names();
        assert!(
            names.len() > 400 && names.is_sorted(),
            "{} zones",
            names.len()
        );
        for zone in names {
            for seconds in [0, 1_795_361_600, 4_000_000_000] {
                let there = local(at(seconds), &zone).expect("a known zone");
                let back = moment(there.civil, &zone).map(|back| (back.seconds, back.nanoseconds));
                assert_eq!(back.ok(), Some((seconds, 5)), "{zone}");
            }
        }
    }

    fn civil_time(numbers: [u8; 5]) -> CivilTime {
        let [month, day, hour, minute, second] = numbers;
        CivilTime {
            year: 2026,
            month,
            day,
            hour,
            minute,
            second,
            nanosecond: 0,
        }
    }

    #[test]
    fn gaps_and_folds_have_one_moment() {
        let berlin = |numbers| moment(civil_time(numbers), "Europe/Berlin").expect("a day");
        // Clocks go from 2:00 to 3:00: 2:30 is half an hour after that.
        assert_eq!(
            berlin([3, 29, 2, 30, 0]).seconds,
            berlin([3, 29, 3, 30, 0]).seconds
        );
        // Clocks go from 3:00 to 2:00: of two half past two the first is meant, an hour after half past one.
        assert_eq!(
            berlin([10, 25, 2, 30, 0]).seconds,
            berlin([10, 25, 1, 30, 0]).seconds + 3600
        );
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for zone in ["", "Europe/Atlantis", "../../etc/passwd", "\0"] {
            assert!(matches!(local(at(0), zone), Err(TimeError::UnknownZone(_))));
            assert!(matches!(known_name(zone), Err(TimeError::UnknownZone(_))));
        }
        for numbers in [
            [2, 30, 0, 0, 0],
            [13, 1, 0, 0, 0],
            [1, 1, 24, 0, 0],
            [255; 5],
        ] {
            assert!(matches!(
                moment(civil_time(numbers), UTC),
                Err(TimeError::OutOfRange)
            ));
        }
        let before_1970 = CivilTime {
            year: 1969,
            ..civil_time([12, 31, 23, 59, 59])
        };
        assert!(matches!(
            moment(before_1970, UTC),
            Err(TimeError::OutOfRange)
        ));
        for late in [u64::MAX, i64::MAX as u64, 1 << 45] {
            assert!(matches!(local(at(late), UTC), Err(TimeError::OutOfRange)));
        }
        let no_nanoseconds = Instant {
            seconds: 0,
            nanoseconds: NS_PER_SECOND,
        };
        assert!(matches!(
            local(no_nanoseconds, UTC),
            Err(TimeError::OutOfRange)
        ));
    }

    #[test]
    fn names_are_spelled_as_the_database_does() {
        assert_eq!(
            known_name("europe/BERLIN").ok().as_deref(),
            Some("Europe/Berlin")
        );
        assert_eq!(known_name("utc").ok().as_deref(), Some("UTC"));
    }
}
