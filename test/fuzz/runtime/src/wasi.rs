//! Arbitrary calls of WASI with arbitrary arguments: forged and closed handles, enormous lengths, addresses outside of memory, paths
//! that lead out.
//!
//! Laws: each call ends as a value or ends the process; what lies beside the granted folder is as before; and with the process
//! all that it held is given back, bytes and handles.
//!
//! Handles are remembered by what they refer to, so that most calls get one that fits; a call that traps ends the case, as it ends a
//! process. What blocks is ended by cancellation, as a process is.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use runtime_engine::{Code, Engine, EngineOptions, Program, Tier};
use runtime_host::tmpfs::{NodeId, Timestamp, Tmpfs};
use runtime_host::{Budget, BudgetCharge, Cancellation, FileTree};
use runtime_wasi::{Rights, WasiContext, add_to_linker};
use test_fuzz::{Input, Subject, Target, Verdict, holds, same};
use wasmtime::Store;
use wasmtime::component::{InstancePre, Linker, TypedFunc};
use wit_parser::abi::WasmType;

use crate::wasi_guest::{self, ARGUMENTS, Call, MEMORY_BYTES, RESULT, SCRATCH, Slot, Yield};

pub const TARGET: Target = Target {
    name: "wasi",
    cases: 8_000,
    len_bytes_max: 1024,
    defect: "a grant of the folder above the one that was meant",
    try_input,
};

const CALLS_MAX: usize = 200;
const BUDGET_BYTES: u64 = 2 << 20;
const TREE_BYTES: u64 = 1 << 20;
const HANDLES_MAX: u32 = 48;
/// A call that takes longer is ended by cancellation.
const PATIENCE: Duration = Duration::from_millis(10);
/// Room for what one argument points to.
const POINTED_BYTES: u32 = 4 << 10;
/// What every process does first: so there are handles of some kinds.
const OPENING: [&str; 4] = ["get-directories", "get-stdin", "get-stdout", "get-stderr"];
const NOW: Timestamp = Timestamp {
    seconds: 1,
    nanoseconds: 0,
};
const SECRET: &[u8] = b"nobody reads this";

struct Setting {
    guest: InstancePre<WasiContext>,
    calls: Vec<Call>,
    opening: Vec<usize>,
    ender: Ender,
    // Its machine code is the guest's.
    _program: Program,
}

static SETTING: LazyLock<Result<Setting, String>> = LazyLock::new(Setting::new);

impl Setting {
    fn new() -> Result<Self, String> {
        let (wasm, calls) = wasi_guest::guest()?;
        let engine = Engine::new(EngineOptions::default()).map_err(|error| error.to_string())?;
        let admitted = engine.admit("guest", &wasm, u64::MAX);
        let admitted = admitted.map_err(|error| error.to_string())?;
        let program = engine.compile(&admitted, Tier::Optimized);
        let program = program.map_err(|error| error.to_string())?;
        let Code::Component(component) = &program.code else {
            return Err("the guest is no component".to_owned());
        };
        let mut linker = Linker::new(program.code.engine());
        let linked = add_to_linker(&mut linker).and_then(|()| linker.instantiate_pre(component));
        let opening = OPENING.map(|name| calls.iter().position(|call| call.name == name));
        Ok(Self {
            guest: linked.map_err(|error| format!("the guest is not linked: {error:#}"))?,
            opening: opening.into_iter().flatten().collect(),
            calls,
            ender: Ender::start(),
            _program: program,
        })
    }

    /// Whether the call is the process's own wish to end.
    fn ends(&self, number: usize) -> bool {
        self.calls[number].interface.starts_with("wasi:cli/exit")
    }
}

fn try_input(subject: Subject, bytes: &[u8]) -> Verdict {
    let setting = SETTING.as_ref().map_err(String::clone)?;
    let mut input = Input::new(bytes);
    let world = World::new().map_err(|error| format!("no tree: {error}"))?;
    let mut process = Process::start(setting, &world, subject, &mut input)?;
    // What comes first is made as it should be, so that there is something to work with.
    for &number in &setting.opening {
        process.call(number, &mut Input::new(&[]))?;
    }
    for _ in 0..CALLS_MAX {
        let number = usize::from(input.u16()) % setting.calls.len();
        if input.is_empty() || process.is_over {
            break;
        }
        let is_wanted = process.has_handles_for(number) && !setting.ends(number);
        if is_wanted || input.one_in(64) {
            process.call(number, &mut input)?;
        }
    }
    drop(process);
    world.check()
}

