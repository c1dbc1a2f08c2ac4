//! What an interface offers, as an importer expects it and as an exporter has it, and whether the two agree.
//!
//! Law: names are compared without versions and types whole. Two versions whose functions have the same types can talk;
//! two whose types differ cannot, whatever their versions say. An exporter may have more functions than are imported.

use std::collections::HashMap;
use std::fmt;

use runtime_engine::values::FlatCounts;
use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime::component::types::{ComponentFunc, ComponentInstance, ComponentItem};

use crate::abi;
use crate::failure::FailureSlot;
use crate::shape::{
    ResourceName, ResourceNames, Shape, ShapeError, Shaper, for_each_resource, without_version,
};

/// How much of a name is shown in a sentence about it, in characters.
const SHOWN_NAME_CHARS: usize = 64;
/// Interfaces whose resources can change hands, because the host keeps what is behind them.
const PASSABLE: [(&str, &str); 3] = [
    ("kpio:bulk/buffers", "loan"),
    ("wasi:io/streams", "input-stream"),
    ("wasi:io/streams", "output-stream"),
];

/// A function of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name in the interface, as in `[method]counter.add`.
    pub name: String,
    /// What it is given.
    pub parameters: Vec<Shape>,
    /// What it answers.
    pub result: Option<Shape>,
}

/// An interface of one component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name as the component has it, version and all.
    pub full_name: String,
    /// Its functions.
    pub functions: Vec<Function>,
    /// Resources that it defines, by name.
    pub resources: Vec<String>,
}

/// Why a component's interface cannot be reached from outside, or another's does not fit it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignatureError {
    /// There is no such interface.
    Missing {
        /// Its name.
        interface: String,
    },
    /// A function's types cannot cross.
    Shape {
        /// The interface.
        interface: String,
        /// The function.
        function: String,
        /// Why not.
        why: ShapeError,
    },
    /// A function takes or answers a resource that cannot change hands.
    Resource {
        /// The interface.
        interface: String,
        /// The function.
        function: String,
        /// The resource.
        resource: ResourceName,
    },
    /// The exporter has no such function.
    NoFunction {
        /// The interface.
        interface: String,
        /// The function.
        function: String,
    },
    /// It has one of other types.
    Different {
        /// The interface.
        interface: String,
        /// The function.
        function: String,
    },
}

impl fmt::Display for SignatureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { interface } => write!(f, "`{interface}` is not exported"),
            Self::Shape {
                interface,
                function,
                why,
            } => write!(
                f,
                "`{function}` of `{interface}` cannot be called from outside: {why}"
            ),
            Self::Resource {
                interface,
                function,
                resource,
            } => write!(
                f,
                "`{function}` of `{interface}` cannot be called from outside: `{resource}` cannot change hands there"
            ),
            Self::NoFunction {
                interface,
                function,
            } => write!(
                f,
                "the provider's `{interface}` has no function `{function}`"
            ),
            Self::Different {
                interface,
                function,
            } => write!(
                f,
                "the provider's `{function}` of `{interface}` has other types"
            ),
        }
    }
}

impl std::error::Error for SignatureError {}

impl Interface {
    /// Its name without a version.
    pub fn name(&self) -> &str {
        without_version(&self.full_name)
    }

    /// Whether there is anything in it that somebody must provide. Interfaces of nothing but types need nobody.
    pub fn needs_provider(&self) -> bool {
        !self.functions.is_empty() || !self.resources.is_empty()
    }

    /// For each function of this importer, the place of the same in `exporter`.
    pub fn match_with(&self, exporter: &Interface) -> Result<Vec<u32>, SignatureError> {
        let theirs = (0u32..).zip(&exporter.functions);
        let theirs: HashMap<&str, (u32, &Function)> = theirs
            .map(|(place, function)| (function.name.as_str(), (place, function)))
            .collect();
        let functions = self.functions.iter();
        functions
            .map(|function| match theirs.get(function.name.as_str()) {
                Some((place, other)) if *other == function => Ok(*place),
                Some(_) => Err(SignatureError::Different {
                    interface: self.full_name.clone(),
                    function: function.name.clone(),
                }),
                None => Err(SignatureError::NoFunction {
                    interface: self.full_name.clone(),
                    function: function.name.clone(),
                }),
            })
            .collect()
    }

    fn check_resources(&self) -> Result<(), SignatureError> {
        for function in &self.functions {
            let mut refused = None;
            let parameters = function.parameters.iter();
            for shape in parameters.chain(&function.result) {
                for_each_resource(shape, &mut |resource, is_owned| {
                    if !self.is_passable(resource, is_owned) {
                        refused = Some(resource.clone());
                    }
                });
            }
            if let Some(resource) = refused {
                return Err(SignatureError::Resource {
                    interface: self.full_name.clone(),
                    function: function.name.clone(),
                    resource,
                });
            }
        }
        Ok(())
    }

