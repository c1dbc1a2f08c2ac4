//! Core modules that import nothing: linked, started, called by name.
//!
//! Laws, which are those of Wasmtime's own command line: a module's `_initialize` runs first if it has one; then the function
//! that was asked for, or else the one that is exported without a name or as `_start`, or none. Its arguments are words: integers in
//! decimal notation or in hexadecimal behind `0x`, floating-point numbers as Rust reads them. Its results are printed, each on a
//! line of standard output. Unlike there, words that no parameter takes are refused, and what cannot be called is
//! [`Exit::Unusable`].

use crate::run::{cannot_start, unlinkable, unusable};
use crate::{Exit, Launch, ProcessState};
use runtime_host::{ByteSink, Cancellation, Cancelled, write_all_blocking};
use std::str::FromStr;
use std::sync::Arc;
use wasmtime::{Func, Instance, InstancePre, Linker, Module, Store, Val, ValType};

/// What a reactor runs before anything else.
const INITIALIZE: &str = "_initialize";
/// What is called when nothing was asked for: the first of these that there is.
const DEFAULTS: [&str; 2] = ["", "_start"];

/// What is called, and where its results go.
pub(crate) struct Call {
    function: Option<String>,
    words: Vec<String>,
    stdout: Arc<dyn ByteSink>,
    cancellation: Cancellation,
}

impl Call {
    /// The call that a launch asks for.
    pub fn of(launch: &Launch, cancellation: &Cancellation) -> Call {
        Call {
            function: launch.call.clone(),
            words: launch.arguments.clone(),
            stdout: Arc::clone(&launch.stdout),
            cancellation: cancellation.clone(),
        }
    }

    /// The function in the instance; none if there is none to call.
    fn find(
        &self,
        store: &mut Store<ProcessState>,
        instance: &Instance,
        program: &str,
    ) -> Result<Option<Func>, Exit> {
        let Some(name) = &self.function else {
            let mut defaults = DEFAULTS.iter();
            return Ok(defaults.find_map(|name| instance.get_func(&mut *store, name)));
        };
        match instance.get_func(&mut *store, name) {
            Some(function) => Ok(Some(function)),
            None => Err(unusable(
                program,
                format!("exports no function `{}`", name.escape_debug()),
            )),
        }
    }

    /// The words as values of these types.
    fn arguments(&self, types: &[ValType]) -> Result<Vec<Val>, String> {
        if self.words.len() != types.len() {
            let (given, taken) = (self.words.len(), types.len());
            return Err(format!(
                "the function takes {taken} arguments, and {given} were given"
            ));
        }
        let values = types.iter().zip(&self.words);
        values.map(|(ty, word)| argument(ty, word)).collect()
    }

    /// Prints the results. Nobody need read them.
    fn print(&self, results: &[Val]) -> Result<(), Cancelled> {
        let mut text = String::new();
        for result in results {
            text.push_str(&shown(result));
            text.push('\n');
        }
        let written = write_all_blocking(&*self.stdout, text.as_bytes(), &self.cancellation)?;
        if let Err(failure) = written {
            log::debug!("results were not printed: {failure}");
        }
        Ok(())
    }
}

/// A module with its imports resolved, of which there are none.
pub(crate) fn link(module: &Module, program: &str) -> Result<InstancePre<ProcessState>, Exit> {
    Linker::new(module.engine())
        .instantiate_pre(module)
        .map_err(|error| unlinkable(program, &error))
}

/// Instantiates the module and makes the call.
pub(crate) fn run(
    module: &InstancePre<ProcessState>,
    store: &mut Store<ProcessState>,
    program: &str,
    call: &Call,
) -> Result<Exit, Exit> {
    let instance = module.instantiate(&mut *store);
    let instance = instance.map_err(|error| cannot_start(program, &error, store))?;
    let function = call.find(store, &instance, program)?;
    if let Some(initialize) = instance.get_func(&mut *store, INITIALIZE) {
        let done = initialize.call(&mut *store, &[], &mut []);
        done.map_err(|error| ended(&error, store))?;
    }
    let Some(function) = function else {
        return Ok(Exit::Code(0));
    };
    let ty = function.ty(&*store);
    let types: Vec<ValType> = ty.params().collect();
    let arguments = call
        .arguments(&types)
        .map_err(|why| unusable(program, format!("cannot be called so: {why}")))?;
    let mut results = vec![Val::I32(0); ty.results().len()];
    function
        .call(&mut *store, &arguments, &mut results)
        .map_err(|error| ended(&error, store))?;
    match call.print(&results) {
        Ok(()) => Ok(Exit::Code(0)),
        Err(Cancelled) => Ok(Exit::Killed),
    }
}

