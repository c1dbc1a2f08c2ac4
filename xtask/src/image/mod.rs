//! From built parts to a disk that firmware boots.
//!
//! Law: everything is written by this program into plain files; no root, no mount, no tool of the host.
//! The layout of the boot volume is in [`volume`], that of the disk in [`disk`].

mod bundle;
mod disk;
mod job;
mod volume;

use std::path::{Path, PathBuf};
use std::process::Command;

pub use bundle::system_bundle;
pub use job::{Job, job_bundle};
pub use volume::Volume;

use crate::command;
use crate::failure::Result;
use crate::paths::{self, Paths, Variant};
use crate::progress;
use crate::system::System;

/// The parts of an image, before the disk is written.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The loader.
    pub loader: Vec<u8>,
    /// The kernel, stripped.
    pub kernel: Vec<u8>,
    /// The kernel's symbol table.
    pub symbols: Vec<u8>,
    /// The system's bundle.
    pub bundle: Vec<u8>,
    /// Words for the kernel.
    pub command_line: String,
    /// The bundle of one run.
    pub job: Option<Vec<u8>>,
}

impl Parts {
    /// Collects what was built, with this variant of the kernel, and the bundle of `system/NAME.toml`.
    pub fn collect(paths: &Paths, name: &str, variant: Variant) -> Result<Self> {
        Self::of(paths, &System::load(paths, name)?, variant)
    }

    /// The same with the bundle of a system that need not be in a file.
    pub fn of(paths: &Paths, system: &System, variant: Variant) -> Result<Self> {
        let kernel = paths.kernel_of(system.kernel(), variant);
        Ok(Self {
            loader: paths::read(&paths.loader())?,
            kernel: paths::read(&kernel.loaded)?,
            symbols: paths::read(&kernel.symbols)?,
            bundle: system_bundle(paths, system)?,
            command_line: system.command_line.clone(),
            job: None,
        })
    }

    /// Writes the disk image.
    pub fn write_disk(&self, path: &Path) -> Result<()> {
        write_disk(&Volume::from(self), path)
    }
}

/// Writes a disk image with this boot volume.
pub fn write_disk(volume: &Volume<'_>, path: &Path) -> Result<()> {
    let volume = volume
        .to_bytes()
        .map_err(|problem| disk::failed(path, problem))?;
    disk::write(path, &volume)
}

/// The disk image of `system/NAME.toml`: `target/kpio.img` for "base", `target/kpio/NAME.img` for others, and
/// `target/kpio/NAME-checks.img` with the kernel that checks itself.
pub fn system_image(paths: &Paths, name: &str, variant: Variant) -> Result<PathBuf> {
    let image = match (name, variant) {
        ("base", Variant::Plain) => paths.target.join("kpio.img"),
        (_, Variant::Plain) => paths.out().join(format!("{name}.img")),
        (_, Variant::Checks) => paths.out().join(format!("{name}-checks.img")),
    };
    let parts = progress::step(&format!("Packing the bundle of the {name} system"), || {
        Parts::collect(paths, name, variant)
    })?;
    progress::step("Writing the disk image", || parts.write_disk(&image))?;
    Ok(image)
}

/// Writes `target/kpio.vdi` and `target/kpio.vmdk` from `target/kpio.img`.
pub fn convert(image: &Path) -> Result<Vec<PathBuf>> {
    ["vdi", "vmdk"]
        .iter()
        .map(|format| convert_to(image, format))
        .collect()
}

fn convert_to(image: &Path, format: &str) -> Result<PathBuf> {
    let output = image.with_extension(format);
    let mut tool = Command::new("qemu-img");
    tool.args(["convert", "-f", "raw", "-O", format])
        .arg(image)
        .arg(&output);
    progress::step(&format!("Converting the image to {format}"), || {
        command::run(&mut tool)
    })?;
    Ok(output)
}
