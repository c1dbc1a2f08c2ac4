//! The types of WIT as plain data: what two components must agree on, and what the encoding follows.
//!
//! Law: a shape knows no component. Wasmtime's types belong to one, and a resource's to one instance even, so those of an
//! importer and an exporter are never equal; their shapes are, or the two cannot talk. Shapes are bounded in depth and
//! size when they are made, so that whatever follows them ends.

use std::fmt;

use wasmtime::component::ResourceType;
use wasmtime::component::types::{Case, Field, Type};

use crate::abi;

/// How deep types may be nested.
const DEPTH_MAX: usize = 32;
/// Functions, resources, and fields, cases and items of their types, of all that one component imports from others, or exports
/// to them, together.
const PARTS_MAX: usize = 16_384;
/// The longest name, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// A type, named and resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `bool`
    Bool,
    /// `s8`
    S8,
    /// `u8`
    U8,
    /// `s16`
    S16,
    /// `u16`
    U16,
    /// `s32`
    S32,
    /// `u32`
    U32,
    /// `s64`
    S64,
    /// `u64`
    U64,
    /// `f32`
    F32,
    /// `f64`
    F64,
    /// `char`
    Char,
    /// `string`
    String,
    /// `list<_>`
    List(Box<Item>),
    /// `record`, with its fields in order.
    Record(Vec<(String, Shape)>),
    /// `tuple<…>`
    Tuple(Vec<Shape>),
    /// `variant`, with its cases in order.
    Variant(Vec<(String, Option<Shape>)>),
    /// `enum`, with its cases in order.
    Enum(Vec<String>),
    /// `option<_>`
    Option(Box<Shape>),
    /// `result<_, _>`
    Result {
        /// What it has if all is well.
        ok: Option<Box<Shape>>,
        /// What it has otherwise.
        err: Option<Box<Shape>>,
    },
    /// `flags`, in order.
    Flags(Vec<String>),
    /// A resource that changes hands.
    Own(ResourceName),
    /// A resource that is lent for the time of a call.
    Borrow(ResourceName),
}

/// What a list is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its shape.
    pub shape: Shape,
    /// What one takes of a component's memory. It follows from the shape.
    pub(crate) size_bytes: usize,
}

impl Shape {
    /// The shape of a list of these.
    pub fn list(shape: Shape) -> Shape {
        let size_bytes = abi::size_bytes(&shape);
        Shape::List(Box::new(Item { shape, size_bytes }))
    }
}

/// Names a resource: its interface, without a version, and its own name in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ResourceName {
    /// As in `wasi:io/streams`.
    pub interface: String,
    /// As in `input-stream`.
    pub name: String,
}

impl fmt::Display for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.interface, self.name)
    }
}

/// Why a type cannot cross from one component to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShapeError {
    /// Futures, streams and errors with context belong to asynchronous functions, which are not called.
    Asynchronous,
    /// A type of a kind that is not known here.
    Unknown,
    /// It is nested too deeply.
    TooDeep,
    /// There are too many parts.
    TooLarge,
    /// A name is too long.
    LongName,
    /// A resource that comes from no interface by name.
    NamelessResource,
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asynchronous => {
                f.write_str("it is asynchronous, and only synchronous functions are called")
            }
            Self::Unknown => f.write_str("it has a type that cannot be sent"),
            Self::TooDeep => write!(f, "its types are nested more than {DEPTH_MAX} deep"),
            Self::TooLarge => write!(
                f,
                "there are more than {PARTS_MAX} functions and parts of types"
            ),
            Self::LongName => write!(f, "it has a name of more than {NAME_BYTES_MAX} bytes"),
            Self::NamelessResource => f.write_str("it has a resource of no interface"),
        }
    }
}

impl std::error::Error for ShapeError {}

/// The names of a component's resources. Few, so they are compared one by one.
/// There are [`RESOURCES_MAX`] at most; those beyond have no name.
#[derive(Default)]
pub(crate) struct ResourceNames(Vec<(ResourceType, ResourceName)>);

