//! What programs of KPIO import beyond WASI, as Rust functions and types.
//!
//! Law: everything here is generated from `contract/wit`, which documents it; nothing is added but what all programs say to a person
//! in the same words. Types of WASI are
//! those of crate `wasip2`, so that a stream from the one can be handed to the other. A program that calls anything
//! of this has to be granted it: otherwise it does not link.
#![expect(missing_docs, reason = "generated; the WIT documents it")]

pub use wasip2;

include!(concat!(env!("OUT_DIR"), "/wit.rs"));

generate! {
    world: "kpio:process/shell",
    generate_all,
    with: {
        "wasi:io/error@0.2.12": wasip2::io::error,
        "wasi:io/poll@0.2.12": wasip2::io::poll,
        "wasi:io/streams@0.2.12": wasip2::io::streams,
        "wasi:clocks/wall-clock@0.2.12": wasip2::clocks::wall_clock,
        "wasi:filesystem/types@0.2.12": wasip2::filesystem::types,
    },
}

pub use kpio::process::{foreground, pipes, processes, terminal};

pub mod link;
pub mod log;
