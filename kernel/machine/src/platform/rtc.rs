//! The battery-backed clock: wall time while the machine is off.
//!
//! Law: the clock is read until two readings in a row are equal, a bounded number of times; what it
//! says is checked field by field before it becomes a time. It stands still while it is set, and is read back. It is taken to
//! run in UTC. Index and data ports are a pair, and one [`Rtc`] at a time is used: who has it says who.
//!
//! Source: Motorola MC146818A datasheet; ACPI 6.5, section 4.8.2.4 (century byte).

use crate::port::Port;

const INDEX: Port<u8> = Port::new(0x70);
const DATA: Port<u8> = Port::new(0x71);

const SECONDS: u8 = 0x00;
const MINUTES: u8 = 0x02;
const HOURS: u8 = 0x04;
const DAY: u8 = 0x07;
const MONTH: u8 = 0x08;
const YEAR: u8 = 0x09;
const STATUS_A: u8 = 0x0a;
const STATUS_B: u8 = 0x0b;

const STATUS_A_UPDATING: u8 = 1 << 7;
const STATUS_B_SET: u8 = 1 << 7;
const STATUS_B_24_HOURS: u8 = 1 << 1;
const STATUS_B_BINARY: u8 = 1 << 2;
const HOURS_PM: u8 = 1 << 7;

/// An update takes at most 2.3 ms; at about a microsecond a poll this is far longer.
const UPDATE_POLLS_MAX: u32 = 100_000;
const READ_TRIES: usize = 8;
/// Reading back what was set takes less than this, however busy the host of a virtual machine is.
const READ_BACK_SECONDS: i64 = 10;
/// The last century that is believed.
const CENTURY_MAX: u8 = 22;
/// Without a century byte, years below this are of the 21st century.
const PIVOT_YEAR: u8 = 70;
const SECONDS_PER_DAY: i64 = 86_400;

/// Why the clock gives no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtcError {
    /// It is updating for ever, or no two readings agree.
    Unsteady,
    /// Its bytes are no date.
    BadDate(RawTime),
    /// It cannot hold this time, in seconds since 1970-01-01 00:00:00 UTC.
    OutOfRange(i64),
    /// It was set and does not show it.
    NotSet,
}

impl core::fmt::Display for RtcError {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Unsteady => {
                out.write_str("the real-time clock never stands still; wall time starts at 1970")
            }
            Self::BadDate(raw) => write!(
                out,
                "the real-time clock holds no date ({raw:02x?}); set it in the firmware's setup"
            ),
            Self::OutOfRange(seconds) => {
                write!(
                    out,
                    "the real-time clock cannot hold {seconds} s since 1970"
                )
            }
            Self::NotSet => out.write_str("the real-time clock was set, and does not show it"),
        }
    }
}

impl core::error::Error for RtcError {}

/// The clock's bytes as they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawTime {
    /// 0..=59.
    pub seconds: u8,
    /// 0..=59.
    pub minutes: u8,
    /// 0..=23, or 1..=12 with the top bit for the afternoon.
    pub hours: u8,
    /// 1..=31.
    pub day: u8,
    /// 1..=12.
    pub month: u8,
    /// 0..=99.
    pub year: u8,
    /// 19, 20, … where the machine has the byte.
    pub century: Option<u8>,
    /// Status B: how to read the others.
    pub status_b: u8,
}

/// The clock.
#[derive(Debug)]
pub struct Rtc {
    century_register: Option<u8>,
}

impl Rtc {
    /// The clock; `century_register` as the FADT tells it.
    pub fn new(century_register: Option<u8>) -> Self {
        Self { century_register }
    }

    /// Seconds since 1970-01-01 00:00:00 UTC.
    pub fn read_unix_seconds(&mut self) -> Result<i64, RtcError> {
        let raw = self.read_steady().ok_or(RtcError::Unsteady)?;
        unix_seconds(raw).ok_or(RtcError::BadDate(raw))
    }

