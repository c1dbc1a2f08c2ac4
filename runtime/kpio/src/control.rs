//! `kpio:service/control`: the services of the system, and the machine. Who may import it is decided before a program is
//! linked, and whether that still holds at each call; what it does, by whoever runs the services.

use std::sync::Arc;

use runtime_host::Awaited;
use runtime_wasi::io::Pollable;
use wasmtime::component::Resource;

use crate::bindings::service::kpio::service::control::{Action, Host, Level, LogPart, Off};
use crate::context::Caller;

/// A sentence for a person.
type Done<T> = Result<T, String>;

/// Who runs the services, and can switch the machine off.
pub trait SystemControl: Send + Sync {
    /// Answers the words of the prompt's command `svc`.
    fn command(&self, words: &[&str]) -> Done<String>;
    /// What is left of a service's log from this place on, up to this level, and where the next part begins.
    fn log(&self, service: &str, level: &str, place: u64) -> Done<(String, u64)>;
    /// Something that is ready when there is more in the log from this place on.
    fn more_log(&self, service: &str, place: u64) -> Done<Arc<dyn Awaited>>;
    /// What a service, or a process by its number, can reach.
    fn capabilities(&self, whose: &str) -> Done<String>;
    /// Stops the services and the machine, some time after it has answered; then starts it anew, if that is wanted.
    fn switch_off(&self, is_reboot: bool) -> Done<()>;
}

impl Host for Caller<'_> {
    fn services(&mut self) -> wasmtime::Result<Done<String>> {
        Ok(self.command(&["list"]))
    }

    fn act(&mut self, service: String, action: Action) -> wasmtime::Result<Done<()>> {
        let done = match &action {
            Action::Start => self.command(&["start", &service]),
            Action::Stop => self.command(&["stop", &service]),
            Action::Restart => self.command(&["restart", &service]),
            Action::Kill => self.command(&["kill", &service]),
            Action::Replace(program) => self.command(&["replace", &service, program]),
            Action::Revoke(interface) => self.command(&["revoke", &service, interface]),
        };
        Ok(done.map(drop))
    }

    fn reload(&mut self, path: Option<String>) -> wasmtime::Result<Done<()>> {
        let words = ["reload"].into_iter().chain(path.as_deref());
        let words: Vec<&str> = words.collect();
        Ok(self.command(&words).map(drop))
    }

    fn log(
        &mut self,
        service: String,
        level: Level,
        place: u64,
    ) -> wasmtime::Result<Done<LogPart>> {
        let control = self.control();
        let part = control.and_then(|control| control.log(&service, word(level), place));
        Ok(part.map(|(text, next)| LogPart { text, next }))
    }

    fn subscribe_log(
        &mut self,
        service: String,
        place: u64,
    ) -> wasmtime::Result<Done<Resource<Pollable>>> {
        let control = self.control();
        match control.and_then(|control| control.more_log(&service, place)) {
            Ok(more) => Ok(Ok(self.wasi.push(Pollable::Event(more))?)),
            Err(sentence) => Ok(Err(sentence)),
        }
    }

    fn capabilities(&mut self, whose: String) -> wasmtime::Result<Done<String>> {
        let control = self.control();
        Ok(control.and_then(|control| control.capabilities(&whose)))
    }

    fn switch_off(&mut self, off: Off) -> wasmtime::Result<Done<()>> {
        let control = self.control();
        Ok(control.and_then(|control| control.switch_off(off == Off::Reboot)))
    }
}

impl Caller<'_> {
    fn command(&self, words: &[&str]) -> Done<String> {
        self.control()?.command(words)
    }
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Notice => "notice",
        Level::Info => "info",
    }
}
