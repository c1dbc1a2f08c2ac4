//! Precompiled images: where they may run, and that only the right ones do.
#![expect(
    unsafe_code,
    reason = "code memory by mprotect, and an image that is trusted unseen"
)]

use runtime_engine::settings::TARGET;
use runtime_engine::{Code, Engine, EngineOptions, LoadProblem, Program, VerifiedImage, settings};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use wasmtime::component::{Component, Linker};
use wasmtime::{CustomCodeMemory, Store};

const PAGE_BYTES: usize = 4096;

/// Makes pages executable as the kernel does: in place, and back when they are given up.
#[derive(Default)]
struct CodeMemory {
    published: AtomicUsize,
    unpublished: AtomicUsize,
}

impl CodeMemory {
    fn protect(&self, start: *const u8, len: usize, protection: i32) -> wasmtime::Result<()> {
        // SAFETY: Wasmtime names whole pages that hold nothing but the text of an image.
        let result = unsafe { libc::mprotect(start.cast_mut().cast(), len, protection) };
        if result == 0 {
            Ok(())
        } else {
            Err(std::io::Error::last_os_error().into())
        }
    }
}

impl CustomCodeMemory for CodeMemory {
    fn required_alignment(&self) -> usize {
        PAGE_BYTES
    }

    fn publish_executable(&self, start: *const u8, len: usize) -> wasmtime::Result<()> {
        self.published.fetch_add(1, Ordering::Relaxed);
        self.protect(start, len, libc::PROT_READ | libc::PROT_EXEC)
    }

    fn unpublish_executable(&self, start: *const u8, len: usize) -> wasmtime::Result<()> {
        self.unpublished.fetch_add(1, Ordering::Relaxed);
        self.protect(start, len, libc::PROT_READ | libc::PROT_WRITE)
    }
}

fn engine_with(memory: &Arc<CodeMemory>) -> Engine {
    let code_memory: Arc<dyn CustomCodeMemory> = Arc::clone(memory) as _;
    let options = EngineOptions {
        code_memory: Some(code_memory),
        ..EngineOptions::default()
    };
    Engine::new(options).unwrap()
}

fn image_of(engine: &Engine) -> Vec<u8> {
    let wasm = wat::parse_str(
        r#"(component
             (core module $m (func (export "f") (result i32) i32.const 42))
             (core instance $m (instantiate $m))
             (func (export "f") (result u32) (canon lift (core func $m "f"))))"#,
    )
    .unwrap();
    let admitted = engine.admit("answer", &wasm, u64::MAX).unwrap();
    engine.precompile(&admitted).unwrap()
}

/// `bytes` for ever, `offset` bytes into a page.
fn placed(bytes: &[u8], offset: usize) -> VerifiedImage {
    let room = vec![0_u8; bytes.len() + 2 * PAGE_BYTES].leak();
    let start = room.as_ptr().align_offset(PAGE_BYTES) + offset;
    let place = &mut room[start..start + bytes.len()];
    place.copy_from_slice(bytes);
    // SAFETY: our own compiler has just written these bytes.
    unsafe { VerifiedImage::trust(place) }
}

fn component(program: &Program) -> &Component {
    match &program.code {
        Code::Component(component) => component,
        Code::Module(_) => panic!("a module"),
    }
}

fn answer(engine: &Engine, component: &Component) -> u32 {
    let mut store = Store::new(engine.wasmtime(), ());
    let linker = Linker::new(engine.wasmtime());
    let instance = linker.instantiate(&mut store, component).unwrap();
    let function = instance
        .get_typed_func::<(), (u32,)>(&mut store, "f")
        .unwrap();
    function.call(&mut store, ()).unwrap().0
}

#[test]
fn an_aligned_image_runs_where_it_lies_and_stays() {
    let memory = Arc::new(CodeMemory::default());
    let engine = engine_with(&memory);
    let image = placed(&image_of(&engine), 0);
    assert!(engine.runs_in_place(image.bytes()));
    for _ in 0..3 {
        let program = engine.load_precompiled("answer", image).unwrap();
        assert!(
            image
                .bytes()
                .as_ptr_range()
                .contains(&component(&program).image_range().start)
        );
        assert_eq!(answer(&engine, component(&program)), 42);
    }
    // The engine's own landing, and the image.
    assert_eq!(memory.published.load(Ordering::Relaxed), 2);
    assert_eq!(memory.unpublished.load(Ordering::Relaxed), 0);
}

