//! Whether the host's virtualisation really runs a guest.
//!
//! Law: that `/dev/kvm` exists says nothing (nested and restricted hosts have it and fail), so firmware is
//! started under it once, and what came of it is kept in the cache for this kernel and this QEMU. `KPIO_ACCEL=tcg` or `=kvm`
//! decides without asking.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::{Machine, Process};
use crate::command;
use crate::digest;
use crate::failure::Result;
use crate::paths::{self, Paths};
use crate::progress;

/// How the guest's instructions are executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerator {
    /// By the host's processor.
    Kvm,
    /// By translation, with one host thread per virtual CPU.
    Tcg,
}

impl Accelerator {
    /// QEMU's words for it.
    pub fn option(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg,thread=multi",
        }
    }
}

/// Firmware under KVM says its first words well within this.
const PROBE_DEADLINE: Duration = Duration::from_secs(15);

/// The fastest accelerator that works here.
pub fn choose(paths: &Paths) -> Result<Accelerator> {
    match env::var("KPIO_ACCEL").as_deref() {
        Ok("kvm") => Ok(Accelerator::Kvm),
        Ok("tcg") => Ok(Accelerator::Tcg),
        _ if fs::File::options()
            .read(true)
            .write(true)
            .open("/dev/kvm")
            .is_err() =>
        {
            Ok(Accelerator::Tcg)
        }
        _ => remembered(paths),
    }
}

fn remembered(paths: &Paths) -> Result<Accelerator> {
    let qemu = command::capture(Command::new("qemu-system-x86_64").arg("--version"))?;
    let kernel = fs::read_to_string("/proc/version").unwrap_or_default();
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu
        .lines()
        .find(|line| line.starts_with("model name"))
        .unwrap_or_default();
    let key = digest::key(&[qemu.as_bytes(), kernel.as_bytes(), cpu.as_bytes()]);
    let verdict = paths.cache.join("accelerators").join(&key[..16]);
    if !verdict.exists() {
        let works = progress::step("Trying the host's virtualisation", kvm_runs_firmware);
        paths::write(&verdict, if works { b"kvm" } else { b"tcg" })?;
    }
    Ok(if paths::read(&verdict)? == b"kvm" {
        Accelerator::Kvm
    } else {
        Accelerator::Tcg
    })
}

/// Whether firmware, started without a disk, gets as far as complaining about that.
fn kvm_runs_firmware() -> bool {
    let machine = Machine {
        memory_mib: 256,
        ..Machine::bare(Accelerator::Kvm)
    };
    let Ok(mut process) = Process::start_with(&machine, |command, folder| {
        let log = folder.join("probe.log");
        command
            .arg("-serial")
            .arg(format!("file:{}", log.display()));
        Ok(log)
    }) else {
        return false;
    };
    let log = process.extra.clone();
    let deadline = Instant::now() + PROBE_DEADLINE;
    while Instant::now() < deadline && process.is_running() {
        if said_something(&log) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}

fn said_something(log: &Path) -> bool {
    fs::read(log).is_ok_and(|said| said.windows(6).any(|window| window == b"BdsDxe"))
}
