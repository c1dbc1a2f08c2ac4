//! What the host keeps for a process and can change hands: streams of WASI, and loans of buffers.
//!
//! Law: what is given away leaves its process's table of handles at once and is what it was in the other's: a place in a
//! file, an end of a pipe, the bytes that somebody has lent. It hangs on the grant over which it goes, and is cut off from whoever got
//! it when that is taken back.

use runtime_host::channel::Passed;
use runtime_host::{Budget, HeldLoan, Tie, TieError};
use runtime_wasi::io::{InputStream, OutputStream};
use wasmtime::StoreContextMut;
use wasmtime::component::{Resource, ResourceAny};

use crate::context::LinkView;
use crate::shape::ResourceName;

const INTERFACE: &str = "wasi:io/streams";
const INPUT: &str = "input-stream";
const OUTPUT: &str = "output-stream";
const BUFFERS: &str = "kpio:bulk/buffers";
const LOAN: &str = "loan";

/// Whether the resource is one of them.
pub(crate) fn changes_hands(name: &ResourceName) -> bool {
    is_loan(name) || name.interface == INTERFACE && (name.name == INPUT || name.name == OUTPUT)
}

fn is_loan(name: &ResourceName) -> bool {
    name.interface == BUFFERS && name.name == LOAN
}

/// Takes it out of a process's table.
pub(crate) fn take<T: LinkView + 'static>(
    store: &mut StoreContextMut<'_, T>,
    name: &ResourceName,
    resource: ResourceAny,
) -> wasmtime::Result<Passed> {
    if is_loan(name) {
        let handle = resource.try_into_resource::<HeldLoan>(&mut *store)?;
        return Ok(Passed::Buffer(store.data_mut().wasi().delete(handle)?));
    }
    if name.name == INPUT {
        let handle = resource.try_into_resource::<InputStream>(&mut *store)?;
        let mut stream = store.data_mut().wasi().delete(handle)?;
        return Ok(Passed::Source(stream.share()?));
    }
    let handle = resource.try_into_resource::<OutputStream>(&mut *store)?;
    let mut stream = store.data_mut().wasi().delete(handle)?;
    Ok(Passed::Sink(stream.share()?))
}

/// Puts it into a process's table, if it is what this resource wants: who sent it may be wrong.
pub(crate) fn give<T: LinkView + 'static>(
    store: &mut StoreContextMut<'_, T>,
    name: &ResourceName,
    passed: Passed,
) -> wasmtime::Result<ResourceAny> {
    let is_stream = |direction: &str| name.interface == INTERFACE && name.name == direction;
    match passed {
        Passed::Source(source) if is_stream(INPUT) => {
            let handle: Resource<InputStream> = store
                .data_mut()
                .wasi()
                .push(InputStream::from_source(source))?;
            handle.try_into_resource_any(store)
        }
        Passed::Sink(sink) if is_stream(OUTPUT) => {
            let handle: Resource<OutputStream> =
                store.data_mut().wasi().push(OutputStream::to_sink(sink))?;
            handle.try_into_resource_any(store)
        }
        Passed::Buffer(loan) if is_loan(name) => {
            let handle = store.data_mut().wasi().push(loan)?;
            handle.try_into_resource_any(store)
        }
        _ => wasmtime::bail!("what was passed is no '{}'", name.name),
    }
}

/// What was passed, as those have it who lose it when `tie` is cut.
pub(crate) fn hang(passed: Passed, tie: &Tie, payer: &Budget) -> Result<Passed, TieError> {
    match passed {
        Passed::Source(source) => Ok(Passed::Source(tie.source(source, payer)?)),
        Passed::Sink(sink) => Ok(Passed::Sink(tie.sink(sink, payer)?)),
        Passed::Buffer(loan) => {
            loan.hang_on(tie);
            Ok(Passed::Buffer(loan))
        }
        other => Ok(other),
    }
}

/// Drops it out of a process's table, if it is one of them; the answer says whether.
pub(crate) fn release<T: LinkView + 'static>(
    store: &mut StoreContextMut<'_, T>,
    resource: ResourceAny,
) -> bool {
    if let Ok(handle) = resource.try_into_resource::<InputStream>(&mut *store) {
        let _stream = store.data_mut().wasi().delete(handle);
    } else if let Ok(handle) = resource.try_into_resource::<OutputStream>(&mut *store) {
        let _stream = store.data_mut().wasi().delete(handle);
    } else if let Ok(handle) = resource.try_into_resource::<HeldLoan>(&mut *store) {
        let _loan = store.data_mut().wasi().delete(handle);
    } else {
        return false;
    }
    true
}
