//! `wasi:clocks/monotonic-clock`. Instants are nanoseconds of the process's [`runtime_host::Clock`].

use wasmtime::component::Resource;

use crate::WasiContext;
use crate::bindings::wasi::clocks::monotonic_clock::{Duration, Host, Instant};
use crate::io::Pollable;

impl Host for WasiContext {
    fn now(&mut self) -> wasmtime::Result<Instant> {
        Ok(self.clock.monotonic_ns())
    }

    fn resolution(&mut self) -> wasmtime::Result<Duration> {
        Ok(self.clock.monotonic_resolution_ns())
    }

    fn subscribe_instant(&mut self, when: Instant) -> wasmtime::Result<Resource<Pollable>> {
        Ok(self.push(Pollable::Deadline { deadline_ns: when })?)
    }

    fn subscribe_duration(&mut self, when: Duration) -> wasmtime::Result<Resource<Pollable>> {
        let deadline_ns = self.clock.monotonic_ns().saturating_add(when);
        Ok(self.push(Pollable::Deadline { deadline_ns })?)
    }
}