#[test]
fn threads_that_load_an_image_at_the_same_time_all_run_it() {
    let memory = Arc::new(CodeMemory::default());
    let engine = engine_with(&memory);
    let bytes = image_of(&engine);
    for _ in 0..50 {
        let image = placed(&bytes, 0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let program = engine.load_precompiled("answer", image).unwrap();
                    assert_eq!(answer(&engine, component(&program)), 42);
                });
            }
        });
    }
    assert_eq!(memory.unpublished.load(Ordering::Relaxed), 0);
}

#[test]
fn other_images_are_copied_and_given_back() {
    let memory = Arc::new(CodeMemory::default());
    let engine = engine_with(&memory);
    let image = placed(&image_of(&engine), 16);
    assert!(!engine.runs_in_place(image.bytes()));
    let program = engine.load_precompiled("answer", image).unwrap();
    assert!(
        !image
            .bytes()
            .as_ptr_range()
            .contains(&component(&program).image_range().start)
    );
    assert_eq!(answer(&engine, component(&program)), 42);
    drop(program);
    assert_eq!(memory.unpublished.load(Ordering::Relaxed), 1);
}

#[test]
fn without_code_memory_images_are_copied() {
    let engine = Engine::new(EngineOptions::default()).unwrap();
    let image = placed(&image_of(&engine), 0);
    assert!(!engine.runs_in_place(image.bytes()));
    let program = engine.load_precompiled("answer", image).unwrap();
    assert_eq!(answer(&engine, component(&program)), 42);
}

#[test]
fn a_wrong_digest_is_refused() {
    let refused = VerifiedImage::check("answer", b"bytes", &[0; 32])
        .err()
        .unwrap();
    assert_eq!(refused.problem, LoadProblem::WrongDigest);
}

#[test]
fn what_is_not_precompiled_is_refused() {
    let engine = Engine::new(EngineOptions::default()).unwrap();
    for bytes in [
        &b"\0asm\x01\0\0\0"[..],
        b"\0asm\x0d\0\x01\0",
        b"",
        b"\x7fELF",
    ] {
        let refused = engine
            .load_precompiled("answer", placed(bytes, 0))
            .err()
            .unwrap();
        assert_eq!(refused.problem, LoadProblem::NotPrecompiled);
    }
}

#[test]
fn modules_are_loaded_as_such() {
    let memory = Arc::new(CodeMemory::default());
    let engine = engine_with(&memory);
    let wasm = wat::parse_str(r#"(module (func (export "f")))"#).unwrap();
    let admitted = engine.admit("module", &wasm, u64::MAX).unwrap();
    let image = engine.precompile(&admitted).unwrap();
    for offset in [0, 16] {
        let program = engine.load_precompiled("module", placed(&image, offset));
        assert!(matches!(program.unwrap().code, Code::Module(_)));
    }
    assert_eq!(memory.unpublished.load(Ordering::Relaxed), 1);
}

#[test]
fn settings_decide_who_loads_what() {
    let engine = Engine::new(EngineOptions::default()).unwrap();
    let again = engine_with(&Arc::default());
    assert_eq!(engine.settings_hash(), again.settings_hash());

    let mut config = wasmtime::Config::new();
    config.target(TARGET).unwrap();
    let elsewhere = wasmtime::Engine::new(&config).unwrap();
    let wasm = wat::parse_str("(component)").unwrap();
    let foreign = elsewhere.precompile_component(&wasm).unwrap();
    let refused = engine
        .load_precompiled("foreign", placed(&foreign, 0))
        .err()
        .unwrap();
    assert!(
        matches!(refused.problem, LoadProblem::OtherSettings(_)),
        "{refused}"
    );
}

/// Images use what every supported processor has, and run on an engine that uses all that this one has.
#[test]
fn images_are_the_same_whatever_processor_makes_them() {
    let engine = Engine::new(EngineOptions::default()).unwrap();
    let image = image_of(&engine);
    let portable = wasmtime::Engine::new(&settings::config().unwrap()).unwrap();
    // SAFETY: our own compiler has just written these bytes.
    let elsewhere = unsafe { Component::deserialize(&portable, &image) };
    assert!(elsewhere.is_ok());
    let here = engine
        .load_precompiled("answer", placed(&image, 0))
        .unwrap();
    assert_eq!(answer(&engine, component(&here)), 42);
}
