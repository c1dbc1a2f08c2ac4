//! How values of a shape are handed over to a component: what they take of its memory, and in how many core values.
//!
//! Law: both are those of the canonical ABI, as Wasmtime computes them for a component's own types. A shape is bounded, so its size is.

use runtime_engine::values::CanonicalAbiInfo;

use crate::shape::Shape;

/// How long an item of this shape is in a list.
pub(crate) fn size_bytes(shape: &Shape) -> usize {
    of(shape).size32 as usize
}

/// All of these, one after another.
pub(crate) fn of_all<'a>(shapes: impl IntoIterator<Item = &'a Shape>) -> CanonicalAbiInfo {
    let parts: Vec<_> = shapes.into_iter().map(of).collect();
    CanonicalAbiInfo::record_static(&parts)
}

fn of(shape: &Shape) -> CanonicalAbiInfo {
    match shape {
        Shape::Bool | Shape::S8 | Shape::U8 => CanonicalAbiInfo::SCALAR1,
        Shape::S16 | Shape::U16 => CanonicalAbiInfo::SCALAR2,
        Shape::S64 | Shape::U64 | Shape::F64 => CanonicalAbiInfo::SCALAR8,
        Shape::S32 | Shape::U32 | Shape::F32 | Shape::Char => CanonicalAbiInfo::SCALAR4,
        Shape::Own(_) | Shape::Borrow(_) => CanonicalAbiInfo::SCALAR4,
        Shape::String | Shape::List(_) => CanonicalAbiInfo::POINTER_PAIR,
        Shape::Record(fields) => of_all(fields.iter().map(|(_, field)| field)),
        Shape::Tuple(items) => of_all(items),
        Shape::Variant(cases) => of_cases(cases.iter().map(|(_, payload)| payload.as_ref())),
        Shape::Enum(names) => CanonicalAbiInfo::enum_(names.len()),
        Shape::Option(item) => of_cases([None, Some(&**item)]),
        Shape::Result { ok, err } => of_cases([ok.as_deref(), err.as_deref()]),
        Shape::Flags(names) => CanonicalAbiInfo::flags(names.len()),
    }
}

fn of_cases<'a>(payloads: impl IntoIterator<Item = Option<&'a Shape>>) -> CanonicalAbiInfo {
    let payloads: Vec<_> = payloads
        .into_iter()
        .map(|payload| payload.map(of))
        .collect();
    CanonicalAbiInfo::variant_static(&payloads)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_canonical_abi() {
        let option = |item| Shape::Option(Box::new(item));
        let flags = |count| Shape::Flags(vec!["f".to_owned(); count]);
        let cases = |count| Shape::Enum(vec!["c".to_owned(); count]);
        let sizes = [
            (Shape::Bool, 1),
            (Shape::Char, 4),
            (Shape::String, 8),
            (Shape::list(Shape::U64), 8),
            (Shape::Tuple(vec![Shape::U8, Shape::U16, Shape::U8]), 6),
            (Shape::Tuple(vec![Shape::U64, Shape::U8]), 16),
            (Shape::Tuple(vec![Shape::U64; 100]), 800),
            (option(Shape::U8), 2),
            (option(Shape::Tuple(vec![Shape::U64; 100])), 808),
            (option(option(Shape::S8)), 3),
            (
                Shape::Variant(vec![
                    ("a".to_owned(), Some(Shape::U64)),
                    ("b".to_owned(), Some(Shape::Tuple(vec![Shape::U32; 3]))),
                    ("c".to_owned(), None),
                ]),
                24,
            ),
            (
                Shape::Result {
                    ok: None,
                    err: Some(Box::new(Shape::U16)),
                },
                4,
            ),
            (flags(8), 1),
            (flags(9), 2),
            (flags(17), 4),
            (cases(256), 1),
            (cases(257), 2),
        ];
        for (shape, size) in sizes {
            assert_eq!(size_bytes(&shape), size, "{shape:?}");
        }
    }
}
