//! Who watches processes: their calls to the host, their starts and ends, and the code that they run.
//!
//! Law: nobody watches unless [`set_observer`] named somebody and [`set_watched`] switched it on; a host call of a process
//! that nobody watches costs one relaxed load. The observer is called on the process's own thread and must not block.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Who watches. All functions are called on the thread of the process.
pub trait Observer: Send + Sync {
    /// A function of the host begins or ends; its number is as in [`host_functions`].
    fn host_call(&self, function: u32, begins: bool);
    /// A process was started.
    fn process_starts(&self, process: u64, name: &str);
    /// A process is at its end.
    fn process_ends(&self, process: u64, exit_code: u8);
    /// A process is about to run a program.
    fn program_loaded(&self, program: &dyn ProgramCode);
}

/// The code of a program in memory.
pub trait ProgramCode {
    /// Where it lies.
    fn text(&self) -> &[u8];
    /// Visits its functions: offset in the text, length, and name, in the order of the text.
    fn for_each_function(&self, visit: &mut dyn FnMut(usize, usize, &str));
}

static OBSERVER: OnceLock<Box<dyn Observer>> = OnceLock::new();
static IS_WATCHED: AtomicBool = AtomicBool::new(false);
static FUNCTIONS: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());
/// A function of the host that has no number yet.
const UNNUMBERED: u32 = u32::MAX;

/// Says who watches, once and for all.
pub fn set_observer(observer: Box<dyn Observer>) {
    let _first_stays = OBSERVER.set(observer);
}

/// Switches watching on or off.
pub fn set_watched(is_watched: bool) {
    IS_WATCHED.store(is_watched, Ordering::Relaxed);
}

/// Who watches, if anybody does now.
pub fn observer() -> Option<&'static dyn Observer> {
    if !IS_WATCHED.load(Ordering::Relaxed) {
        return None;
    }
    OBSERVER.get().map(|observer| &**observer)
}

/// The names of the host's functions that were watched so far, by number.
pub fn host_functions() -> Vec<&'static str> {
    let functions = FUNCTIONS.lock().unwrap_or_else(PoisonError::into_inner);
    functions.clone()
}

/// A function of the host, where it is called: a constant of the place.
pub struct HostFunction {
    name: &'static str,
    number: AtomicU32,
}

impl HostFunction {
    /// The function of that name.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            number: AtomicU32::new(UNNUMBERED),
        }
    }

    /// Tells whoever watches that the function begins, and when the answer is dropped that it ends.
    #[inline]
    pub fn enter(&'static self) -> HostCall {
        HostCall(observer().map(|observer| {
            let number = self.number();
            observer.host_call(number, true);
            (observer, number)
        }))
    }

    fn number(&'static self) -> u32 {
        match self.number.load(Ordering::Acquire) {
            UNNUMBERED => self.take_number(),
            number => number,
        }
    }

    #[cold]
    fn take_number(&'static self) -> u32 {
        let mut functions = FUNCTIONS.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = self.number.load(Ordering::Acquire);
        if taken != UNNUMBERED {
            return taken;
        }
        let number = functions.len() as u32;
        functions.push(self.name);
        self.number.store(number, Ordering::Release);
        number
    }
}

/// A function of the host that runs.
#[must_use]
pub struct HostCall(Option<(&'static dyn Observer, u32)>);

impl Drop for HostCall {
    fn drop(&mut self) {
        if let Some((observer, number)) = self.0 {
            observer.host_call(number, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static CALLS: Mutex<Vec<(u32, bool)>> = Mutex::new(Vec::new());
    static ONE: HostFunction = HostFunction::new("one");
    static OTHER: HostFunction = HostFunction::new("other");

    struct Witness;

    impl Observer for Witness {
        fn host_call(&self, function: u32, begins: bool) {
            CALLS.lock().expect("not poisoned").push((function, begins));
        }
        fn process_starts(&self, _process: u64, _name: &str) {}
        fn process_ends(&self, _process: u64, _exit_code: u8) {}
        fn program_loaded(&self, _program: &dyn ProgramCode) {}
    }

    #[test]
    fn calls_are_seen_while_somebody_watches() {
        drop(ONE.enter());
        set_observer(Box::new(Witness));
        drop(ONE.enter());
        set_watched(true);
        let outer = OTHER.enter();
        drop(ONE.enter());
        set_watched(false);
        drop(ONE.enter());
        // What was seen to begin is seen to end.
        drop(outer);
        assert_eq!(host_functions(), ["other", "one"]);
        let seen = CALLS.lock().expect("not poisoned").clone();
        assert_eq!(seen, [(0, true), (1, true), (1, false), (0, false)]);
    }
}
