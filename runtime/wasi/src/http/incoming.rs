//! `wasi:http/types`: requests, responses and bodies that come in. None does.

use wasmtime::component::Resource;

use super::bindings::wasi::http::types::{
    ErrorCode, FutureIncomingResponse, FutureTrailers, HostFutureIncomingResponse,
    HostFutureTrailers, HostIncomingBody, HostIncomingRequest, HostIncomingResponse,
    HostResponseOutparam, IncomingBody, IncomingRequest, IncomingResponse, Method,
    ResponseOutparam, Scheme,
};
use super::{Fields, OutgoingResponse};
use crate::WasiContext;
use crate::io::{InputStream, Pollable};
use crate::sockets::methods_of_none;

impl HostIncomingRequest for WasiContext {
    methods_of_none! { IncomingRequest:
        fn method() -> Method;
        fn path_with_query() -> Option<String>;
        fn scheme() -> Option<Scheme>;
        fn authority() -> Option<String>;
        fn headers() -> Resource<Fields>;
        fn consume() -> Result<Resource<IncomingBody>, ()>;
    }
}

impl HostResponseOutparam for WasiContext {
    methods_of_none! { ResponseOutparam:
        fn send_informational(u16, Resource<Fields>) -> Result<(), ErrorCode>;
        fn set(Result<Resource<OutgoingResponse>, ErrorCode>) -> ();
    }
}

impl HostIncomingResponse for WasiContext {
    methods_of_none! { IncomingResponse:
        fn status() -> u16;
        fn headers() -> Resource<Fields>;
        fn consume() -> Result<Resource<IncomingBody>, ()>;
    }
}

impl HostIncomingBody for WasiContext {
    methods_of_none! { IncomingBody:
        fn stream() -> Result<Resource<InputStream>, ()>;
        fn finish() -> Resource<FutureTrailers>;
    }
}

/// What a future answers: nothing yet, or once its outcome.
type Outcome<T> = Option<Result<Result<T, ErrorCode>, ()>>;

impl HostFutureTrailers for WasiContext {
    methods_of_none! { FutureTrailers:
        fn subscribe() -> Resource<Pollable>;
        fn get() -> Outcome<Option<Resource<Fields>>>;
    }
}

impl HostFutureIncomingResponse for WasiContext {
    methods_of_none! { FutureIncomingResponse:
        fn subscribe() -> Resource<Pollable>;
        fn get() -> Outcome<Resource<IncomingResponse>>;
    }
}
