//! The bytes of values, held against the shapes of their types.
//!
//! Law: the encoding is the engine's (`runtime_engine::values`), which writes it and reads it by a component's own types. It takes what it
//! is given for checked, and whoever sent it may be anybody; so no byte goes into a component that was not walked over here.
//! Whatever the bytes are, the answer is an error or a visit of each resource among them, in order, of which there are
//! [`RESOURCES_MAX`] at most. A list of numbers is walked over in one step. A few bytes may stand for much memory of whoever is given them,
//! as an option without its value does: what lists and strings take is added up before any of it is asked for, and is
//! [`RECEIVED_BYTES_MAX`] at most.

use std::fmt;

use crate::MESSAGE_BYTES_MAX;
use crate::shape::{Item, ResourceName, Shape};

/// How many resources one message may speak of, those that are lent among them.
pub const RESOURCES_MAX: usize = 4096;

/// What the lists and strings of one message may take of its receiver's memory.
pub(crate) const RECEIVED_BYTES_MAX: u64 = 4 * MESSAGE_BYTES_MAX as u64;
/// What one of them takes besides its items, or rounds them up to: allocators differ, and few use more.
const ALLOCATION_BYTES: u64 = 16;

/// Why values did not cross.
#[derive(Debug)]
pub(crate) enum CrossError {
    /// There are fewer bytes, or more, than the shapes need, or they mean nothing.
    Malformed,
    /// They speak of too many resources.
    TooMany,
    /// They take too much of their receiver's memory.
    TooLarge,
    /// A handle of an object whose provider is gone.
    Stale,
    /// As many objects are given away as may be.
    Full,
    /// A resource was refused, for what the inner error says.
    Resource(wasmtime::Error),
}

impl fmt::Display for CrossError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("the message does not fit its function"),
            Self::TooMany => write!(f, "the message has more than {RESOURCES_MAX} resources"),
            Self::TooLarge => write!(
                f,
                "the message takes more than {RECEIVED_BYTES_MAX} bytes of memory where it goes"
            ),
            Self::Stale => f.write_str("the provider of an object is gone"),
            Self::Full => f.write_str("as many objects are in use as may be"),
            Self::Resource(error) => write!(f, "a resource cannot cross: {error:#}"),
        }
    }
}

impl std::error::Error for CrossError {}

/// Takes resources on one side or the other.
pub(crate) trait Courier {
    /// A resource of which the bytes speak. The four bytes are the couriers' own: what one writes there, the other side's reads.
    fn carry(
        &mut self,
        name: &ResourceName,
        is_owned: bool,
        number: &mut [u8; 4],
    ) -> Result<(), CrossError>;
}

/// Walks over one value for each shape, which have to be all of the bytes.
pub(crate) fn walk<'a>(
    bytes: &mut [u8],
    shapes: impl IntoIterator<Item = &'a Shape>,
    courier: &mut dyn Courier,
) -> Result<(), CrossError> {
    let mut walker = Walker {
        rest: bytes,
        resources_left: RESOURCES_MAX,
        memory_bytes_left: RECEIVED_BYTES_MAX,
        courier,
    };
    for shape in shapes {
        walker.value(shape)?;
    }
    if walker.rest.is_empty() {
        Ok(())
    } else {
        Err(CrossError::Malformed)
    }
}

struct Walker<'b, 'c> {
    rest: &'b mut [u8],
    resources_left: usize,
    memory_bytes_left: u64,
    courier: &'c mut dyn Courier,
}

