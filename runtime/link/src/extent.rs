//! How much memory a value takes in a component that is given it.
//!
//! Law: sizes are those of the canonical ABI, in bytes, as a component's own types have them. A shape is bounded, so its size is; what is
//! added up over a message saturates.

use crate::shape::Shape;

/// Where a value lies, it takes so much.
#[derive(Clone, Copy)]
struct Extent {
    size_bytes: usize,
    align_bytes: usize,
}

/// How long an item of this shape is in a list.
pub(crate) fn size_bytes(shape: &Shape) -> usize {
    Extent::of(shape).size_bytes
}

impl Extent {
    const POINTER_PAIR: Extent = Extent {
        size_bytes: 8,
        align_bytes: 4,
    };

    fn of(shape: &Shape) -> Extent {
        match shape {
            Shape::Bool | Shape::S8 | Shape::U8 => Self::number(1),
            Shape::S16 | Shape::U16 => Self::number(2),
            Shape::S64 | Shape::U64 | Shape::F64 => Self::number(8),
            Shape::S32 | Shape::U32 | Shape::F32 | Shape::Char => Self::number(4),
            Shape::Own(_) | Shape::Borrow(_) => Self::number(4),
            Shape::String | Shape::List(_) => Self::POINTER_PAIR,
            Shape::Record(fields) => Self::sequence(fields.iter().map(|(_, field)| field)),
            Shape::Tuple(items) => Self::sequence(items),
            Shape::Variant(cases) => {
                let payloads = cases.iter().filter_map(|(_, payload)| payload.as_ref());
                Self::variant(cases.len(), payloads)
            }
            Shape::Enum(names) => Self::variant(names.len(), []),
            Shape::Option(item) => Self::variant(2, [&**item]),
            Shape::Result { ok, err } => {
                let payloads = [ok, err].into_iter().flatten();
                Self::variant(2, payloads.map(|payload| &**payload))
            }
            Shape::Flags(names) => match names.len() {
                0..=8 => Self::number(1),
                9..=16 => Self::number(2),
                _ => Self::number(4),
            },
        }
    }

    fn number(size_bytes: usize) -> Extent {
        Extent {
            size_bytes,
            align_bytes: size_bytes,
        }
    }

    /// One part after another, each where it is aligned.
    fn sequence<'a>(parts: impl IntoIterator<Item = &'a Shape>) -> Extent {
        let whole = Extent {
            size_bytes: 0,
            align_bytes: 1,
        };
        let parts = parts.into_iter().map(Self::of);
        parts.fold(whole, Self::followed_by).padded()
    }

    /// The number of a case, and room for the longest payload.
    fn variant<'a>(cases: usize, payloads: impl IntoIterator<Item = &'a Shape>) -> Extent {
        let case = Self::number(match cases {
            0..=0x100 => 1,
            0x101..=0x1_0000 => 2,
            _ => 4,
        });
        let none = Extent {
            size_bytes: 0,
            align_bytes: 1,
        };
        let payloads = payloads.into_iter().map(Self::of);
        let payload = payloads.fold(none, |one, other| Extent {
            size_bytes: one.size_bytes.max(other.size_bytes),
            align_bytes: one.align_bytes.max(other.align_bytes),
        });
        case.followed_by(payload).padded()
    }

    fn followed_by(self, part: Extent) -> Extent {
        let start = self.size_bytes.next_multiple_of(part.align_bytes);
        Extent {
            size_bytes: start + part.size_bytes,
            align_bytes: self.align_bytes.max(part.align_bytes),
        }
    }

    fn padded(self) -> Extent {
        Extent {
            size_bytes: self.size_bytes.next_multiple_of(self.align_bytes),
            ..self
        }
    }
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