fn ended(error: &wasmtime::Error, store: &Store<ProcessState>) -> Exit {
    Exit::from_error(error, store.data().refusal())
}

/// The word as a value of the type; an error is a part of a sentence.
fn argument(ty: &ValType, word: &str) -> Result<Val, String> {
    let value = match ty {
        ValType::I32 => integer(word, i32::from_str_radix).map(Val::I32),
        ValType::I64 => integer(word, i64::from_str_radix).map(Val::I64),
        ValType::F32 => f32::from_str(word)
            .ok()
            .map(|value| Val::F32(value.to_bits())),
        ValType::F64 => f64::from_str(word)
            .ok()
            .map(|value| Val::F64(value.to_bits())),
        ValType::V128 | ValType::Ref(_) => {
            return Err(format!(
                "it takes a {ty}, which cannot be written as a word"
            ));
        }
    };
    value.ok_or_else(|| format!("`{}` is no {ty}", word.escape_debug()))
}

fn integer<T, E>(word: &str, parse: fn(&str, u32) -> Result<T, E>) -> Option<T> {
    let hexadecimal = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X"));
    match hexadecimal {
        Some(digits) => parse(digits, 16).ok(),
        None => parse(word, 10).ok(),
    }
}

/// A result as Wasmtime's command line prints it.
fn shown(value: &Val) -> String {
    match value {
        Val::I32(value) => value.to_string(),
        Val::I64(value) => value.to_string(),
        Val::F32(bits) => f32::from_bits(*bits).to_string(),
        Val::F64(bits) => f64::from_bits(*bits).to_string(),
        Val::V128(value) => value.as_u128().to_string(),
        Val::FuncRef(reference) => reference_shown("funcref", reference.is_none()),
        Val::ExternRef(reference) => reference_shown("externref", reference.is_none()),
        Val::AnyRef(reference) => reference_shown("anyref", reference.is_none()),
        Val::ExnRef(reference) => reference_shown("exnref", reference.is_none()),
        Val::ContRef(reference) => reference_shown("contref", reference.is_none()),
    }
}

fn reference_shown(kind: &str, is_null: bool) -> String {
    if is_null {
        format!("<null {kind}>")
    } else {
        format!("<{kind}>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(ty: ValType, word: &str) -> Result<String, String> {
        argument(&ty, word).map(|value| shown(&value))
    }

    #[test]
    fn words_become_values_and_values_become_words() {
        for (ty, word, text) in [
            (ValType::I32, "-2147483648", "-2147483648"),
            (ValType::I32, "0x7fffffff", "2147483647"),
            (ValType::I64, "0Xff", "255"),
            (ValType::I64, "9223372036854775807", "9223372036854775807"),
            (ValType::F32, "1.5", "1.5"),
            (ValType::F64, "-inf", "-inf"),
            (ValType::F64, "1e300", &format!("1{}", "0".repeat(300))),
        ] {
            assert_eq!(read(ty, word).as_deref(), Ok(text), "{word}");
        }
    }

    #[test]
    fn words_that_are_no_values_are_named() {
        for (ty, word) in [
            (ValType::I32, "2147483648"),
            (ValType::I32, "one"),
            (ValType::I64, "0x"),
            (ValType::F32, ""),
        ] {
            let why = read(ty, word).unwrap_err();
            assert!(why.starts_with(&format!("`{word}` is no ")), "{why}");
        }
        // The long form of `funcref`, as Wasmtime writes it.
        let why = read(ValType::FUNCREF, "x").unwrap_err();
        assert!(why.contains("(ref null func)"), "{why}");
        assert!(read(ValType::V128, "1").unwrap_err().contains("v128"));
    }
}
