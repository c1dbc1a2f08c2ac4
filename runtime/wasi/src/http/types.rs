//! `wasi:http/types`: requests and responses that the guest makes up. Fields, bodies and what would come in have files
//! of their own.

use std::sync::Arc;

use runtime_host::{Budget, Reservation};
use wasmtime::component::Resource;

use super::OutgoingBody;
use super::bindings::wasi::http::types::{
    Duration, ErrorCode, Host, HostOutgoingRequest, HostOutgoingResponse, HostRequestOptions,
    Method, Scheme,
};
use super::body::Written;
use super::fields::{FieldList, Fields};
use super::syntax::{is_authority, is_path_with_query, is_scheme, is_token};
use crate::io::IoError;
use crate::{LimitReached, WasiContext};

/// A request to be.
pub struct OutgoingRequest {
    message: Message,
    method: Method,
    path_with_query: Option<String>,
    scheme: Option<Scheme>,
    authority: Option<String>,
    /// Pays for the texts.
    paid: Reservation,
}

/// A response to be.
pub struct OutgoingResponse {
    message: Message,
    status: u16,
}

/// What requests and responses have in common.
struct Message {
    fields: Arc<FieldList>,
    written: Arc<Written>,
    body_given: bool,
}

/// How long a request may take.
#[derive(Default)]
pub struct RequestOptions {
    connect: Option<Duration>,
    first_byte: Option<Duration>,
    between_bytes: Option<Duration>,
}

/// The answer of a setter.
type Set = wasmtime::Result<Result<(), ()>>;

impl Message {
    fn new(fields: Fields) -> Self {
        Self {
            fields: fields.share(),
            written: Arc::default(),
            body_given: false,
        }
    }

    /// The message's body, once.
    fn body(&mut self) -> Option<OutgoingBody> {
        if self.body_given {
            return None;
        }
        self.body_given = true;
        let written = Arc::clone(&self.written);
        Some(OutgoingBody::new(written, self.fields.content_length()))
    }

    fn fields(&self) -> Fields {
        Fields::Shared(Arc::clone(&self.fields))
    }
}

impl OutgoingRequest {
    fn new(fields: Fields, budget: &Budget) -> Result<Self, LimitReached> {
        Ok(Self {
            message: Message::new(fields),
            method: Method::Get,
            path_with_query: None,
            scheme: None,
            authority: None,
            paid: budget.reserve(0)?,
        })
    }

    /// Nobody will read its body.
    pub(super) fn refuse(&self) {
        self.message.written.refuse();
    }

    /// Pays for the text `new` in place of `old`.
    fn pay_for(&mut self, new: &str, old_bytes: usize) -> Result<(), LimitReached> {
        self.paid.grow(new.len() as u64)?;
        self.paid.shrink(old_bytes as u64);
        Ok(())
    }
}

/// The text that a method keeps, if it is none of the usual ones.
fn method_text(method: &Method) -> &str {
    match method {
        Method::Other(name) => name,
        _ => "",
    }
}

/// The text that a scheme keeps, if it is none of the usual ones.
fn scheme_text(scheme: Option<&Scheme>) -> &str {
    match scheme {
        Some(Scheme::Other(name)) => name,
        _ => "",
    }
}

impl Host for WasiContext {
    /// No stream here belongs to a connection, so no error of a stream is HTTP's.
    fn http_error_code(&mut self, error: Resource<IoError>) -> wasmtime::Result<Option<ErrorCode>> {
        self.get(&error)?;
        Ok(None)
    }
}

impl HostOutgoingRequest for WasiContext {
    fn new(&mut self, headers: Resource<Fields>) -> wasmtime::Result<Resource<OutgoingRequest>> {
        let fields = self.delete(headers)?;
        let request = OutgoingRequest::new(fields, &self.budget)?;
        Ok(self.push(request)?)
    }

    fn body(
        &mut self,
        request: Resource<OutgoingRequest>,
    ) -> wasmtime::Result<Result<Resource<OutgoingBody>, ()>> {
        match self.get_mut(&request)?.message.body() {
            Some(body) => Ok(Ok(self.push(body)?)),
            None => Ok(Err(())),
        }
    }

    fn method(&mut self, request: Resource<OutgoingRequest>) -> wasmtime::Result<Method> {
        Ok(self.get(&request)?.method.clone())
    }

    fn set_method(&mut self, request: Resource<OutgoingRequest>, method: Method) -> Set {
        let request = self.get_mut(&request)?;
        if let Method::Other(name) = &method
            && !is_token(name)
        {
            return Ok(Err(()));
        }
        let old_bytes = method_text(&request.method).len();
        request.pay_for(method_text(&method), old_bytes)?;
        request.method = method;
        Ok(Ok(()))
    }

    fn path_with_query(
        &mut self,
        request: Resource<OutgoingRequest>,
    ) -> wasmtime::Result<Option<String>> {
        Ok(self.get(&request)?.path_with_query.clone())
    }

    fn set_path_with_query(
        &mut self,
        request: Resource<OutgoingRequest>,
        path: Option<String>,
    ) -> Set {
        let request = self.get_mut(&request)?;
        if !path.as_deref().is_none_or(is_path_with_query) {
            return Ok(Err(()));
        }
        let old_bytes = request.path_with_query.as_deref().map_or(0, str::len);
        request.pay_for(path.as_deref().unwrap_or_default(), old_bytes)?;
        request.path_with_query = path;
        Ok(Ok(()))
    }

