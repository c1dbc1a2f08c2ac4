//! `wasi:clocks/timezone`. The host exposes no time zone, which the interface says is answered as UTC.

use crate::WasiContext;
use crate::bindings::wasi::clocks::timezone::{Datetime, Host, TimezoneDisplay};

impl Host for WasiContext {
    fn display(&mut self, _when: Datetime) -> wasmtime::Result<TimezoneDisplay> {
        Ok(TimezoneDisplay {
            utc_offset: 0,
            name: "UTC".into(),
            in_daylight_saving_time: false,
        })
    }

    fn utc_offset(&mut self, _when: Datetime) -> wasmtime::Result<i32> {
        Ok(0)
    }
}
