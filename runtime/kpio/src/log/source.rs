//! `kpio:log/source`: what is said in the system, for whom that was given to.

use runtime_host::{LogCursor, LogLevel, SaidLine};
use runtime_wasi::io::Pollable;
use wasmtime::component::Resource;

use super::bindings::kpio::log::source::{Host, HostCursor, Line};
use super::bindings::kpio::log::types::Level;
use crate::context::Caller;

/// Lines of one answer, at most.
const LINES_MAX: usize = 256;

/// A cursor in the table of the process that made it.
pub struct Place(Box<dyn LogCursor>);

impl Host for Caller<'_> {}

impl HostCursor for Caller<'_> {
    fn new(&mut self) -> wasmtime::Result<Resource<Place>> {
        let log = self.devices().log.as_ref();
        // What was not granted does not link.
        let log = log.ok_or_else(|| wasmtime::format_err!("it was not given the log"))?;
        let place = Place(log.cursor());
        Ok(self.wasi.push(place)?)
    }

    fn read(&mut self, place: Resource<Place>, count: u32) -> wasmtime::Result<(Vec<Line>, u64)> {
        let count = usize::try_from(count).unwrap_or(LINES_MAX).min(LINES_MAX);
        let (lines, lost) = self.wasi.get_mut(&place)?.0.read(count);
        Ok((lines.into_iter().map(line).collect(), lost))
    }

    fn subscribe(&mut self, place: Resource<Place>) -> wasmtime::Result<Resource<Pollable>> {
        let news = self.wasi.get(&place)?.0.news();
        Ok(self.wasi.push(Pollable::Event(news))?)
    }

    fn drop(&mut self, place: Resource<Place>) -> wasmtime::Result<()> {
        self.wasi.delete(place)?;
        Ok(())
    }
}

fn line(said: SaidLine) -> Line {
    Line {
        at_ns: said.at_ns,
        level: level(said.level),
        source: said.source,
        text: said.text,
    }
}

fn level(level: LogLevel) -> Level {
    match level {
        LogLevel::Error => Level::Error,
        LogLevel::Warning => Level::Warning,
        LogLevel::Notice => Level::Notice,
        LogLevel::Info => Level::Info,
        LogLevel::Debug => Level::Debug,
        LogLevel::Trace => Level::Trace,
    }
}
