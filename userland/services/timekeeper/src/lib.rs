//! Knows time zones and sets the machine's clocks: `kpio:time/zones` and `kpio:time/settings`. Its argument is the zone
//! of this system, UTC without one. Another zone that somebody sets is kept by the system while the machine runs.
//!
//! Law: what a zone is says the IANA database that is built in ([`calendar`]); there is no other. Clocks are the kernel's, behind
//! `kpio:time/hardware`. The system's clock is set first and the battery-backed one then, so that a broken one does not keep
//! this run of the machine from having the right time.
#![expect(missing_docs, reason = "what is generated is documented in the WIT")]

mod calendar;

include!(concat!(env!("OUT_DIR"), "/wit.rs"));

generate! { world: "kpio:time/provider", generate_all }

use exports::kpio::service::health;
use exports::kpio::time::{settings, zones};
use kpio::service::escrow;
use kpio::time::hardware::{self, ClockError};
use kpio::time::types::{CivilTime, Instant, LocalTime, TimeError};

/// By this name the zone is kept, once somebody has set it.
const ZONE: &str = "zone";

struct Timekeeper;

impl zones::Guest for Timekeeper {
    fn current_zone() -> Result<String, TimeError> {
        Ok(current_zone())
    }

    fn names() -> Result<Vec<String>, TimeError> {
        Ok(calendar::names())
    }

    fn local(at: Instant, zone: Option<String>) -> Result<LocalTime, TimeError> {
        calendar::local(at, &zone.unwrap_or_else(current_zone))
    }

    fn moment(civil: CivilTime, zone: Option<String>) -> Result<Instant, TimeError> {
        calendar::moment(civil, &zone.unwrap_or_else(current_zone))
    }
}

impl settings::Guest for Timekeeper {
    fn set_zone(name: String) -> Result<(), TimeError> {
        let known = calendar::known_name(&name)?;
        let kept = escrow::put(ZONE, known.as_bytes());
        kept.map_err(|_| TimeError::Clock("There is no room to keep the zone.".to_owned()))
    }

    fn set_time(to: Instant) -> Result<(), TimeError> {
        if to.nanoseconds >= calendar::NS_PER_SECOND {
            return Err(TimeError::OutOfRange);
        }
        hardware::set_system_clock(to).map_err(clock_error)?;
        hardware::write_battery_clock(to).map_err(only_the_system_clock)?;
        println!("the time was set to {} s since 1970", to.seconds);
        Ok(())
    }

    fn battery_clock() -> Result<Instant, TimeError> {
        hardware::read_battery_clock().map_err(clock_error)
    }
}

impl health::Guest for Timekeeper {
    /// It is asked between two calls, so it answers if those end.
    fn check() -> Result<(), String> {
        Ok(())
    }
}

/// What was set, or what the service was started with.
fn current_zone() -> String {
    let kept = escrow::get(ZONE).ok().flatten();
    let kept = kept.and_then(|name| String::from_utf8(name).ok());
    kept.unwrap_or_else(given_zone)
}

fn given_zone() -> String {
    let Some(name) = std::env::args().nth(1) else {
        return calendar::UTC.to_owned();
    };
    calendar::known_name(&name).unwrap_or_else(|_| {
        eprintln!("there is no time zone '{}': UTC it is", name.escape_debug());
        calendar::UTC.to_owned()
    })
}

/// The system's clock has been set, and the other one was not.
fn only_the_system_clock(error: ClockError) -> TimeError {
    let why = match clock_error(error) {
        TimeError::Clock(sentence) => sentence,
        _ => "It cannot hold that time.".to_owned(),
    };
    TimeError::Clock(format!(
        "The system's clock is set, and the battery-backed one is not: {why}"
    ))
}

fn clock_error(error: ClockError) -> TimeError {
    TimeError::Clock(match error {
        ClockError::Busy => "Somebody else sets the clock now; try again.".to_owned(),
        ClockError::Absent => "This machine has no battery-backed clock.".to_owned(),
        ClockError::OutOfRange => return TimeError::OutOfRange,
        ClockError::Broken(sentence) => sentence,
    })
}

export!(Timekeeper);
