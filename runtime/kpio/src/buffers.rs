//! `kpio:bulk/buffers`: memory that changes hands whole.
//!
//! Law: what a program writes or reads is copied once, between its memory and the buffer; only a part of a buffer that is
//! read is copied twice. For that the functions are not made by `bindgen!`, which has every list copied.
//!
//! Lock order: a loan's, then the buffer's that something is moved to.

use std::sync::Arc;

use runtime_host::{
    Access, Awaited, Buffer, BufferError, Extent, HeldLoan, Part, Rectangle, check_free_memory,
};
use runtime_wasi::io::Pollable;
use wasmtime::StoreContextMut;
use wasmtime::component::{
    ComponentType, Lift, Linker, LinkerInstance, Lower, Resource, ResourceType, WasmList,
};

use crate::context::KpioView;

const INTERFACE: &str = "kpio:bulk/buffers@0.1.0";

/// A buffer in its owner's table of handles.
pub struct OwnedBuffer(Arc<Buffer>);

#[derive(Clone, Copy, ComponentType, Lower)]
#[component(enum)]
#[repr(u8)]
enum BulkError {
    #[component(name = "quota")]
    Quota,
    #[component(name = "handed-over")]
    HandedOver,
    #[component(name = "out-of-bounds")]
    OutOfBounds,
    #[component(name = "read-only")]
    ReadOnly,
    #[component(name = "revoked")]
    Revoked,
}

impl From<BufferError> for BulkError {
    fn from(error: BufferError) -> Self {
        match error {
            BufferError::OverBudget(_) | BufferError::OutOfMemory { .. } => Self::Quota,
            BufferError::HandedOver => Self::HandedOver,
            BufferError::OutOfBounds { .. } => Self::OutOfBounds,
            BufferError::ReadOnly => Self::ReadOnly,
            BufferError::Revoked => Self::Revoked,
        }
    }
}

#[derive(Clone, Copy, ComponentType, Lift)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "programs make its values")]
enum WitAccess {
    #[component(name = "read")]
    Read,
    #[component(name = "write")]
    Write,
}

#[derive(Clone, Copy, ComponentType, Lift)]
#[component(record)]
struct WitExtent {
    offset: u64,
    len: u32,
}

#[derive(Clone, Copy, ComponentType, Lift)]
#[component(record)]
struct WitRectangle {
    x: u32,
    y: u32,
    width: u32,
    height: u32,
}

/// What a function answers: one value, which may be an error.
type Answer<R> = wasmtime::Result<(Result<R, BulkError>,)>;
type Store<'a, T> = StoreContextMut<'a, T>;

/// Adds the interface to a linker.
pub(crate) fn add_to_linker<T: KpioView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let mut interface = linker.instance(INTERFACE)?;
    add_resources(&mut interface)?;
    interface.func_wrap("[static]buffer.make", make::<T>)?;
    interface.func_wrap("[method]buffer.len", buffer_len::<T>)?;
    interface.func_wrap("[method]buffer.write", buffer_write::<T>)?;
    interface.func_wrap("[method]buffer.read", buffer_read::<T>)?;
    interface.func_wrap("[method]buffer.hand-over", hand_over::<T>)?;
    interface.func_wrap("[method]buffer.subscribe", subscribe::<T>)?;
    interface.func_wrap("[method]loan.len", loan_len::<T>)?;
    interface.func_wrap("[method]loan.write", loan_write::<T>)?;
    interface.func_wrap("[method]loan.read", loan_read::<T>)?;
    interface.func_wrap("gather", gather::<T>)?;
    interface.func_wrap("blit", blit::<T>)
}

fn add_resources<T: KpioView + 'static>(
    interface: &mut LinkerInstance<'_, T>,
) -> wasmtime::Result<()> {
    let buffer = ResourceType::host::<OwnedBuffer>();
    interface.resource("buffer", buffer, |mut store, rep| {
        let wasi = store.data_mut().wasi();
        wasi.delete(Resource::<OwnedBuffer>::new_own(rep))?;
        Ok(())
    })?;
    let loan = ResourceType::host::<HeldLoan>();
    interface.resource("loan", loan, |mut store, rep| {
        let wasi = store.data_mut().wasi();
        wasi.delete(Resource::<HeldLoan>::new_own(rep))?;
        Ok(())
    })
}

fn buffer<T: KpioView>(
    store: &mut Store<'_, T>,
    handle: &Resource<OwnedBuffer>,
) -> wasmtime::Result<Arc<Buffer>> {
    Ok(Arc::clone(&store.data_mut().wasi().get(handle)?.0))
}

fn loan<T: KpioView>(
    store: &mut Store<'_, T>,
    handle: &Resource<HeldLoan>,
) -> wasmtime::Result<HeldLoan> {
    Ok(store.data_mut().wasi().get(handle)?.clone())
}

/// Lengths fit: no buffer is longer than its maker could say.
fn wit_len(len_bytes: usize) -> u32 {
    u32::try_from(len_bytes).unwrap_or(u32::MAX)
}

fn make<T: KpioView>(mut store: Store<'_, T>, (len,): (u32,)) -> Answer<Resource<OwnedBuffer>> {
    let wasi = store.data_mut().wasi();
    let made = Buffer::new(len as usize, wasi.budget());
    let pushed = made.map_err(BulkError::from).and_then(|buffer| {
        let pushed = wasi.push(OwnedBuffer(Arc::new(buffer)));
        pushed.map_err(|_no_handles| BulkError::Quota)
    });
    Ok((pushed,))
}

