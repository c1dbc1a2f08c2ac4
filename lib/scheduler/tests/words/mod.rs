//! Words of a model checker, whose atomics have the standard library's interface and types of their own.

/// What an implementation of `Word` says of a tuple around an `AtomicU32`, all but its fence. The checker's `AtomicU32` and
/// `Ordering` are in scope where this stands.
macro_rules! word_of_atomic {
    () => {
        fn new(value: u32) -> Self {
            Self(AtomicU32::new(value))
        }
        fn load(&self, order: Ordering) -> u32 {
            self.0.load(order)
        }
        fn store(&self, value: u32, order: Ordering) {
            self.0.store(value, order);
        }
        fn swap(&self, value: u32, order: Ordering) -> u32 {
            self.0.swap(value, order)
        }
        fn exchange(&self, old: u32, new: u32) -> bool {
            let (success, failure) = (Ordering::SeqCst, Ordering::SeqCst);
            self.0.compare_exchange(old, new, success, failure).is_ok()
        }
        fn set_bits(&self, bits: u32) -> u32 {
            self.0.fetch_or(bits, Ordering::SeqCst)
        }
        fn clear_bits(&self, bits: u32) -> u32 {
            self.0.fetch_and(!bits, Ordering::SeqCst)
        }
        fn add(&self, value: u32) {
            self.0.fetch_add(value, Ordering::SeqCst);
        }
        fn subtract(&self, value: u32) {
            self.0.fetch_sub(value, Ordering::SeqCst);
        }
    };
}
