//! The engine: programs in, components out.

use crate::cache::{CacheKey, CompileCache};
use crate::engines::Engines;
use crate::interrupt::{Interrupter, Killer};
use crate::landing::Landing;
use crate::settings::{self, SettingsHash};
use crate::{
    Admission, Admitted, EngineError, LoadError, LoadProblem, Program, Survey, SurveyError,
};
use crate::{VerifiedImage, admission};
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wasmtime::component::Component;
use wasmtime::{CustomCodeMemory, Precompiled};

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
    /// Images that run where they lie, by address. See [`Engine::load_precompiled`].
    in_place: Mutex<HashMap<usize, Program>>,
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
                in_place: Mutex::default(),
                engines,
            }),
        })
    }

    /// Wasmtime's own engine for ordinary programs. A program's component says which engine is its own
    /// (`Component::engine`); its linker and its store must be of that one.
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

    /// What compiling a surveyed program takes at most, in bytes.
    pub fn peak_bytes(&self, survey: &Survey) -> u64 {
        admission::peak_bytes(survey, self.inner.compile_threads as u64)
    }

    /// Says whether `wasm` may be compiled in `available_bytes` of memory.
    pub fn admit<'a>(
        &self,
        program: &'a str,
        wasm: &'a [u8],
        available_bytes: u64,
    ) -> Result<Admitted<'a>, LoadError> {
        let admission = Admission {
            available_bytes,
            threads: self.inner.compile_threads as u64,
            features: self.wasmtime().get_wasm_features(),
        };
        admission.admit(program, wasm)
    }

    /// The program of `wasm` from the cache, if it was compiled before.
    pub fn cached(&self, wasm: &[u8]) -> Option<Program> {
        if self.inner.cache_capacity_bytes == 0 {
            return None;
        }
        let key = CacheKey::of(&self.inner.settings, wasm);
        self.inner.cache().get(&key)
    }

    /// Compiles an admitted program on the compile threads; the calling thread waits. The result is kept in
    /// the cache.
    ///
    /// A panic of the compiler comes out of this call: the caller catches it.
    pub fn compile(&self, admitted: &Admitted<'_>) -> Result<Program, LoadError> {
        let problem = |why| LoadProblem::Compile(why).of(admitted.program());
        let pool = self.inner.pool().map_err(problem)?;
        let component = pool
            .install(|| self.compile_component(admitted))
            .map_err(|error| problem(format!("{error:#}")))?;
        let program = Program::surveyed(component, admitted.survey());
        self.keep(admitted.wasm(), &program);
        Ok(program)
    }

    fn compile_component(&self, admitted: &Admitted<'_>) -> wasmtime::Result<Component> {
        let wasm = admitted.wasm();
        if admitted.peak_bytes() <= SHARED_COMPILER_BYTES_MAX {
            // One that does not fit the pool is compiled twice.
            return self
                .inner
                .engines
                .load(|engine| Component::from_binary(engine, wasm));
        }
        let config = settings::local_config().map_err(|error| wasmtime::format_err!("{error}"))?;
        let image = wasmtime::Engine::new(&config)?.precompile_component(wasm)?;
        self.inner.engines.load(|engine| {
            // SAFETY: the bytes are what our compiler wrote just now.
            unsafe { Component::deserialize(engine, &image) }
        })
    }

    fn keep(&self, wasm: &[u8], program: &Program) {
        if self.inner.cache_capacity_bytes == 0 {
            return;
        }
        let key = CacheKey::of(&self.inner.settings, wasm);
        let evicted = self.inner.cache().insert(key, program.clone());
        drop(evicted);
    }

    /// Compiles an admitted program to bytes that [`Engine::load_precompiled`] takes, here and on every other processor that
    /// the system supports.
    pub fn precompile(&self, admitted: &Admitted<'_>) -> Result<Vec<u8>, LoadError> {
        let problem = |why| LoadProblem::Compile(why).of(admitted.program());
        let config = settings::config().map_err(|error| problem(error.to_string()))?;
        let pool = self.inner.pool().map_err(problem)?;
        wasmtime::Engine::new(&config)
            .and_then(|engine| pool.install(|| engine.precompile_component(admitted.wasm())))
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
        if wasmtime::Engine::detect_precompiled(bytes) != Some(Precompiled::Component) {
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
        let component = self.inner.engines.load(|engine| {
            // SAFETY: a `VerifiedImage` is what our compiler wrote; it is never written and lives for
            // ever. No other component is made from these bytes: the lock is held, the one made
            // here stays in the map, and an engine that refuses one has dropped what it had of it.
            unsafe { Component::deserialize_raw(engine, NonNull::from(bytes)) }
        })?;
        let program = Program::trusted(component);
        in_place.insert(address, program.clone());
        Ok(program)
    }

    fn load_copy(&self, bytes: &'static [u8]) -> wasmtime::Result<Component> {
        self.inner.engines.load(|engine| {
            // SAFETY: a `VerifiedImage` is what our compiler wrote.
            unsafe { Component::deserialize(engine, bytes) }
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
        let on_start = self.compile_thread_start;
        let started = ThreadPoolBuilder::new()
            .start_handler(move |_index| {
                if let Some(on_start) = on_start {
                    on_start();
                }
            })
            .num_threads(self.compile_threads)
            .stack_size(COMPILE_STACK_BYTES)
            .thread_name(|index| format!("compile-{index}"))
            .build()
            .map_err(|error| format!("cannot start the compile threads: {error}"))?;
        Ok(Arc::clone(pool.insert(Arc::new(started))))
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
