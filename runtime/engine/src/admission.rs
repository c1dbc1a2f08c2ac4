//! May this program be compiled here? Answered before a compiler sees a byte of it.
//!
//! `std` ends the machine when an allocation fails, and compilers allocate without asking; so the
//! peak of a compilation is estimated from a [`Survey`] and refused as a sentence when it does not
//! fit. The estimate is a sum of measured rates, each of them above what was ever seen
//! (`tests/estimate.rs` measures anew): what every function leaves behind until the image is
//! linked, plus what the largest functions need at once on all compile threads, plus the tables per
//! type, item and byte. The caller reserves [`Admitted::peak_bytes`] from its budget for the time
//! of the compilation. A module of WASI 0.1 is adapted on the way, which is paid for in the same way ([`Purse`]).
//!
//! Both compilers are held to the estimate for Cranelift; what the baseline compiler takes on top is said by
//! [`PER_LOCAL`], and where its time would not be linear, it is not asked ([`Admitted::suits_baseline`]).
//!
//! For scale: ripgrep 15 (2.4 MB of code in 5,896 functions, 20 MB with its debug sections)
//! compiles in 89 MB of heap and image, 38 bytes per byte of code; the estimate is 183 MB with one
//! thread and 218 MB with two.
//!
//! Fixed limits come on top, for what takes time beyond reason rather than memory.

use crate::{Form, LoadError, LoadProblem, Survey, Tier, adapt};
use std::borrow::Cow;
use wasmparser::WasmFeatures;

/// Largest program in bytes.
pub const PROGRAM_BYTES_MAX: u64 = 256 << 20;
/// Largest function body in bytes. Register allocation takes more than linear time; the largest function in
/// common use, the main loop of an interpreter, is below a megabyte.
pub const FUNCTION_BYTES_MAX: u64 = 2 << 20;
/// Most work (see [`Survey::work`]) in one function.
pub const FUNCTION_WORK_MAX: u64 = 8 << 20;
/// Most locals times blocks in one function.
pub const VARIABLE_SLOTS_MAX: u64 = 64 << 20;
/// Most assigned locals times branches in one function.
pub const MERGES_MAX: u64 = 4 << 20;
/// Most functions in a program.
pub const FUNCTIONS_MAX: u64 = 500_000;
/// Most core modules in a program.
pub const CORE_MODULES_MAX: u64 = 1_000;
/// Most types in a program.
pub const TYPES_MAX: u64 = 200_000;
/// Most lifted and lowered functions in a program.
pub const CANONICAL_FUNCTIONS_MAX: u64 = 20_000;

/// Most local variables of all functions together: a function's declaration of 50,000 takes three bytes.
pub const LOCALS_MAX: u64 = 32 << 20;
/// Most steps along operand stacks ([`Survey::stack_steps`]) that the baseline compiler is asked for: a quarter of a second.
/// ripgrep takes one for each byte.
pub const BASELINE_STACK_STEPS_MAX: u64 = 256 << 20;
/// Most local variables of all functions that the baseline compiler is asked for.
pub const BASELINE_LOCALS_MAX: u64 = 4 << 20;

/// What a compilation takes in any case, in bytes.
const BASE_BYTES: u64 = 4 << 20;
/// Bytes per byte that is kept: data segments and names are in the image, which is made twice.
const PER_KEPT_BYTE: u64 = 3;
/// Bytes per byte of data segments: memories become images of whole pages, up to half of whose bytes no segment has
/// (`settings::SPARSE_IMAGE_BYTES`), and these are made twice.
const PER_DATA_BYTE: u64 = 4;
/// Bytes that stay until linking, per unit of work: machine code, relocations, address and trap maps.
const PER_WORK: u64 = 36;
/// Bytes that stay until linking, per function.
const PER_FUNCTION: u64 = 6 << 10;
/// Bytes of a running compilation per unit of the largest function's work, on each thread.
const PER_LARGEST_WORK: u64 = 460;
/// Bytes per local and block of the worst function, on each thread: a 4-byte value number in a
/// vector that doubles, and what keeping the value alive through the block costs.
const PER_VARIABLE_SLOT: u64 = 24;
/// Bytes per assigned local and branch that meet, on each thread: arguments of branches, and what register
/// allocation makes of them.
const PER_MERGE: u64 = 600;
/// Bytes per type, with its trampolines.
const PER_TYPE: u64 = 12 << 10;
/// Bytes per import, export, alias, instance or global.
const PER_ITEM: u64 = 2 << 10;
/// Bytes per lifted or lowered function: each gets its own trampolines, and an adapter between components.
const PER_CANONICAL_FUNCTION: u64 = 64 << 10;
/// Bytes per function table entry that is computed ahead.
const PER_TABLE_ENTRY: u64 = 24;
/// Bytes per core module.
const PER_CORE_MODULE: u64 = 256 << 10;
/// Bytes per local variable of any function, by the baseline compiler: the instruction that clears it, in the function's
/// code and in the image, which is made twice.
const PER_LOCAL: u64 = 64;