/// What a process is started with and must leave behind.
struct World {
    tree: FileTree,
    root: NodeId,
    granted: NodeId,
    paid: Budget,
    budget: Budget,
    handle_count: Budget,
    handle_gauge: Arc<AtomicU32>,
}

impl World {
    fn new() -> Result<Self, runtime_host::tmpfs::Error> {
        let paid = Budget::new(TREE_BYTES);
        let mut tree = Tmpfs::new(Arc::new(BudgetCharge(paid.clone())), NOW)?;
        let root = tree.root();
        let secret = tree.create_file(root, "secret", NOW)?;
        tree.append(secret, SECRET, NOW)?;
        let granted = tree.create_directory(root, "granted", NOW)?;
        let folder = tree.create_directory(granted, "d", NOW)?;
        let file = tree.create_file(folder, "f", NOW)?;
        tree.append(file, b"contents", NOW)?;
        tree.create_file(granted, "a", NOW)?;
        for (name, target) in [
            ("up", ".."),
            ("abs", "/secret"),
            ("out", "../secret"),
            ("loop", "loop"),
        ] {
            tree.create_symlink(granted, name, target, NOW)?;
        }
        Ok(Self {
            tree: FileTree::new(tree),
            root,
            granted,
            paid,
            budget: Budget::new(BUDGET_BYTES),
            handle_count: Budget::new(u64::MAX),
            handle_gauge: Arc::default(),
        })
    }

    /// After the process.
    fn check(self) -> Verdict {
        same("bytes still reserved", self.budget.used_bytes(), 0)?;
        same("handles still counted", self.handle_count.used_bytes(), 0)?;
        self.check_secret()?;
        drop(self.tree);
        same("bytes of files that are kept", self.paid.used_bytes(), 0)
    }

    fn check_secret(&self) -> Verdict {
        let tree = self.tree.read();
        let mut names = Vec::new();
        let mut after: Option<String> = None;
        while let Ok(Some(entry)) = tree.entry_after(self.root, after.as_deref()) {
            names.push(entry.name.to_owned());
            after = Some(entry.name.to_owned());
        }
        same(
            "what lies beside the granted folder",
            names,
            vec!["granted".to_owned(), "secret".to_owned()],
        )?;
        let secret = tree.lookup(self.root, "secret");
        let secret = secret.map_err(|error| error.to_string())?;
        let mut contents = vec![0; SECRET.len() + 1];
        let len_bytes = tree.read(secret, 0, &mut contents);
        same("the secret's length", len_bytes, Ok(SECRET.len()))?;
        same("the secret", &contents[..SECRET.len()], SECRET)
    }
}

/// A running guest.
struct Process<'a> {
    setting: &'a Setting,
    store: Store<WasiContext>,
    call: TypedFunc<(u32,), ()>,
    poke: TypedFunc<(u32, u64), ()>,
    peek: TypedFunc<(u32,), (u64,)>,
    cancellation: Cancellation,
    gauge: Arc<AtomicU32>,
    /// Handles that it was given, by what they refer to. Some of them may be closed.
    handles: BTreeMap<String, Vec<u32>>,
    is_over: bool,
}

