//! Resources inside of values.

use wasmtime::component::{ResourceAny, Val};

/// Visits every resource in a value, in the order in which it is encoded.
pub(crate) fn for_each_resource(value: &Val, visit: &mut dyn FnMut(ResourceAny)) {
    match value {
        Val::Resource(resource) => visit(*resource),
        Val::List(items) | Val::Tuple(items) | Val::FixedLengthList(items) => {
            for item in items {
                for_each_resource(item, visit);
            }
        }
        Val::Record(fields) => {
            for (_, field) in fields {
                for_each_resource(field, visit);
            }
        }
        Val::Variant(_, Some(payload))
        | Val::Option(Some(payload))
        | Val::Result(Ok(Some(payload)) | Err(Some(payload))) => for_each_resource(payload, visit),
        _ => {}
    }
}
