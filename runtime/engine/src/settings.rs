//! The one set of engine settings, for the kernel and for the compiler on the development machine.
//!
//! There are two configurations, which differ in the processor's features alone: [`config`] for images, which run on
//! every processor that the system supports, and [`local_config`] for what is compiled where it runs. An engine of the second
//! loads images of the first: Wasmtime holds a module's features against the processor, not against the engine.
//!
//! `Component::deserialize` compares nearly all of Wasmtime's tunables and refuses another value, so both
//! sides call [`config`] and add nothing but the code memory, which does not count. Whatever Wasmtime would
//! otherwise derive from the machine, the environment or a Cargo feature is set here explicitly:
//!
//! - With a target set, `Config` infers no processor features (`Config::target`): without this the compiler
//!   would use AVX where the development machine has it, and the program would not load elsewhere.
//! - `concurrency_support` follows a Cargo feature by default, which another crate of the same build could
//!   switch on.
//! - `wasm_backtrace_details` follows an environment variable by default.

use crate::EngineError;
use sha2::{Digest, Sha256};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::num::NonZeroUsize;
use wasmtime::{Config, OptLevel, PoolingAllocationConfig, WasmBacktraceDetails};

/// The triple for which code is made; std inside the kernel is built for the same one.
pub const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Processor features that code may use: x86-64-v2 (System V psABI for AMD64, section 3.1.1), in
/// Cranelift's names. Version 2 also contains LAHF/SAHF, which Cranelift never emits.
pub const PROCESSOR_FLAGS: [&str; 6] = [
    "has_sse3",
    "has_ssse3",
    "has_sse41",
    "has_sse42",
    "has_popcnt",
    "has_cmpxchg16b",
];

/// Stack that wasm frames of one process may use, in bytes. What host calls need comes on top: see
/// the supervisor's thread stacks.
pub const WASM_STACK_BYTES: usize = 512 << 10;

/// Address space of one linear memory, in bytes: all of a 32-bit memory, so that it never moves and
/// its bounds are checked by the page tables. Pages are populated when they are touched.
pub const MEMORY_RESERVATION_BYTES: u64 = 4 << 30;

/// Guard region behind (and in front of) each linear memory, in bytes. Accesses with a static offset below
/// it need no bounds check.
pub const MEMORY_GUARD_BYTES: u64 = 32 << 20;

/// Frames in the backtrace of a trap: enough to see a recursion, bounded because a backtrace is
/// made of heap.
pub const BACKTRACE_FRAMES_MAX: usize = 32;

/// Whether linear memories start as copy-on-write mappings of their image. It is part of the settings' hash: a program
/// that was compiled for one value does not load under the other.
pub const MEMORY_INIT_COW: bool = true;

/// Images of memories up to this many bytes are made however few of their bytes a program gives; larger ones only if
/// data segments fill half of them. So a small program cannot ask for a large image.
pub const SPARSE_IMAGE_BYTES: u64 = 32 << 10;

/// Core instances, linear memories and tables of a process that gets them from the pool: what components made by
/// today's tools have is far below. A program with more gets its own from the kernel, see `Engine::load_precompiled`.
const POOLED_INSTANCES: u32 = 32;
const POOLED_MEMORIES: u32 = 2;
const POOLED_TABLES: u32 = 4;
/// Elements that a table of the pool may grow to: all that one process may have.
const POOLED_TABLE_ELEMENTS: usize = 1 << 20;
/// Bytes of the instances of one process, at most. Nothing of it is set aside.
const POOLED_INSTANCE_BYTES: usize = 64 << 20;
/// Memories that keep the page tables and the mappings of their last program, for its next start.
const WARM_MEMORIES: u32 = 16;

/// The pool for `processes` processes at a time: memories and tables whose places in the address space are reserved once.
/// It is as large as so many processes may need together, so it is never full. Reservations cost
/// address space (8 GiB and 64 MiB for a process), and no memory: what a process leaves behind is given back
/// when it ends, except for the page tables of [`WARM_MEMORIES`].
pub(crate) fn pool(processes: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(processes)
        .max_component_instance_size(POOLED_INSTANCE_BYTES)
        .max_core_instance_size(POOLED_INSTANCE_BYTES)
        .max_core_instances_per_component(POOLED_INSTANCES)
        .total_core_instances(processes.saturating_mul(POOLED_INSTANCES))
        .max_memories_per_component(POOLED_MEMORIES)
        .max_memories_per_module(POOLED_MEMORIES)
        // Each store may have one memory more for garbage-collected values.
        .total_memories(processes.saturating_mul(POOLED_MEMORIES + 1))
        .total_gc_heaps(processes)
        .max_memory_size(MEMORY_RESERVATION_BYTES as usize)
        .max_tables_per_component(POOLED_TABLES)
        .max_tables_per_module(POOLED_TABLES)
        .total_tables(processes.saturating_mul(POOLED_TABLES))
        .table_elements(POOLED_TABLE_ELEMENTS)
        .total_stacks(0)
        .max_unused_warm_slots(WARM_MEMORIES);
    pool
}

