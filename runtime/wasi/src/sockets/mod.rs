//! `wasi:sockets`, for processes that were granted no network.
//!
//! All of it links. Whatever would make a socket, or look up a name, answers `access-denied`. So no
//! socket exists: the resource types have no values, and their methods have nothing to be called on.

mod instance_network;
mod ip_name_lookup;
mod network;
mod tcp;
mod tcp_create_socket;
mod udp;
mod udp_create_socket;

pub use network::Network;

/// Methods of a resource of which there is no value: looking one up is an error, and finding one is
/// impossible.
macro_rules! methods_of_none {
    ($resource:ty: $(fn $name:ident($($argument:ty),*) -> $answer:ty;)*) => {
        $(fn $name(&mut self, this: Resource<$resource>, $(_: $argument),*) -> wasmtime::Result<$answer> {
            match *$crate::WasiContext::get(self, &this)? {}
        })*

        fn drop(&mut self, this: Resource<$resource>) -> wasmtime::Result<()> {
            match self.delete(this)? {}
        }
    };
}
pub(crate) use methods_of_none;
