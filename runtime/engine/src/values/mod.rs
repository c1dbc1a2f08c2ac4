//! Values that go in and out of components as bytes, without a value of the host for each of theirs.
//!
//! Law: what a component gives is read where it lies, in its memory or its registers, and written as bytes; what it is given is written
//! from bytes to where it wants it. Both follow the component's own types ([`InterfaceType`]), at run time, so one function of the
//! host serves every type there is, but streams, futures and what else is asynchronous, maps, and lists of a fixed length:
//! those are refused when a function is linked.
//!
//! The bytes say no types. Numbers are little-endian; a bool is 0 or 1, a char its number as u32; a list and a string begin with
//! their length as u32, in items and in bytes of UTF-8; the fields of a record and a tuple follow one another without gaps; a
//! variant, an enum and an option begin with the case as u32, a result with 0 for its value and 1 for its error, flags are one bit
//! each, lowest first, in as few bytes as hold them. A resource is a handle of the host beside the bytes, in their order, and four
//! bytes of zero among them, which belong to whoever sends it on. So no value is shorter than a byte, and there is one encoding of each.
//! A list of numbers is one check and one copy.
//!
//! Hostile components: a pointer, a length, a discriminant, text or a number of a char that lies is an error of the call, which
//! ends the component. The bytes of one call are [`ENCODED_BYTES_MAX`] at most and are counted before they are written; what is
//! longer is no error but [`Lifted::TooLong`], for which nothing but handles is looked at any more, and that costs fuel
//! ([`wasmtime::Store::set_hostcall_fuel`]), as each handle does, of which the host holds much more than four bytes. Text that is
//! not UTF-8 becomes it character by character, so there is never more of it than fits.
//!
//! Unsafe code: Wasmtime has its typed functions trust the types that implement its traits (`abi`). The four types here are said to
//! have a certain number of flat values, or none, which is compared with the component's types when a function is linked; what lies
//! in memory is located and checked here, by the component's types, because Wasmtime takes its extent for a constant of the type.
//! Everything behind that is safe code. Those traits are not stable: Wasmtime's version is pinned, and a change there is an error
//! of the compiler or of `tests/values.rs`.

mod abi;
mod lift;
mod lower;
mod place;
mod supported;

use std::fmt;
use std::sync::Arc;

pub use wasmtime::component::__internal::CanonicalAbiInfo;
use wasmtime::component::__internal::wasmtime_environ::component::{
    MAX_FLAT_PARAMS, MAX_FLAT_RESULTS,
};
use wasmtime::component::{Func, LinkerInstance, ResourceAny, TypedFunc};
use wasmtime::{AsContextMut, StoreContextMut};

use abi::{CallParameters, CallResults, HostParameters, HostResults};

/// How many bytes the values of one call's parameters, or of its result, may be.
pub const ENCODED_BYTES_MAX: usize = 1 << 20;

/// Encoded values, and the handles that are among them, in order.
#[derive(Debug, Default)]
pub struct Values {
    /// The encoding.
    pub bytes: Vec<u8>,
    /// Who drops this without using them leaks them into the store.
    pub resources: Vec<ResourceAny>,
}

/// What a component gave.
#[derive(Debug)]
pub enum Lifted {
    /// All of it.
    Whole(Values),
    /// More than [`ENCODED_BYTES_MAX`]; these are the handles that were given away or lent in it.
    TooLong(Vec<ResourceAny>),
}

/// Bytes that are to go into a component do not encode values of its types. Whoever encoded them is wrong.
#[derive(Debug)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what is given to a function does not encode values of its types")
    }
}

impl std::error::Error for Malformed {}

/// How many core values a function's parameters and its result are, as the canonical ABI flattens them; `None` where they are more than
/// 16, or 1, and so lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlatCounts {
    /// Those of all parameters.
    pub parameters: Option<usize>,
    /// Those of the result.
    pub result: Option<usize>,
}

impl FlatCounts {
    /// Those of a function with these parameters, and this result, taken together.
    pub fn new(parameters: &CanonicalAbiInfo, result: &CanonicalAbiInfo) -> FlatCounts {
        FlatCounts {
            parameters: parameters.flat_count(MAX_FLAT_PARAMS),
            result: result.flat_count(MAX_FLAT_RESULTS),
        }
    }
}

/// What serves a function of the host.
type Serve<T> =
    dyn Fn(StoreContextMut<'_, T>, Lifted) -> wasmtime::Result<Values> + Send + Sync + 'static;

/// Defines a function of the host, whatever its types are. A component that imports it with types of other counts is not linked.
pub fn define<T: 'static>(
    instance: &mut LinkerInstance<'_, T>,
    name: &str,
    counts: FlatCounts,
    serve: impl Fn(StoreContextMut<'_, T>, Lifted) -> wasmtime::Result<Values> + Send + Sync + 'static,
) -> wasmtime::Result<()> {
    let serve: Arc<Serve<T>> = Arc::new(serve);
    match counts.result {
        Some(1) => define_with_result::<T, 1>(instance, name, counts.parameters, serve),
        _ => define_with_result::<T, 0>(instance, name, counts.parameters, serve),
    }
}

/// Has the number of parameters be a constant, as Wasmtime needs it. Where they lie in memory, it means nothing.
macro_rules! with_count {
    ($count:expr, $arguments:tt, $result:ident: $($number:literal)*) => {
        match $count {
            $(Some($number) => define_with_counts::<T, $number, $result> $arguments,)*
            _ => define_with_counts::<T, 0, $result> $arguments,
        }
    };
}

fn define_with_result<T: 'static, const RESULT: usize>(
    instance: &mut LinkerInstance<'_, T>,
    name: &str,
    parameters: Option<usize>,
    serve: Arc<Serve<T>>,
) -> wasmtime::Result<()> {
    with_count!(parameters, (instance, name, serve), RESULT: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16)
}

fn define_with_counts<T: 'static, const PARAMETERS: usize, const RESULT: usize>(
    instance: &mut LinkerInstance<'_, T>,
    name: &str,
    serve: Arc<Serve<T>>,
) -> wasmtime::Result<()> {
    instance.func_wrap(
        name,
        move |store: StoreContextMut<'_, T>, parameters: HostParameters<PARAMETERS>| {
            serve(store, parameters.0).map(HostResults::<RESULT>)
        },
    )
}

/// A function of a component, which is called with bytes and answers bytes.
#[derive(Clone, Copy)]
pub struct Function(TypedFunc<CallParameters, CallResults>);

impl Function {
    /// That function. Fails where its types cannot be encoded.
    pub fn new(mut store: impl AsContextMut, function: Func) -> wasmtime::Result<Function> {
        function.typed(store.as_context_mut()).map(Function)
    }

    /// Calls it. An error ends the component, as a trap does: also where the parameters are [`Malformed`], which is to be known before.
    pub fn call(
        &self,
        mut store: impl AsContextMut,
        parameters: Values,
    ) -> wasmtime::Result<Lifted> {
        let results = self
            .0
            .call(store.as_context_mut(), CallParameters(parameters));
        results.map(|results| results.0)
    }
}
