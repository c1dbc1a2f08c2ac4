//! `wasi:sockets/udp`.

use wasmtime::component::Resource;

use super::{Network, methods_of_none};
use crate::WasiContext;
use crate::bindings::wasi::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress};
use crate::bindings::wasi::sockets::udp::{
    Host, HostIncomingDatagramStream, HostOutgoingDatagramStream, HostUdpSocket, IncomingDatagram,
    IncomingDatagramStream, OutgoingDatagram, OutgoingDatagramStream, UdpSocket,
};
use crate::io::Pollable;

type Streams = (
    Resource<IncomingDatagramStream>,
    Resource<OutgoingDatagramStream>,
);

impl Host for WasiContext {}

impl HostUdpSocket for WasiContext {
    methods_of_none! { UdpSocket:
        fn start_bind(Resource<Network>, IpSocketAddress) -> Result<(), ErrorCode>;
        fn finish_bind() -> Result<(), ErrorCode>;
        fn stream(Option<IpSocketAddress>) -> Result<Streams, ErrorCode>;
        fn local_address() -> Result<IpSocketAddress, ErrorCode>;
        fn remote_address() -> Result<IpSocketAddress, ErrorCode>;
        fn address_family() -> IpAddressFamily;
        fn unicast_hop_limit() -> Result<u8, ErrorCode>;
        fn set_unicast_hop_limit(u8) -> Result<(), ErrorCode>;
        fn receive_buffer_size() -> Result<u64, ErrorCode>;
        fn set_receive_buffer_size(u64) -> Result<(), ErrorCode>;
        fn send_buffer_size() -> Result<u64, ErrorCode>;
        fn set_send_buffer_size(u64) -> Result<(), ErrorCode>;
        fn subscribe() -> Resource<Pollable>;
    }
}

impl HostIncomingDatagramStream for WasiContext {
    methods_of_none! { IncomingDatagramStream:
        fn receive(u64) -> Result<Vec<IncomingDatagram>, ErrorCode>;
        fn subscribe() -> Resource<Pollable>;
    }
}

impl HostOutgoingDatagramStream for WasiContext {
    methods_of_none! { OutgoingDatagramStream:
        fn check_send() -> Result<u64, ErrorCode>;
        fn send(Vec<OutgoingDatagram>) -> Result<u64, ErrorCode>;
        fn subscribe() -> Resource<Pollable>;
    }
}
