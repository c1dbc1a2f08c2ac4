//! What of a program is called, and the one who makes programs.

use std::io::{self, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use wasmparser::{CompositeInnerType, ExternalKind, FuncType, Parser, Payload, ValType};

/// What is to be loaded.
pub struct Program {
    pub form: Form,
    pub wasm: Vec<u8>,
}

/// What the program is by its making.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A valid module that ends.
    Ending,
    /// A valid module that may loop for ever.
    Endless,
    /// A component; it imports what nobody has.
    Component,
    /// A module of which some bytes were changed.
    Damaged,
}

/// Makes programs out of bytes: `test-fuzz-smith`, which cargo builds and starts.
///
/// A process of its own, because `wasm-smith` asks other features of crates that Wasmtime is built from, and in one build it would be
/// built a second time for that.
pub struct Smith {
    input: ChildStdin,
    output: ChildStdout,
    // Ends when its input does.
    _process: Child,
}

impl Smith {
    /// One that waits for bytes.
    pub fn start() -> io::Result<Self> {
        let mut cargo = Command::new("cargo");
        cargo.args(["run", "--quiet", "--package", "test-fuzz-smith"]);
        cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
        let mut process = cargo.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let missing = || io::Error::other("a pipe is missing");
        Ok(Self {
            input: process.stdin.take().ok_or_else(missing)?,
            output: process.stdout.take().ok_or_else(missing)?,
            _process: process,
        })
    }

    /// The program that these bytes mean; none where they are too few.
    pub fn program(&mut self, bytes: &[u8]) -> io::Result<Option<Program>> {
        self.input.write_all(&(bytes.len() as u32).to_le_bytes())?;
        self.input.write_all(bytes)?;
        self.input.flush()?;
        let mut header = [0; 5];
        self.output.read_exact(&mut header)?;
        let [number, len_bytes @ ..] = header;
        let mut wasm = vec![0; u32::from_le_bytes(len_bytes) as usize];
        self.output.read_exact(&mut wasm)?;
        let form = match number {
            1 => Form::Ending,
            2 => Form::Endless,
            3 => Form::Component,
            4 => Form::Damaged,
            _ => return Ok(None),
        };
        Ok(Some(Program { form, wasm }))
    }
}

/// An exported function, and words that are arguments of it.
pub struct Export {
    pub name: String,
    pub words: Vec<String>,
}

/// The functions of a module without imports that can be called with words.
pub fn exports(wasm: &[u8]) -> Vec<Export> {
    let (mut types, mut functions, mut names) = (Vec::new(), Vec::new(), Vec::new());
    for payload in Parser::new(0).parse_all(wasm).map_while(Result::ok) {
        match payload {
            Payload::TypeSection(section) => {
                let groups = section.into_iter().map_while(Result::ok);
                let all = groups.flat_map(|group| group.into_types());
                types.extend(all.map(|ty| match ty.composite_type.inner {
                    CompositeInnerType::Func(function) => Some(function),
                    _ => None,
                }));
            }
            Payload::FunctionSection(section) => {
                functions.extend(section.into_iter().map_while(Result::ok));
            }
            Payload::ExportSection(section) => {
                let exports = section.into_iter().map_while(Result::ok);
                let functions = exports.filter(|export| export.kind == ExternalKind::Func);
                names.extend(functions.map(|export| (export.name.to_owned(), export.index)));
            }
            _ => {}
        }
    }
    let export = |(name, index): (String, u32)| {
        let ty = types.get(*functions.get(index as usize)? as usize)?;
        let words = words(ty.as_ref()?)?;
        Some(Export { name, words })
    };
    names.into_iter().filter_map(export).collect()
}

fn words(ty: &FuncType) -> Option<Vec<String>> {
    let word = |(number, ty): (usize, &ValType)| match ty {
        ValType::I32 | ValType::I64 => Some((number * 7 + 3).to_string()),
        ValType::F32 | ValType::F64 => Some(format!("{number}.25")),
        ValType::V128 | ValType::Ref(_) => None,
    };
    ty.params().iter().enumerate().map(word).collect()
}
