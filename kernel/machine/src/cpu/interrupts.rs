//! The interrupt flag.
//!
//! Law: whoever turns interrupts off does it by a guard, and the guard restores what was before. With
//! them on, entering first touches the stack reserve ([`super::touch_stack_reserve`]).

use core::marker::PhantomData;

use crate::checks::context;

const INTERRUPT_FLAG: u64 = 1 << 9;

/// Whether this CPU takes interrupts.
#[inline(always)]
pub fn are_enabled() -> bool {
    let flags: u64;
    // SAFETY: reads the flags through the stack; `options` do not claim `nostack`.
    unsafe { core::arch::asm!("pushfq", "pop {}", out(reg) flags, options(preserves_flags)) }
    flags & INTERRUPT_FLAG != 0
}

/// Turns interrupts on for good: at the end of a CPU's start.
#[inline]
pub fn enable() {
    // SAFETY: all gates are set up when a CPU calls this.
    unsafe { core::arch::asm!("sti", options(nostack)) }
}

/// Turns interrupts on and waits for one, without a gap in which it could be missed; returns with
/// interrupts off.
pub fn wait_for_one() {
    context::halts();
    // SAFETY: `sti` takes effect after the next instruction, so the wake-up cannot slip in between.
    unsafe { core::arch::asm!("sti", "hlt", "cli", options(nostack)) }
    context::goes_on();
}

/// Runs `body` with interrupts off.
#[inline]
pub fn without<R>(body: impl FnOnce() -> R) -> R {
    let _guard = Disabled::enter();
    body()
}

/// Interrupts are off while this lives; then they are as before. Guards nest like scopes.
#[derive(Debug)]
pub struct Disabled {
    were_enabled: bool,
    /// The flag is this CPU's: the guard must not go to another thread.
    not_send: PhantomData<*const ()>,
}

impl Disabled {
    /// Turns interrupts off.
    #[inline(always)]
    pub fn enter() -> Self {
        let were_enabled = are_enabled();
        if were_enabled {
            super::touch_stack_reserve();
            // SAFETY: the guard turns them on again.
            unsafe { core::arch::asm!("cli", options(nostack)) }
            context::interrupts_went_off();
        }
        Self {
            were_enabled,
            not_send: PhantomData,
        }
    }
}

impl Disabled {
    /// Whether the guard's end turns interrupts on.
    #[inline]
    pub fn were_enabled(&self) -> bool {
        self.were_enabled
    }
}

impl Drop for Disabled {
    #[inline(always)]
    fn drop(&mut self) {
        if self.were_enabled {
            context::interrupts_come_on();
            enable();
        }
    }
}
