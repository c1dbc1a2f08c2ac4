//! Values of a file, and values of Wasmtime's.

use wasmtime::component::Val;
use wast::component::WastVal;
use wast::core::{NanPattern, WastArgCore, WastRetCore};
use wast::token::{F32, F64};
use wast::{WastArg, WastRet};

/// The arguments of a call.
///
/// # Errors
/// A sentence about one that no component takes.
pub fn arguments(written: &[WastArg<'_>]) -> Result<Vec<Val>, String> {
    let values = written.iter().map(|argument| match argument {
        WastArg::Component(written) => Ok(value(written)),
        // The parser takes them for the core's, which are written alike.
        WastArg::Core(WastArgCore::F32(written)) => Ok(float32(*written)),
        WastArg::Core(WastArgCore::F64(written)) => Ok(float64(*written)),
        other => Err(format!("no component takes {other:?}")),
    });
    values.collect()
}

/// The results that are expected of a call.
///
/// # Errors
/// A sentence about one that no component gives.
pub fn results(written: &[WastRet<'_>]) -> Result<Vec<Val>, String> {
    let values = written.iter().map(|result| match result {
        WastRet::Component(written) => Ok(value(written)),
        WastRet::Core(WastRetCore::F32(NanPattern::Value(written))) => Ok(float32(*written)),
        WastRet::Core(WastRetCore::F64(NanPattern::Value(written))) => Ok(float64(*written)),
        other => Err(format!("no component gives {other:?}")),
    });
    values.collect()
}

/// Says how they differ. Their printed forms are compared: so zeroes differ by their sign, and whatever is no number is
/// alike, as the standard has it.
///
/// # Errors
/// Both, printed.
pub fn compare(returned: &[Val], expected: &[Val]) -> Result<(), String> {
    let [returned, expected] = [returned, expected].map(|values| format!("{values:?}"));
    if returned == expected {
        Ok(())
    } else {
        Err(format!("expected {expected}, but it returned {returned}"))
    }
}

fn value(written: &WastVal<'_>) -> Val {
    match written {
        WastVal::Bool(value) => Val::Bool(*value),
        WastVal::U8(value) => Val::U8(*value),
        WastVal::S8(value) => Val::S8(*value),
        WastVal::U16(value) => Val::U16(*value),
        WastVal::S16(value) => Val::S16(*value),
        WastVal::U32(value) => Val::U32(*value),
        WastVal::S32(value) => Val::S32(*value),
        WastVal::U64(value) => Val::U64(*value),
        WastVal::S64(value) => Val::S64(*value),
        WastVal::F32(value) => float32(*value),
        WastVal::F64(value) => float64(*value),
        WastVal::Char(value) => Val::Char(*value),
        WastVal::String(value) => Val::String((*value).to_owned()),
        compound => compound_value(compound),
    }
}

fn float32(written: F32) -> Val {
    Val::Float32(f32::from_bits(written.bits))
}

fn float64(written: F64) -> Val {
    Val::Float64(f64::from_bits(written.bits))
}

fn compound_value(written: &WastVal<'_>) -> Val {
    match written {
        WastVal::List(items) => Val::List(items.iter().map(value).collect()),
        WastVal::Tuple(items) => Val::Tuple(items.iter().map(value).collect()),
        WastVal::Record(fields) => Val::Record(fields.iter().map(field).collect()),
        WastVal::Variant(case, payload) => Val::Variant((*case).to_owned(), boxed(payload)),
        WastVal::Enum(case) => Val::Enum((*case).to_owned()),
        WastVal::Option(payload) => Val::Option(boxed(payload)),
        WastVal::Result(Ok(payload)) => Val::Result(Ok(boxed(payload))),
        WastVal::Result(Err(payload)) => Val::Result(Err(boxed(payload))),
        WastVal::Flags(names) => Val::Flags(names.iter().map(|&name| name.to_owned()).collect()),
        primitive => value(primitive),
    }
}

fn field((name, written): &(&str, WastVal<'_>)) -> (String, Val) {
    ((*name).to_owned(), value(written))
}

fn boxed(payload: &Option<Box<WastVal<'_>>>) -> Option<Box<Val>> {
    payload.as_deref().map(|written| Box::new(value(written)))
}
