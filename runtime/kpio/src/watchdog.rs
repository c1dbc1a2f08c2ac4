//! `kpio:service/watchdog`: a service shows that it is well.

use crate::bindings::service::kpio::service::watchdog::Host;
use crate::context::Caller;

impl Host for Caller<'_> {
    fn alive(&mut self) -> wasmtime::Result<()> {
        if let Some(service) = self.service() {
            service.alive();
        }
        Ok(())
    }
}
