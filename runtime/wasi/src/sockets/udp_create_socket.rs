//! `wasi:sockets/udp-create-socket`.

use wasmtime::component::Resource;

use crate::WasiContext;
use crate::bindings::wasi::sockets::network::{ErrorCode, IpAddressFamily};
use crate::bindings::wasi::sockets::udp::UdpSocket;
use crate::bindings::wasi::sockets::udp_create_socket::Host;

impl Host for WasiContext {
    fn create_udp_socket(
        &mut self,
        _family: IpAddressFamily,
    ) -> wasmtime::Result<Result<Resource<UdpSocket>, ErrorCode>> {
        Ok(Err(ErrorCode::AccessDenied))
    }
}
