//! `wasi:http`, for processes that were granted no network.
//!
//! All of it links, and requests can be made up as the interface says: fields, options and bodies keep its rules.
//! Sending is where it ends: `outgoing-handler.handle` answers `HTTP-request-denied`. So nothing ever comes in, and
//! the types of what comes in have no values.
//!
//! What a body is written goes nowhere: it is counted, because `finish` compares it with `content-length`.

mod body;
mod fields;
mod incoming;
mod outgoing_handler;
mod syntax;
mod types;

pub use body::OutgoingBody;
pub use fields::Fields;
pub use types::{OutgoingRequest, OutgoingResponse, RequestOptions};

/// What `bindgen!` makes of `wasi:http`; the interfaces that it uses are those of `crate::bindings`.
pub(crate) mod bindings {
    include!(concat!(env!("OUT_DIR"), "/wit.rs"));

    wit_bindgen! {
        world: "wasi:http/imports",
        imports: { default: trappable | tracing },
        require_store_data_send: true,
        with: {
            "wasi:cli": crate::bindings::wasi::cli,
            "wasi:clocks": crate::bindings::wasi::clocks,
            "wasi:io": crate::bindings::wasi::io,
            "wasi:random": crate::bindings::wasi::random,
            "wasi:http/types.fields": crate::http::Fields,
            "wasi:http/types.outgoing-body": crate::http::OutgoingBody,
            "wasi:http/types.outgoing-request": crate::http::OutgoingRequest,
            "wasi:http/types.outgoing-response": crate::http::OutgoingResponse,
            "wasi:http/types.request-options": crate::http::RequestOptions,
        },
    }
}
