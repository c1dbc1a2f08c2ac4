//! Programs out of bytes: modules and components of `wasm-smith`, whole or damaged.

use arbitrary::{Arbitrary, Unstructured};
use wasm_smith::{Component, Config, Module};

/// What a module whose loops end may do before it traps, in blocks and calls.
const FUEL: u32 = 1000;

/// What is to be loaded.
pub struct Program {
    pub form: Form,
    pub wasm: Vec<u8>,
}

/// What the program is by its making; the numbers are said to the one who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A valid module that ends.
    Ending = 1,
    /// A valid module that may loop for ever.
    Endless = 2,
    /// A component; it imports what nobody has.
    Component = 3,
    /// A module of which some bytes were changed.
    Damaged = 4,
}

impl Program {
    /// The program that these bytes mean; none where they are too few.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let (&[form, features], rest) = bytes.split_first_chunk::<2>()?;
        let mut input = Unstructured::new(rest);
        let config = config(features % 8 == 0);
        let form = match form % 16 {
            0 => Form::Endless,
            1 => Form::Component,
            2 | 3 => Form::Damaged,
            _ => Form::Ending,
        };
        let wasm = match form {
            Form::Component => Component::new(config, &mut input).ok()?.to_bytes(),
            Form::Endless => Module::new(config, &mut input).ok()?.to_bytes(),
            Form::Ending => ending(config, &mut input)?,
            Form::Damaged => {
                let mut wasm = ending(config, &mut input)?;
                damage(&mut input, &mut wasm);
                wasm
            }
        };
        Some(Self { form, wasm })
    }
}

fn ending(config: Config, input: &mut Unstructured<'_>) -> Option<Vec<u8>> {
    let mut module = Module::new(config, input).ok()?;
    module.ensure_termination(FUEL).ok()?;
    Some(module.to_bytes())
}

fn damage(input: &mut Unstructured<'_>, wasm: &mut [u8]) {
    for _ in 0..4 {
        let last = wasm.len().saturating_sub(1);
        let at = input.int_in_range(0..=last).unwrap_or(0);
        if let (Some(byte), Ok(new)) = (wasm.get_mut(at), u8::arbitrary(input)) {
            *byte = new;
        }
    }
}

/// Small modules without imports, whose results do not depend on which NaN a processor makes; with or without what the baseline compiler
/// does not support.
fn config(wants_more: bool) -> Config {
    Config {
        bulk_memory_enabled: true,
        canonicalize_nans: true,
        exceptions_enabled: wants_more,
        export_everything: true,
        gc_enabled: wants_more,
        max_data_segments: 4,
        max_element_segments: 4,
        max_funcs: 6,
        max_globals: 6,
        max_imports: 0,
        max_instructions: 60,
        max_memories: 1,
        max_memory32_bytes: 1 << 20,
        max_memory64_bytes: 1 << 20,
        max_table_elements: 1000,
        max_tables: 2,
        max_tags: 2,
        max_type_size: 100,
        max_types: 8,
        memory64_enabled: wants_more,
        min_funcs: 1,
        relaxed_simd_enabled: false,
        simd_enabled: wants_more,
        tail_call_enabled: wants_more,
        threads_enabled: false,
        ..Config::default()
    }
}