impl<'b> Walker<'b, '_> {
    fn value(&mut self, shape: &Shape) -> Result<(), CrossError> {
        match shape {
            Shape::Bool => {
                self.bit()?;
            }
            Shape::Char => {
                char::from_u32(self.u32()?).ok_or(CrossError::Malformed)?;
            }
            Shape::String => {
                let len_bytes = self.len()?;
                // It may become UTF-16.
                self.allocate(len_bytes, 2)?;
                std::str::from_utf8(self.take(len_bytes)?).map_err(|_| CrossError::Malformed)?;
            }
            _ => match plain_bytes(shape) {
                Some(len_bytes) => {
                    self.take(len_bytes)?;
                }
                None => self.compound(shape)?,
            },
        }
        Ok(())
    }

    fn compound(&mut self, shape: &Shape) -> Result<(), CrossError> {
        match shape {
            Shape::List(item) => self.list(item),
            Shape::Record(fields) => fields.iter().try_for_each(|(_, field)| self.value(field)),
            Shape::Tuple(items) => items.iter().try_for_each(|item| self.value(item)),
            Shape::Variant(cases) => {
                let (_, payload) = cases.get(self.len()?).ok_or(CrossError::Malformed)?;
                self.payload(payload.as_ref())
            }
            Shape::Enum(cases) => match self.len()? < cases.len() {
                true => Ok(()),
                false => Err(CrossError::Malformed),
            },
            Shape::Option(item) => match self.u32()? {
                0 => Ok(()),
                1 => self.value(item),
                _ => Err(CrossError::Malformed),
            },
            Shape::Result { ok, err } => match self.bit()? {
                false => self.payload(ok.as_deref()),
                true => self.payload(err.as_deref()),
            },
            Shape::Flags(names) => self.flags(names.len()),
            Shape::Own(name) => self.resource(name, true),
            Shape::Borrow(name) => self.resource(name, false),
            _ => Err(CrossError::Malformed),
        }
    }

    /// No value is shorter than a byte, so the bytes that are left bound the steps of this, whatever the length says.
    fn list(&mut self, item: &Item) -> Result<(), CrossError> {
        let len = self.len()?;
        self.allocate(len, item.size_bytes)?;
        if let Some(item_bytes) = plain_bytes(&item.shape) {
            let len_bytes = len.checked_mul(item_bytes).ok_or(CrossError::Malformed)?;
            return self.take(len_bytes).map(drop);
        }
        (0..len).try_for_each(|_| self.value(&item.shape))
    }

    /// The receiver is going to need room for so many items.
    fn allocate(&mut self, len: usize, item_bytes: usize) -> Result<(), CrossError> {
        // A length that lies is found out where the items are looked for.
        let len = len.min(self.rest.len()) as u64;
        let bytes = len.saturating_mul(item_bytes as u64) + ALLOCATION_BYTES;
        let left = self.memory_bytes_left.checked_sub(bytes);
        self.memory_bytes_left = left.ok_or(CrossError::TooLarge)?;
        Ok(())
    }

    /// Bits without a name are zero.
    fn flags(&mut self, count: usize) -> Result<(), CrossError> {
        let taken = self.take(count.div_ceil(8))?;
        let named = u8::MAX >> (taken.len() * 8 - count);
        match taken.last() {
            Some(last) if *last & !named != 0 => Err(CrossError::Malformed),
            _ => Ok(()),
        }
    }

    fn payload(&mut self, shape: Option<&Shape>) -> Result<(), CrossError> {
        shape.map_or(Ok(()), |shape| self.value(shape))
    }

    fn resource(&mut self, name: &ResourceName, is_owned: bool) -> Result<(), CrossError> {
        let left = self.resources_left.checked_sub(1);
        self.resources_left = left.ok_or(CrossError::TooMany)?;
        let number = self.take(4)?;
        let number = number.first_chunk_mut().ok_or(CrossError::Malformed)?;
        self.courier.carry(name, is_owned, number)
    }

    fn take(&mut self, len_bytes: usize) -> Result<&'b mut [u8], CrossError> {
        let (taken, rest) = std::mem::take(&mut self.rest)
            .split_at_mut_checked(len_bytes)
            .ok_or(CrossError::Malformed)?;
        self.rest = rest;
        Ok(taken)
    }

    fn u32(&mut self) -> Result<u32, CrossError> {
        let taken = self.take(4)?;
        let taken = taken.first_chunk().ok_or(CrossError::Malformed)?;
        Ok(u32::from_le_bytes(*taken))
    }

    fn len(&mut self) -> Result<usize, CrossError> {
        self.u32().map(|len| len as usize)
    }

    fn bit(&mut self) -> Result<bool, CrossError> {
        match self.take(1)? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(CrossError::Malformed),
        }
    }
}

