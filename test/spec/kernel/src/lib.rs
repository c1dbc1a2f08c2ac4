//! A kernel that runs WebAssembly's own tests.
