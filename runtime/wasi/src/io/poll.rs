//! `wasi:io/poll`: waiting for the first of many.
//!
//! A pollable keeps what it is about alive by itself, so streams may be dropped before their pollables.

use std::sync::Arc;

use runtime_host::{Awaited, ByteSink, ByteSource, Clock, Notifier, wait_until};
use wasmtime::component::Resource;

use crate::bindings::wasi::io::poll::{Host, HostPollable};
use crate::{LimitReached, WasiContext};

/// What one pollable costs while it is waited for: its place in lists and in a source's subscribers.
pub(super) const POLLED_BYTES: u64 = 64;

/// Something that is ready now or later.
#[derive(Clone)]
pub enum Pollable {
    /// Always ready, as files are.
    Ready,
    /// Ready at an instant of the monotonic clock.
    Deadline {
        /// That instant.
        deadline_ns: u64,
    },
    /// Ready when something can be read.
    Source(Arc<dyn ByteSource>),
    /// Ready when something can be written.
    Sink(Arc<dyn ByteSink>),
    /// Ready when something has happened.
    Event(Arc<dyn Awaited>),
}

impl Pollable {
    pub(super) fn is_ready(&self, clock: &dyn Clock) -> bool {
        match self {
            Self::Ready => true,
            Self::Deadline { deadline_ns } => *deadline_ns <= clock.monotonic_ns(),
            Self::Source(source) => source.is_readable(),
            Self::Sink(sink) => sink.is_writable(),
            Self::Event(event) => event.is_ready(),
        }
    }

    pub(super) fn subscribe(&self, notifier: &Notifier) {
        match self {
            Self::Ready | Self::Deadline { .. } => {}
            Self::Source(source) => source.subscribe(notifier),
            Self::Sink(sink) => sink.subscribe(notifier),
            Self::Event(event) => event.subscribe(notifier),
        }
    }

    pub(super) fn deadline_ns(&self) -> Option<u64> {
        match self {
            Self::Deadline { deadline_ns } => Some(*deadline_ns),
            _ => None,
        }
    }
}

impl WasiContext {
    /// Blocks until at least one is ready; the indices of those that are.
    fn poll_any(&self, pollables: &[&Pollable]) -> wasmtime::Result<Vec<u32>> {
        let clock = self.clock.as_ref();
        let deadline_ns = pollables.iter().filter_map(|one| one.deadline_ns()).min();
        let attempt = || {
            let ready = ready_indices(pollables, clock);
            (!ready.is_empty()).then_some(ready)
        };
        let subscribe = |notifier: &Notifier| {
            for pollable in pollables {
                pollable.subscribe(notifier);
            }
        };
        let found = wait_until(&self.cancellation, clock, deadline_ns, subscribe, attempt)?;
        // Without an answer the earliest deadline has come, which is an answer now.
        Ok(found.unwrap_or_else(|| ready_indices(pollables, clock)))
    }
}

fn ready_indices(pollables: &[&Pollable], clock: &dyn Clock) -> Vec<u32> {
    (0u32..)
        .zip(pollables)
        .filter(|(_, pollable)| pollable.is_ready(clock))
        .map(|(index, _)| index)
        .collect()
}

impl Host for WasiContext {
    fn poll(&mut self, handles: Vec<Resource<Pollable>>) -> wasmtime::Result<Vec<u32>> {
        if handles.is_empty() {
            return Err(wasmtime::format_err!(
                "the program called wasi:io/poll with an empty list, which would wait for ever"
            ));
        }
        let cost = POLLED_BYTES * handles.len() as u64;
        let _held = self.budget.reserve(cost).map_err(LimitReached::from)?;
        let pollables = handles
            .iter()
            .map(|handle| self.get(handle))
            .collect::<Result<Vec<_>, _>>()?;
        self.poll_any(&pollables)
    }
}

impl HostPollable for WasiContext {
    fn ready(&mut self, pollable: Resource<Pollable>) -> wasmtime::Result<bool> {
        Ok(self.get(&pollable)?.is_ready(self.clock.as_ref()))
    }

    fn block(&mut self, pollable: Resource<Pollable>) -> wasmtime::Result<()> {
        self.poll_any(&[self.get(&pollable)?])?;
        Ok(())
    }

    fn drop(&mut self, pollable: Resource<Pollable>) -> wasmtime::Result<()> {
        self.delete(pollable)?;
        Ok(())
    }
}