/// Who pays for admission and compilation.
pub trait Purse: Send {
    /// Sees to it that `bytes` in all are reserved. The error is how many more could have been.
    fn hold(&mut self, bytes: u64) -> Result<(), u64>;
}

/// A purse with so many bytes in it.
impl Purse for u64 {
    fn hold(&mut self, bytes: u64) -> Result<(), u64> {
        if bytes <= *self { Ok(()) } else { Err(*self) }
    }
}

/// By what a program is admitted.
#[derive(Clone, Copy, Debug)]
pub struct Admission {
    /// Threads that compile at the same time.
    pub threads: u64,
    /// What programs may use.
    pub features: WasmFeatures,
}

/// A program that was surveyed and fits: valid, within all limits, compiled in at most
/// [`Admitted::peak_bytes`].
#[derive(Debug)]
pub struct Admitted<'a> {
    program: &'a str,
    /// The component or module to compile: what was given, or what was made of it.
    wasm: Cow<'a, [u8]>,
    survey: Survey,
    threads: u64,
}

impl Admission {
    /// Surveys `wasm`, adapts it if it is of WASI 0.1, and says whether the result may be compiled. `purse` holds what that
    /// takes in turn, and does not pay for the compilation yet: see [`Admitted::pay`].
    pub fn admit<'a>(
        &self,
        program: &'a str,
        wasm: &'a [u8],
        purse: &mut dyn Purse,
    ) -> Result<Admitted<'a>, LoadError> {
        self.admit_or_say(program, wasm, purse)
            .map_err(|problem| problem.of(program))
    }

    fn admit_or_say<'a>(
        &self,
        program: &'a str,
        wasm: &'a [u8],
        purse: &mut dyn Purse,
    ) -> Result<Admitted<'a>, LoadProblem> {
        check_limit("bytes", wasm.len() as u64, PROGRAM_BYTES_MAX)?;
        let survey = self.survey(wasm)?;
        if survey.form != Form::Wasi01 {
            return Ok(self.admitted(program, Cow::Borrowed(wasm), survey));
        }
        pay(purse, survey.size_bytes, adapt::peak_bytes(&survey))?;
        let adapted = adapt::adapt(wasm)?;
        let survey = self.survey(&adapted)?;
        Ok(self.admitted(program, Cow::Owned(adapted), survey))
    }

    fn survey(&self, wasm: &[u8]) -> Result<Survey, LoadProblem> {
        let survey = Survey::of(wasm, self.features).map_err(LoadProblem::Unusable)?;
        check_limits(&survey)?;
        Ok(survey)
    }

    fn admitted<'a>(&self, program: &'a str, wasm: Cow<'a, [u8]>, survey: Survey) -> Admitted<'a> {
        Admitted {
            program,
            wasm,
            survey,
            threads: self.threads,
        }
    }
}

