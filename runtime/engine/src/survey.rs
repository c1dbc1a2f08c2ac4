//! One pass over a program's bytes before a compiler sees any of them: is it a valid component or module, and
//! what would compiling it cost.
//!
//! The pass validates with the very parser that Wasmtime uses, so what is invalid is found here
//! with its offset, and measures by walking every operator. Size alone says little about cost: a
//! two-byte `call` may have a thousand results, a `block` a thousand parameters, and the compiler's
//! table of local variables has one entry per local and block, so a hostile megabyte could ask for
//! a hundred gigabytes. Hence *work*: operators plus the values that they take and give
//! ([`Survey::work`]); *variable slots*: locals times blocks of the worst function
//! ([`Survey::variable_slots`]); and *merges*: the values that meet at joins and loop heads, at
//! most the locals assigned inside times the branches there ([`Survey::merges`]).
//!
//! The baseline compiler has other worst cases: it walks the whole operand stack wherever it needs registers or joins
//! paths ([`Survey::stack_steps`]), and clears each local by an instruction of its own ([`Survey::locals`]).
//!
//! Memory of the pass itself: the parser's type tables, a small multiple of the type sections.

use std::fmt;
use std::ops::Range;
use wasmparser::{
    BrTable, Catch, CompositeInnerType, Encoding, FuncToValidate, FuncValidator,
    FuncValidatorAllocations, FunctionBody, ImportSectionReader, Instance, InstanceSectionReader,
    ModuleArity, Operator, Parser, Payload, TableSectionReader, ValidPayload, Validator,
    ValidatorResources, WasmFeatures,
};

/// Modules and components inside one another, at most.
const NESTING_MAX: usize = 16;

/// Wasmtime computes the contents of function tables ahead for at most this many entries per table
/// (`wasmtime-environ`, `try_func_table_init`).
const PRECOMPUTED_TABLE_ENTRIES_MAX: u64 = 1 << 20;

/// Work of setting one field of a new structure to its default.
const FIELD_WORK: u64 = 3;

/// The module from which WASI 0.1 is imported.
pub(crate) const WASI_01: &str = "wasi_snapshot_preview1";

/// What kind of program some bytes are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// A component.
    #[default]
    Component,
    /// A core module that imports WASI 0.1: it becomes a component when it is loaded.
    Wasi01,
    /// Any other core module.
    Module,
}

/// What one program holds and what compiling it would cost. All counts are over every nested module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// What kind of program it is.
    pub form: Form,
    /// Size of the whole program in bytes.
    pub size_bytes: u64,
    /// Of these, bytes that the compiler keeps: all but custom sections, though with names.
    pub kept_bytes: u64,
    /// Bytes of data segments.
    pub data_bytes: u64,
    /// Core modules.
    pub core_modules: u64,
    /// Places in the program where a core module is instantiated.
    pub core_instances: u64,
    /// Functions, imports, exports, globals and segments of the core module with the most: what each of its
    /// instances has a record for.
    pub largest_module_entries: u64,
    /// Core types and component types.
    pub types: u64,
    /// Imports, exports, aliases, instances and globals: whatever becomes one table entry each.
    pub items: u64,
    /// Functions lifted or lowered between components and the host.
    pub canonical_functions: u64,
    /// Defined core functions.
    pub functions: u64,
    /// Bytes of function bodies.
    pub code_bytes: u64,
    /// Bytes of the largest function body.
    pub largest_function_bytes: u64,
    /// Operators, plus the values that each takes and gives.
    pub work: u64,
    /// `work` of the function with the most.
    pub largest_function_work: u64,
    /// Locals times blocks, of the function with the most.
    pub variable_slots: u64,
    /// Assigned locals times branches to the same place, of the function with the most.
    pub merges: u64,
    /// Function table entries that the compiler computes ahead.
    pub table_entries: u64,
    /// Values on the operand stack, added up over all operators.
    pub stack_steps: u64,
    /// Local variables of all functions, parameters included.
    pub locals: u64,
}

/// Why no survey could be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SurveyError {
    /// The bytes do not begin as WebAssembly does.
    NotWasm,
    /// The bytes end inside a section.
    Truncated {
        /// How many bytes there are.
        size_bytes: u64,
    },
    /// The bytes are no valid component or module.
    Invalid {
        /// The validator's own words.
        what: String,
        /// Where, in bytes from the start of the program.
        offset: u64,
    },
}

impl fmt::Display for SurveyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SurveyError::NotWasm => {
                f.write_str("is not a WebAssembly program (those begin with the bytes 00 61 73 6d)")
            }
            SurveyError::Truncated { size_bytes } => write!(
                f,
                "is cut short: it ends after {size_bytes} bytes, inside a section; copy it again"
            ),
            SurveyError::Invalid { what, offset } => {
                write!(
                    f,
                    "is not a valid WebAssembly program: {what} (at byte {offset})"
                )
            }
        }
    }
}

