//! The engine: programs in, components out.

use crate::cache::CompileCache;
use crate::engines::Engines;
use crate::interrupt::{Interrupter, Killer};
use crate::landing::Landing;
use crate::settings::{self, SettingsHash};
use crate::{
    Admission, Admitted, CacheKey, Code, EngineError, Form, LoadError, LoadProblem, Program, Purse,
    Survey, SurveyError, Tier, VerifiedImage, baseline,
};
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wasmtime::component::Component;
use wasmtime::{CustomCodeMemory, Module, Precompiled};

/// Stack of one compile thread in bytes. Compiling real programs took 517 KiB; pages come on demand.
const COMPILE_STACK_BYTES: usize = 2 << 20;

/// Up to this estimate, in bytes, a program is compiled by the engine that runs it. Wasmtime keeps the buffers of
/// every compilation for the next one, as large as the largest program made them, and nobody's budget pays for
/// them; so what takes more is compiled by a compiler of its own, which goes with its buffers.
const SHARED_COMPILER_BYTES_MAX: u64 = 8 << 20;

/// Alignment that an image needs to run where it lies: the text section's pages change their protection.
const PAGE_BYTES: usize = 4096;

/// What whoever starts the engine decides.
#[derive(Clone, Default)]
pub struct EngineOptions {
    /// Who makes pages executable. `None`: Wasmtime itself, by `mprotect`.
    ///
    /// `unpublish_executable` is called when a component is dropped, also with a length of 0.
    pub code_memory: Option<Arc<dyn CustomCodeMemory>>,
    /// Bytes of compiled programs to keep after their last process ended. 0: keep none.
    pub cache_bytes: u64,
    /// Threads that compile. `None`: as many as there are processors.
    pub compile_threads: Option<NonZeroUsize>,
    /// Processes whose memories and tables come from a pool, at a time: whoever starts more of them gets an error. 0: no
    /// pool.
    pub pooled_processes: u32,
    /// How threads that run wasm are interrupted. `None`: wasm that does not stop by itself cannot be ended, but for tests on a
    /// development machine (feature `signal-interrupter`).
    pub interrupter: Option<Interrupter>,
    /// Runs first on each thread that compiles, to tell the system that it computes at length.
    pub compile_thread_start: Option<fn()>,
}

/// Wasmtime with KPIO's settings. Clones are the same engine.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    engines: Engines,
    settings: SettingsHash,
    killer: Killer,
    has_code_memory: bool,
    compile_threads: usize,
    compile_thread_start: Option<fn()>,
    /// Started by the first compilation: a machine that runs precompiled programs only has none.
    pool: Mutex<Option<Arc<ThreadPool>>>,
    cache_capacity_bytes: u64,
    cache: Mutex<CompileCache>,
    compilations: Compilations,
    /// Images that run where they lie, by address. See [`Engine::load_precompiled`].
    in_place: Mutex<HashMap<usize, Program>>,
}

/// Compilations that succeeded, ever.
#[derive(Default)]
struct Compilations {
    baseline: AtomicU64,
    optimized: AtomicU64,
}

impl Compilations {
    fn of(&self, tier: Tier) -> &AtomicU64 {
        match tier {
            Tier::Baseline => &self.baseline,
            Tier::Optimized => &self.optimized,
        }
    }
}

impl Engine {
    /// An engine with the system's settings, on a processor that can run what it makes.
    pub fn new(options: EngineOptions) -> Result<Engine, EngineError> {
        settings::check_processor()?;
        let has_code_memory = options.code_memory.is_some();
        let engines = Engines::new(options.code_memory, options.pooled_processes)
            .map_err(EngineError::from_wasmtime)?;
        let landing = Landing::new(engines.main()).map_err(EngineError::from_wasmtime)?;
        let killer = Killer::start(landing, options.interrupter.or_else(default_interrupter))
            .map_err(|error| EngineError::Threads(error.to_string()))?;
        Ok(Engine {
            inner: Arc::new(Inner {
                settings: SettingsHash::of(engines.main()),
                killer,
                has_code_memory,
                compile_threads: options.compile_threads.unwrap_or_else(processors).get(),
                compile_thread_start: options.compile_thread_start,
                pool: Mutex::new(None),
                cache_capacity_bytes: options.cache_bytes,
                cache: Mutex::new(CompileCache::new(options.cache_bytes)),
                compilations: Compilations::default(),
                in_place: Mutex::default(),
                engines,
            }),
        })
    }

