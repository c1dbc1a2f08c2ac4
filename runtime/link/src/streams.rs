//! Streams of WASI that change hands.
//!
//! Law: a stream that is given away leaves its process's table of handles at once and is what it was in the other's: a
//! place in a file, an end of a pipe.

use runtime_host::channel::Passed;
use runtime_wasi::io::{InputStream, OutputStream};
use wasmtime::StoreContextMut;
use wasmtime::component::{Resource, ResourceAny};

use crate::context::LinkView;
use crate::shape::ResourceName;

const INTERFACE: &str = "wasi:io/streams";
const INPUT: &str = "input-stream";
const OUTPUT: &str = "output-stream";

/// Whether the resource is a stream.
pub(crate) fn is_stream(name: &ResourceName) -> bool {
    name.interface == INTERFACE && (name.name == INPUT || name.name == OUTPUT)
}

/// Takes a stream out of a process's table.
pub(crate) fn take<T: LinkView + 'static>(
    store: &mut StoreContextMut<'_, T>,
    name: &ResourceName,
    resource: ResourceAny,
) -> wasmtime::Result<Passed> {
    if name.name == INPUT {
        let handle = resource.try_into_resource::<InputStream>(&mut *store)?;
        let mut stream = store.data_mut().wasi().delete(handle)?;
        return Ok(Passed::Source(stream.share()?));
    }
    let handle = resource.try_into_resource::<OutputStream>(&mut *store)?;
    let mut stream = store.data_mut().wasi().delete(handle)?;
    Ok(Passed::Sink(stream.share()?))
}

/// Puts a stream into a process's table.
pub(crate) fn give<T: LinkView + 'static>(
    store: &mut StoreContextMut<'_, T>,
    passed: Passed,
) -> wasmtime::Result<ResourceAny> {
    match passed {
        Passed::Source(source) => {
            let handle: Resource<InputStream> = store
                .data_mut()
                .wasi()
                .push(InputStream::from_source(source))?;
            handle.try_into_resource_any(store)
        }
        Passed::Sink(sink) => {
            let handle: Resource<OutputStream> =
                store.data_mut().wasi().push(OutputStream::to_sink(sink))?;
            handle.try_into_resource_any(store)
        }
        _ => wasmtime::bail!("what was passed is no stream"),
    }
}

/// Drops a stream out of a process's table, if it is one; the answer says whether.
pub(crate) fn release<T: LinkView + 'static>(
    store: &mut StoreContextMut<'_, T>,
    resource: ResourceAny,
) -> bool {
    if let Ok(handle) = resource.try_into_resource::<InputStream>(&mut *store) {
        let _stream = store.data_mut().wasi().delete(handle);
    } else if let Ok(handle) = resource.try_into_resource::<OutputStream>(&mut *store) {
        let _stream = store.data_mut().wasi().delete(handle);
    } else {
        return false;
    }
    true
}
