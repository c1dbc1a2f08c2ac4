//! `wasi:http/types`, resource `outgoing-body`: what is written to it is counted and goes nowhere.
//!
//! The stream belongs to the body: while the stream lives the body can neither be finished nor dropped, which the
//! WIT says traps. When the message that it belongs to was refused, its stream is closed.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use runtime_host::{ByteSink, Notifier, StreamFailure};
use wasmtime::component::Resource;

use super::bindings::wasi::http::types::{ErrorCode, HostOutgoingBody};
use super::fields::Fields;
use crate::WasiContext;
use crate::io::{OutputStream, READ_MAX_BYTES};

/// The body of a message to be.
pub struct OutgoingBody {
    written: Arc<Written>,
    /// Its stream, if it was asked for; empty when that was dropped.
    stream: Option<Weak<BodyStream>>,
    expected_bytes: Option<u64>,
}

/// What a body's stream and its message know of each other.
// Relaxed: the figures guard no other memory.
#[derive(Default)]
pub(super) struct Written {
    bytes: AtomicU64,
    refused: AtomicBool,
}

struct BodyStream(Arc<Written>);

impl Written {
    /// Closes the stream: nobody will read it.
    pub(super) fn refuse(&self) {
        self.refused.store(true, Ordering::Relaxed);
    }
}

impl OutgoingBody {
    /// A body of `expected_bytes`, if that is known.
    pub(super) fn new(written: Arc<Written>, expected_bytes: Option<u64>) -> Self {
        Self {
            written,
            stream: None,
            expected_bytes,
        }
    }

    /// The body's stream, once.
    fn open(&mut self) -> Option<OutputStream> {
        if self.stream.is_some() {
            return None;
        }
        let stream = Arc::new(BodyStream(Arc::clone(&self.written)));
        self.stream = Some(Arc::downgrade(&stream));
        Some(OutputStream::to_sink(stream))
    }

    fn check_stream_dropped(&self) -> wasmtime::Result<()> {
        let lives = |stream: &Weak<BodyStream>| stream.strong_count() > 0;
        if self.stream.as_ref().is_some_and(lives) {
            return Err(wasmtime::format_err!(
                "the program dropped or finished an outgoing-body before its output-stream"
            ));
        }
        Ok(())
    }

    fn check_length(&self) -> Result<(), ErrorCode> {
        let written = self.written.bytes.load(Ordering::Relaxed);
        match self.expected_bytes {
            Some(expected) if expected != written => {
                Err(ErrorCode::HttpRequestBodySize(Some(written)))
            }
            _ => Ok(()),
        }
    }
}

impl ByteSink for BodyStream {
    fn room_bytes(&self) -> Result<usize, StreamFailure> {
        if self.0.refused.load(Ordering::Relaxed) {
            return Err(StreamFailure::Closed);
        }
        Ok(READ_MAX_BYTES)
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, StreamFailure> {
        self.room_bytes()?;
        let count = bytes.len() as u64;
        self.0.bytes.fetch_add(count, Ordering::Relaxed);
        Ok(bytes.len())
    }

    fn subscribe(&self, _notifier: &Notifier) {}
}

impl HostOutgoingBody for WasiContext {
    fn write(
        &mut self,
        body: Resource<OutgoingBody>,
    ) -> wasmtime::Result<Result<Resource<OutputStream>, ()>> {
        match self.get_mut(&body)?.open() {
            Some(stream) => Ok(Ok(self.push(stream)?)),
            None => Ok(Err(())),
        }
    }

    fn finish(
        &mut self,
        body: Resource<OutgoingBody>,
        trailers: Option<Resource<Fields>>,
    ) -> wasmtime::Result<Result<(), ErrorCode>> {
        let body = self.delete(body)?;
        if let Some(trailers) = trailers {
            self.delete(trailers)?;
        }
        body.check_stream_dropped()?;
        Ok(body.check_length())
    }

    fn drop(&mut self, body: Resource<OutgoingBody>) -> wasmtime::Result<()> {
        self.delete(body)?.check_stream_dropped()
    }
}