/// Resources of one component that have a name here.
const RESOURCES_MAX: usize = 256;

impl ResourceNames {
    /// Notes a name. The first one stays: an interface that uses another's resource names it again.
    pub fn add(&mut self, resource: ResourceType, interface: &str, name: &str) {
        let is_bounded = self.0.len() < RESOURCES_MAX && name.len() <= NAME_BYTES_MAX;
        if is_bounded && self.find(resource).is_none() {
            let name = ResourceName {
                interface: without_version(interface).to_owned(),
                name: name.to_owned(),
            };
            self.0.push((resource, name));
        }
    }

    /// Whether `interface` is the one that defines the resource.
    pub fn is_of(&self, resource: ResourceType, interface: &str) -> bool {
        let name = self.find(resource);
        name.is_some_and(|name| name.interface == without_version(interface))
    }

    fn find(&self, resource: ResourceType) -> Option<&ResourceName> {
        let mut names = self.0.iter();
        names
            .find(|(other, _)| *other == resource)
            .map(|(_, name)| name)
    }
}

/// An interface's name without `@` and what follows.
pub(crate) fn without_version(interface: &str) -> &str {
    interface.split('@').next().unwrap_or(interface)
}

/// Makes the shapes of one component, of which there are so many parts at most.
pub(crate) struct Shaper<'a> {
    names: &'a ResourceNames,
    parts_left: usize,
}

impl<'a> Shaper<'a> {
    pub fn new(names: &'a ResourceNames) -> Self {
        Self {
            names,
            parts_left: PARTS_MAX,
        }
    }

    /// One part more, of this name.
    pub fn name(&mut self, name: &str) -> Result<String, ShapeError> {
        self.take_part()?;
        if name.len() > NAME_BYTES_MAX {
            return Err(ShapeError::LongName);
        }
        Ok(name.to_owned())
    }

    /// Whether the resource is one that `interface` defines.
    pub fn is_of(&self, resource: ResourceType, interface: &str) -> bool {
        self.names.is_of(resource, interface)
    }

    fn take_part(&mut self) -> Result<(), ShapeError> {
        self.parts_left = self.parts_left.checked_sub(1).ok_or(ShapeError::TooLarge)?;
        Ok(())
    }

    pub fn shape(&mut self, ty: &Type) -> Result<Shape, ShapeError> {
        self.shape_at(ty, 0)
    }

    fn shape_at(&mut self, ty: &Type, depth: usize) -> Result<Shape, ShapeError> {
        if depth > DEPTH_MAX {
            return Err(ShapeError::TooDeep);
        }
        self.take_part()?;
        if let Some(shape) = scalar(ty) {
            return Ok(shape);
        }
        let depth = depth + 1;
        Ok(match ty {
            Type::List(list) => Shape::list(self.shape_at(&list.ty(), depth)?),
            Type::Record(record) => Shape::Record(self.fields(record.fields(), depth)?),
            Type::Tuple(tuple) => Shape::Tuple(self.all(tuple.types(), depth)?),
            Type::Variant(variant) => Shape::Variant(self.cases(variant.cases(), depth)?),
            Type::Enum(cases) => Shape::Enum(self.names(cases.names())?),
            Type::Option(option) => Shape::Option(self.boxed(&option.ty(), depth)?),
            Type::Result(result) => Shape::Result {
                ok: self.optional(result.ok(), depth)?,
                err: self.optional(result.err(), depth)?,
            },
            Type::Flags(flags) => Shape::Flags(self.names(flags.names())?),
            Type::Own(resource) => Shape::Own(self.resource(*resource)?),
            Type::Borrow(resource) => Shape::Borrow(self.resource(*resource)?),
            Type::Future(_) | Type::Stream(_) | Type::ErrorContext => {
                return Err(ShapeError::Asynchronous);
            }
            _ => return Err(ShapeError::Unknown),
        })
    }

