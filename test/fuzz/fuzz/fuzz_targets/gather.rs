//! The target `gather` for libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    test_fuzz::named(test_fuzz_logic::TARGETS, "gather").hold(bytes);
});