    fn scheme(&mut self, request: Resource<OutgoingRequest>) -> wasmtime::Result<Option<Scheme>> {
        Ok(self.get(&request)?.scheme.clone())
    }

    fn set_scheme(&mut self, request: Resource<OutgoingRequest>, scheme: Option<Scheme>) -> Set {
        let request = self.get_mut(&request)?;
        if let Some(Scheme::Other(name)) = &scheme
            && !is_scheme(name)
        {
            return Ok(Err(()));
        }
        let old_bytes = scheme_text(request.scheme.as_ref()).len();
        request.pay_for(scheme_text(scheme.as_ref()), old_bytes)?;
        request.scheme = scheme;
        Ok(Ok(()))
    }

    fn authority(
        &mut self,
        request: Resource<OutgoingRequest>,
    ) -> wasmtime::Result<Option<String>> {
        Ok(self.get(&request)?.authority.clone())
    }

    fn set_authority(
        &mut self,
        request: Resource<OutgoingRequest>,
        authority: Option<String>,
    ) -> Set {
        let request = self.get_mut(&request)?;
        if !authority.as_deref().is_none_or(is_authority) {
            return Ok(Err(()));
        }
        let old_bytes = request.authority.as_deref().map_or(0, str::len);
        request.pay_for(authority.as_deref().unwrap_or_default(), old_bytes)?;
        request.authority = authority;
        Ok(Ok(()))
    }

    fn headers(
        &mut self,
        request: Resource<OutgoingRequest>,
    ) -> wasmtime::Result<Resource<Fields>> {
        let fields = self.get(&request)?.message.fields();
        Ok(self.push(fields)?)
    }

    fn drop(&mut self, request: Resource<OutgoingRequest>) -> wasmtime::Result<()> {
        self.delete(request)?;
        Ok(())
    }
}

impl HostOutgoingResponse for WasiContext {
    fn new(&mut self, headers: Resource<Fields>) -> wasmtime::Result<Resource<OutgoingResponse>> {
        let message = Message::new(self.delete(headers)?);
        let response = OutgoingResponse {
            message,
            status: 200,
        };
        Ok(self.push(response)?)
    }

    fn status_code(&mut self, response: Resource<OutgoingResponse>) -> wasmtime::Result<u16> {
        Ok(self.get(&response)?.status)
    }

    fn set_status_code(&mut self, response: Resource<OutgoingResponse>, status: u16) -> Set {
        if !(100..1000).contains(&status) {
            return Ok(Err(()));
        }
        self.get_mut(&response)?.status = status;
        Ok(Ok(()))
    }

    fn headers(
        &mut self,
        response: Resource<OutgoingResponse>,
    ) -> wasmtime::Result<Resource<Fields>> {
        let fields = self.get(&response)?.message.fields();
        Ok(self.push(fields)?)
    }

    fn body(
        &mut self,
        response: Resource<OutgoingResponse>,
    ) -> wasmtime::Result<Result<Resource<OutgoingBody>, ()>> {
        match self.get_mut(&response)?.message.body() {
            Some(body) => Ok(Ok(self.push(body)?)),
            None => Ok(Err(())),
        }
    }

    fn drop(&mut self, response: Resource<OutgoingResponse>) -> wasmtime::Result<()> {
        self.delete(response)?;
        Ok(())
    }
}

impl HostRequestOptions for WasiContext {
    fn new(&mut self) -> wasmtime::Result<Resource<RequestOptions>> {
        Ok(self.push(RequestOptions::default())?)
    }

    fn connect_timeout(
        &mut self,
        options: Resource<RequestOptions>,
    ) -> wasmtime::Result<Option<Duration>> {
        Ok(self.get(&options)?.connect)
    }

    fn set_connect_timeout(
        &mut self,
        options: Resource<RequestOptions>,
        timeout: Option<Duration>,
    ) -> Set {
        self.get_mut(&options)?.connect = timeout;
        Ok(Ok(()))
    }

    fn first_byte_timeout(
        &mut self,
        options: Resource<RequestOptions>,
    ) -> wasmtime::Result<Option<Duration>> {
        Ok(self.get(&options)?.first_byte)
    }

    fn set_first_byte_timeout(
        &mut self,
        options: Resource<RequestOptions>,
        timeout: Option<Duration>,
    ) -> Set {
        self.get_mut(&options)?.first_byte = timeout;
        Ok(Ok(()))
    }

    fn between_bytes_timeout(
        &mut self,
        options: Resource<RequestOptions>,
    ) -> wasmtime::Result<Option<Duration>> {
        Ok(self.get(&options)?.between_bytes)
    }

    fn set_between_bytes_timeout(
        &mut self,
        options: Resource<RequestOptions>,
        timeout: Option<Duration>,
    ) -> Set {
        self.get_mut(&options)?.between_bytes = timeout;
        Ok(Ok(()))
    }

    fn drop(&mut self, options: Resource<RequestOptions>) -> wasmtime::Result<()> {
        self.delete(options)?;
        Ok(())
    }
}