impl std::error::Error for SurveyError {}

impl From<wasmparser::Error> for SurveyError {
    fn from(error: wasmparser::Error) -> Self {
        SurveyError::Invalid {
            what: error.message().to_owned(),
            offset: error.offset() as u64,
        }
    }
}

impl Survey {
    /// Validates `wasm` as a component or module that uses only `features`, and measures it.
    pub fn of(wasm: &[u8], features: WasmFeatures) -> Result<Survey, SurveyError> {
        check_magic(wasm)?;
        let mut surveyor = Surveyor::new(wasm, features);
        surveyor.run()?;
        Ok(surveyor.survey)
    }
}

fn check_magic(wasm: &[u8]) -> Result<(), SurveyError> {
    const MAGIC: [u8; 4] = *b"\0asm";
    if wasm.starts_with(&MAGIC) {
        Ok(())
    } else if !wasm.is_empty() && MAGIC.starts_with(wasm) {
        Err(SurveyError::Truncated {
            size_bytes: wasm.len() as u64,
        })
    } else {
        Err(SurveyError::NotWasm)
    }
}

/// The state of one pass.
struct Surveyor<'a> {
    wasm: &'a [u8],
    offset: usize,
    parser: Parser,
    /// Parsers of the modules and components around the current one.
    outer: Vec<Parser>,
    validator: Validator,
    allocations: FuncValidatorAllocations,
    /// Entries of the core module that is being read.
    module_entries: u64,
    survey: Survey,
}

impl<'a> Surveyor<'a> {
    fn new(wasm: &'a [u8], features: WasmFeatures) -> Self {
        let mut parser = Parser::new(0);
        parser.set_features(features);
        Surveyor {
            wasm,
            offset: 0,
            parser,
            outer: Vec::new(),
            validator: Validator::new_with_features(features),
            allocations: FuncValidatorAllocations::default(),
            module_entries: 0,
            survey: Survey {
                size_bytes: wasm.len() as u64,
                kept_bytes: wasm.len() as u64,
                ..Survey::default()
            },
        }
    }

    fn run(&mut self) -> Result<(), SurveyError> {
        loop {
            let payload = self.next_payload()?;
            self.count(&payload)?;
            match self.validator.payload(&payload)? {
                ValidPayload::Ok => {}
                ValidPayload::Parser(inner) => self.enter(inner)?,
                ValidPayload::Func(function, body) => self.survey_function(function, &body)?,
                ValidPayload::End(_) => match self.outer.pop() {
                    Some(parser) => self.parser = parser,
                    None => return Ok(()),
                },
            }
        }
    }

