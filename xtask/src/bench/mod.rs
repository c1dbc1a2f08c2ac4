//! `cargo xtask bench`: how fast KPIO is, and how fast in comparison.
//!
//! Law: results are lines of JSON on stdout, under the names and in the form of the Linux peer; talk goes to stderr.
//! Times are the guest's own. What the host did meanwhile stands beside each result, because a time that was
//! taken on a busy host says little.

mod guest;
mod host;
mod options;
mod record;

pub use options::Options;

use std::process::ExitCode;

use crate::build;
use crate::failure::Result;
use crate::image::Parts;
use crate::paths::{Paths, Variant};
use crate::progress;
use crate::qemu::{Machine, accelerator};
use crate::run::NEEDS;
use crate::setup::ensure_packages;

/// The image, and the package at the top of its kernel.
const SYSTEM: &str = "bench";
const KERNEL: &str = "bench-kernel";
/// What results call this side.
const GUEST: &str = "kpio";

/// Measures what the options say.
pub fn run(paths: &Paths, options: &Options) -> Result<ExitCode> {
    ensure_packages(&NEEDS)?;
    build::build_kernel_of(paths, KERNEL, Variant::Plain)?;
    build::build_loader(paths)?;
    for round in 0..options.rounds.unwrap_or(1) {
        measure(paths, options, round)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn measure(paths: &Paths, options: &Options, round: u32) -> Result<()> {
    let mut parts = Parts::collect(paths, SYSTEM, Variant::Plain)?;
    let suites: Vec<&str> = options::SUITES
        .into_iter()
        .filter(|suite| options.wants(suite))
        .collect();
    parts.command_line = format!(
        "{} suites={} filter={}",
        parts.command_line,
        suites.join(","),
        options.filter
    );
    let image = paths.out().join(format!("{SYSTEM}.img"));
    parts.write_disk(&image)?;
    let machine = Machine::new(accelerator::choose(paths)?, image);
    let log = paths.out().join("logs").join("bench.log");
    progress::step(&format!("Measuring KPIO: {}", suites.join(", ")), || {
        guest::follow(&machine, &log, |mut record| {
            record.run = Some(round);
            record.guest = Some(GUEST.into());
            println!("{}", record.to_line());
        })
    })
}