impl<'a> Process<'a> {
    fn start(
        setting: &'a Setting,
        world: &World,
        subject: Subject,
        input: &mut Input<'_>,
    ) -> Result<Self, String> {
        let cancellation = Cancellation::new();
        let granted = match subject {
            Subject::Real => world.granted,
            Subject::Spoiled => world.root,
        };
        let rights = input.one_of(&[Rights::ReadWrite, Rights::ReadWrite, Rights::ReadOnly]);
        let context = WasiContext::builder(world.budget.clone(), cancellation.clone())
            .arguments(vec!["guest".to_owned(), "argument".to_owned()])
            .environment(vec![("NAME".to_owned(), "value".to_owned())])
            .preopen(world.tree.clone(), granted, "/", rights)
            .handle_limit(HANDLES_MAX)
            .handle_count(world.handle_count.clone())
            .handle_gauge(Arc::clone(&world.handle_gauge))
            .build();
        let context = context.map_err(|over| format!("no process: {over}"))?;
        let mut store = Store::new(setting.guest.engine(), context);
        let failed = |error: wasmtime::Error| format!("the guest does not start: {error:#}");
        let instance = setting.guest.instantiate(&mut store).map_err(failed)?;
        Ok(Self {
            setting,
            call: instance
                .get_typed_func(&mut store, "call")
                .map_err(failed)?,
            poke: instance
                .get_typed_func(&mut store, "poke")
                .map_err(failed)?,
            peek: instance
                .get_typed_func(&mut store, "peek")
                .map_err(failed)?,
            store,
            cancellation,
            gauge: Arc::clone(&world.handle_gauge),
            handles: BTreeMap::new(),
            is_over: false,
        })
    }

    /// Whether it was given handles of all kinds that this call takes.
    fn has_handles_for(&self, number: usize) -> bool {
        let mut slots = self.setting.calls[number].slots.iter();
        slots.all(|slot| match slot {
            Slot::Handle { resource, .. } => {
                let fitting = self.handles.get(resource);
                fitting.is_some_and(|fitting| !fitting.is_empty())
            }
            _ => true,
        })
    }

    /// Makes one call; an error is a broken law.
    fn call(&mut self, number: usize, input: &mut Input<'_>) -> Verdict {
        let call = &self.setting.calls[number];
        let mut returned_at = 0;
        let mut pointed_count = None;
        for (index, slot) in call.slots.iter().enumerate() {
            let scratch = SCRATCH + index as u32 * POINTED_BYTES;
            let value = match (slot, pointed_count.take()) {
                (Slot::Handle { resource, is_owned }, _) => {
                    self.handle(resource, *is_owned, input).into()
                }
                (Slot::Bytes, _) => {
                    pointed_count = Some(self.point_to_bytes(scratch, input)?);
                    address(scratch, input)
                }
                (Slot::Handles { resource }, _) => {
                    pointed_count = Some(self.point_to_handles(resource, scratch, input)?);
                    address(scratch, input)
                }
                (Slot::Return, _) => {
                    returned_at = address(scratch, input) as u32;
                    returned_at.into()
                }
                (Slot::Number(_), Some(count)) if !input.one_in(100) => count,
                (Slot::Number(ty), _) => number_of(*ty, input),
            };
            self.poke(ARGUMENTS + 8 * index as u32, value)?;
        }
        self.setting.ender.watches(&self.cancellation);
        let ended = self.call.call(&mut self.store, (number as u32,));
        self.setting.ender.rests();
        let live = self.gauge.load(Ordering::Relaxed);
        holds(live <= HANDLES_MAX, || format!("{live} handles are held"))?;
        match ended {
            Ok(()) => self.remember(&call.yields, returned_at),
            Err(error) => {
                self.is_over = true;
                holds(!format!("{error:#}").is_empty(), || {
                    format!("{} ends without a word", call.name)
                })
            }
        }
    }

    fn poke(&mut self, at: u32, value: u64) -> Verdict {
        let done = self.poke.call(&mut self.store, (at, value));
        done.map_err(|error| format!("the guest's memory: {error:#}"))
    }

    fn peek(&mut self, at: u32) -> Result<u64, String> {
        let at = at.min(MEMORY_BYTES - 8);
        let found = self.peek.call(&mut self.store, (at,));
        let (value,) = found.map_err(|error| format!("the guest's memory: {error:#}"))?;
        Ok(value)
    }

    /// One that fits, or seldom a forged one.
    fn handle(&mut self, resource: &str, is_taken: bool, input: &mut Input<'_>) -> u32 {
        let fitting = self.handles.get_mut(resource);
        match fitting.filter(|fitting| !fitting.is_empty()) {
            Some(fitting) if !input.one_in(200) => {
                let index = input.below(fitting.len());
                // A closed one stays, once in a while.
                if is_taken && !input.one_in(50) {
                    return fitting.swap_remove(index);
                }
                fitting[index]
            }
            _ => input.number() as u32,
        }
    }