fn buffer_len<T: KpioView>(
    mut store: Store<'_, T>,
    (handle,): (Resource<OwnedBuffer>,),
) -> wasmtime::Result<(u32,)> {
    Ok((wit_len(buffer(&mut store, &handle)?.len_bytes()),))
}

fn buffer_write<T: KpioView + 'static>(
    mut store: Store<'_, T>,
    (handle, offset, bytes): (Resource<OwnedBuffer>, u32, WasmList<u8>),
) -> Answer<()> {
    let buffer = buffer(&mut store, &handle)?;
    let written = buffer.write(offset as usize, bytes.as_le_slice(&store));
    Ok((written.map_err(BulkError::from),))
}

fn buffer_read<T: KpioView>(
    mut store: Store<'_, T>,
    (handle, offset, len): (Resource<OwnedBuffer>, u32, u32),
) -> Answer<Arc<Vec<u8>>> {
    let buffer = buffer(&mut store, &handle)?;
    let (offset, len) = (offset as usize, len as usize);
    Ok((read(&mut store, len, || buffer.read_part(offset, len)),))
}

fn hand_over<T: KpioView>(
    mut store: Store<'_, T>,
    (handle, access): (Resource<OwnedBuffer>, WitAccess),
) -> Answer<Resource<HeldLoan>> {
    let access = match access {
        WitAccess::Read => Access::Read,
        WitAccess::Write => Access::Write,
    };
    let lent = buffer(&mut store, &handle)?.hand_over(access);
    let pushed = lent.map_err(BulkError::from).and_then(|loan| {
        let pushed = store.data_mut().wasi().push(HeldLoan::new(loan));
        pushed.map_err(|_no_handles| BulkError::Quota)
    });
    Ok((pushed,))
}

fn subscribe<T: KpioView>(
    mut store: Store<'_, T>,
    (handle,): (Resource<OwnedBuffer>,),
) -> wasmtime::Result<(Resource<Pollable>,)> {
    let buffer: Arc<dyn Awaited> = buffer(&mut store, &handle)?;
    Ok((store.data_mut().wasi().push(Pollable::Event(buffer))?,))
}

fn loan_len<T: KpioView>(
    mut store: Store<'_, T>,
    (handle,): (Resource<HeldLoan>,),
) -> wasmtime::Result<(u32,)> {
    let loan = loan(&mut store, &handle)?;
    Ok((wit_len(loan.len_bytes()),))
}

fn loan_write<T: KpioView + 'static>(
    mut store: Store<'_, T>,
    (handle, offset, bytes): (Resource<HeldLoan>, u32, WasmList<u8>),
) -> Answer<()> {
    let loan = loan(&mut store, &handle)?;
    let bytes = bytes.as_le_slice(&store);
    let written = loan.with(|loan| loan.write(offset as usize, bytes));
    Ok((written.map_err(BulkError::from),))
}

fn loan_read<T: KpioView>(
    mut store: Store<'_, T>,
    (handle, offset, len): (Resource<HeldLoan>, u32, u32),
) -> Answer<Arc<Vec<u8>>> {
    let loan = loan(&mut store, &handle)?;
    let (offset, len) = (offset as usize, len as usize);
    let part = || loan.with(|loan| loan.read_part(offset, len));
    Ok((read(&mut store, len, part),))
}

/// What was read, as it goes to the program. The copy of a part is the process's as long as it is made.
fn read<T: KpioView>(
    store: &mut Store<'_, T>,
    len_bytes: usize,
    part: impl FnOnce() -> Result<Part, BufferError>,
) -> Result<Arc<Vec<u8>>, BulkError> {
    let budget = store.data_mut().wasi().budget();
    let paid = budget.reserve(len_bytes as u64);
    let _paid = paid.map_err(|_over| BulkError::Quota)?;
    // The copy, and the program's memory into which it is copied.
    let touched = (len_bytes as u64).saturating_mul(2);
    check_free_memory(touched).map_err(|_over| BulkError::Quota)?;
    match part()? {
        Part::All(bytes) => Ok(bytes),
        Part::Some(bytes) => Ok(Arc::new(bytes)),
    }
}

fn gather<T: KpioView>(
    mut store: Store<'_, T>,
    (source, extents, target): (Resource<HeldLoan>, Vec<WitExtent>, Resource<OwnedBuffer>),
) -> Answer<u32> {
    let (source, target) = (loan(&mut store, &source)?, buffer(&mut store, &target)?);
    let extents: Vec<Extent> = extents
        .iter()
        .map(|extent| Extent {
            offset: extent.offset,
            len_bytes: extent.len,
        })
        .collect();
    let moved = source.with(|source| {
        target.change(|target| runtime_host::gather(source.bytes(), &extents, target))?
    });
    Ok((moved.map(wit_len).map_err(BulkError::from),))
}

fn blit<T: KpioView>(
    mut store: Store<'_, T>,
    (source, source_width, damage, target, target_width): (
        Resource<HeldLoan>,
        u32,
        WitRectangle,
        Resource<OwnedBuffer>,
        u32,
    ),
) -> Answer<()> {
    let (source, target) = (loan(&mut store, &source)?, buffer(&mut store, &target)?);
    let damage = Rectangle {
        x: damage.x,
        y: damage.y,
        width: damage.width,
        height: damage.height,
    };
    let moved = source.with(|source| {
        target.change(|target| {
            runtime_host::blit(source.bytes(), source_width, &damage, target, target_width)
        })?
    });
    Ok((moved.map_err(BulkError::from),))
}
