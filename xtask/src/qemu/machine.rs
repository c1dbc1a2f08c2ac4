//! What a virtual machine looks like.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::accelerator::Accelerator;

/// How the disk is attached; firmware has a driver for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskBus {
    /// `virtio-blk-pci`.
    Virtio,
    /// A SATA disk at the chipset's AHCI controller.
    Ahci,
    /// An NVMe controller.
    Nvme,
}

impl DiskBus {
    fn device(self) -> &'static str {
        match self {
            Self::Virtio => "virtio-blk-pci,drive=disk,bootindex=0",
            Self::Ahci => "ide-hd,bus=ide.0,drive=disk,bootindex=0",
            Self::Nvme => "nvme,serial=kpio,drive=disk,bootindex=0",
        }
    }
}

/// A virtual machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// How its instructions are executed.
    pub accelerator: Accelerator,
    /// QEMU's CPU model and feature changes, as in "max,-x2apic".
    pub cpu: String,
    /// How many CPUs.
    pub cpus: u32,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// The disk image that it boots from; without one, firmware complains.
    pub image: Option<PathBuf>,
    /// How the disk is attached.
    pub disk_bus: DiskBus,
    /// Whether it has a high-precision event timer.
    pub hpet: bool,
    /// Whether it has the controller of keyboard and mouse.
    pub keyboard: bool,
    /// QEMU's name for a window ("gtk"), or none.
    pub display: Option<String>,
    /// Whether its clocks count instructions, one for each nanosecond: the same work then takes the same time on any
    /// host. Such a machine has one CPU and is translated.
    pub counts_instructions: bool,
    /// Whether it waits for a debugger at the start, on this TCP port.
    pub debugger_port: Option<u16>,
}

impl Machine {
    /// A machine with two CPUs and 1 GiB that boots from `image`.
    pub fn new(accelerator: Accelerator, image: PathBuf) -> Self {
        Self {
            image: Some(image),
            ..Self::bare(accelerator)
        }
    }

    /// The same without a disk.
    pub fn bare(accelerator: Accelerator) -> Self {
        Self {
            accelerator,
            cpu: "max".into(),
            cpus: 2,
            memory_mib: 1024,
            image: None,
            disk_bus: DiskBus::Virtio,
            hpet: true,
            keyboard: true,
            display: None,
            counts_instructions: false,
            debugger_port: None,
        }
    }

    /// Adds QEMU's words for all of this, save firmware, serial ports and monitors. Nothing that is
    /// written to the disk lasts, a reset ends QEMU, and a byte written to port 0xf4 does too.
    pub fn apply(&self, qemu: &mut Command) {
        let on = |has| if has { "on" } else { "off" };
        let (hpet, i8042) = (on(self.hpet), on(self.keyboard));
        qemu.args([
            // Threads have names then, by which the host's load on each can be told.
            "-name",
            "kpio,debug-threads=on",
            "-nodefaults",
            "-no-user-config",
            "-machine",
            &format!("q35,hpet={hpet},i8042={i8042}"),
        ]);
        if self.counts_instructions {
            // A CPU that waits goes on to its next timeout at once.
            qemu.args([
                "-accel",
                "tcg,thread=single",
                "-icount",
                "shift=0,sleep=off",
            ]);
        } else {
            qemu.args(["-accel", self.accelerator.option()]);
        }
        qemu.args(["-cpu", &self.cpu]);
        qemu.args([
            "-smp",
            &self.cpus.to_string(),
            "-m",
            &self.memory_mib.to_string(),
        ]);
        qemu.args([
            "-vga",
            "std",
            "-display",
            self.display.as_deref().unwrap_or("none"),
            "-nic",
            "none",
        ]);
        qemu.args([
            "-no-reboot",
            "-device",
            "isa-debug-exit,iobase=0xf4,iosize=4",
        ]);
        if let Some(image) = &self.image {
            let drive = format!(
                "if=none,id=disk,format={},snapshot=on,file={}",
                format_of(image),
                quoted(image)
            );
            qemu.args(["-drive", &drive, "-device", self.disk_bus.device()]);
        }
        if let Some(port) = self.debugger_port {
            qemu.args(["-gdb", &format!("tcp:127.0.0.1:{port}"), "-S"]);
        }
    }
}

/// QEMU's name for the format of a disk image, told by the file's name.
fn format_of(image: &Path) -> &'static str {
    match image.extension().and_then(OsStr::to_str) {
        Some("vdi") => "vdi",
        Some("vmdk") => "vmdk",
        _ => "raw",
    }
}

/// A path inside an option: QEMU ends a value at a comma unless it is doubled.
pub fn quoted(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}
