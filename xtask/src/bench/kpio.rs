//! This side of every comparison: KPIO in a virtual machine.

use std::path::PathBuf;
use std::time::Duration;

use super::guest;
use super::host::Watch;
use super::options::Options;
use super::programs::Contents;
use super::record::{HostState, Record};
use crate::build;
use crate::failure::{Failure, Result};
use crate::image::{self, Parts};
use crate::paths::{Paths, Variant};
use crate::qemu::accelerator::Accelerator;
use crate::qemu::{Guest, Machine};
use crate::run::PROMPT;

/// The image that measures itself, and the package at the top of its kernel.
const SYSTEM: &str = "bench";
const KERNEL: &str = "bench-kernel";
/// What results call this side.
pub const GUEST: &str = "kpio";
/// Suites that the kernel runs by itself.
const INSIDE: [&str; 6] = ["native", "wasm", "wasi", "calls", "processes", "channels"];
/// What firmware says when it starts the loader, and what the kernel's first line has.
const LOADER: &str = "BdsDxe: starting";
const KERNEL_LINE: &str = "cpu: ";
/// How long an idle machine is watched.
const IDLE: Duration = Duration::from_secs(5);

/// What was built, and how it is run.
#[derive(Debug)]
pub struct Kpio {
    logs: PathBuf,
    /// The product's image.
    product: PathBuf,
    bench: PathBuf,
    parts: Parts,
    accelerator: Accelerator,
}

impl Kpio {
    /// Builds all of it.
    pub fn build(paths: &Paths, contents: &Contents, accelerator: Accelerator) -> Result<Self> {
        build::build_kernel_of(paths, KERNEL, Variant::Plain)?;
        build::build_all(paths)?;
        let mut parts = Parts::collect(paths, SYSTEM, Variant::Plain)?;
        parts.bundle = contents.bundle(paths)?;
        Ok(Self {
            logs: paths.out().join("logs"),
            product: image::system_image(paths, "rescue", Variant::Plain)?,
            bench: paths.out().join(format!("{SYSTEM}.img")),
            parts,
            accelerator,
        })
    }

    /// Runs one suite once and shows each result.
    pub fn run(&self, suite: &str, options: &Options, visit: &mut dyn FnMut(Record)) -> Result<()> {
        let mut visit = |mut record: Record| {
            record.guest = Some(GUEST.into());
            visit(record);
        };
        match suite {
            "boot" => self.boot(&mut visit),
            "memory" => self.memory(&mut visit),
            _ => self.inside(suite, &options.filter, &mut visit),
        }
    }

    fn inside(&self, suite: &str, filter: &str, visit: &mut dyn FnMut(Record)) -> Result<()> {
        debug_assert!(INSIDE.contains(&suite));
        let mut parts = self.parts.clone();
        parts.command_line = format!("{} suites={suite} filter={filter}", parts.command_line);
        parts.write_disk(&self.bench)?;
        let machine = Machine::new(self.accelerator, self.bench.clone());
        let log = self.logs.join(format!("bench-{suite}.log"));
        guest::follow(&machine, &log, visit)
    }

    /// A machine that runs those suites once and counts instructions.
    pub fn counting_machine(&self, suites: &str, filter: &str) -> Result<Machine> {
        let mut parts = self.parts.clone();
        parts.command_line = format!(
            "{} count suites={suites} filter={filter}",
            parts.command_line
        );
        let image = self.bench.with_extension("count.img");
        parts.write_disk(&image)?;
        Ok(counting(image))
    }