    /// Resources of the interface itself are numbers of the provider's; others the host must know, and they can be given
    /// away and not lent.
    fn is_passable(&self, resource: &ResourceName, is_owned: bool) -> bool {
        let known = PASSABLE
            .iter()
            .any(|(interface, name)| resource.interface == *interface && resource.name == *name);
        resource.interface == self.name() || (known && is_owned)
    }
}

impl Function {
    /// Where an importer is told that the call itself failed, if the function has such a place.
    pub fn failure_slot(&self) -> Option<FailureSlot> {
        FailureSlot::of(self.result.as_ref()?)
    }

    /// How its values are handed over in WebAssembly.
    pub(crate) fn flat_counts(&self) -> FlatCounts {
        FlatCounts::new(&abi::of_all(&self.parameters), &abi::of_all(&self.result))
    }
}

/// The interfaces that a component imports and `is_wanted` asks for, by name.
pub fn imports(
    component: &Component,
    is_wanted: impl Fn(&str) -> bool,
) -> Result<Vec<Interface>, SignatureError> {
    let engine = component.engine();
    let ty = component.component_type();
    let names = resource_names(component);
    let mut shaper = Shaper::new(&names);
    let instances = ty.imports(engine).filter_map(|(name, item)| match item.ty {
        ComponentItem::ComponentInstance(instance) if is_wanted(name) => Some((name, instance)),
        _ => None,
    });
    instances
        .map(|(name, instance)| interface(engine, name, &instance, &mut shaper))
        .collect()
}

/// An interface that a component exports, by its name without a version.
pub fn export(component: &Component, wanted: &str) -> Result<Interface, SignatureError> {
    let engine = component.engine();
    let ty = component.component_type();
    let names = resource_names(component);
    let mut exports = ty.exports(engine);
    let found = exports.find_map(|(name, item)| match item.ty {
        ComponentItem::ComponentInstance(instance)
            if without_version(name) == without_version(wanted) =>
        {
            Some((name, instance))
        }
        _ => None,
    });
    let Some((name, instance)) = found else {
        let interface = wanted.to_owned();
        return Err(SignatureError::Missing { interface });
    };
    interface(engine, name, &instance, &mut Shaper::new(&names))
}

/// What the component's resources are called: by those who define them first.
fn resource_names(component: &Component) -> ResourceNames {
    let engine = component.engine();
    let ty = component.component_type();
    let mut names = ResourceNames::default();
    for (interface, item) in ty.imports(engine).chain(ty.exports(engine)) {
        let ComponentItem::ComponentInstance(instance) = item.ty else {
            continue;
        };
        for (name, item) in instance.exports(engine) {
            if let ComponentItem::Resource(resource) = item.ty {
                names.add(resource, interface, name);
            }
        }
    }
    names
}

fn interface(
    engine: &Engine,
    full_name: &str,
    instance: &ComponentInstance,
    shaper: &mut Shaper<'_>,
) -> Result<Interface, SignatureError> {
    let mut functions = Vec::new();
    let mut resources = Vec::new();
    for (name, item) in instance.exports(engine) {
        let refused = |why| SignatureError::Shape {
            interface: full_name.to_owned(),
            function: name.chars().take(SHOWN_NAME_CHARS).collect(),
            why,
        };
        match item.ty {
            ComponentItem::ComponentFunc(ty) => {
                functions.push(function(name, &ty, shaper).map_err(refused)?);
            }
            ComponentItem::Resource(resource) if shaper.is_of(resource, full_name) => {
                resources.push(shaper.name(name).map_err(refused)?);
            }
            _ => {}
        }
    }
    let interface = Interface {
        full_name: full_name.to_owned(),
        functions,
        resources,
    };
    interface.check_resources()?;
    Ok(interface)
}

fn function(
    name: &str,
    ty: &ComponentFunc,
    shaper: &mut Shaper<'_>,
) -> Result<Function, ShapeError> {
    if ty.async_() {
        return Err(ShapeError::Asynchronous);
    }
    let name = shaper.name(name)?;
    let parameters = ty.params().map(|(_, ty)| shaper.shape(&ty));
    let parameters = parameters.collect::<Result<_, _>>()?;
    let result = ty
        .results()
        .next()
        .map(|ty| shaper.shape(&ty))
        .transpose()?;
    Ok(Function {
        name,
        parameters,
        result,
    })
}
