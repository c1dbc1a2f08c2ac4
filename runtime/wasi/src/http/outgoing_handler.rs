//! `wasi:http/outgoing-handler`: every request is denied.

use wasmtime::component::Resource;

use super::bindings::wasi::http::outgoing_handler::Host;
use super::bindings::wasi::http::types::{ErrorCode, FutureIncomingResponse};
use super::{OutgoingRequest, RequestOptions};
use crate::WasiContext;

impl Host for WasiContext {
    fn handle(
        &mut self,
        request: Resource<OutgoingRequest>,
        options: Option<Resource<RequestOptions>>,
    ) -> wasmtime::Result<Result<Resource<FutureIncomingResponse>, ErrorCode>> {
        self.delete(request)?.refuse();
        if let Some(options) = options {
            self.delete(options)?;
        }
        Ok(Err(ErrorCode::HttpRequestDenied))
    }
}
