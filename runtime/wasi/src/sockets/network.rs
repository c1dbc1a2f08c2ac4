//! `wasi:sockets/network`.

use wasmtime::component::Resource;

use crate::WasiContext;
use crate::bindings::wasi::sockets::network::{ErrorCode, Host, HostNetwork};
use crate::io::IoError;

/// A network through which nothing can be reached.
pub struct Network;

impl Host for WasiContext {
    /// No stream here belongs to a socket, so no error of a stream is the network's.
    fn network_error_code(
        &mut self,
        error: Resource<IoError>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        self.get(&error)?;
        Ok(None)
    }
}

impl HostNetwork for WasiContext {
    fn drop(&mut self, network: Resource<Network>) -> wasmtime::Result<()> {
        self.delete(network)?;
        Ok(())
    }
}
