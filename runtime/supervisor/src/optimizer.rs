//! Cranelift's code for programs that run on the baseline compiler's already.
//!
//! Laws:
//! - **Nobody waits for it.** Programs are compiled one at a time, on one thread of the engine's lowest class; that thread and
//!   the one that waits for it exist while there is something to do. What cannot be started or afforded is left, and asked
//!   for again at the program's next start. The machine may stop at any time: nothing is half-written.
//! - **It is bounded**: so many programs wait at most, and all of it is paid for by a budget of its own, a part
//!   of everybody's. A compilation cannot be stopped half-way, so it begins only if its peak is free.
//!
//! Lock: that of the queue, held while a thread is started and otherwise for nothing but the queue.

use crate::WasmBytes;
use crate::load::Loader;
use runtime_engine::CacheKey;
use runtime_host::{Budget, OverBudget, Reservation};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Programs that wait, at most.
const QUEUE_MAX: usize = 32;
/// Its part of everybody's memory.
const BUDGET_PART: u64 = 4;
/// Stack of the thread that waits for the compiler, in bytes.
const STACK_BYTES: usize = 128 << 10;

/// A program to compile.
pub(crate) struct Wanted {
    pub key: CacheKey,
    pub name: String,
    pub wasm: WasmBytes,
}

impl Wanted {
    pub fn new(key: CacheKey, name: &str, wasm: &WasmBytes) -> Wanted {
        Wanted {
            key,
            name: name.to_owned(),
            wasm: wasm.unpaid(),
        }
    }

    /// Bytes that stay in memory only because they are wanted here.
    fn held_bytes(&self) -> u64 {
        match &self.wasm {
            WasmBytes::Static(_) => 0,
            WasmBytes::Shared(_) | WasmBytes::Paid(_) => self.wasm.len() as u64,
        }
    }
}

pub(crate) struct Optimizer {
    budget: Budget,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<(Wanted, Reservation)>,
    /// The one that is being compiled.
    current: Option<CacheKey>,
    has_thread: bool,
}

impl Optimizer {
    /// One that may use a part of `budget`.
    pub fn new(budget: &Budget) -> Optimizer {
        Optimizer {
            budget: budget.child(budget.limit_bytes() / BUDGET_PART),
            queue: Mutex::default(),
        }
    }

    /// Asks for a program's optimized code. If there is no room for it, nothing comes of that.
    pub fn add(&self, loader: &Arc<Loader>, wanted: Wanted) {
        let mut queue = self.queue();
        if queue.knows(&wanted.key) {
            return;
        }
        if queue.waiting.len() >= QUEUE_MAX {
            return leave(&wanted.name, "enough others wait");
        }
        match self.budget.reserve(wanted.held_bytes()) {
            Ok(held) => queue.waiting.push_back((wanted, held)),
            Err(over) => return leave(&wanted.name, &over.to_string()),
        }
        if !queue.has_thread {
            match self.start(loader) {
                Ok(()) => queue.has_thread = true,
                Err(why) => {
                    queue.waiting.clear();
                    log::debug!("nothing is optimized: {why}");
                }
            }
        }
    }

    fn start(&self, loader: &Arc<Loader>) -> Result<(), String> {
        let stack = self.budget.reserve(STACK_BYTES as u64);
        let stack = stack.map_err(|over: OverBudget| over.to_string())?;
        let loader = Arc::clone(loader);
        thread::Builder::new()
            .name("optimizer".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                loader.optimizer().work(&loader);
                drop(stack);
            })
            .map(drop)
            .map_err(|error| error.to_string())
    }

    /// Compiles until nothing waits.
    fn work(&self, loader: &Loader) {
        while let Some((wanted, _held)) = self.next() {
            // Nothing that a panic may have left half-done is seen again: the compiler is gone with it.
            let result = catch_unwind(AssertUnwindSafe(|| loader.optimize(&wanted, &self.budget)));
            match result {
                Ok(Ok(())) => {}
                Ok(Err(error)) => log::debug!("not optimized: {error}"),
                Err(_panic) => leave(&wanted.name, "the compiler gave up"),
            }
        }
    }

    fn next(&self) -> Option<(Wanted, Reservation)> {
        let mut queue = self.queue();
        let next = queue.waiting.pop_front();
        queue.current = next.as_ref().map(|(wanted, _)| wanted.key);
        queue.has_thread = next.is_some();
        next
    }

    /// Whether it has nothing to do and holds nothing.
    pub fn is_idle(&self) -> bool {
        !self.queue().has_thread && self.budget.used_bytes() == 0
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn knows(&self, key: &CacheKey) -> bool {
        self.current.as_ref() == Some(key)
            || self.waiting.iter().any(|(wanted, _)| wanted.key == *key)
    }
}

fn leave(name: &str, why: &str) {
    log::debug!("{} is not optimized: {why}", name.escape_debug());
}
