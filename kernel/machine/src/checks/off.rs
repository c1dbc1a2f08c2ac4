//! A kernel without checks: everything here is nothing.

/// See `stop.rs`. Nobody comes here: nothing is looked at.
#[cold]
pub(crate) fn broken(sentence: core::fmt::Arguments<'_>) -> ! {
    panic!("{sentence}")
}

/// See `locks.rs`.
pub mod locks {
    /// What a lock belongs to.
    #[derive(Debug)]
    pub struct Class(());

    impl Class {
        pub(crate) const fn new(_name: &'static str) -> Self {
            Self(())
        }
    }

    #[inline(always)]
    pub(crate) fn about_to_take(_lock: usize, _class: &Class) {}

    #[inline(always)]
    pub(crate) fn taken(_lock: usize, _class: &Class) {}

    #[inline(always)]
    pub(crate) fn about_to_release(_lock: usize) {}
}

/// See `context.rs`.
pub mod context {
    /// An interrupt's handler runs while this lives.
    #[derive(Debug)]
    pub struct TopHalf(());

    impl TopHalf {
        /// The handler of a vector begins.
        #[inline(always)]
        pub fn enter(_vector: u8) -> Self {
            Self(())
        }
    }

    /// What has to be the same when a gate is left.
    #[derive(Debug)]
    pub struct Gate(());

    #[inline(always)]
    pub(crate) fn about_to_use_heap() {}

    /// A thread may have to wait.
    #[inline(always)]
    pub fn about_to_wait() {}

    #[inline(always)]
    pub(crate) fn about_to_switch() {}

    #[inline(always)]
    pub(crate) fn enter_gate(_vector: u8, _interrupts_were_on: bool, _pad_end: usize) -> Gate {
        Gate(())
    }

    #[inline(always)]
    pub(crate) fn leave_gate(_gate: &Gate) {}

    #[inline(always)]
    pub(crate) fn check_pad(_pad_end: usize) {}

    #[inline(always)]
    pub(crate) fn paint_pad(_words: &mut [u64]) {}

    #[inline(always)]
    pub(crate) fn halts() {}

    #[inline(always)]
    pub(crate) fn goes_on() {}

    #[inline(always)]
    pub(crate) fn spins() {}

    #[inline(always)]
    pub(crate) fn interrupts_went_off() {}

    #[inline(always)]
    pub(crate) fn interrupts_come_on() {}
}

/// See `translations.rs`.
pub mod translations {
    #[inline(always)]
    pub(crate) fn page_ended(_frame_number: u64) {}

    #[inline(always)]
    pub(crate) fn generation() -> u64 {
        0
    }

    #[inline(always)]
    pub(crate) fn check_reclaim(_frame_number: u64, _proven: u64) {}
}