    /// Wasmtime's own engine for ordinary programs. A program's code says which engine is its own ([`Code::engine`]).
    pub fn wasmtime(&self) -> &wasmtime::Engine {
        self.inner.engines.main()
    }

    /// The digest of the settings by which this engine compiles what it runs itself.
    pub fn settings_hash(&self) -> SettingsHash {
        self.inner.settings
    }

    /// Who ends wasm that does not stop by itself.
    pub fn killer(&self) -> &Killer {
        &self.inner.killer
    }

    /// Validates and measures a program.
    pub fn survey(&self, wasm: &[u8]) -> Result<Survey, SurveyError> {
        Survey::of(wasm, self.wasmtime().get_wasm_features())
    }

    /// Says whether `wasm` may be compiled by the optimizing compiler in `available_bytes` of memory.
    pub fn admit<'a>(
        &self,
        program: &'a str,
        wasm: &'a [u8],
        mut available_bytes: u64,
    ) -> Result<Admitted<'a>, LoadError> {
        let admitted = self.admit_for(program, wasm, &mut available_bytes)?;
        admitted.pay(Tier::Optimized, &mut available_bytes)?;
        Ok(admitted)
    }

    /// Surveys `wasm`, and adapts it if it is of WASI 0.1. `purse` pays for that, and for the compilation when it comes
    /// to it: [`Admitted::pay`].
    pub fn admit_for<'a>(
        &self,
        program: &'a str,
        wasm: &'a [u8],
        purse: &mut dyn Purse,
    ) -> Result<Admitted<'a>, LoadError> {
        let admission = Admission {
            threads: self.inner.compile_threads as u64,
            features: self.wasmtime().get_wasm_features(),
        };
        admission.admit(program, wasm, purse)
    }

    /// By what these bytes are found in the cache. This reads all of them.
    pub fn key(&self, wasm: &[u8]) -> CacheKey {
        CacheKey::of(&self.inner.settings, wasm)
    }

    /// The program of this key, if it was compiled before: by `tier`'s compiler, or by any.
    pub fn cached(&self, key: &CacheKey, tier: Option<Tier>) -> Option<Program> {
        self.inner.cache().get(key, tier)
    }

    /// Puts a program into the cache, unless there is a better one.
    pub fn keep(&self, key: CacheKey, program: &Program) {
        let evicted = self.inner.cache().insert(key, program.clone());
        drop(evicted);
    }

    /// Whether programs are kept at all.
    pub fn has_cache(&self) -> bool {
        self.inner.cache_capacity_bytes > 0
    }

    /// How many programs this compiler has compiled since the start.
    pub fn compilations(&self, tier: Tier) -> u64 {
        self.inner.compilations.of(tier).load(Ordering::Relaxed)
    }

    /// Compiles an admitted program on the compile threads; the calling thread waits.
    ///
    /// A panic of Cranelift comes out of this call: the caller catches it. One of the baseline compiler is an
    /// error, since there is another compiler.
    pub fn compile(&self, admitted: &Admitted<'_>, tier: Tier) -> Result<Program, LoadError> {
        let pool = self.inner.pool();
        let pool = pool.map_err(|why| LoadProblem::Compile(why).of(admitted.program()))?;
        pool.install(|| self.compile_here(admitted, tier))
    }

    /// Admits and compiles a program by Cranelift on one thread that is there for this program only, beside and behind
    /// whatever else is compiled.
    pub fn compile_behind(
        &self,
        program: &str,
        wasm: &[u8],
        purse: &mut dyn Purse,
    ) -> Result<Program, LoadError> {
        let pool = self.inner.start_pool(1);
        let pool = pool.map_err(|why| LoadProblem::Compile(why).of(program))?;
        pool.install(|| {
            let admitted = self.admit_for(program, wasm, purse)?;
            admitted.pay(Tier::Optimized, purse)?;
            self.compile_here(&admitted, Tier::Optimized)
        })
    }

    fn compile_here(&self, admitted: &Admitted<'_>, tier: Tier) -> Result<Program, LoadError> {
        let code = match tier {
            Tier::Baseline => self.compile_baseline(admitted),
            Tier::Optimized => self.compile_optimized(admitted),
        };
        let code = code
            .map_err(|error| LoadProblem::Compile(format!("{error:#}")).of(admitted.program()))?;
        let counter = self.inner.compilations.of(tier);
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(Program::surveyed(code, tier, admitted.survey()))
    }

    fn compile_optimized(&self, admitted: &Admitted<'_>) -> wasmtime::Result<Code> {
        let (wasm, form) = (admitted.wasm(), admitted.survey().form);
        if admitted.peak_bytes(Tier::Optimized) <= SHARED_COMPILER_BYTES_MAX {
            // One that does not fit the pool is compiled twice.
            return self
                .inner
                .engines
                .load(|engine| compile_in(engine, wasm, form));
        }
        let config = settings::local_config().map_err(|error| wasmtime::format_err!("{error}"))?;
        let image = precompile_in(&wasmtime::Engine::new(&config)?, wasm, form)?;
        self.inner.engines.load(|engine| {
            // SAFETY: the bytes are what our compiler wrote just now.
            unsafe { load_copy_in(engine, &image) }
        })
    }

    /// By a compiler of its own, which goes with its buffers, and with whatever a panic has left in it.
    fn compile_baseline(&self, admitted: &Admitted<'_>) -> wasmtime::Result<Code> {
        let (wasm, form) = (admitted.wasm(), admitted.survey().form);
        let config = baseline::config().map_err(|error| wasmtime::format_err!("{error}"))?;
        let compiler = wasmtime::Engine::new(&config)?;
        let compiled = catch_unwind(AssertUnwindSafe(|| precompile_in(&compiler, wasm, form)));
        let image =
            compiled.map_err(|_panic| wasmtime::format_err!("the baseline compiler gave up"))??;
        // SAFETY: the bytes are what our compiler wrote just now.
        unsafe { load_copy_in(self.inner.engines.baseline()?, &image) }
    }

    /// Compiles an admitted program to bytes that [`Engine::load_precompiled`] takes, here and on every other processor that
    /// the system supports.
    pub fn precompile(&self, admitted: &Admitted<'_>) -> Result<Vec<u8>, LoadError> {
        let problem = |why| LoadProblem::Compile(why).of(admitted.program());
        let config = settings::config().map_err(|error| problem(error.to_string()))?;
        let pool = self.inner.pool().map_err(problem)?;
        let (wasm, form) = (admitted.wasm(), admitted.survey().form);
        wasmtime::Engine::new(&config)
            .and_then(|engine| pool.install(|| precompile_in(&engine, wasm, form)))
            .map_err(|error| problem(format!("{error:#}")))
    }

    /// Loads a precompiled program. On [`LoadProblem::OtherSettings`] the `.wasm` beside it can still be
    /// compiled.
    ///
    /// *In place or copied.* `Component::deserialize_raw` runs the code where it lies. Read in
    /// Wasmtime 48: it needs a page-aligned start (the text section's offset is a multiple of the
    /// page size, and its address is asserted to be aligned), never writes to the image, and
    /// refuses without custom code memory ("unable to make externally owned memory executable").
    /// Publishing makes the text pages executable, and *dropping the component unpublishes them*,
    /// however many other components were made from the same bytes; a second component from bytes
    /// that are loaded already even panics, in Wasmtime's table of code by address. So an image is
    /// loaded in place once, by one engine, and its component is kept as long as the engine.
    /// Anything else is copied into fresh pages, which costs as much memory as the image has bytes,
    /// per load.
    ///
    /// A program with more memories, tables or instances than the pool has for one process gets its own from
    /// the system.
    pub fn load_precompiled(
        &self,
        program: &str,
        image: VerifiedImage,
    ) -> Result<Program, LoadError> {
        let bytes = image.bytes();
        if let Some(program) = self.loaded_in_place(bytes) {
            return Ok(program);
        }
        if wasmtime::Engine::detect_precompiled(bytes).is_none() {
            return Err(LoadProblem::NotPrecompiled.of(program));
        }
        let loaded = if self.runs_in_place(bytes) {
            self.load_in_place(bytes)
        } else {
            self.load_copy(bytes).map(Program::trusted)
        };
        loaded.map_err(|error| LoadProblem::OtherSettings(format!("{error:#}")).of(program))
    }

    fn loaded_in_place(&self, bytes: &'static [u8]) -> Option<Program> {
        let in_place = self.inner.in_place();
        in_place.get(&bytes.as_ptr().addr()).cloned()
    }

    /// Whether `bytes` would be loaded without a copy, so that a process need not pay for one.
    pub fn runs_in_place(&self, bytes: &'static [u8]) -> bool {
        self.inner.has_code_memory && bytes.as_ptr().addr().is_multiple_of(PAGE_BYTES)
    }

    fn load_in_place(&self, bytes: &'static [u8]) -> wasmtime::Result<Program> {
        let address = bytes.as_ptr().addr();
        let mut in_place = self.inner.in_place();
        if let Some(program) = in_place.get(&address) {
            return Ok(program.clone());
        }
        let code = self.inner.engines.load(|engine| {
            // SAFETY: a `VerifiedImage` is what our compiler wrote; it is never written and lives for
            // ever. No other code is made from these bytes: the lock is held, what is made
            // here stays in the map, and an engine that refuses it has dropped what it had of it.
            unsafe { load_in_place_in(engine, bytes) }
        })?;
        let program = Program::trusted(code);
        in_place.insert(address, program.clone());
        Ok(program)
    }

    fn load_copy(&self, bytes: &'static [u8]) -> wasmtime::Result<Code> {
        self.inner.engines.load(|engine| {
            // SAFETY: a `VerifiedImage` is what our compiler wrote.
            unsafe { load_copy_in(engine, bytes) }
        })
    }

    /// Bytes of compiled programs in the cache.
    pub fn cache_bytes(&self) -> u64 {
        self.inner.cache().used_bytes()
    }

    /// Empties the cache. Components in use stay until their processes end.
    pub fn clear_cache(&self) {
        let evicted = self.inner.cache().take_all();
        drop(evicted);
    }
}