/// Features beyond [`PROCESSOR_FLAGS`] that code may use which is compiled where it runs, in Cranelift's names, and whether this
/// processor has them. AVX-512 is not among them: the kernel leaves it off, since its state would grow every trap.
fn local_features() -> [(&'static str, bool); 6] {
    [
        ("has_avx", std::is_x86_feature_detected!("avx")),
        ("has_avx2", std::is_x86_feature_detected!("avx2")),
        ("has_fma", std::is_x86_feature_detected!("fma")),
        ("has_bmi1", std::is_x86_feature_detected!("bmi1")),
        ("has_bmi2", std::is_x86_feature_detected!("bmi2")),
        ("has_lzcnt", std::is_x86_feature_detected!("lzcnt")),
    ]
}

/// Wasmtime's configuration without code memory, for code that runs on this processor only.
pub fn local_config() -> Result<Config, EngineError> {
    let mut config = config()?;
    for (flag, _) in local_features().into_iter().filter(|(_, present)| *present) {
        // SAFETY: this processor has the feature, and the code goes no further.
        unsafe { config.cranelift_flag_enable(flag) };
    }
    Ok(config)
}

/// The digest of the settings of images.
pub fn image_settings() -> Result<SettingsHash, EngineError> {
    let engine = wasmtime::Engine::new(&config()?).map_err(EngineError::from_wasmtime)?;
    Ok(SettingsHash::of(&engine))
}

/// Wasmtime's configuration without code memory, for images.
pub fn config() -> Result<Config, EngineError> {
    let mut config = Config::new();
    config.target(TARGET).map_err(EngineError::from_wasmtime)?;
    for flag in PROCESSOR_FLAGS {
        // SAFETY: a feature flag is unsound only if code using it runs on a processor without the
        // feature; `check_processor` and Wasmtime's own check when code is loaded rule that out.
        unsafe { config.cranelift_flag_enable(flag) };
    }
    configure_code(&mut config);
    configure_memory(&mut config);
    configure_diagnostics(&mut config);
    Ok(config)
}

fn configure_code(config: &mut Config) {
    config
        .cranelift_opt_level(OptLevel::Speed)
        .epoch_interruption(false)
        .consume_fuel(false)
        .signals_based_traps(true)
        .native_unwind_info(false)
        .parallel_compilation(true)
        .concurrency_support(false)
        .max_wasm_stack(WASM_STACK_BYTES);
}

fn configure_memory(config: &mut Config) {
    config
        .memory_reservation(MEMORY_RESERVATION_BYTES)
        .memory_guard_size(MEMORY_GUARD_BYTES)
        .guard_before_linear_memory(true)
        .memory_init_cow(MEMORY_INIT_COW)
        .memory_guaranteed_dense_image_size(SPARSE_IMAGE_BYTES)
        .table_lazy_init(true);
}

/// Names for a trap's backtrace, but no offsets, which make images a tenth larger, and no DWARF, which would be
/// parsed at every trap.
fn configure_diagnostics(config: &mut Config) {
    config
        .generate_address_map(false)
        .wasm_backtrace_max_frames(NonZeroUsize::new(BACKTRACE_FRAMES_MAX))
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .debug_info(false)
        .debug_symbols(false);
}

/// Says no on a processor that lacks one of the features that code may use.
pub fn check_processor() -> Result<(), EngineError> {
    let features = [
        ("SSE3", std::is_x86_feature_detected!("sse3")),
        ("SSSE3", std::is_x86_feature_detected!("ssse3")),
        ("SSE4.1", std::is_x86_feature_detected!("sse4.1")),
        ("SSE4.2", std::is_x86_feature_detected!("sse4.2")),
        ("POPCNT", std::is_x86_feature_detected!("popcnt")),
        ("CMPXCHG16B", std::is_x86_feature_detected!("cmpxchg16b")),
    ];
    match features.iter().find(|(_, present)| !present) {
        Some((name, _)) => Err(EngineError::ProcessorLacks(name)),
        None => Ok(()),
    }
}

/// A digest of everything that decides what code is made of a program. Equal for images means that
/// they load; that of an engine's own is part of the compile cache's key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SettingsHash(pub [u8; 32]);

impl SettingsHash {
    /// The digest of `engine`'s settings (`Engine::precompile_compatibility_hash`).
    pub(crate) fn of(engine: &wasmtime::Engine) -> SettingsHash {
        let mut hasher = Sha256Hasher(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut hasher);
        SettingsHash(hasher.0.finalize().into())
    }
}

impl fmt::Display for SettingsHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SettingsHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Feeds SHA-256 with what `Hash` writes. `std`'s default hasher may change between releases.
struct Sha256Hasher(Sha256);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest's first eight bytes. Nobody asks: the whole digest is taken by `finalize`.
    fn finish(&self) -> u64 {
        let digest: [u8; 32] = self.0.clone().finalize().into();
        digest
            .iter()
            .take(8)
            .fold(0, |sum, &byte| sum << 8 | u64::from(byte))
    }
}
