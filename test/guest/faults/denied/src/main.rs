//! Asks each interface of WASI for what was not granted. What it answers is printed: a line for each, the interface first.

use wasip2::cli::{environment, stdin, terminal_stderr, terminal_stdin, terminal_stdout};
use wasip2::clocks::{monotonic_clock, wall_clock};
use wasip2::filesystem::preopens;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{Fields, OutgoingRequest, Scheme};
use wasip2::random::{insecure, insecure_seed, random};
use wasip2::sockets::network::IpAddressFamily;
use wasip2::sockets::{instance_network, ip_name_lookup, tcp_create_socket, udp_create_socket};

fn main() {
    cli();
    sockets();
    say(
        "wasi:clocks/monotonic-clock",
        monotonic_clock::resolution() > 0,
    );
    say(
        "wasi:clocks/wall-clock",
        wall_clock::resolution().nanoseconds > 0,
    );
    say("wasi:random/random", random::get_random_bytes(4).len());
    say(
        "wasi:random/insecure",
        insecure::get_insecure_random_bytes(4).len(),
    );
    let (low, high) = insecure_seed::insecure_seed();
    say("wasi:random/insecure-seed", low != high);
    let ready = monotonic_clock::subscribe_duration(0);
    say("wasi:io/poll", wasip2::io::poll::poll(&[&ready]).len());
    say(
        "wasi:filesystem/preopens",
        preopens::get_directories().len(),
    );
    http();
}

fn say(interface: &str, answer: impl std::fmt::Debug) {
    println!("{interface} {answer:?}");
}

fn cli() {
    say("wasi:cli/environment", environment::get_environment());
    let input = stdin::get_stdin();
    say("wasi:cli/stdin", input.blocking_read(1).is_err());
    say("wasi:io/streams", input.read(1).is_err());
    say(
        "wasi:cli/terminal-stdin",
        terminal_stdin::get_terminal_stdin().is_some(),
    );
    say(
        "wasi:cli/terminal-stdout",
        terminal_stdout::get_terminal_stdout().is_some(),
    );
    say(
        "wasi:cli/terminal-stderr",
        terminal_stderr::get_terminal_stderr().is_some(),
    );
}

fn sockets() {
    let network = instance_network::instance_network();
    say("wasi:sockets/instance-network", "a name for no network");
    let tcp = tcp_create_socket::create_tcp_socket(IpAddressFamily::Ipv4);
    say(
        "wasi:sockets/tcp-create-socket",
        tcp.map(|_| ()).map_err(|code| code.name()),
    );
    let udp = udp_create_socket::create_udp_socket(IpAddressFamily::Ipv4);
    say(
        "wasi:sockets/udp-create-socket",
        udp.map(|_| ()).map_err(|code| code.name()),
    );
    let names = ip_name_lookup::resolve_addresses(&network, "localhost");
    say(
        "wasi:sockets/ip-name-lookup",
        names.map(|_| ()).map_err(|code| code.name()),
    );
}

fn http() {
    let request = OutgoingRequest::new(Fields::new());
    let _set = request.set_scheme(Some(&Scheme::Http));
    let _set = request.set_authority(Some("127.0.0.1:9"));
    let answer = match outgoing_handler::handle(request, None) {
        Ok(future) => {
            future.subscribe().block();
            format!(
                "{:?}",
                future
                    .get()
                    .map(|taken| taken.map(|given| given.map(|_| ())))
            )
        }
        Err(error) => format!("{error:?}"),
    };
    say("wasi:http/outgoing-handler", answer);
}
