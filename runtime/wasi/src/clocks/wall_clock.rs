//! `wasi:clocks/wall-clock`.

use std::time::Duration;

use crate::WasiContext;
use crate::bindings::wasi::clocks::wall_clock::{Datetime, Host};

impl Host for WasiContext {
    fn now(&mut self) -> wasmtime::Result<Datetime> {
        Ok(datetime(self.clock.wall()))
    }

    fn resolution(&mut self) -> wasmtime::Result<Datetime> {
        Ok(datetime(self.clock.wall_resolution()))
    }
}

fn datetime(since_epoch: Duration) -> Datetime {
    Datetime {
        seconds: since_epoch.as_secs(),
        nanoseconds: since_epoch.subsec_nanos(),
    }
}