    fn next_payload(&mut self) -> Result<Payload<'a>, SurveyError> {
        let rest = self.wasm.get(self.offset..).unwrap_or_default();
        match self.parser.parse(rest, true) {
            Ok(wasmparser::Chunk::Parsed { consumed, payload }) => {
                self.offset += consumed;
                Ok(payload)
            }
            Ok(wasmparser::Chunk::NeedMoreData(_)) => Err(self.truncated()),
            Err(error) if self.ends_early(&error) => Err(self.truncated()),
            Err(error) => Err(error.into()),
        }
    }

    /// The outermost parser stops only at the end of the file; inner ones also at the end of their section,
    /// which is then malformed and not cut.
    fn ends_early(&self, error: &wasmparser::Error) -> bool {
        self.outer.is_empty() && error.message().starts_with("unexpected end")
    }

    fn truncated(&self) -> SurveyError {
        SurveyError::Truncated {
            size_bytes: self.wasm.len() as u64,
        }
    }

    fn enter(&mut self, inner: Parser) -> Result<(), SurveyError> {
        if self.outer.len() >= NESTING_MAX {
            return Err(SurveyError::Invalid {
                what: format!("modules nest more than {NESTING_MAX} deep"),
                offset: self.offset as u64,
            });
        }
        self.outer.push(std::mem::replace(&mut self.parser, inner));
        Ok(())
    }

    fn count(&mut self, payload: &Payload<'_>) -> Result<(), SurveyError> {
        let survey = &mut self.survey;
        match payload {
            Payload::Version {
                encoding: Encoding::Module,
                ..
            } if self.outer.is_empty() => {
                survey.form = Form::Module;
                survey.core_modules = 1;
                survey.core_instances = 1;
            }
            Payload::ModuleSection {
                unchecked_range, ..
            } => {
                survey.core_modules += 1;
                self.module_entries = 0;
                return self.check_inside(unchecked_range);
            }
            Payload::ComponentSection {
                unchecked_range, ..
            } => return self.check_inside(unchecked_range),
            Payload::ComponentCanonicalSection(section) => {
                survey.canonical_functions += u64::from(section.count());
            }
            Payload::CustomSection(section) if section.name() != "name" => {
                survey.kept_bytes = survey
                    .kept_bytes
                    .saturating_sub(section.data().len() as u64);
            }
            Payload::CodeSectionStart { count, .. } => {
                survey.functions += u64::from(*count);
                self.count_module_entries(u64::from(*count));
            }
            Payload::InstanceSection(section) => {
                survey.core_instances += core_instances(section)?;
                survey.items += u64::from(section.count());
            }
            Payload::TableSection(tables) => survey.table_entries += table_entries(tables)?,
            Payload::TypeSection(_)
            | Payload::CoreTypeSection(_)
            | Payload::ComponentTypeSection(_) => survey.types += type_count(payload)?,
            other => {
                match other {
                    Payload::DataSection(section) => {
                        survey.data_bytes += section.range().len() as u64;
                    }
                    Payload::ImportSection(imports)
                        if survey.form == Form::Module && imports_wasi(imports)? =>
                    {
                        survey.form = Form::Wasi01;
                    }
                    _ => {}
                }
                survey.items += item_count(other);
                self.count_module_entries(item_count(other));
            }
        }
        Ok(())
    }

    fn count_module_entries(&mut self, entries: u64) {
        self.module_entries += entries;
        let most = &mut self.survey.largest_module_entries;
        *most = self.module_entries.max(*most);
    }

    fn check_inside(&self, range: &Range<usize>) -> Result<(), SurveyError> {
        if range.end > self.wasm.len() {
            Err(self.truncated())
        } else {
            Ok(())
        }
    }

    fn survey_function(
        &mut self,
        function: FuncToValidate<ValidatorResources>,
        body: &FunctionBody<'_>,
    ) -> Result<(), SurveyError> {
        let allocations = std::mem::take(&mut self.allocations);
        let mut validator = function.into_validator(allocations);
        let cost = FunctionCost::of(&mut validator, body)?;
        self.allocations = validator.into_allocations();

        let survey = &mut self.survey;
        let body_bytes = body.range().len() as u64;
        survey.code_bytes += body_bytes;
        survey.largest_function_bytes = survey.largest_function_bytes.max(body_bytes);
        survey.work = survey.work.saturating_add(cost.work);
        survey.largest_function_work = survey.largest_function_work.max(cost.work);
        survey.variable_slots = survey
            .variable_slots
            .max(cost.locals.saturating_mul(cost.blocks));
        survey.merges = survey.merges.max(cost.merges);
        survey.stack_steps = survey.stack_steps.saturating_add(cost.stack_steps);
        survey.locals += cost.locals;
        Ok(())
    }
}

fn imports_wasi(imports: &ImportSectionReader<'_>) -> Result<bool, SurveyError> {
    for import in imports.clone().into_imports() {
        if import?.module == WASI_01 {
            return Ok(true);
        }
    }
    Ok(false)
}

fn table_entries(tables: &TableSectionReader<'_>) -> Result<u64, SurveyError> {
    let mut entries = 0;
    for table in tables.clone() {
        entries += table?.ty.initial.min(PRECOMPUTED_TABLE_ENTRIES_MAX);
    }
    Ok(entries)
}

fn type_count(payload: &Payload<'_>) -> Result<u64, SurveyError> {
    Ok(match payload {
        Payload::TypeSection(groups) => {
            let mut types = 0;
            for group in groups.clone() {
                types += group?.types().len() as u64;
            }
            types
        }
        Payload::CoreTypeSection(section) => u64::from(section.count()),
        Payload::ComponentTypeSection(section) => u64::from(section.count()),
        _ => 0,
    })
}

fn core_instances(instances: &InstanceSectionReader<'_>) -> Result<u64, SurveyError> {
    let mut count = 0;
    for instance in instances.clone() {
        count += u64::from(matches!(instance?, Instance::Instantiate { .. }));
    }
    Ok(count)
}

/// Entries of the sections whose cost is one small record per entry.
fn item_count(payload: &Payload<'_>) -> u64 {
    u64::from(match payload {
        Payload::ImportSection(section) => section.count(),
        Payload::GlobalSection(section) => section.count(),
        Payload::ExportSection(section) => section.count(),
        Payload::ElementSection(section) => section.count(),
        Payload::DataSection(section) => section.count(),
        Payload::TagSection(section) => section.count(),
        Payload::ComponentInstanceSection(section) => section.count(),
        Payload::ComponentAliasSection(section) => section.count(),
        Payload::ComponentImportSection(section) => section.count(),
        Payload::ComponentExportSection(section) => section.count(),
        _ => 0,
    })
}

