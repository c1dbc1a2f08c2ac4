//! The types that Wasmtime's typed functions are given instead of types of Rust for each type of a component.
//!
//! Wasmtime trusts of each: `Lower` is as many [`ValRaw`] as the function's parameters, or its result, are core values; a lowering
//! initialises all of them; `SIZE32` and `ALIGN32` are the extent in memory; and types that do not fit are told by `typecheck`,
//! which is called before anything else. The extent is zero here, and is not relied on: who reads or writes memory takes the extent of the
//! component's types and checks it. They are lists of all of a function's values and nothing else, private to this folder, so that
//! nobody makes a list or a record of them, whose layout would follow from the extent.

use std::mem::MaybeUninit;

use wasmtime::component::__internal::wasmtime_environ::component::{
    MAX_FLAT_PARAMS, MAX_FLAT_RESULTS,
};
use wasmtime::component::__internal::{
    CanonicalAbiInfo, InstanceType, InterfaceType, LiftContext, LowerContext,
};
use wasmtime::component::{ComponentNamedList, ComponentType, Lift, Lower};
use wasmtime::{Result, ValRaw};

use super::supported::{check, tuple};
use super::{Lifted, Values, lift, lower};

/// What a function of the host is given: in `N` core values, or in memory.
pub(super) struct HostParameters<const N: usize>(pub Lifted);

/// What a function of the host answers: in `N` core values, or in memory.
pub(super) struct HostResults<const N: usize>(pub Values);

/// What a function of a component is given.
pub(super) struct CallParameters(pub Values);

/// What a function of a component answers.
pub(super) struct CallResults(pub Lifted);

// SAFETY: it has as many core values as the parameters, or they are passed in memory and `Lower` is not used: `typecheck` refuses all else.
unsafe impl<const N: usize> ComponentType for HostParameters<N> {
    type Lower = [ValRaw; N];

    const ABI: CanonicalAbiInfo = CanonicalAbiInfo::ZERO;

    fn typecheck(ty: &InterfaceType, types: &InstanceType<'_>) -> Result<()> {
        check(ty, types, |count| {
            count.is_none_or(|count| count == N || count > MAX_FLAT_PARAMS)
        })
    }
}

// SAFETY: it is the tuple of all parameters, and is checked against that.
unsafe impl<const N: usize> ComponentNamedList for HostParameters<N> {}

// SAFETY: `linear_lift_from_flat` reads the core values that it is given, as many as `typecheck` has found. From memory, nothing is read but
// through `LiftContext::memory`, within its bounds.
unsafe impl<const N: usize> Lift for HostParameters<N> {
    fn linear_lift_from_flat(
        cx: &mut LiftContext<'_>,
        ty: InterfaceType,
        src: &[ValRaw; N],
    ) -> Result<Self> {
        lift::from_flat(cx, ty, src).map(Self)
    }

    /// The bytes are none, by `SIZE32`, but they begin where the parameters do.
    fn linear_lift_from_memory(
        cx: &mut LiftContext<'_>,
        ty: InterfaceType,
        bytes: &[u8],
    ) -> Result<Self> {
        lift::from_start(cx, ty, bytes).map(Self)
    }
}

// SAFETY: it has as many core values as the result, or that goes to memory and `Lower` is not used: `typecheck` refuses all else.
unsafe impl<const N: usize> ComponentType for HostResults<N> {
    type Lower = [ValRaw; N];

    const ABI: CanonicalAbiInfo = CanonicalAbiInfo::ZERO;

    fn typecheck(ty: &InterfaceType, types: &InstanceType<'_>) -> Result<()> {
        check(ty, types, |count| {
            count.is_none_or(|count| count == N || count > MAX_FLAT_RESULTS)
        })
    }
}

// SAFETY: it is the tuple of all results, and is checked against that.
unsafe impl<const N: usize> ComponentNamedList for HostResults<N> {}

// SAFETY: all of `dst` is written where this succeeds. To memory, nothing is written but through `LowerContext`, within its bounds.
unsafe impl<const N: usize> Lower for HostResults<N> {
    fn linear_lower_to_flat<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        ty: InterfaceType,
        dst: &mut MaybeUninit<[ValRaw; N]>,
    ) -> Result<()> {
        lower::to_flat(&self.0, cx, ty, dst)
    }

    fn linear_lower_to_memory<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        ty: InterfaceType,
        offset: usize,
    ) -> Result<()> {
        lower::to_memory(&self.0, cx, ty, offset)
    }
}

// SAFETY: it has as many core values as parameters can have, and Wasmtime hands them all to the function, which takes as many as it has: so
// Wasmtime's own calls with values of the host do. Parameters that are more are one core value, the address of theirs.
unsafe impl ComponentType for CallParameters {
    type Lower = [ValRaw; MAX_FLAT_PARAMS];

    const ABI: CanonicalAbiInfo = CanonicalAbiInfo::ZERO;

    fn typecheck(ty: &InterfaceType, types: &InstanceType<'_>) -> Result<()> {
        check(ty, types, |_| true)
    }
}

// SAFETY: it is the tuple of all parameters, and is checked against that.
unsafe impl ComponentNamedList for CallParameters {}

// SAFETY: as for `HostResults`.
unsafe impl Lower for CallParameters {
    fn linear_lower_to_flat<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        ty: InterfaceType,
        dst: &mut MaybeUninit<Self::Lower>,
    ) -> Result<()> {
        lower::to_flat(&self.0, cx, ty, dst)
    }

    fn linear_lower_to_memory<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        ty: InterfaceType,
        offset: usize,
    ) -> Result<()> {
        lower::to_memory(&self.0, cx, ty, offset)
    }
}

// SAFETY: a result has one core value, or none, and then that is not read: so Wasmtime's own calls with values of the host do. It is
// initialised, since it lies where the parameters did. A result that is more is the address of it.
unsafe impl ComponentType for CallResults {
    type Lower = [ValRaw; 1];

    const ABI: CanonicalAbiInfo = CanonicalAbiInfo::ZERO;

    fn typecheck(ty: &InterfaceType, types: &InstanceType<'_>) -> Result<()> {
        check(ty, types, |_| true)
    }
}

// SAFETY: it is the tuple of all results, and is checked against that.
unsafe impl ComponentNamedList for CallResults {}

// SAFETY: the core value is read as what the component's types say it is. From memory, nothing is read but through `LiftContext::memory`, within
// its bounds.
unsafe impl Lift for CallResults {
    fn linear_lift_from_flat(
        cx: &mut LiftContext<'_>,
        ty: InterfaceType,
        src: &[ValRaw; 1],
    ) -> Result<Self> {
        let count = tuple(ty, cx.types)?.abi.flat_count(src.len());
        let lifted = match count {
            Some(count) => lift::from_flat(cx, ty, &src[..count]),
            None => lift::from_memory(cx, ty, src[0].get_u32() as usize),
        };
        lifted.map(Self)
    }

    /// As `HostParameters` does.
    fn linear_lift_from_memory(
        cx: &mut LiftContext<'_>,
        ty: InterfaceType,
        bytes: &[u8],
    ) -> Result<Self> {
        lift::from_start(cx, ty, bytes).map(Self)
    }
}
