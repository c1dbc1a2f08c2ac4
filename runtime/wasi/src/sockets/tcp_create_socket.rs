//! `wasi:sockets/tcp-create-socket`.

use wasmtime::component::Resource;

use crate::WasiContext;
use crate::bindings::wasi::sockets::network::{ErrorCode, IpAddressFamily};
use crate::bindings::wasi::sockets::tcp::TcpSocket;
use crate::bindings::wasi::sockets::tcp_create_socket::Host;

impl Host for WasiContext {
    fn create_tcp_socket(
        &mut self,
        _family: IpAddressFamily,
    ) -> wasmtime::Result<Result<Resource<TcpSocket>, ErrorCode>> {
        Ok(Err(ErrorCode::AccessDenied))
    }
}
