//! UEFI firmware for the guest: OVMF, as distributions package it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Result};

/// Code and template of the variable store, in the order of preference.
const CANDIDATES: [(&str, &str); 2] = [
    (
        "/usr/share/OVMF/OVMF_CODE_4M.fd",
        "/usr/share/OVMF/OVMF_VARS_4M.fd",
    ),
    (
        "/usr/share/OVMF/OVMF_CODE.fd",
        "/usr/share/OVMF/OVMF_VARS.fd",
    ),
];

/// Whether firmware was found.
pub fn is_installed() -> bool {
    find().is_some()
}

fn find() -> Option<(&'static Path, &'static Path)> {
    let mut pairs = CANDIDATES
        .iter()
        .map(|(code, variables)| (Path::new(code), Path::new(variables)));
    pairs.find(|(code, variables)| code.exists() && variables.exists())
}

/// The firmware's code, and a fresh copy of its variables in `folder`, which the guest may write to.
pub fn prepare(folder: &Path) -> Result<(PathBuf, PathBuf)> {
    let missing = || Failure::Missing {
        what: "ovmf".into(),
        remedy: "sudo apt-get install -y ovmf".into(),
    };
    let (code, template) = find().ok_or_else(missing)?;
    let variables = folder.join("variables.fd");
    fs::copy(template, &variables)
        .map_err(|e| Failure::io("copy firmware variables to", &variables, e))?;
    Ok((code.to_path_buf(), variables))
}