    /// Sets it. Fractions of a second begin anew.
    pub fn write_unix_seconds(&mut self, seconds: i64) -> Result<(), RtcError> {
        let status_b = read_cmos(STATUS_B);
        let raw = raw_time(seconds, status_b, self.century_register.is_some())
            .ok_or(RtcError::OutOfRange(seconds))?;
        write_cmos(STATUS_B, status_b | STATUS_B_SET);
        for (register, value) in [
            (SECONDS, raw.seconds),
            (MINUTES, raw.minutes),
            (HOURS, raw.hours),
            (DAY, raw.day),
            (MONTH, raw.month),
            (YEAR, raw.year),
        ] {
            write_cmos(register, value);
        }
        if let (Some(register), Some(century)) = (self.century_register, raw.century) {
            write_cmos(register, century);
        }
        write_cmos(STATUS_B, status_b & !STATUS_B_SET);
        let shown = self.read_unix_seconds()?;
        // It goes on meanwhile.
        let is_set = (seconds..seconds + READ_BACK_SECONDS).contains(&shown);
        is_set.then_some(()).ok_or(RtcError::NotSet)
    }

    fn read_steady(&mut self) -> Option<RawTime> {
        let mut last = self.read_once()?;
        for _ in 0..READ_TRIES {
            let next = self.read_once()?;
            if next == last {
                return Some(next);
            }
            last = next;
        }
        None
    }

    fn read_once(&mut self) -> Option<RawTime> {
        (0..UPDATE_POLLS_MAX).find(|_| read_cmos(STATUS_A) & STATUS_A_UPDATING == 0)?;
        Some(RawTime {
            seconds: read_cmos(SECONDS),
            minutes: read_cmos(MINUTES),
            hours: read_cmos(HOURS),
            day: read_cmos(DAY),
            month: read_cmos(MONTH),
            year: read_cmos(YEAR),
            century: self.century_register.map(read_cmos),
            status_b: read_cmos(STATUS_B),
        })
    }
}

fn read_cmos(index: u8) -> u8 {
    // The top bit of the index port is the NMI mask, which stays open.
    INDEX.write(index & 0x7f);
    DATA.read()
}

fn write_cmos(index: u8, value: u8) {
    INDEX.write(index & 0x7f);
    DATA.write(value);
}

/// The bytes that show the time of so many seconds since 1970, as the clock's status B wants them; `None` if they cannot.
pub fn raw_time(unix_seconds: i64, status_b: u8, has_century: bool) -> Option<RawTime> {
    let days = u64::try_from(unix_seconds.div_euclid(SECONDS_PER_DAY)).ok()?;
    let second_of_day = u32::try_from(unix_seconds.rem_euclid(SECONDS_PER_DAY)).ok()?;
    let (year, month, day) = date_of(days)?;
    let (century, of_century) = (u8::try_from(year / 100).ok()?, (year % 100) as u8);
    let is_told_apart = has_century || guessed_century(of_century) == century;
    let byte = |number: u8| byte_of(number, status_b);
    is_told_apart.then(|| RawTime {
        seconds: byte((second_of_day % 60) as u8),
        minutes: byte((second_of_day / 60 % 60) as u8),
        hours: hours_byte((second_of_day / 3600) as u8, status_b),
        day: byte(day),
        month: byte(month),
        year: byte(of_century),
        century: has_century.then(|| byte(century)),
        status_b,
    })
}

/// Year, month and day of so many days after 1970-01-01, up to the last year that the clock can hold.
fn date_of(days: u64) -> Option<(u16, u8, u8)> {
    let mut left = i64::try_from(days).ok()?;
    let length = |year| if is_leap(year) { 366 } else { 365 };
    let year = (1970..CENTURY_MAX as u16 * 100 + 100).find(|year| {
        let is_in = left < length(*year);
        left -= if is_in { 0 } else { length(*year) };
        is_in
    })?;
    let month = (1..=12).find(|month| {
        let length = i64::from(days_in_month(year, *month));
        let is_in = left < length;
        left -= if is_in { 0 } else { length };
        is_in
    })?;
    Some((year, month, left as u8 + 1))
}

