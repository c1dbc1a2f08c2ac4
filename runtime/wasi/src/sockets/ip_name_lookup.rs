//! `wasi:sockets/ip-name-lookup`.

use wasmtime::component::Resource;

use super::{Network, methods_of_none};
use crate::WasiContext;
use crate::bindings::wasi::sockets::ip_name_lookup::{
    Host, HostResolveAddressStream, ResolveAddressStream,
};
use crate::bindings::wasi::sockets::network::{ErrorCode, IpAddress};
use crate::io::Pollable;

impl Host for WasiContext {
    fn resolve_addresses(
        &mut self,
        network: Resource<Network>,
        _name: String,
    ) -> wasmtime::Result<Result<Resource<ResolveAddressStream>, ErrorCode>> {
        self.get(&network)?;
        Ok(Err(ErrorCode::AccessDenied))
    }
}

impl HostResolveAddressStream for WasiContext {
    methods_of_none! { ResolveAddressStream:
        fn resolve_next_address() -> Result<Option<IpAddress>, ErrorCode>;
        fn subscribe() -> Resource<Pollable>;
    }
}