impl<'a> Admitted<'a> {
    /// The program's name.
    pub fn program(&self) -> &'a str {
        self.program
    }

    /// The bytes to compile: the program's own, or the component that a module of WASI 0.1 has become.
    pub fn wasm(&self) -> &[u8] {
        &self.wasm
    }

    /// What these bytes hold.
    pub fn survey(&self) -> &Survey {
        &self.survey
    }

    /// What compiling it takes at most, in bytes, an adapted component included.
    pub fn peak_bytes(&self, tier: Tier) -> u64 {
        let baseline_bytes = match tier {
            Tier::Baseline => self.survey.locals.saturating_mul(PER_LOCAL),
            Tier::Optimized => 0,
        };
        let adapted_bytes = match &self.wasm {
            Cow::Borrowed(_) => 0,
            Cow::Owned(component) => component.capacity() as u64,
        };
        peak_bytes(&self.survey, self.threads)
            .saturating_add(baseline_bytes)
            .saturating_add(adapted_bytes)
    }

    /// Whether the baseline compiler's time is linear in this program's size.
    pub fn suits_baseline(&self) -> bool {
        self.survey.stack_steps <= BASELINE_STACK_STEPS_MAX
            && self.survey.locals <= BASELINE_LOCALS_MAX
    }

    /// Has `purse` hold what compiling takes.
    pub fn pay(&self, tier: Tier, purse: &mut dyn Purse) -> Result<(), LoadError> {
        pay(purse, self.survey.size_bytes, self.peak_bytes(tier))
            .map_err(|problem| problem.of(self.program))
    }
}

fn pay(purse: &mut dyn Purse, size_bytes: u64, needed_bytes: u64) -> Result<(), LoadProblem> {
    purse
        .hold(needed_bytes)
        .map_err(|available_bytes| LoadProblem::NotEnoughMemory {
            size_bytes,
            needed_bytes,
            available_bytes,
        })
}

fn check_limits(survey: &Survey) -> Result<(), LoadProblem> {
    let limits = [
        (
            "bytes in one function",
            survey.largest_function_bytes,
            FUNCTION_BYTES_MAX,
        ),
        (
            "operators and values in one function",
            survey.largest_function_work,
            FUNCTION_WORK_MAX,
        ),
        (
            "local variables times blocks in one function",
            survey.variable_slots,
            VARIABLE_SLOTS_MAX,
        ),
        (
            "assigned variables times branches in one function",
            survey.merges,
            MERGES_MAX,
        ),
        ("functions", survey.functions, FUNCTIONS_MAX),
        (
            "local variables of all functions",
            survey.locals,
            LOCALS_MAX,
        ),
        ("core modules", survey.core_modules, CORE_MODULES_MAX),
        ("types", survey.types, TYPES_MAX),
        (
            "lifted or lowered functions",
            survey.canonical_functions,
            CANONICAL_FUNCTIONS_MAX,
        ),
    ];
    limits
        .into_iter()
        .try_for_each(|(what, found, limit)| check_limit(what, found, limit))
}

fn check_limit(what: &'static str, found: u64, limit: u64) -> Result<(), LoadProblem> {
    if found > limit {
        return Err(LoadProblem::OverLimit { what, found, limit });
    }
    Ok(())
}

/// The estimated peak of compiling what `survey` describes, in bytes.
pub fn peak_bytes(survey: &Survey, threads: u64) -> u64 {
    let per_thread = sum([
        (survey.largest_function_work, PER_LARGEST_WORK),
        (survey.variable_slots, PER_VARIABLE_SLOT),
        (survey.merges, PER_MERGE),
    ]);
    let whole = sum([
        (survey.kept_bytes, PER_KEPT_BYTE),
        (survey.data_bytes, PER_DATA_BYTE),
        (survey.work, PER_WORK),
        (survey.functions, PER_FUNCTION),
        (survey.types, PER_TYPE),
        (survey.items, PER_ITEM),
        (survey.canonical_functions, PER_CANONICAL_FUNCTION),
        (survey.table_entries, PER_TABLE_ENTRY),
        (survey.core_modules, PER_CORE_MODULE),
    ]);
    BASE_BYTES
        .saturating_add(whole)
        .saturating_add(per_thread.saturating_mul(threads.max(1)))
}

fn sum<const N: usize>(terms: [(u64, u64); N]) -> u64 {
    terms.into_iter().fold(0, |total, (count, rate)| {
        total.saturating_add(count.saturating_mul(rate))
    })
}