fn byte_of(number: u8, status_b: u8) -> u8 {
    if status_b & STATUS_B_BINARY != 0 {
        return number;
    }
    ((number / 10) << 4) | (number % 10)
}

fn hours_byte(hours: u8, status_b: u8) -> u8 {
    if status_b & STATUS_B_24_HOURS != 0 {
        return byte_of(hours, status_b);
    }
    let afternoon = if hours >= 12 { HOURS_PM } else { 0 };
    let of_half_day = if hours.is_multiple_of(12) {
        12
    } else {
        hours % 12
    };
    byte_of(of_half_day, status_b) | afternoon
}

/// The date in `raw` as seconds since 1970; `None` if it is no date.
pub fn unix_seconds(raw: RawTime) -> Option<i64> {
    let number = |byte| number(byte, raw.status_b);
    let seconds = number(raw.seconds).filter(|seconds| *seconds < 60)?;
    let minutes = number(raw.minutes).filter(|minutes| *minutes < 60)?;
    let hours = hours(raw)?;
    let month = number(raw.month).filter(|month| (1..=12).contains(month))?;
    let year = year(raw)?;
    let day = number(raw.day).filter(|day| (1..=days_in_month(year, month)).contains(day))?;
    let of_day = i64::from(hours) * 3600 + i64::from(minutes) * 60 + i64::from(seconds);
    Some(days_since_1970(year, month, day) * SECONDS_PER_DAY + of_day)
}

fn number(byte: u8, status_b: u8) -> Option<u8> {
    if status_b & STATUS_B_BINARY != 0 {
        return Some(byte);
    }
    let (tens, ones) = (byte >> 4, byte & 0xf);
    (tens < 10 && ones < 10).then_some(tens * 10 + ones)
}

fn hours(raw: RawTime) -> Option<u8> {
    if raw.status_b & STATUS_B_24_HOURS != 0 {
        return number(raw.hours, raw.status_b).filter(|hours| *hours < 24);
    }
    let afternoon = if raw.hours & HOURS_PM != 0 { 12 } else { 0 };
    number(raw.hours & !HOURS_PM, raw.status_b)
        .filter(|hours| (1..=12).contains(hours))
        .map(|hours| hours % 12 + afternoon)
}

/// The full year. A century byte that is not 19..=22 is not believed.
fn year(raw: RawTime) -> Option<u16> {
    let of_century = number(raw.year, raw.status_b).filter(|year| *year < 100)?;
    let century = raw
        .century
        .and_then(|byte| number(byte, raw.status_b))
        .filter(|century| (19..=CENTURY_MAX).contains(century))
        .unwrap_or(guessed_century(of_century));
    Some(u16::from(century) * 100 + u16::from(of_century)).filter(|year| *year >= 1970)
}

fn guessed_century(of_century: u8) -> u8 {
    if of_century < PIVOT_YEAR { 20 } else { 19 }
}

