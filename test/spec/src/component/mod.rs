//! Files about components, run as the product runs programs.
//!
//! Law: a component takes a program's way: it is admitted, compiled by the product's engine, linked and instantiated in a
//! store of its own. What a directive claims is held against what came of it, word for word where the file gives a message;
//! a directive that is not known here fails. What components may import is in [`host`].
//!
//! A function inside an exported instance is called as `INSTANCE#FUNCTION`.

pub mod host;
mod values;

use std::collections::HashMap;
use std::fmt;

use runtime_engine::{Code, Engine, LoadError, Tier};
use wasmtime::Store;
use wasmtime::component::{Component, Func, Instance, Val};
use wast::{QuoteWat, Wast, WastDirective, WastExecute, WastInvoke, WastRet};

use crate::script;
use host::Host;

/// What may be used to compile one component, in bytes: far more than any file needs.
const COMPILE_BYTES: u64 = 256 << 20;

/// Runs the file.
///
/// # Errors
/// A sentence about the first directive that did not do what it says.
pub fn run(engine: &Engine, text: &str) -> Result<(), String> {
    script::parsed(text, |wast| run_script(engine, text, wast))?
}

fn run_script(engine: &Engine, text: &str, wast: Wast<'_>) -> Result<(), String> {
    let mut script = Script::new(engine);
    for directive in wast.directives {
        let line = 1 + directive.span().linecol_in(text).0;
        script
            .run(directive)
            .map_err(|why| format!("line {line}: {why}"))?;
    }
    Ok(())
}

/// A component that lives, with its store.
struct Running {
    store: Store<Host>,
    instance: Instance,
}

/// What the directives so far have left.
struct Script<'e> {
    engine: &'e Engine,
    definitions: HashMap<String, Component>,
    instances: HashMap<String, Running>,
    /// The one that calls without a name go to.
    current: Option<Running>,
}

/// Why a component does not live.
enum NotStarted {
    Text(wast::Error),
    Refused(LoadError),
    NoComponent,
    Ended(wasmtime::Error),
}

impl fmt::Display for NotStarted {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(error) => error.fmt(out),
            Self::Refused(error) => error.fmt(out),
            Self::NoComponent => out.write_str("it is a core module, and no component"),
            Self::Ended(error) => write!(out, "{error:?}"),
        }
    }
}

impl<'e> Script<'e> {
    fn new(engine: &'e Engine) -> Self {
        Self {
            engine,
            definitions: HashMap::new(),
            instances: HashMap::new(),
            current: None,
        }
    }

    fn run(&mut self, directive: WastDirective<'_>) -> Result<(), String> {
        match directive {
            WastDirective::Module(wat) => self.start(wat),
            WastDirective::ModuleDefinition(wat) => self.define(wat),
            WastDirective::ModuleInstance {
                instance, module, ..
            } => self.start_defined(name_of(module)?, instance.map(|id| id.name())),
            WastDirective::Invoke(call) => ended(self.call(&call)?).map(drop),
            WastDirective::AssertReturn { exec, results, .. } => {
                self.assert_return(&exec, &results)
            }
            WastDirective::AssertTrap { exec, message, .. } => self.assert_trap(exec, message),
            WastDirective::AssertExhaustion { call, message, .. } => {
                contains(trap_of(self.call(&call)?)?, message)
            }
            WastDirective::AssertInvalid {
                module, message, ..
            }
            | WastDirective::AssertMalformed {
                module, message, ..
            } => self.assert_refused(module, message),
            WastDirective::AssertUnlinkable {
                module, message, ..
            } => self.assert_not_started(QuoteWat::Wat(module), message),
            _ => Err("this directive is not for components".to_owned()),
        }
    }

    /// Compiles, as programs are.
    fn load(&self, mut wat: QuoteWat<'_>) -> Result<Component, NotStarted> {
        let wasm = wat.encode().map_err(NotStarted::Text)?;
        let admitted = self.engine.admit("component", &wasm, COMPILE_BYTES);
        let admitted = admitted.map_err(NotStarted::Refused)?;
        let program = self
            .engine
            .compile(&admitted, Tier::Optimized)
            .map_err(NotStarted::Refused)?;
        match program.code {
            Code::Component(component) => Ok(component),
            Code::Module(_) => Err(NotStarted::NoComponent),
        }
    }

    fn start(&mut self, wat: QuoteWat<'_>) -> Result<(), String> {
        let name = wat.name().map(|id| id.name().to_owned());
        let component = self.load(wat).map_err(|error| error.to_string())?;
        self.keep(&component, name.as_deref())
    }

    fn define(&mut self, wat: QuoteWat<'_>) -> Result<(), String> {
        let name = name_of(wat.name())?.to_owned();
        let component = self.load(wat).map_err(|error| error.to_string())?;
        self.definitions.insert(name, component);
        Ok(())
    }