impl Inner {
    fn cache(&self) -> MutexGuard<'_, CompileCache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn in_place(&self) -> MutexGuard<'_, HashMap<usize, Program>> {
        self.in_place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pool(&self) -> Result<Arc<ThreadPool>, String> {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = pool.as_ref() {
            return Ok(Arc::clone(pool));
        }
        let started = self.start_pool(self.compile_threads)?;
        Ok(Arc::clone(pool.insert(Arc::new(started))))
    }

    fn start_pool(&self, threads: usize) -> Result<ThreadPool, String> {
        let on_start = self.compile_thread_start;
        ThreadPoolBuilder::new()
            .start_handler(move |_index| {
                if let Some(on_start) = on_start {
                    on_start();
                }
            })
            .num_threads(threads)
            .stack_size(COMPILE_STACK_BYTES)
            .thread_name(|index| format!("compile-{index}"))
            .build()
            .map_err(|error| format!("cannot start the compile threads: {error}"))
    }
}

/// Compiles for the engine and loads the result into it.
fn compile_in(engine: &wasmtime::Engine, wasm: &[u8], form: Form) -> wasmtime::Result<Code> {
    match form {
        Form::Module => Module::from_binary(engine, wasm).map(Code::Module),
        Form::Component | Form::Wasi01 => Component::from_binary(engine, wasm).map(Code::Component),
    }
}

fn precompile_in(engine: &wasmtime::Engine, wasm: &[u8], form: Form) -> wasmtime::Result<Vec<u8>> {
    match form {
        Form::Module => engine.precompile_module(wasm),
        Form::Component | Form::Wasi01 => engine.precompile_component(wasm),
    }
}

/// # Safety
///
/// As for `Component::deserialize`: our own compiler wrote `image`.
unsafe fn load_copy_in(engine: &wasmtime::Engine, image: &[u8]) -> wasmtime::Result<Code> {
    // SAFETY: the caller's promise is the one that both functions ask for.
    unsafe {
        match wasmtime::Engine::detect_precompiled(image) {
            Some(Precompiled::Module) => Module::deserialize(engine, image).map(Code::Module),
            _ => Component::deserialize(engine, image).map(Code::Component),
        }
    }
}

/// # Safety
///
/// As for `Component::deserialize_raw`: our own compiler wrote `image`, which nobody writes, and nothing else is loaded
/// from it.
unsafe fn load_in_place_in(
    engine: &wasmtime::Engine,
    image: &'static [u8],
) -> wasmtime::Result<Code> {
    let place = NonNull::from(image);
    // SAFETY: the caller's promise is the one that both functions ask for.
    unsafe {
        match wasmtime::Engine::detect_precompiled(image) {
            Some(Precompiled::Module) => Module::deserialize_raw(engine, place).map(Code::Module),
            _ => Component::deserialize_raw(engine, place).map(Code::Component),
        }
    }
}

fn processors() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

#[cfg(feature = "signal-interrupter")]
fn default_interrupter() -> Option<Interrupter> {
    Some(crate::signals::interrupter())
}

#[cfg(not(feature = "signal-interrupter"))]
fn default_interrupter() -> Option<Interrupter> {
    None
}
