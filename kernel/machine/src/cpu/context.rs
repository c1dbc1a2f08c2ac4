//! Contexts: where a thread that does not run is to continue.
//!
//! Law: a context is written only by the CPU that stops running the thread and read only by the one that
//! continues it; [`Context::is_on_cpu`] tells when the first has let go. A thread that gives up the CPU by
//! itself saves callee-saved registers on its own stack; one that was interrupted is saved whole, in here.
//! Switching happens with interrupts off.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU32, Ordering};

use super::tables::{KERNEL_CODE, KERNEL_DATA};
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
    /// 16: FS while the thread runs.
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

unsafe extern "sysv64" {
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

    /// Makes the context start `entry(argument)` on the stack that ends at `stack_end`.
    ///
    /// The caller owns the thread, which runs nowhere, and its stack; `entry` never returns.
    pub fn prepare(
        &self,
        entry: extern "C" fn(usize) -> !,
        argument: usize,
        stack_end: usize,
        thread_pointer: u64,
    ) {
        const INTERRUPTS_ON: u64 = 0x202;
        // SAFETY: the thread runs nowhere, so nobody else touches its context.
        let raw = unsafe { &mut *self.0.get() };
        raw.interrupted = 1;
        raw.thread_pointer = thread_pointer;
        raw.extended = Area::INITIAL;
        raw.frame = Frame {
            rip: entry as usize as u64,
            rdi: argument as u64,
            // As after a call: the ABI wants 8 modulo 16.
            rsp: (stack_end as u64 & !15) - 8,
            cs: KERNEL_CODE as u64,
            ss: KERNEL_DATA as u64,
            rflags: INTERRUPTS_ON,
            ..Frame::default()
        };
    }

    /// Makes the context that of the code which runs now (the first thread of a CPU).
    pub fn adopt_running(&self, thread_pointer: u64) {
        // SAFETY: the thread runs here, so no other CPU reads the field.
        unsafe { (*self.0.get()).thread_pointer = thread_pointer };
        self.set_on_cpu();
    }

    /// Whether a CPU still runs on the thread's stack.
    pub fn is_on_cpu(&self) -> bool {
        self.on_cpu().load(Ordering::Acquire) != 0
    }

    /// Marks the thread as being continued by this CPU.
    pub fn set_on_cpu(&self) {
        self.on_cpu().store(1, Ordering::Release);
    }

    /// Saves the caller here and continues `to`; comes back when this context is continued.
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

    fn on_cpu(&self) -> &AtomicU32 {
        // SAFETY: the field is atomic, so a shared reference to it is always allowed; no `&mut Raw`
        // lives across a switch.
        unsafe { &(*self.0.get()).on_cpu }
    }
}
