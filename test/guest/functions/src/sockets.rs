//! `wasi:sockets` where no network is granted: sockets can be made and asked, and reach nothing.

use std::hint::black_box;

use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::ip_name_lookup::{ResolveAddressStream, resolve_addresses};
use wasip2::sockets::network::{
    ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress,
};
use wasip2::sockets::tcp::{ShutdownType, TcpSocket};
use wasip2::sockets::tcp_create_socket::create_tcp_socket;
use wasip2::sockets::udp::{IncomingDatagramStream, OutgoingDatagramStream, UdpSocket};
use wasip2::sockets::udp_create_socket::create_udp_socket;

use crate::{
    Cases, SocketsInstanceNetwork, SocketsIpNameLookup, SocketsTcp, SocketsTcpCreateSocket,
    SocketsUdp, SocketsUdpCreateSocket, say,
};

const FAMILIES: [IpAddressFamily; 2] = [IpAddressFamily::Ipv4, IpAddressFamily::Ipv6];

fn told<T: std::fmt::Debug>(answer: Result<T, ErrorCode>) -> String {
    match answer {
        Ok(value) => format!("{value:?}"),
        Err(error) => error.name().into(),
    }
}

/// A socket; without one there is nothing that a method could be called on.
fn tcp() -> Option<TcpSocket> {
    let made = create_tcp_socket(IpAddressFamily::Ipv4);
    if let Err(error) = &made {
        say!("no socket", error.name());
    }
    made.ok()
}

/// A socket; without one there is nothing that a method could be called on.
fn udp() -> Option<UdpSocket> {
    let made = create_udp_socket(IpAddressFamily::Ipv4);
    if let Err(error) = &made {
        say!("no socket", error.name());
    }
    made.ok()
}

/// A port of this machine.
fn local(port: u16) -> IpSocketAddress {
    IpSocketAddress::Ipv4(Ipv4SocketAddress {
        port,
        address: (127, 0, 0, 1),
    })
}

/// The same, of the other family.
fn local_v6(port: u16) -> IpSocketAddress {
    let address = (0, 0, 0, 0, 0, 0, 0, 1);
    IpSocketAddress::Ipv6(Ipv6SocketAddress {
        port,
        flow_info: 0,
        address,
        scope_id: 0,
    })
}

/// No process without a network has one: what is called on it is linked and never run.
fn none<T>() -> Option<T> {
    black_box(None)
}

/// Sets values one after the other and reads what became of them.
fn settings<T: std::fmt::Debug + Copy>(
    values: &[T],
    set: impl Fn(T) -> Result<(), ErrorCode>,
    get: impl Fn() -> Result<T, ErrorCode>,
) {
    for value in values {
        say!(format!("set to {value:?}"), told(set(*value)));
        say!("it is", told(get()));
    }
}

impl SocketsInstanceNetwork for Cases {
    fn instance_network() {
        drop((instance_network(), instance_network()));
        say!("twice", true);
    }
}

impl SocketsIpNameLookup for Cases {
    fn resolve_addresses() {
        let network = instance_network();
        for name in ["localhost", "127.0.0.1"] {
            say!(name, resolve_addresses(&network, name).is_ok());
        }
    }

    fn resolve_address_stream_resolve_next_address() {
        if let Some(stream) = none::<ResolveAddressStream>() {
            say!("next", told(stream.resolve_next_address()));
        }
    }

    fn resolve_address_stream_subscribe() {
        if let Some(stream) = none::<ResolveAddressStream>() {
            say!("ready", stream.subscribe().ready());
        }
    }
}

impl SocketsTcpCreateSocket for Cases {
    fn create_tcp_socket() {
        for family in FAMILIES {
            say!(
                format!("{family:?}"),
                told(create_tcp_socket(family).map(drop))
            );
        }
    }
}

impl SocketsUdpCreateSocket for Cases {
    fn create_udp_socket() {
        for family in FAMILIES {
            say!(
                format!("{family:?}"),
                told(create_udp_socket(family).map(drop))
            );
        }
    }
}

impl SocketsTcp for Cases {
    fn tcp_socket_start_bind() {
        let Some(socket) = tcp() else { return };
        let network = instance_network();
        say!("denied", told(socket.start_bind(&network, local(0))));
        say!("again", told(socket.start_bind(&network, local(1))));
        say!(
            "of another family",
            told(socket.start_bind(&network, local_v6(0)))
        );
    }

    fn tcp_socket_finish_bind() {
        let Some(socket) = tcp() else { return };
        say!("never begun", told(socket.finish_bind()));
    }

    fn tcp_socket_start_connect() {
        let Some(socket) = tcp() else { return };
        let network = instance_network();
        say!("denied", told(socket.start_connect(&network, local(9))));
        say!(
            "of another family",
            told(socket.start_connect(&network, local_v6(9)))
        );
        say!(
            "without a port",
            told(socket.start_connect(&network, local(0)))
        );
    }

