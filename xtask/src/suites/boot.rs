//! Machines of many kinds boot to the prompt, run a program that nobody here wrote, and power off.

use std::path::Path;

use super::report::unmet;
use super::{Report, console};
use crate::build;
use crate::failure::Result;
use crate::image;
use crate::paths::{Paths, Variant};
use crate::qemu::accelerator;
use crate::qemu::{DiskBus, Guest, Machine};
use crate::run::NEEDS;
use crate::setup::{Need, ensure_packages};

/// Boots every kind of machine.
pub fn run(paths: &Paths, report: &mut Report) -> Result<()> {
    ensure_packages(&NEEDS)?;
    ensure_packages(&[Need::Program("qemu-img")])?;
    build::build_all(paths)?;
    let (test, base, small) = (
        image::system_image(paths, "test", Variant::Plain)?,
        image::system_image(paths, "base", Variant::Plain)?,
        image::system_image(paths, "small", Variant::Plain)?,
    );
    let accelerator = accelerator::choose(paths)?;
    for (name, change) in machines() {
        let mut machine = Machine::new(accelerator, test.clone());
        change(&mut machine);
        let (image, first) = match machine.memory_mib {
            ..LITTLE_MEMORY_MIB => (&small, First::Shell),
            LITTLE_MEMORY_MIB..MUCH_MEMORY_MIB => (&base, First::Console),
            _ => (&test, First::Prompt),
        };
        machine.image = Some(image.clone());
        let log = report.log_file(name);
        report.test(name, || boots_and_searches(&machine, first, &log));
    }
    for converted in image::convert(&base)? {
        let name = format!(
            "image-{}",
            converted.extension().unwrap_or_default().display()
        );
        let machine = Machine::new(accelerator, converted);
        let log = report.log_file(&name);
        report.test(&name, || boots_and_searches(&machine, First::Console, &log));
    }
    let without_programs = image::system_image(paths, "job", Variant::Plain)?;
    let without_programs = Machine::new(accelerator, without_programs);
    let log = report.log_file(DEFECT);
    report.test(DEFECT, || is_noticed(&without_programs, &log));
    Ok(())
}

/// Below this, the image that people get is booted, and not that of the tests.
const MUCH_MEMORY_MIB: u32 = 256;
/// Below this, the smallest image.
const LITTLE_MEMORY_MIB: u32 = 128;
/// A machine whose image lost its programs boots to the prompt like any other.
const DEFECT: &str = "defect-lost-programs-are-noticed";
const SEARCH: &str = "rg -n TODO /share";
/// A file of `system/small.toml` and a line of it, as ripgrep shows them on a terminal.
const FOUND: (&str, &str) = (
    "/share/first-steps.txt",
    "1:TODO list for the first five minutes",
);

type Change = fn(&mut Machine);

/// Each differs in one way from two CPUs, 1 GiB, and a virtio disk.
fn machines() -> [(&'static str, Change); 10] {
    [
        ("one-cpu", |machine| machine.cpus = 1),
        ("two-cpus", |_| ()),
        ("four-cpus", |machine| machine.cpus = 4),
        ("memory-96-mib", |machine| machine.memory_mib = 96),
        ("memory-128-mib", |machine| machine.memory_mib = 128),
        ("disk-ahci", |machine| machine.disk_bus = DiskBus::Ahci),
        ("disk-nvme", |machine| machine.disk_bus = DiskBus::Nvme),
        ("without-hpet", |machine| machine.hpet = false),
        ("without-x2apic", |machine| {
            machine.cpu = "max,-x2apic".into()
        }),
        ("without-avx", |machine| {
            machine.cpu = "max,-avx,-avx2,-f16c,-fma,-vaes,-vpclmulqdq".into()
        }),
    ]
}

/// The planted defect must make the same test fail, and for its own reason.
fn is_noticed(machine: &Machine, log: &Path) -> Result<()> {
    match boots_and_searches(machine, First::Prompt, log) {
        Err(failure) if failure.to_string().contains("did not find the line") => Ok(()),
        Err(failure) => Err(failure),
        Ok(()) => Err(unmet("an image without ripgrep passed")),
    }
}

/// What a person meets first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum First {
    /// The kernel's prompt.
    Prompt,
    /// The shell on the kernel's terminal, and the kernel's prompt behind it.
    Shell,
    /// The shell on a terminal of the console.
    Console,
}

fn boots_and_searches(machine: &Machine, first: First, log: &Path) -> Result<()> {
    let mut guest = Guest::boot(machine, log)?;
    if first != First::Prompt {
        console::expect(&mut guest, console::SHELL_PROMPT)?;
    }
    if first == First::Console {
        return searches_in_shell(&mut guest);
    }
    if first == First::Shell {
        guest.send("exit\r")?;
    }
    console::prompt(&mut guest)?;
    finds(&console::command(&mut guest, SEARCH)?)?;
    console::power_off(guest)
}

/// The console does not give the machine back to whom could switch it off.
fn searches_in_shell(guest: &mut Guest) -> Result<()> {
    guest.send(format!("{SEARCH}\r"))?;
    console::expect(guest, "\r\n")?;
    finds(&console::plain(&console::expect(
        guest,
        console::SHELL_PROMPT,
    )?))
}

fn finds(said: &str) -> Result<()> {
    match said.contains(FOUND.0) && said.contains(FOUND.1) {
        true => Ok(()),
        false => Err(unmet(format!(
            "ripgrep did not find the line; it said:\n{said}"
        ))),
    }
}
