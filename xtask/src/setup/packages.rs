//! Programs and firmware from Debian packages.

use std::env;
use std::fs::File;
use std::path::Path;
use std::process::Command;

use crate::command;
use crate::failure::{Failure, Result};
use crate::progress;
use crate::qemu::firmware;

/// Something that a command of this tool needs from the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A program, by the name it is started with.
    Program(&'static str),
    /// A package, by its name and a file that it brings.
    File(&'static str, &'static str),
    /// UEFI firmware for QEMU.
    Firmware,
}

impl Need {
    fn is_met(self) -> bool {
        match self {
            Self::Program(name) => command::exists(name),
            Self::File(_, path) => Path::new(path).exists(),
            Self::Firmware => firmware::is_installed(),
        }
    }

    /// The Debian package that brings it.
    fn package(self) -> &'static str {
        match self {
            Self::Program("qemu-system-x86_64") => "qemu-system-x86",
            Self::Program("qemu-img") => "qemu-utils",
            Self::Program("dpkg-deb") => "dpkg",
            Self::Program("wasm-ld") => "lld",
            Self::Program(name) | Self::File(name, _) => name,
            Self::Firmware => "ovmf",
        }
    }
}

/// Installs what is missing, or says what to type.
pub fn ensure_packages(needs: &[Need]) -> Result<()> {
    if missing(needs).is_empty() {
        return Ok(());
    }
    if !rustix::process::geteuid().is_root() || !Path::new("/usr/bin/apt-get").exists() {
        let names = missing(needs).join(" ");
        return Err(Failure::Missing {
            what: names.clone(),
            remedy: format!("sudo apt-get install -y {names}"),
        });
    }
    let _alone = wait_for_others()?;
    let missing = missing(needs);
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    progress::step(&format!("Installing {names}"), || install(&missing))
}

fn missing(needs: &[Need]) -> Vec<&'static str> {
    let missing = needs.iter().filter(|need| !need.is_met());
    missing.map(|need| need.package()).collect()
}

/// Until the file is dropped, other runs of this tool as root wait here: apt does not wait for itself everywhere.
fn wait_for_others() -> Result<File> {
    let path = env::temp_dir().join("kpio-packages-of-root.lock");
    let locked = File::create(&path).and_then(|file| file.lock().map(|()| file));
    locked.map_err(|e| Failure::io("lock", &path, e))
}

fn install(packages: &[&str]) -> Result<()> {
    command::run(apt_get().arg("update"))?;
    command::run(
        apt_get()
            .args(["install", "-y", "--no-install-recommends"])
            .args(packages),
    )
}

fn apt_get() -> Command {
    let mut apt = Command::new("apt-get");
    apt.arg("-q").env("DEBIAN_FRONTEND", "noninteractive");
    apt
}
