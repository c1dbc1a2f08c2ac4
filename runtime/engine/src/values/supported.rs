//! Which types are encoded, and how they are laid out.
//!
//! Types are shared where they are used twice, so one that is small as it is written may be huge as it is walked: the walk is bounded.

use wasmtime::component::__internal::wasmtime_environ::component::TypeTuple;
use wasmtime::component::__internal::{ComponentTypes, InstanceType, InterfaceType};
use wasmtime::{Result, bail, format_err};

/// Types and parts of types in the parameters, or in the result, of one function.
const PARTS_MAX: usize = 1 << 16;

/// Checks that values of a function's parameters or result can be encoded, and that they are as many core values as `fits` wants; it is
/// asked with `None` where they are more than 16.
pub(super) fn check(
    ty: &InterfaceType,
    instance: &InstanceType<'_>,
    fits: impl FnOnce(Option<usize>) -> bool,
) -> Result<()> {
    let tuple = tuple(*ty, instance.types)?;
    let mut parts_left = PARTS_MAX;
    for ty in &tuple.types {
        check_type(ty, instance.types, &mut parts_left)?;
    }
    if !fits(tuple.abi.flat_count(usize::MAX)) {
        bail!("the function is offered for other types");
    }
    Ok(())
}

/// All parameters, or the result, of a function.
pub(super) fn tuple(ty: InterfaceType, types: &ComponentTypes) -> Result<&TypeTuple> {
    match ty {
        InterfaceType::Tuple(tuple) => Ok(&types[tuple]),
        _ => bail!("a function's parameters are no tuple"),
    }
}

fn check_type(ty: &InterfaceType, types: &ComponentTypes, parts_left: &mut usize) -> Result<()> {
    *parts_left = parts_left
        .checked_sub(1)
        .ok_or_else(|| format_err!("a type has more than {PARTS_MAX} parts"))?;
    if types.canonical_abi(ty).size32 == 0 {
        bail!("a type has no size");
    }
    match ty {
        InterfaceType::Map(_)
        | InterfaceType::FixedLengthList(_)
        | InterfaceType::Future(_)
        | InterfaceType::Stream(_)
        | InterfaceType::ErrorContext(_) => bail!("a type cannot be encoded"),
        InterfaceType::Flags(flags) if types[*flags].names.len() > 32 => {
            bail!("flags are more than 32")
        }
        _ => parts(*ty, types).try_for_each(|part| check_type(&part, types, parts_left)),
    }
}

/// The types that a type is made of.
pub(super) fn parts(
    ty: InterfaceType,
    types: &ComponentTypes,
) -> Box<dyn Iterator<Item = InterfaceType> + '_> {
    match ty {
        InterfaceType::List(list) => Box::new([types[list].element].into_iter()),
        InterfaceType::Record(record) => {
            Box::new(types[record].fields.iter().map(|field| field.ty))
        }
        InterfaceType::Tuple(tuple) => Box::new(types[tuple].types.iter().copied()),
        InterfaceType::Variant(variant) => {
            Box::new(types[variant].cases.values().copied().flatten())
        }
        InterfaceType::Option(option) => Box::new([types[option].ty].into_iter()),
        InterfaceType::Result(result) => {
            let result = &types[result];
            Box::new([result.ok, result.err].into_iter().flatten())
        }
        _ => Box::new(std::iter::empty()),
    }
}

/// Whether a value of this type is encoded as it lies in memory, whatever its bits are.
pub(super) fn is_plain(ty: InterfaceType) -> bool {
    matches!(
        ty,
        InterfaceType::S8
            | InterfaceType::U8
            | InterfaceType::S16
            | InterfaceType::U16
            | InterfaceType::S32
            | InterfaceType::U32
            | InterfaceType::S64
            | InterfaceType::U64
            | InterfaceType::Float32
            | InterfaceType::Float64
    )
}