    fn start_defined(&mut self, definition: &str, name: Option<&str>) -> Result<(), String> {
        let component = self.definitions.get(definition).cloned();
        let component = component.ok_or_else(|| format!("there is no definition ${definition}"))?;
        self.keep(&component, name)
    }

    fn keep(&mut self, component: &Component, name: Option<&str>) -> Result<(), String> {
        let running = instantiate(component).map_err(|error| error.to_string())?;
        match name {
            Some(name) => drop(self.instances.insert(name.to_owned(), running)),
            None => self.current = Some(running),
        }
        Ok(())
    }

    /// The outer error is that there is nothing to call.
    fn call(&mut self, call: &WastInvoke<'_>) -> Result<wasmtime::Result<Vec<Val>>, String> {
        let running = match call.module {
            Some(id) => self.instances.get_mut(id.name()),
            None => self.current.as_mut(),
        };
        let running = running.ok_or("there is no such instance")?;
        let arguments = values::arguments(&call.args)?;
        running.call(call.name, &arguments)
    }

    fn assert_return(
        &mut self,
        exec: &WastExecute<'_>,
        expected: &[WastRet<'_>],
    ) -> Result<(), String> {
        let WastExecute::Invoke(call) = exec else {
            return Err("only functions of components return".to_owned());
        };
        let returned = ended(self.call(call)?)?;
        values::compare(&returned, &values::results(expected)?)
    }

    /// A call, or the instantiation, must fail while it runs.
    fn assert_trap(&mut self, exec: WastExecute<'_>, message: &str) -> Result<(), String> {
        match exec {
            WastExecute::Invoke(call) => contains(trap_of(self.call(&call)?)?, message),
            WastExecute::Wat(wat) => self.assert_not_started(QuoteWat::Wat(wat), message),
            WastExecute::Get { .. } => Err("components export no globals".to_owned()),
        }
    }

    /// It must not come so far as to be linked.
    fn assert_refused(&self, wat: QuoteWat<'_>, message: &str) -> Result<(), String> {
        match self.load(wat) {
            Ok(_) => Err("it was admitted".to_owned()),
            Err(refusal) => contains(refusal.to_string(), message),
        }
    }

    /// It must be admitted, and come no further.
    fn assert_not_started(&self, wat: QuoteWat<'_>, message: &str) -> Result<(), String> {
        let component = self.load(wat).map_err(|error| error.to_string())?;
        match instantiate(&component) {
            Ok(_) => Err("it was instantiated".to_owned()),
            Err(error) => contains(error.to_string(), message),
        }
    }
}

fn instantiate(component: &Component) -> Result<Running, NotStarted> {
    let mut store = Store::new(component.engine(), Host::default());
    let linker = host::linker(component.engine()).map_err(NotStarted::Ended)?;
    let instance = linker.instantiate(&mut store, component);
    let instance = instance.map_err(NotStarted::Ended)?;
    Ok(Running { store, instance })
}

impl Running {
    fn call(
        &mut self,
        name: &str,
        arguments: &[Val],
    ) -> Result<wasmtime::Result<Vec<Val>>, String> {
        let function = self
            .function(name)
            .ok_or_else(|| format!("there is no function {name}"))?;
        let count = function.ty(&self.store).results().len();
        let mut results = vec![Val::Bool(false); count];
        let ended = function.call(&mut self.store, arguments, &mut results);
        Ok(ended.map(|()| results))
    }

    fn function(&mut self, name: &str) -> Option<Func> {
        let Some((instance, name)) = name.split_once('#') else {
            return self.instance.get_func(&mut self.store, name);
        };
        let outer = self
            .instance
            .get_export_index(&mut self.store, None, instance)?;
        let index = self
            .instance
            .get_export_index(&mut self.store, Some(&outer), name)?;
        self.instance.get_func(&mut self.store, index)
    }
}

fn name_of<'a>(id: Option<wast::token::Id<'a>>) -> Result<&'a str, String> {
    id.map(|id| id.name())
        .ok_or_else(|| "it needs a name".to_owned())
}

fn ended(result: wasmtime::Result<Vec<Val>>) -> Result<Vec<Val>, String> {
    result.map_err(|error| format!("the call failed: {error:?}"))
}

fn trap_of(result: wasmtime::Result<Vec<Val>>) -> Result<String, String> {
    match result {
        Ok(values) => Err(format!("the call returned {values:?}")),
        Err(error) => Ok(format!("{error:?}")),
    }
}

fn contains(said: String, expected: &str) -> Result<(), String> {
    if said.contains(expected) {
        Ok(())
    } else {
        Err(format!("expected {expected:?}, but it said: {said}"))
    }
}