/// How long a number of this shape is, if it is one.
fn plain_bytes(shape: &Shape) -> Option<usize> {
    Some(match shape {
        Shape::S8 | Shape::U8 => 1,
        Shape::S16 | Shape::U16 => 2,
        Shape::S32 | Shape::U32 | Shape::F32 => 4,
        Shape::S64 | Shape::U64 | Shape::F64 => 8,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use runtime_engine::values::{Function, Values};
    use wasmtime::Store;
    use wasmtime::component::types::ComponentItem;
    use wasmtime::component::{Component, Linker};

    use super::*;
    use crate::shape::{ResourceNames, Shaper};

    /// Numbers the resources, and notes what it is asked.
    #[derive(Default)]
    struct Notes(Vec<(bool, u32)>);

    impl Courier for Notes {
        fn carry(
            &mut self,
            _name: &ResourceName,
            is_owned: bool,
            number: &mut [u8; 4],
        ) -> Result<(), CrossError> {
            self.0.push((is_owned, u32::from_le_bytes(*number)));
            *number = (self.0.len() as u32).to_le_bytes();
            Ok(())
        }
    }

    fn walked(bytes: &[u8], shape: &Shape) -> bool {
        walk(&mut bytes.to_vec(), [shape], &mut Notes::default()).is_ok()
    }

    fn names<const N: usize>(names: [&str; N]) -> Vec<String> {
        names.map(str::to_owned).to_vec()
    }

    fn resource() -> ResourceName {
        ResourceName {
            interface: "test:a/b".to_owned(),
            name: "r".to_owned(),
        }
    }

    #[test]
    fn what_fits_is_walked_over() {
        let list = Shape::list;
        let variant = Shape::Variant(vec![
            ("a".to_owned(), None),
            ("b".to_owned(), Some(Shape::U16)),
        ]);
        let cases: [(&[u8], Shape); 10] = [
            (&[1], Shape::Bool),
            (&[0xff, 0xff, 0x10, 0], Shape::Char),
            (&[2, 0, 0, 0, 0xc3, 0xa4], Shape::String),
            (&[3, 0, 0, 0, 1, 2, 3], list(Shape::U8)),
            (&[1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8], list(Shape::F64)),
            (&[2, 0, 0, 0, 1, 0], list(Shape::Bool)),
            (&[1, 0, 0, 0, 9, 9], variant),
            (
                &[0xff, 1],
                Shape::Flags(names(["a", "b", "c", "d", "e", "f", "g", "h", "i"])),
            ),
            (&[0, 0, 0, 0], Shape::Option(Box::new(Shape::U64))),
            (
                &[1, 1, 0, 0, 0],
                Shape::Result {
                    ok: None,
                    err: Some(Box::new(Shape::Enum(names(["a", "b"])))),
                },
            ),
        ];
        for (bytes, shape) in cases {
            assert!(walked(bytes, &shape), "{shape:?}");
            assert!(!walked(&bytes[1..], &shape), "too short for {shape:?}");
            assert!(
                !walked(&[bytes, &[0]].concat(), &shape),
                "too long for {shape:?}"
            );
        }
    }

    #[test]
    fn what_means_nothing_is_refused() {
        let cases: [(&[u8], Shape); 9] = [
            (&[2], Shape::Bool),
            (&[0, 0xd8, 0, 0], Shape::Char),
            (&[1, 0, 0, 0, 0xff], Shape::String),
            (&[0xff, 0xff, 0xff, 0xff], Shape::list(Shape::U64)),
            (
                &[0xff, 0xff, 0xff, 0xff],
                Shape::list(Shape::Own(resource())),
            ),
            (
                &[0xff, 0xff],
                Shape::Flags(names(["a", "b", "c", "d", "e", "f", "g", "h", "i"])),
            ),
            (&[2, 0, 0, 0], Shape::Enum(names(["a", "b"]))),
            (&[2, 0, 0, 0], Shape::Option(Box::new(Shape::U8))),
            (&[1, 0, 0, 0], Shape::Variant(vec![("a".to_owned(), None)])),
        ];
        for (bytes, shape) in cases {
            assert!(!walked(bytes, &shape), "{shape:?}");
        }
    }

    #[test]
    fn resources_are_visited_in_order_and_numbered() {
        let shape = Shape::list(Shape::Tuple(vec![
            Shape::Own(resource()),
            Shape::U8,
            Shape::Borrow(resource()),
        ]));
        let mut bytes = vec![2, 0, 0, 0];
        bytes.extend([5, 0, 0, 0, 9, 6, 0, 0, 0, 7, 0, 0, 0, 9, 8, 0, 0, 0]);
        let mut notes = Notes::default();
        walk(&mut bytes, [&shape], &mut notes).unwrap();
        assert_eq!(notes.0, [(true, 5), (false, 6), (true, 7), (false, 8)]);
        assert_eq!(bytes[4..13], [1, 0, 0, 0, 9, 2, 0, 0, 0]);
    }

    #[test]
    fn resources_are_bounded() {
        let shape = Shape::list(Shape::Borrow(resource()));
        let bytes = |count: usize| {
            let mut bytes = (count as u32).to_le_bytes().to_vec();
            bytes.resize(4 + 4 * count, 0);
            bytes
        };
        assert!(walked(&bytes(RESOURCES_MAX), &shape));
        let error = walk(
            &mut bytes(RESOURCES_MAX + 1),
            [&shape],
            &mut Notes::default(),
        );
        assert!(matches!(error, Err(CrossError::TooMany)));
    }

    fn error(bytes: &[u8], shape: &Shape) -> Option<CrossError> {
        walk(&mut bytes.to_vec(), [shape], &mut Notes::default()).err()
    }

    /// What has no value takes four bytes of a message, and as much of the receiver's memory as if it had one.
    #[test]
    fn what_takes_too_much_memory_is_refused() {
        let wide = Shape::Option(Box::new(Shape::Tuple(vec![Shape::U64; 100])));
        let zeros = |count: usize| {
            let mut bytes = (count as u32).to_le_bytes().to_vec();
            bytes.resize(4 + 4 * count, 0);
            bytes
        };
        let whole = zeros(262_143);
        assert_eq!(whole.len(), MESSAGE_BYTES_MAX);
        for shape in [Shape::String, Shape::list(Shape::U8), wide] {
            let found = error(&whole, &Shape::list(shape));
            assert!(matches!(found, Some(CrossError::TooLarge)), "{found:?}");
        }
        let wide = Shape::Option(Box::new(Shape::Tuple(vec![Shape::U64; 100])));
        let most = (RECEIVED_BYTES_MAX - ALLOCATION_BYTES) as usize / 808;
        let list = Shape::list(wide);
        assert!(walked(&zeros(most), &list));
        let found = error(&zeros(most + 1), &list);
        assert!(matches!(found, Some(CrossError::TooLarge)), "{found:?}");
    }

    #[test]
    fn the_longest_texts_and_lists_of_numbers_have_room() {
        let len = MESSAGE_BYTES_MAX - 4;
        let mut bytes = (len as u32).to_le_bytes().to_vec();
        bytes.resize(MESSAGE_BYTES_MAX, b'a');
        assert!(walked(&bytes, &Shape::String));
        assert!(walked(&bytes, &Shape::list(Shape::U8)));
    }

    /// `f` takes a list of nearly everything, of which nothing is a resource.
    const EVERYTHING: &str = r#"(component
      (core module $m
        (memory (export "memory") 64)
        (global $top (mut i32) (i32.const 8))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32)
          (local.tee 0 (i32.and
            (i32.add (global.get $top) (i32.sub (local.get 2) (i32.const 1)))
            (i32.sub (i32.const 0) (local.get 2))))
          (global.set $top (i32.add (local.get 0) (local.get 3))))
        (func (export "f") (param i32 i32)))
      (core instance $i (instantiate $m))
      (type $e' (enum "a" "b" "c"))
      (export $e "e" (type $e'))
      (type $b' (flags "a" "b" "c" "d" "e" "f" "g" "h" "i"))
      (export $b "b" (type $b'))
      (type $v' (variant (case "a") (case "b" string) (case "c" (list u16))))
      (export $v "v" (type $v'))
      (type $r' (record (field "a" bool) (field "b" $e) (field "c" $b) (field "d" $v) (field "e" char)
        (field "f" (option s64)) (field "g" (result (list bool) (error f32))) (field "h" (tuple s8 (list (list u8))))))
      (export $r "r" (type $r'))
      (func (export "f") (param "a" (list $r))
        (canon lift (core func $i "f") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))"#;

    /// Two items of it.
    fn everything() -> Vec<u8> {
        let first = [
            &[1][..],
            &[2, 0, 0, 0],
            &[0xff, 1],
            &[1, 0, 0, 0, 3, 0, 0, 0, b'a', 0xc3, 0xa4],
            &[b'x', 0, 0, 0],
            &[1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8],
            &[0, 2, 0, 0, 0, 1, 0],
            &[9, 2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 7],
        ];
        let second = [
            &[0][..],
            &[0, 0, 0, 0],
            &[0, 0],
            &[2, 0, 0, 0, 1, 0, 0, 0, 5, 6],
            &[0, 0, 1, 0],
            &[0, 0, 0, 0],
            &[1, 1, 2, 3, 4],
            &[9, 0, 0, 0, 0],
        ];
        [&[2, 0, 0, 0], &first.concat()[..], &second.concat()].concat()
    }

    struct Receiver {
        component: Component,
        shapes: Vec<Shape>,
    }

    impl Receiver {
        fn new() -> Receiver {
            let engine = wasmtime::Engine::default();
            let wasm = wat::parse_str(EVERYTHING).expect("it is well-formed");
            let component = Component::new(&engine, &wasm).expect("it is valid");
            let ty = component.component_type();
            let Some(ComponentItem::ComponentFunc(function)) =
                ty.get_export(&engine, "f").map(|export| export.ty)
            else {
                panic!("there is no `f`");
            };
            let names = ResourceNames::default();
            let mut shaper = Shaper::new(&names);
            let shapes = function.params().map(|(_, ty)| shaper.shape(&ty));
            let shapes = shapes.collect::<Result<_, _>>();
            Receiver {
                shapes: shapes.expect("it can cross"),
                component,
            }
        }

        fn walks(&self, bytes: &[u8]) -> bool {
            walk(&mut bytes.to_vec(), &self.shapes, &mut Notes::default()).is_ok()
        }

        fn takes(&self, bytes: &[u8]) -> bool {
            let engine = self.component.engine();
            let mut store = Store::new(engine, ());
            let instance = Linker::new(engine).instantiate(&mut store, &self.component);
            let function = instance.expect("it starts").get_func(&mut store, "f");
            let function = Function::new(&mut store, function.expect("it is there"));
            let values = Values {
                bytes: bytes.to_vec(),
                resources: Vec::new(),
            };
            let called = function.expect("its types fit").call(&mut store, values);
            called.is_ok()
        }
    }

    /// Otherwise somebody could end a provider by sending nonsense.
    #[test]
    fn what_is_walked_over_is_what_a_component_takes() {
        let receiver = Receiver::new();
        let whole = everything();
        assert!(receiver.walks(&whole) && receiver.takes(&whole));
        let mut refused = 0;
        for place in 0..whole.len() {
            for byte in [0, 1, 2, 3, 0x41, 0x80, 0xd8, 0xff] {
                let mut bytes = whole.clone();
                bytes[place] = byte;
                let walks = receiver.walks(&bytes);
                assert_eq!(walks, receiver.takes(&bytes), "{byte} at {place}");
                refused += usize::from(!walks);
            }
            let (short, taken) = (&whole[..place], receiver.takes(&whole[..place]));
            assert!(!receiver.walks(short) && !taken, "the first {place}");
        }
        assert!(refused > whole.len());
    }
}
