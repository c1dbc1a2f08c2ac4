//! `cargo xtask run`: a machine on this terminal, or one program in a machine of its own.

mod interactive;
mod job;
mod options;
mod terminal;

pub use interactive::PROMPT;
pub use options::{Compiler, Options, Recording};

use std::io::{IsTerminal, stdin};
use std::process::ExitCode;

use crate::build;
use crate::failure::Result;
use crate::image;
use crate::paths::Paths;
use crate::setup::{Need, ensure_packages};

/// What every machine needs from the host.
pub const NEEDS: [Need; 2] = [Need::Program("qemu-system-x86_64"), Need::Firmware];

/// Runs what the options say; the exit code is the program's where there is one.
pub fn run(paths: &Paths, options: &Options) -> Result<ExitCode> {
    if let Some((program, arguments)) = &options.program {
        return Ok(job::run(paths, options, program, arguments));
    }
    ensure_packages(&NEEDS)?;
    build::build_all_of(paths, options.variant)?;
    // Commands that nobody types are for the kernel's own prompt.
    let usual = match stdin().is_terminal() {
        true => "base",
        false => "rescue",
    };
    let system = options.system.as_deref().unwrap_or(usual);
    let image = image::system_image(paths, system, options.variant)?;
    interactive::run(paths, options, image)
}
