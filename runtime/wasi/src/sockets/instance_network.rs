//! `wasi:sockets/instance-network`.

use wasmtime::component::Resource;

use super::Network;
use crate::WasiContext;
use crate::bindings::wasi::sockets::instance_network::Host;

impl Host for WasiContext {
    fn instance_network(&mut self) -> wasmtime::Result<Resource<Network>> {
        Ok(self.push(Network)?)
    }
}