    /// Instructions of the loader, and of the kernel from there until it is ready to serve its prompt.
    pub fn count_boot(&self) -> Result<[(&'static str, u64); 2]> {
        let machine = counting(self.product.clone());
        let mut guest = Guest::boot(&machine, &self.logs.join("bench-count-boot.log"))?;
        let said = guest.expect(PROMPT)?;
        let counts = said.lines().find_map(boot_counts);
        counts.ok_or_else(|| {
            Failure::Guest(format!("the log does not say when it was ready:\n{said}"))
        })
    }

    /// From power-on to the prompt, stage by stage.
    fn boot(&self, visit: &mut dyn FnMut(Record)) -> Result<()> {
        let machine = Machine::new(self.accelerator, self.product.clone());
        let mut guest = Guest::boot(&machine, &self.logs.join("bench-boot.log"))?;
        let watch = Watch::start(guest.process_id());
        for (stage, sign) in [
            ("loader", LOADER),
            ("kernel", KERNEL_LINE),
            ("prompt", PROMPT),
        ] {
            guest.expect(sign)?;
            let host = watch.since_start();
            let seconds = host.wall.unwrap_or_default();
            visit(Record {
                host,
                ..Record::single("boot", &format!("{GUEST}.esp.{stage}"), "s", seconds)
            });
        }
        Ok(())
    }

    /// What is in use at the prompt, as `free` says there, and what that costs the host.
    fn memory(&self, visit: &mut dyn FnMut(Record)) -> Result<()> {
        let machine = Machine::new(self.accelerator, self.product.clone());
        let mut guest = Guest::boot(&machine, &self.logs.join("bench-memory.log"))?;
        guest.expect(PROMPT)?;
        guest.send("free\r")?;
        let said = guest.expect(PROMPT)?;
        let rows = rows(&said);
        let row = |name: &str| {
            rows.iter()
                .find(|(owner, _)| owner == name)
                .map(|(_, kib)| *kib)
        };
        let total_kib = f64::from(machine.memory_mib) * 1024.0;
        let free_kib = row("free")
            .ok_or_else(|| Failure::Guest(format!("`free` does not say what is free:\n{said}")))?;
        let bundle_kib = row("bundle").or(row("boot modules")).unwrap_or(0.0);
        let used_kib = total_kib - free_kib;
        let mut say = |name: &str, unit: &str, value: f64, host: HostState| {
            visit(Record {
                host,
                ..Record::single("memory", &format!("{GUEST}.esp.{name}"), unit, value)
            });
        };
        let none = HostState::default();
        say("guest_used", "KiB", used_kib, none);
        say("bundle", "KiB", bundle_kib, none);
        say(
            "guest_used_without_bundle",
            "KiB",
            used_kib - bundle_kib,
            none,
        );
        say("qemu_rss", "KiB", resident_kib(guest.process_id()), none);
        let mut watch = Watch::start(guest.process_id());
        std::thread::sleep(IDLE);
        let host = watch.lap();
        let cores = host.cpu.unwrap_or_default() / host.wall.unwrap_or(1.0);
        say("idle_host_cpu", "cores", cores, host);
        Ok(())
    }
}

fn counting(image: PathBuf) -> Machine {
    Machine {
        cpus: 1,
        counts_instructions: true,
        ..Machine::new(Accelerator::Tcg, image)
    }
}

/// From the line `[    0.123456] ready: …, loader took 789 million ticks`.
fn boot_counts(line: &str) -> Option<[(&'static str, u64); 2]> {
    let (_, rest) = line.split_once('[')?;
    let seconds: f64 = rest.split_once(']')?.0.trim().parse().ok()?;
    let (_, loader) = line.rsplit_once("loader took ")?;
    let millions: u64 = loader.split(' ').next()?.parse().ok()?;
    let kernel = (seconds * 1e9).round() as u64;
    Some([
        ("boot.loader", millions * 1_000_000),
        ("boot.kernel_to_ready", kernel),
    ])
}

/// Owners and KiB, as the prompt's `free` lists them.
fn rows(said: &str) -> Vec<(String, f64)> {
    let lines = said
        .lines()
        .filter_map(|line| line.trim_end().strip_suffix(" KiB"));
    let rows = lines.filter_map(|line| {
        let (owner, number) = line.rsplit_once(' ')?;
        Some((owner.trim().to_owned(), number.parse().ok()?))
    });
    rows.collect()
}

/// Memory of the host that the process holds.
fn resident_kib(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_says_what_the_start_took() {
        let line = "[    0.123456] ready: 900 MiB of 1000 free, heap 1 of 2 KiB, loader took 789 million ticks";
        let counts = boot_counts(line).unwrap();
        assert_eq!(
            counts,
            [
                ("boot.loader", 789_000_000),
                ("boot.kernel_to_ready", 123_456_000)
            ]
        );
        assert_eq!(boot_counts("ready"), None);
    }

    #[test]
    fn the_prompts_list_of_memory_is_read() {
        let said = "free\r\nheap, in use               1024 KiB\r\nfree                     900000 KiB\r\n";
        assert_eq!(
            rows(said),
            [
                ("heap, in use".to_owned(), 1024.0),
                ("free".to_owned(), 900_000.0)
            ]
        );
    }
}
