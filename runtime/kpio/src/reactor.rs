//! `kpio:service/reactor`: what a provider waits for beside calls. Who waits, and tells it, is `runtime/link/src/server.rs`.

use runtime_wasi::io::{Pollable, WatchError as Refused};
use wasmtime::component::Resource;

use crate::bindings::service::kpio::service::reactor::{Host, WatchError};
use crate::context::Caller;

impl Host for Caller<'_> {
    fn watch(
        &mut self,
        pollable: Resource<Pollable>,
        token: u64,
    ) -> wasmtime::Result<Result<(), WatchError>> {
        let watched = self.wasi.watch(pollable, token)?;
        Ok(watched.map_err(|refused| match refused {
            Refused::Quota => WatchError::Quota,
            Refused::Unheard => WatchError::NoReactions,
        }))
    }

    fn forget(&mut self, token: u64) -> wasmtime::Result<()> {
        self.wasi.forget(token)
    }
}
