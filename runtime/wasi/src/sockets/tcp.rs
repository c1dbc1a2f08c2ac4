//! `wasi:sockets/tcp`.

use wasmtime::component::Resource;

use super::{Network, methods_of_none};
use crate::WasiContext;
use crate::bindings::wasi::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress};
use crate::bindings::wasi::sockets::tcp::{Duration, Host, HostTcpSocket, ShutdownType, TcpSocket};
use crate::io::{InputStream, OutputStream, Pollable};

type Connected = (Resource<InputStream>, Resource<OutputStream>);
type Accepted = (
    Resource<TcpSocket>,
    Resource<InputStream>,
    Resource<OutputStream>,
);

impl Host for WasiContext {}

impl HostTcpSocket for WasiContext {
    methods_of_none! { TcpSocket:
        fn start_bind(Resource<Network>, IpSocketAddress) -> Result<(), ErrorCode>;
        fn finish_bind() -> Result<(), ErrorCode>;
        fn start_connect(Resource<Network>, IpSocketAddress) -> Result<(), ErrorCode>;
        fn finish_connect() -> Result<Connected, ErrorCode>;
        fn start_listen() -> Result<(), ErrorCode>;
        fn finish_listen() -> Result<(), ErrorCode>;
        fn accept() -> Result<Accepted, ErrorCode>;
        fn local_address() -> Result<IpSocketAddress, ErrorCode>;
        fn remote_address() -> Result<IpSocketAddress, ErrorCode>;
        fn is_listening() -> bool;
        fn address_family() -> IpAddressFamily;
        fn set_listen_backlog_size(u64) -> Result<(), ErrorCode>;
        fn keep_alive_enabled() -> Result<bool, ErrorCode>;
        fn set_keep_alive_enabled(bool) -> Result<(), ErrorCode>;
        fn keep_alive_idle_time() -> Result<Duration, ErrorCode>;
        fn set_keep_alive_idle_time(Duration) -> Result<(), ErrorCode>;
        fn keep_alive_interval() -> Result<Duration, ErrorCode>;
        fn set_keep_alive_interval(Duration) -> Result<(), ErrorCode>;
        fn keep_alive_count() -> Result<u32, ErrorCode>;
        fn set_keep_alive_count(u32) -> Result<(), ErrorCode>;
        fn hop_limit() -> Result<u8, ErrorCode>;
        fn set_hop_limit(u8) -> Result<(), ErrorCode>;
        fn receive_buffer_size() -> Result<u64, ErrorCode>;
        fn set_receive_buffer_size(u64) -> Result<(), ErrorCode>;
        fn send_buffer_size() -> Result<u64, ErrorCode>;
        fn set_send_buffer_size(u64) -> Result<(), ErrorCode>;
        fn subscribe() -> Resource<Pollable>;
        fn shutdown(ShutdownType) -> Result<(), ErrorCode>;
    }
}