    fn tcp_socket_finish_connect() {
        let Some(socket) = tcp() else { return };
        say!("never begun", told(socket.finish_connect().map(drop)));
    }

    fn tcp_socket_start_listen() {
        let Some(socket) = tcp() else { return };
        say!("not bound", told(socket.start_listen()));
    }

    fn tcp_socket_finish_listen() {
        let Some(socket) = tcp() else { return };
        say!("never begun", told(socket.finish_listen()));
    }

    fn tcp_socket_accept() {
        let Some(socket) = tcp() else { return };
        say!("not listening", told(socket.accept().map(drop)));
    }

    fn tcp_socket_local_address() {
        let Some(socket) = tcp() else { return };
        say!("not bound", told(socket.local_address()));
    }

    fn tcp_socket_remote_address() {
        let Some(socket) = tcp() else { return };
        say!("not connected", told(socket.remote_address()));
    }

    fn tcp_socket_is_listening() {
        let Some(socket) = tcp() else { return };
        say!("listens", socket.is_listening());
    }

    fn tcp_socket_address_family() {
        for family in FAMILIES {
            say!(
                "family",
                told(create_tcp_socket(family).map(|socket| socket.address_family()))
            );
        }
    }

    fn tcp_socket_set_listen_backlog_size() {
        let Some(socket) = tcp() else { return };
        for size in [1, 128, 0, u64::MAX] {
            say!(size, told(socket.set_listen_backlog_size(size)));
        }
    }

    fn tcp_socket_keep_alive_enabled() {
        let Some(socket) = tcp() else { return };
        say!("at first", told(socket.keep_alive_enabled()));
    }

    fn tcp_socket_set_keep_alive_enabled() {
        let Some(socket) = tcp() else { return };
        settings(
            &[true, false],
            |on| socket.set_keep_alive_enabled(on),
            || socket.keep_alive_enabled(),
        );
    }

    fn tcp_socket_keep_alive_idle_time() {
        let Some(socket) = tcp() else { return };
        say!(
            "is some",
            told(socket.keep_alive_idle_time().map(|time| time > 0))
        );
    }

    fn tcp_socket_set_keep_alive_idle_time() {
        let Some(socket) = tcp() else { return };
        let times = [1_000_000_000, 60_000_000_000, 0, 1, u64::MAX];
        settings(
            &times,
            |time| socket.set_keep_alive_idle_time(time),
            || socket.keep_alive_idle_time(),
        );
    }

    fn tcp_socket_keep_alive_interval() {
        let Some(socket) = tcp() else { return };
        say!(
            "is some",
            told(socket.keep_alive_interval().map(|time| time > 0))
        );
    }

    fn tcp_socket_set_keep_alive_interval() {
        let Some(socket) = tcp() else { return };
        let times = [1_000_000_000, 60_000_000_000, 0, 1, u64::MAX];
        settings(
            &times,
            |time| socket.set_keep_alive_interval(time),
            || socket.keep_alive_interval(),
        );
    }

    fn tcp_socket_keep_alive_count() {
        let Some(socket) = tcp() else { return };
        say!(
            "is some",
            told(socket.keep_alive_count().map(|count| count > 0))
        );
    }

    fn tcp_socket_set_keep_alive_count() {
        let Some(socket) = tcp() else { return };
        settings(
            &[1, 127, 0, u32::MAX],
            |count| socket.set_keep_alive_count(count),
            || socket.keep_alive_count(),
        );
    }

    fn tcp_socket_hop_limit() {
        let Some(socket) = tcp() else { return };
        say!("is some", told(socket.hop_limit().map(|limit| limit > 0)));
    }

    fn tcp_socket_set_hop_limit() {
        let Some(socket) = tcp() else { return };
        settings(
            &[1, 255, 0],
            |limit| socket.set_hop_limit(limit),
            || socket.hop_limit(),
        );
    }

    fn tcp_socket_receive_buffer_size() {
        let Some(socket) = tcp() else { return };
        say!(
            "is some",
            told(socket.receive_buffer_size().map(|size| size > 0))
        );
    }

    fn tcp_socket_set_receive_buffer_size() {
        let Some(socket) = tcp() else { return };
        say!("none", told(socket.set_receive_buffer_size(0)));
        say!("some", told(socket.set_receive_buffer_size(65_536)));
        say!(
            "is some",
            told(socket.receive_buffer_size().map(|size| size >= 65_536))
        );
    }

    fn tcp_socket_send_buffer_size() {
        let Some(socket) = tcp() else { return };
        say!(
            "is some",
            told(socket.send_buffer_size().map(|size| size > 0))
        );
    }