fn is_leap(year: u16) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_in_month(year: u16, month: u8) -> u8 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn days_since_1970(year: u16, month: u8, day: u8) -> i64 {
    let years: i64 = (1970..year)
        .map(|year| if is_leap(year) { 366 } else { 365 })
        .sum();
    let months: i64 = (1..month)
        .map(|month| i64::from(days_in_month(year, month)))
        .sum();
    years + months + i64::from(day) - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BCD_24: u8 = STATUS_B_24_HOURS;
    const BINARY_24: u8 = STATUS_B_24_HOURS | STATUS_B_BINARY;

    fn raw(status_b: u8, date: [u8; 6], century: Option<u8>) -> RawTime {
        let [year, month, day, hours, minutes, seconds] = date;
        RawTime {
            seconds,
            minutes,
            hours,
            day,
            month,
            year,
            century,
            status_b,
        }
    }

    #[test]
    fn known_dates_are_decoded() {
        let bcd = raw(BCD_24, [0x26, 0x11, 0x22, 0x15, 0x33, 0x20], Some(0x20));
        assert_eq!(unix_seconds(bcd), Some(1_795_361_600));
        let binary = raw(BINARY_24, [70, 1, 1, 0, 0, 0], None);
        assert_eq!(unix_seconds(binary), Some(0));
        let leap_day = raw(BINARY_24, [0, 2, 29, 12, 0, 0], Some(20));
        assert_eq!(unix_seconds(leap_day), Some(951_825_600));
        let late = raw(BINARY_24, [38, 1, 19, 3, 14, 8], None);
        assert_eq!(unix_seconds(late), Some(1 << 31));
    }

    #[test]
    fn twelve_hour_clocks_turn_at_twelve() {
        let at = |hours| unix_seconds(raw(0, [0x70, 1, 1, hours, 0, 0], None));
        assert_eq!(at(0x12), Some(0));
        assert_eq!(at(0x01), Some(3600));
        assert_eq!(at(0x12 | HOURS_PM), Some(12 * 3600));
        assert_eq!(at(0x11 | HOURS_PM), Some(23 * 3600));
        assert_eq!(at(0x00), None);
        assert_eq!(at(0x13), None);
    }

    #[test]
    fn impossible_dates_are_refused() {
        for date in [
            [0x23, 0x02, 0x29, 0, 0, 0],
            [0x24, 0x00, 0x01, 0, 0, 0],
            [0x24, 0x13, 0x01, 0, 0, 0],
            [0x24, 0x01, 0x32, 0, 0, 0],
            [0x24, 0x01, 0x01, 0x24, 0, 0],
            [0x24, 0x01, 0x01, 0, 0x60, 0],
            [0x24, 0x01, 0x01, 0, 0, 0x1a],
            [0xff; 6],
        ] {
            assert_eq!(unix_seconds(raw(BCD_24, date, None)), None, "{date:02x?}");
        }
    }

    #[test]
    fn an_unbelievable_century_is_not_believed() {
        let with = |century| unix_seconds(raw(BINARY_24, [24, 1, 1, 0, 0, 0], century));
        assert_eq!(with(Some(0)), with(None));
        assert_eq!(with(Some(255)), with(Some(20)));
        assert_ne!(with(Some(21)), with(Some(20)));
    }

    proptest! {
        #[test]
        fn what_is_set_is_read(seconds in 0i64..10_413_792_000, status_b: u8) {
            let raw = raw_time(seconds, status_b, true).expect("within its range");
            prop_assert_eq!(unix_seconds(raw), Some(seconds));
            if let Some(raw) = raw_time(seconds, status_b, false) {
                prop_assert_eq!(unix_seconds(raw), Some(seconds));
            }
        }

        #[test]
        fn what_it_cannot_hold_is_refused(seconds in 10_413_792_000i64.., past in i64::MIN..0) {
            for out_of_range in [seconds, past] {
                prop_assert_eq!(raw_time(out_of_range, BCD_24, true), None);
            }
        }

        #[test]
        fn any_bytes_are_survived(date: [u8; 6], century: Option<u8>, status_b: u8) {
            let seconds = unix_seconds(raw(status_b, date, century));
            prop_assert!(seconds.is_none_or(|seconds| (0..=10_413_792_000).contains(&seconds)));
        }

        #[test]
        fn the_next_day_is_a_day_later(year in 0u8..99, month in 1u8..=12, day in 1u8..=27) {
            let at = |day| unix_seconds(raw(BINARY_24, [year, month, day, 0, 0, 0], Some(20)));
            prop_assert_eq!(at(day + 1).unwrap() - at(day).unwrap(), SECONDS_PER_DAY);
        }
    }
}
