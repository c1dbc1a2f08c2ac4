//! Shows and sets the time and the time zone, through the service behind `kpio:time`.
#![expect(missing_docs, reason = "what is generated is documented in the WIT")]

mod text;

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

include!(concat!(env!("OUT_DIR"), "/wit.rs"));

generate! {
    world: "kpio:time/client",
    generate_all,
    with: { "kpio:link/failure@0.1.0": sdk::link::failure },
}

use kpio::time::types::{Instant, LocalTime, TimeError};
use kpio::time::{settings, zones};
use sdk::link::no_answer;

const USAGE: &str = "\
usage: timectl                           the time here, in UTC, and by the battery-backed clock
       timectl at ZONE                   the time there
       timectl zones [TEXT]              all zones with this text in their names
       timectl set-zone ZONE             has this system be in another zone
       timectl set-time \"2026-11-26 22:30:00\"   sets the clocks, to a time of this system's zone";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let said = match words.as_slice() {
        [] => overview(),
        ["at", zone] => local(now(), Some(zone)).map(|there| line("local", &text::shown(&there))),
        ["zones"] => matching(""),
        ["zones", part] => matching(part),
        ["set-zone", zone] => settings::set_zone(zone)
            .map_err(sentence)
            .map(|()| String::new()),
        ["set-time", date, time] => set_time(&format!("{date} {time}")),
        ["set-time", when] => set_time(when),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match said {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(sentence) => {
            eprintln!("timectl: {sentence}");
            ExitCode::FAILURE
        }
    }
}

fn now() -> Instant {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    let since_1970 = since_1970.unwrap_or_default();
    Instant {
        seconds: since_1970.as_secs(),
        nanoseconds: since_1970.subsec_nanos(),
    }
}

fn overview() -> Result<String, String> {
    let now = now();
    let here = local(now, None)?;
    let universal = local(now, Some("UTC"))?;
    let battery = match settings::battery_clock() {
        Ok(shown) => text::shown(&local(shown, Some("UTC"))?),
        Err(error) => sentence(error),
    };
    Ok([
        line("local", &text::shown(&here)),
        line("universal", &text::shown(&universal)),
        line("battery", &battery),
        line("zone", &text::zone(&here)),
    ]
    .concat())
}

fn line(what: &str, text: &str) -> String {
    format!("{what:10} {text}\n")
}

fn local(at: Instant, zone: Option<&str>) -> Result<LocalTime, String> {
    zones::local(at, zone).map_err(sentence)
}

fn matching(part: &str) -> Result<String, String> {
    let part = part.to_lowercase();
    let names = zones::names().map_err(sentence)?.into_iter();
    let matching = names.filter(|name| name.to_lowercase().contains(&part));
    Ok(matching.map(|name| name + "\n").collect())
}

fn set_time(when: &str) -> Result<String, String> {
    let civil = text::parse(when).ok_or_else(|| {
        format!(
            "'{}' is no time like 2026-11-26 22:30:00",
            when.escape_debug()
        )
    })?;
    let moment = zones::moment(civil, None).map_err(sentence)?;
    settings::set_time(moment).map_err(sentence)?;
    overview()
}

fn sentence(error: TimeError) -> String {
    match error {
        TimeError::UnknownZone(zone) => format!("there is no time zone '{}'", zone.escape_debug()),
        TimeError::OutOfRange => "there is no such time, or no clock can show it".to_owned(),
        TimeError::Clock(sentence) => sentence,
        TimeError::Link(failure) => {
            format!("the service that knows the time: {}", no_answer(failure))
        }
    }
}