    fn tcp_socket_set_send_buffer_size() {
        let Some(socket) = tcp() else { return };
        say!("none", told(socket.set_send_buffer_size(0)));
        say!("some", told(socket.set_send_buffer_size(65_536)));
        say!(
            "is some",
            told(socket.send_buffer_size().map(|size| size >= 65_536))
        );
    }

    /// Nothing is under way, so there is nothing to wait for.
    fn tcp_socket_subscribe() {
        let Some(socket) = tcp() else { return };
        let pollable = socket.subscribe();
        pollable.block();
        say!("ready", pollable.ready());
    }

    fn tcp_socket_shutdown() {
        let Some(socket) = tcp() else { return };
        for kind in [
            ShutdownType::Receive,
            ShutdownType::Send,
            ShutdownType::Both,
        ] {
            say!(format!("{kind:?}"), told(socket.shutdown(kind)));
        }
    }
}

impl SocketsUdp for Cases {
    fn udp_socket_start_bind() {
        let Some(socket) = udp() else { return };
        let network = instance_network();
        say!("denied", told(socket.start_bind(&network, local(0))));
        say!("again", told(socket.start_bind(&network, local(1))));
        say!(
            "of another family",
            told(socket.start_bind(&network, local_v6(0)))
        );
    }

    fn udp_socket_finish_bind() {
        let Some(socket) = udp() else { return };
        say!("never begun", told(socket.finish_bind()));
    }

    fn udp_socket_stream() {
        let Some(socket) = udp() else { return };
        say!("not bound", told(socket.stream(None).map(drop)));
        say!(
            "not bound, to another",
            told(socket.stream(Some(local(9))).map(drop))
        );
    }

    fn udp_socket_local_address() {
        let Some(socket) = udp() else { return };
        say!("not bound", told(socket.local_address()));
    }

    fn udp_socket_remote_address() {
        let Some(socket) = udp() else { return };
        say!("not connected", told(socket.remote_address()));
    }

    fn udp_socket_address_family() {
        for family in FAMILIES {
            say!(
                "family",
                told(create_udp_socket(family).map(|socket| socket.address_family()))
            );
        }
    }

    fn udp_socket_unicast_hop_limit() {
        let Some(socket) = udp() else { return };
        say!(
            "is some",
            told(socket.unicast_hop_limit().map(|limit| limit > 0))
        );
    }

    fn udp_socket_set_unicast_hop_limit() {
        let Some(socket) = udp() else { return };
        settings(
            &[1, 255, 0],
            |limit| socket.set_unicast_hop_limit(limit),
            || socket.unicast_hop_limit(),
        );
    }

    fn udp_socket_receive_buffer_size() {
        let Some(socket) = udp() else { return };
        say!(
            "is some",
            told(socket.receive_buffer_size().map(|size| size > 0))
        );
    }

    fn udp_socket_set_receive_buffer_size() {
        let Some(socket) = udp() else { return };
        say!("none", told(socket.set_receive_buffer_size(0)));
        say!("some", told(socket.set_receive_buffer_size(65_536)));
        say!(
            "is some",
            told(socket.receive_buffer_size().map(|size| size >= 65_536))
        );
    }

    fn udp_socket_send_buffer_size() {
        let Some(socket) = udp() else { return };
        say!(
            "is some",
            told(socket.send_buffer_size().map(|size| size > 0))
        );
    }

    fn udp_socket_set_send_buffer_size() {
        let Some(socket) = udp() else { return };
        say!("none", told(socket.set_send_buffer_size(0)));
        say!("some", told(socket.set_send_buffer_size(65_536)));
        say!(
            "is some",
            told(socket.send_buffer_size().map(|size| size >= 65_536))
        );
    }

    fn udp_socket_subscribe() {
        let Some(socket) = udp() else { return };
        let pollable = socket.subscribe();
        pollable.block();
        say!("ready", pollable.ready());
    }

    fn incoming_datagram_stream_receive() {
        if let Some(stream) = none::<IncomingDatagramStream>() {
            say!("received", told(stream.receive(1)));
        }
    }

    fn incoming_datagram_stream_subscribe() {
        if let Some(stream) = none::<IncomingDatagramStream>() {
            say!("ready", stream.subscribe().ready());
        }
    }

    fn outgoing_datagram_stream_check_send() {
        if let Some(stream) = none::<OutgoingDatagramStream>() {
            say!("room", told(stream.check_send()));
        }
    }

    fn outgoing_datagram_stream_send() {
        if let Some(stream) = none::<OutgoingDatagramStream>() {
            say!("sent", told(stream.send(&[])));
        }
    }

    fn outgoing_datagram_stream_subscribe() {
        if let Some(stream) = none::<OutgoingDatagramStream>() {
            say!("ready", stream.subscribe().ready());
        }
    }
}