    /// Puts a text or some bytes there, and says how many.
    fn point_to_bytes(&mut self, at: u32, input: &mut Input<'_>) -> Result<u64, String> {
        let text = pointed(input);
        for (number, word) in text.chunks(8).enumerate() {
            let mut bytes = [0; 8];
            bytes[..word.len()].copy_from_slice(word);
            self.poke(at + 8 * number as u32, u64::from_le_bytes(bytes))?;
        }
        Ok(text.len() as u64)
    }

    fn point_to_handles(
        &mut self,
        resource: &str,
        at: u32,
        input: &mut Input<'_>,
    ) -> Result<u64, String> {
        let count = input.below(4) as u32;
        for number in 0..count {
            let handle = self.handle(resource, false, input);
            self.poke(at + 4 * number, handle.into())?;
        }
        Ok(count.into())
    }

    fn remember(&mut self, yields: &Yield, returned_at: u32) -> Verdict {
        let (resource, handle) = match yields {
            Yield::Nothing => return Ok(()),
            Yield::Plain(resource) => (resource, self.peek(RESULT)? as u32),
            Yield::Tagged(tag, resource) => {
                let found = self.peek(returned_at)?;
                if found.to_le_bytes()[0] != *tag {
                    return Ok(());
                }
                (resource, (found >> 32) as u32)
            }
            Yield::InList(resource) => {
                let list = self.peek(returned_at)?;
                if list >> 32 == 0 {
                    return Ok(());
                }
                (resource, self.peek(list as u32)? as u32)
            }
        };
        let kept = self.handles.entry(resource.clone()).or_default();
        kept.push(handle);
        Ok(())
    }
}

/// Where it lies, or seldom an address that is not aligned or outside of memory.
fn address(at: u32, input: &mut Input<'_>) -> u64 {
    match input.below(256) {
        254 => u64::from(at) + 1,
        255 => input.number() & u64::from(u32::MAX),
        _ => at.into(),
    }
}

/// The bits of a number of this type.
fn number_of(ty: WasmType, input: &mut Input<'_>) -> u64 {
    match ty {
        WasmType::F32 | WasmType::F64 => input.u64(),
        WasmType::I64 | WasmType::PointerOrI64 => input.number(),
        // Cases of variants and flags are small.
        _ if input.one_in(100) => input.number(),
        _ => [0, 0, 1, 1, 1, 2, 3][input.below(7)],
    }
}

fn pointed(input: &mut Input<'_>) -> Vec<u8> {
    const TEXTS: [&str; 16] = [
        "a",
        "d",
        "d/f",
        "up",
        "abs",
        "out",
        "loop",
        "..",
        "../secret",
        "d/../../secret",
        "/secret",
        ".",
        "",
        "new",
        "new/a",
        "content-length",
    ];
    match input.below(64) {
        60 => vec![b'x'; 256],
        61 => b"a/".repeat(2000),
        62 => input.bytes(16).to_vec(),
        63 => vec![0; 64],
        index => TEXTS[index % TEXTS.len()].as_bytes().to_vec(),
    }
}

/// Cancels a process whose call does not come back.
struct Ender(Arc<Mutex<Option<(Cancellation, Instant)>>>);

impl Ender {
    /// Its thread looks as often as it has patience.
    fn start() -> Self {
        let watched = Arc::<Mutex<Option<(Cancellation, Instant)>>>::default();
        let seen = Arc::clone(&watched);
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(PATIENCE / 4);
                let watched = seen.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some((cancellation, since)) = &*watched
                    && since.elapsed() > PATIENCE
                {
                    cancellation.cancel();
                }
            }
        });
        Self(watched)
    }

    fn watches(&self, cancellation: &Cancellation) {
        self.set(Some((cancellation.clone(), Instant::now())));
    }

    fn rests(&self) {
        self.set(None);
    }

    fn set(&self, watched: Option<(Cancellation, Instant)>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = watched;
    }
}
