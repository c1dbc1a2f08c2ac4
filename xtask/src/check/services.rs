//! What the images say of services: every file of `system/` is read as for an image.

use super::{files, verdict};
use crate::failure::Result;
use crate::paths::Paths;
use crate::system::System;

/// Whether all files of `system/` can be read, and their services fit together.
pub fn check(paths: &Paths) -> Result<()> {
    let tables = files(paths, &[".toml"])?.into_iter();
    let systems = tables.filter(|file| {
        file.parent()
            .is_some_and(|folder| folder.ends_with("system"))
    });
    verdict(systems.filter_map(|file| {
        let name = file.file_stem()?.to_str()?;
        let manifest = System::load(paths, name).and_then(|system| system.manifest());
        let problem = manifest.err()?;
        Some(format!("{}: {problem}", file.display()))
    }))
}
