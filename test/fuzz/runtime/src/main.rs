//! The driver over the targets of this package.

use std::process::ExitCode;

fn main() -> ExitCode {
    test_fuzz::run("test-fuzz-runtime --release", test_fuzz_runtime::TARGETS)
}
