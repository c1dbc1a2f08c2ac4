//! Machines of many kinds boot to the prompt, run a program that nobody here wrote, and power off.

use std::path::Path;

use super::Report;
use super::report::unmet;
use crate::build;
use crate::failure::Result;
use crate::image;
use crate::paths::Paths;
use crate::qemu::accelerator;
use crate::qemu::{DiskBus, Ending, Guest, Machine};
use crate::run::{NEEDS, PROMPT};
use crate::setup::ensure_packages;

/// Boots every kind of machine.
pub fn run(paths: &Paths, report: &mut Report) -> Result<()> {
    ensure_packages(&NEEDS)?;
    build::build_all(paths)?;
    let image = image::base_image(paths)?;
    let accelerator = accelerator::choose(paths)?;
    for (name, change) in machines() {
        let mut machine = Machine::new(accelerator, image.clone());
        change(&mut machine);
        let log = report.log_file(name);
        report.test(name, || boots_and_searches(&machine, &log));
    }
    Ok(())
}

type Change = fn(&mut Machine);

/// Each differs in one way from two CPUs, 1 GiB, and a virtio disk.
fn machines() -> [(&'static str, Change); 9] {
    [
        ("one-cpu", |machine| machine.cpus = 1),
        ("two-cpus", |_| ()),
        ("four-cpus", |machine| machine.cpus = 4),
        ("memory-96-mib", |machine| machine.memory_mib = 96),
        ("disk-ahci", |machine| machine.disk_bus = DiskBus::Ahci),
        ("disk-nvme", |machine| machine.disk_bus = DiskBus::Nvme),
        ("without-hpet", |machine| machine.hpet = false),
        ("without-x2apic", |machine| machine.cpu = "max,-x2apic".into()),
        ("without-avx", |machine| machine.cpu = "max,-avx,-avx2,-f16c,-fma,-vaes,-vpclmulqdq".into()),
    ]
}

fn boots_and_searches(machine: &Machine, log: &Path) -> Result<()> {
    let mut guest = Guest::boot(machine, log)?;
    guest.expect(PROMPT)?;
    guest.send("rg -n TODO /share\r")?;
    let said = guest.expect(PROMPT)?;
    if !said.contains("first-steps.txt:2:TODO list for the first five minutes") {
        return Err(unmet(format!("ripgrep did not find the line; it said:\n{said}")));
    }
    guest.send("poweroff\r")?;
    match guest.wait()? {
        Ending::PowerOff => Ok(()),
        other => Err(unmet(format!("the machine was to power off, but: {other:?}"))),
    }
}
