//! Wasmtime and its compilers as KPIO uses them: settings, admission, compilation, loading, interruption.
//!
//! Laws of this crate:
//! - **One source of settings** ([`settings`]): the kernel and the host-side compiler build their
//!   Wasmtime configuration by the same function, because a precompiled program is refused by an
//!   engine with any other setting.
//! - **Nothing reaches a compiler unadmitted**: [`Engine::compile`] takes an [`Admitted`] program, which
//!   only [`Admission::admit`] makes. A compilation that would not fit is a sentence, not a failed
//!   allocation, since a failed allocation in `std` ends the machine.
//! - **Hostile bytes are values**: whatever a program's bytes are, the answer is a [`LoadError`] that says
//!   what is wrong with them. Only *precompiled* bytes are trusted, and the type [`VerifiedImage`] says so.
//! - **Two compilers, one meaning**: the baseline compiler's code and Cranelift's do the same; who runs a program is
//!   not told which it was ([`Tier`]).
//! - **No ticking, and no asking**: compiled code does not look whether it is to end; it is interrupted ([`interrupt`]).
//!
//! What is absent: budgets, processes and host interfaces (the supervisor has them), and every
//! kernel crate. In the kernel the pages of code become executable through the
//! [`wasmtime::CustomCodeMemory`] that the start-up code passes in; on a development machine
//! Wasmtime uses `mprotect` itself.
//!
//! Lock order: the locks here (compile cache, compile threads, loaded images, pending
//! interruptions) are never held together, nor while compiling. Only that of the loaded images is
//! held while calling into Wasmtime, which loads one image at a time under it.
#![expect(
    unsafe_code,
    reason = "native code is loaded from verified images, and Cranelift's flags are set"
)]

mod adapt;
pub mod admission;
mod baseline;
mod cache;
mod engine;
mod engines;
mod error;
mod image;
pub mod interrupt;
mod landing;
mod program;
mod prologue;
pub mod settings;
#[cfg(feature = "signal-interrupter")]
mod signals;
mod survey;
pub mod values;

pub use admission::{Admission, Admitted, Purse};
pub use baseline::BASELINE_STACK_BYTES;
pub use cache::CacheKey;
pub use engine::{Engine, EngineOptions};
pub use error::{ByteCount, EngineError, LoadError, LoadProblem};
pub use image::{ClaimedImage, VerifiedImage};
pub use program::{Code, Program, Tier};
pub use survey::{Form, Survey, SurveyError};
