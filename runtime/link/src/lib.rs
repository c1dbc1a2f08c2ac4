//! Calls between components: what one imports beyond WASI, another exports.
//!
//! A component that imports an interface which the host does not have gets functions that are calls. Each is encoded by the
//! shapes of its types, sent over a channel to the process that provides the interface, and answered there by the
//! function that its component exports. Neither knows where the other runs, or whether it was started again meanwhile.
//!
//! - Authority: a program links only with a [`Grant`] for each such interface, and a grant can be revoked at any moment.
//! - Streams of WASI and loans of buffers change hands in a call; objects of the provider (resources that its interface defines) are handles
//!   at the client, and go back when they are dropped or their client ends. Other resources, and those that a client
//!   would lend or define, are refused when the interface is looked at.
//! - Whatever fails on the way is a [`LinkFailure`] for the client: an error where its function has a place for one, the
//!   end of the client with a sentence where it has not. A message that is longer than it may be, or that would take more of its receiver's
//!   memory than any message may, is a failure of that call, whether it is the call or the answer. So nothing that a client sends ends a
//!   provider that has this much memory to spare, and no answer its client.
//! - Values are never values of the host: the engine reads them out of one component as bytes and writes the bytes into the other
//!   (`runtime_engine::values`). Here they are only checked (`walk`), and the resources among them carried over.

mod abi;
mod answer;
mod client;
mod context;
mod failure;
mod host;
mod objects;
mod probe;
mod reactions;
mod returns;
mod route;
mod server;
mod shape;
mod signature;
mod streams;
mod walk;

pub use client::add_to_linker;
pub use context::{LinkContext, LinkView};
pub use failure::LinkFailure;
pub use host::{HostClient, HostOffer};
pub use objects::OBJECTS_MAX;
pub use probe::Probe;
pub use route::{Grant, Route, WhileDown};
pub use runtime_engine::values::ENCODED_BYTES_MAX as MESSAGE_BYTES_MAX;
pub use runtime_host::channel::Limits;
pub use server::{Served, Service, serve};
pub use shape::{Item, ResourceName, Shape, ShapeError};
pub use signature::{Function, Interface, SignatureError, export, imports};
pub use walk::RESOURCES_MAX;