    fn boxed(&mut self, ty: &Type, depth: usize) -> Result<Box<Shape>, ShapeError> {
        self.shape_at(ty, depth).map(Box::new)
    }

    fn optional(
        &mut self,
        ty: Option<Type>,
        depth: usize,
    ) -> Result<Option<Box<Shape>>, ShapeError> {
        ty.map(|ty| self.boxed(&ty, depth)).transpose()
    }

    fn all(
        &mut self,
        mut types: impl Iterator<Item = Type>,
        depth: usize,
    ) -> Result<Vec<Shape>, ShapeError> {
        let mut shapes = Vec::new();
        types.try_for_each(|ty| {
            shapes.push(self.shape_at(&ty, depth)?);
            Ok(())
        })?;
        Ok(shapes)
    }

    fn fields<'f>(
        &mut self,
        mut fields: impl Iterator<Item = Field<'f>>,
        depth: usize,
    ) -> Result<Vec<(String, Shape)>, ShapeError> {
        let mut shapes = Vec::new();
        fields.try_for_each(|field| {
            shapes.push((self.name(field.name)?, self.shape_at(&field.ty, depth)?));
            Ok(())
        })?;
        Ok(shapes)
    }

    fn cases<'c>(
        &mut self,
        mut cases: impl Iterator<Item = Case<'c>>,
        depth: usize,
    ) -> Result<Vec<(String, Option<Shape>)>, ShapeError> {
        let mut shapes = Vec::new();
        cases.try_for_each(|case| {
            let shape = case.ty.map(|ty| self.shape_at(&ty, depth)).transpose()?;
            shapes.push((self.name(case.name)?, shape));
            Ok(())
        })?;
        Ok(shapes)
    }

    fn names<'n>(
        &mut self,
        mut names: impl Iterator<Item = &'n str>,
    ) -> Result<Vec<String>, ShapeError> {
        let mut owned = Vec::new();
        names.try_for_each(|name| {
            owned.push(self.name(name)?);
            Ok(())
        })?;
        Ok(owned)
    }

    fn resource(&self, resource: ResourceType) -> Result<ResourceName, ShapeError> {
        let name = self.names.find(resource);
        name.cloned().ok_or(ShapeError::NamelessResource)
    }
}

/// The shape of a type without parts.
fn scalar(ty: &Type) -> Option<Shape> {
    Some(match ty {
        Type::Bool => Shape::Bool,
        Type::S8 => Shape::S8,
        Type::U8 => Shape::U8,
        Type::S16 => Shape::S16,
        Type::U16 => Shape::U16,
        Type::S32 => Shape::S32,
        Type::U32 => Shape::U32,
        Type::S64 => Shape::S64,
        Type::U64 => Shape::U64,
        Type::Float32 => Shape::F32,
        Type::Float64 => Shape::F64,
        Type::Char => Shape::Char,
        Type::String => Shape::String,
        _ => return None,
    })
}

/// Looks at every resource in a shape.
pub(crate) fn for_each_resource(shape: &Shape, visit: &mut dyn FnMut(&ResourceName, bool)) {
    match shape {
        Shape::Own(name) => visit(name, true),
        Shape::Borrow(name) => visit(name, false),
        Shape::List(item) => for_each_resource(&item.shape, visit),
        Shape::Option(item) => for_each_resource(item, visit),
        Shape::Record(fields) => {
            for (_, field) in fields {
                for_each_resource(field, visit);
            }
        }
        Shape::Tuple(items) => {
            for item in items {
                for_each_resource(item, visit);
            }
        }
        Shape::Variant(cases) => {
            for case in cases.iter().filter_map(|(_, case)| case.as_ref()) {
                for_each_resource(case, visit);
            }
        }
        Shape::Result { ok, err } => {
            for part in [ok, err].into_iter().flatten() {
                for_each_resource(part, visit);
            }
        }
        _ => {}
    }
}
