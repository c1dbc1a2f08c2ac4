//! Contexts: where a thread that does not run is to continue.
//!
//! Law: a context is written only by the CPU that stops running the thread and read only by the one that
//! continues it; [`Context::is_on_cpu`] tells when the first has let go. A thread that gives up the CPU by
//! itself saves callee-saved registers on its own stack; one that was interrupted is saved whole, in here.
//! Switching happens with interrupts off.
//!
//! A voluntary switch loads control words (MXCSR, x87) and FS only where they differ from what is loaded. The x87
//! stack is empty at a call (System V ABI 3.2.1), so only a switch away from an interrupted thread resets it. A context
//! whose thread pointer is 0 runs with whatever FS holds: idle threads have no thread-locals, so going idle and
//! back costs no write.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU32, Ordering};

use super::trap::Frame;
use super::xsave::Area;
use crate::checks;

/// The layout that `kpio_switch` and `kpio_resume` know.
#[repr(C)]
struct Raw {
    /// 0: the stack pointer of a thread that switched by itself.
    stack_pointer: u64,
    /// 8: nonzero when the thread was interrupted, and `frame` and `extended` hold it.
    interrupted: u64,
    /// 16: FS while the thread runs; 0 if it does not care.
    thread_pointer: u64,
    /// 24: nonzero while some CPU still uses the thread's stack.
    on_cpu: AtomicU32,
    reserved: u32,
    /// 32: the registers of an interrupted thread.
    frame: Frame,
    extended: Area,
}

pub(super) const EXTENDED_OFFSET: usize = core::mem::offset_of!(Raw, extended);
const _: () = assert!(core::mem::offset_of!(Raw, frame) == 32);

/// A thread's saved execution state.
pub struct Context(UnsafeCell<Raw>);

// SAFETY: by the module's law one CPU at a time writes or reads it; `on_cpu` orders the hand-over.
unsafe impl Sync for Context {}
// SAFETY: plain data.
unsafe impl Send for Context {}

/// What `kpio_switch` finds on the stack of a thread that has not run.
#[repr(C)]
struct Start {
    control: u64,
    r15: u64,
    r14: u64,
    r13: u64,
    r12: u64,
    rbx: u64,
    rbp: u64,
    start: u64,
    /// Where a backtrace ends; the ABI wants the stack pointer here to be 8 modulo 16.
    no_caller: u64,
}

/// MXCSR 0x1f80 and x87 control word 0x037f: what the System V ABI wants a thread to start with.
const INITIAL_CONTROL: u64 = 0x037f_0000_1f80;

unsafe extern "sysv64" {
    fn kpio_start_thread();
    fn kpio_switch(from: *mut Raw, to: *mut Raw);
    fn kpio_resume(from: *mut Raw, to: *mut Raw) -> !;
}

impl Default for Context {
    fn default() -> Self {
        Self::new()
    }
}

impl Context {
    /// A context in which nothing can be continued yet.
    pub const fn new() -> Self {
        Self(UnsafeCell::new(Raw {
            stack_pointer: 0,
            interrupted: 0,
            thread_pointer: 0,
            on_cpu: AtomicU32::new(0),
            reserved: 0,
            frame: Frame {
                r15: 0,
                r14: 0,
                r13: 0,
                r12: 0,
                r11: 0,
                r10: 0,
                r9: 0,
                r8: 0,
                rbp: 0,
                rdi: 0,
                rsi: 0,
                rdx: 0,
                rcx: 0,
                rbx: 0,
                rax: 0,
                vector: 0,
                error: 0,
                rip: 0,
                cs: 0,
                rflags: 0,
                rsp: 0,
                ss: 0,
            },
            extended: Area::INITIAL,
        }))
    }

    /// Makes the context start `entry(argument)` on the stack that ends at `stack_end`, with interrupts on.
    ///
    /// The caller owns the thread, which runs nowhere, and its stack, of which the last page is backed;
    /// `entry` never returns. It begins as if the thread had switched by itself, which costs no extended state.
    pub fn prepare(
        &self,
        entry: extern "C" fn(usize) -> !,
        argument: usize,
        stack_end: usize,
        thread_pointer: u64,
    ) {
        let frame = Start {
            control: INITIAL_CONTROL,
            r15: 0,
            r14: 0,
            r13: argument as u64,
            r12: entry as usize as u64,
            rbx: 0,
            rbp: 0,
            start: kpio_start_thread as *const () as u64,
            no_caller: 0,
        };
        let at = (stack_end & !15) - size_of::<Start>();
        // SAFETY: the thread runs nowhere, so nobody else touches its context or its stack, of which the caller has
        // backed the end; the address is a multiple of 8.
        unsafe {
            core::ptr::with_exposed_provenance_mut::<Start>(at).write(frame);
            let raw = &mut *self.0.get();
            raw.interrupted = 0;
            raw.stack_pointer = at as u64;
            raw.thread_pointer = thread_pointer;
        }
    }

    /// Makes the context that of the code which runs now (the first thread of a CPU).
    pub fn adopt_running(&self, thread_pointer: u64) {
        // SAFETY: the thread runs here, so no other CPU reads the field.
        unsafe { (*self.0.get()).thread_pointer = thread_pointer };
        self.set_on_cpu();
    }

    /// Whether a CPU still runs on the thread's stack.
    #[inline]
    pub fn is_on_cpu(&self) -> bool {
        self.on_cpu().load(Ordering::Acquire) != 0
    }

    /// Marks the thread as being continued by this CPU.
    #[inline]
    pub fn set_on_cpu(&self) {
        self.on_cpu().store(1, Ordering::Release);
    }

    /// Saves the caller here and continues `to`; comes back when this context is continued.
    #[inline]
    pub fn switch_to(&self, to: &Context) {
        checks::context::about_to_switch();
        // SAFETY: interrupts are off and the caller is the thread of this context; `to` was claimed
        // by this CPU (`set_on_cpu`) and holds a valid continuation.
        unsafe { kpio_switch(self.0.get(), to.0.get()) }
    }

    pub(super) fn resume_other(&self, to: &Context) -> ! {
        // SAFETY: as in `switch_to`; this context was saved by `save_interrupted`.
        unsafe { kpio_resume(self.0.get(), to.0.get()) }
    }

    pub(super) fn save_interrupted(&self, frame: &Frame, extended: &Area) {
        // SAFETY: the trap stopped this context's thread on this CPU, so nobody else touches it.
        let raw = unsafe { &mut *self.0.get() };
        raw.frame = *frame;
        raw.extended.clone_from(extended);
        raw.interrupted = 1;
    }

    #[inline]
    fn on_cpu(&self) -> &AtomicU32 {
        // SAFETY: the field is atomic, so a shared reference to it is always allowed; no `&mut Raw`
        // lives across a switch.
        unsafe { &(*self.0.get()).on_cpu }
    }
}