/// What one function asks of the compiler.
#[derive(Default)]
struct FunctionCost {
    work: u64,
    blocks: u64,
    locals: u64,
    merges: u64,
    stack_steps: u64,
    /// Assignments to locals so far.
    assignments: u64,
    /// The control frames around the current operator, the function's own first.
    frames: Vec<Frame>,
}

/// A block, loop, if or try that is open.
struct Frame {
    /// [`FunctionCost::assignments`] when it was opened.
    assignments_before: u64,
    /// Branches to its label so far, and the one way to fall into or out of it.
    edges: u64,
}

impl FunctionCost {
    /// Validates `body` and adds up its cost.
    fn of(
        validator: &mut FuncValidator<ValidatorResources>,
        body: &FunctionBody<'_>,
    ) -> Result<FunctionCost, SurveyError> {
        validator.read_locals(&mut body.get_binary_reader())?;
        let mut cost = FunctionCost {
            blocks: 1,
            locals: u64::from(validator.len_locals()),
            ..FunctionCost::default()
        };
        cost.open_frame();
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            let (operator, offset) = operators.read_with_offset()?;
            // Before the operator takes effect: its labels and types are those of this point.
            cost.add(validator, &operator);
            let height = u64::from(validator.operand_stack_height());
            cost.stack_steps = cost.stack_steps.saturating_add(height);
            validator.op(offset, &operator)?;
        }
        operators.finish()?;
        Ok(cost)
    }

    fn add(&mut self, module: &impl ModuleArity, operator: &Operator<'_>) {
        let (taken, given) = operator.operator_arity(module).unwrap_or_default();
        let values = u64::from(taken) + u64::from(given);
        self.work = self.work.saturating_add(1 + values);
        match operator {
            Operator::LocalSet { .. } | Operator::LocalTee { .. } => self.assignments += 1,
            Operator::Block { .. } => self.open(1),
            Operator::Loop { .. } => self.open(4),
            Operator::If { .. } => self.open(3),
            Operator::TryTable { try_table } => {
                self.open(1 + try_table.catches.len() as u64);
                try_table
                    .catches
                    .iter()
                    .for_each(|catch| self.branch(catch_label(catch).saturating_add(1), 1));
            }
            Operator::End => self.close(),
            Operator::Br { relative_depth } => self.branch(*relative_depth, 0),
            Operator::BrIf { relative_depth }
            | Operator::BrOnNull { relative_depth }
            | Operator::BrOnNonNull { relative_depth }
            | Operator::BrOnCast { relative_depth, .. }
            | Operator::BrOnCastFail { relative_depth, .. } => self.branch(*relative_depth, 2),
            Operator::BrTable { targets } => self.branch_table(targets, values),
            Operator::StructNewDefault { struct_type_index } => {
                let fields = field_count(module, *struct_type_index);
                self.work = self.work.saturating_add(FIELD_WORK * fields);
            }
            _ => {}
        }
    }

    fn branch_table(&mut self, targets: &BrTable<'_>, values: u64) {
        self.branch(targets.default(), 1);
        for target in targets.targets().flatten() {
            self.branch(target, 1);
            self.work = self.work.saturating_add(values);
        }
    }

    /// A control operator that opens a frame and makes `blocks` of the compiler's blocks.
    fn open(&mut self, blocks: u64) {
        self.blocks += blocks;
        self.open_frame();
    }

    fn open_frame(&mut self) {
        self.frames.push(Frame {
            assignments_before: self.assignments,
            edges: 1,
        });
    }

    fn close(&mut self) {
        if let Some(frame) = self.frames.pop() {
            let assigned = (self.assignments - frame.assignments_before).min(self.locals);
            self.merges = self
                .merges
                .saturating_add(assigned.saturating_mul(frame.edges));
        }
    }

    /// A branch to the frame `depth` further out that makes `blocks` of the compiler's blocks.
    fn branch(&mut self, depth: u32, blocks: u64) {
        self.blocks += blocks;
        let index = self.frames.len().checked_sub(depth as usize + 1);
        if let Some(frame) = index.and_then(|index| self.frames.get_mut(index)) {
            frame.edges += 1;
        }
    }
}

/// The label that a catch clause branches to, seen from outside its `try_table`.
fn catch_label(catch: &Catch) -> u32 {
    match catch {
        Catch::One { label, .. }
        | Catch::OneRef { label, .. }
        | Catch::All { label }
        | Catch::AllRef { label } => *label,
    }
}

fn field_count(module: &impl ModuleArity, type_index: u32) -> u64 {
    match module
        .sub_type_at(type_index)
        .map(|ty| &ty.composite_type.inner)
    {
        Some(CompositeInnerType::Struct(ty)) => ty.fields.len() as u64,
        _ => 0,
    }
}
