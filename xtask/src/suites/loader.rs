//! A boot volume that is damaged, incomplete or too large is refused with a sentence, on serial and on the screen, and the machine
//! goes back to its firmware at the press of a key.

use std::path::Path;
use std::thread;
use std::time::Duration;

use super::Report;
use super::report::unmet;
use crate::build;
use crate::failure::Result;
use crate::image::{self, Parts, Volume};
use crate::paths::{Paths, Variant};
use crate::qemu::accelerator::{self, Accelerator};
use crate::qemu::{Guest, Machine, Screen};
use crate::run::NEEDS;
use crate::setup::ensure_packages;

/// One way to damage a volume, and part of the sentence that it must lead to.
struct Damage {
    name: &'static str,
    inflict: fn(&mut Volume<'_>),
    memory_mib: u32,
    sentence: &'static str,
}

const DAMAGES: &[Damage] = &[
    Damage {
        name: "kernel-flipped-bit",
        inflict: |volume| volume.damage("kernel.elf", |bytes| flip_middle(bytes)),
        memory_mib: 512,
        sentence: r"the file \kpio\kernel.elf is damaged",
    },
    Damage {
        name: "kernel-truncated",
        inflict: |volume| volume.damage("kernel.elf", |bytes| bytes.truncate(bytes.len() / 2)),
        memory_mib: 512,
        sentence: r"the file \kpio\kernel.elf should be",
    },
    Damage {
        name: "kernel-missing",
        inflict: |volume| volume.remove("kernel.elf"),
        memory_mib: 512,
        sentence: r"the file \kpio\kernel.elf is missing",
    },
    Damage {
        name: "bundle-index-flipped-bit",
        inflict: |volume| volume.damage("bundle", |bytes| bytes[70] ^= 1),
        memory_mib: 512,
        sentence: "bundle",
    },
    Damage {
        name: "hash-list-cut-off",
        inflict: |volume| volume.manifest.truncate(100),
        memory_mib: 512,
        sentence: "the hash list",
    },
    Damage {
        name: "too-little-memory",
        inflict: |volume| volume.enlarge("bundle", 200 << 20),
        memory_mib: 128,
        sentence: "too little memory",
    },
];

fn flip_middle(bytes: &mut [u8]) {
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
}

/// Boots a machine from each damaged volume.
pub fn run(paths: &Paths, report: &mut Report) -> Result<()> {
    ensure_packages(&NEEDS)?;
    build::build_all(paths)?;
    let parts = Parts::collect(paths, "job", Variant::Plain)?;
    let accelerator = accelerator::choose(paths)?;
    // Pictures that are no sentence of this loader's about this damage.
    let mut seen = vec![firmware_screen(paths, accelerator)?];
    for damage in DAMAGES {
        let image = paths.out().join("damaged.img");
        let machine = Machine {
            memory_mib: damage.memory_mib,
            ..Machine::new(accelerator, image.clone())
        };
        let log = report.log_file(damage.name);
        report.test(damage.name, || {
            let mut volume = Volume::from(&parts);
            (damage.inflict)(&mut volume);
            image::write_disk(&volume, &image)?;
            refusal(&machine, &log, damage.sentence, &mut seen)
        });
    }
    let image = paths.out().join("undamaged.img");
    let machine = Machine::new(accelerator, image.clone());
    let log = report.log_file(CONTROL);
    report.test(CONTROL, || {
        image::write_disk(&Volume::from(&parts), &image)?;
        match refusal(&machine, &log, "", &mut seen) {
            Err(failure) if failure.to_string().contains(WAS_ACCEPTED) => Ok(()),
            Err(failure) => Err(failure),
            Ok(()) => Err(unmet("a whole volume was taken for a damaged one")),
        }
    });
    Ok(())
}

/// What the loader says last before it starts a kernel.
const ACCEPTED: &str = "starting the kernel";
const WAS_ACCEPTED: &str = "the volume was accepted";
/// A loader that refuses nothing must be noticed: here there is nothing to refuse.
const CONTROL: &str = "whole-volume-fails-this-test";

/// What the screen shows while firmware starts a loader: its logo.
fn firmware_screen(paths: &Paths, accelerator: Accelerator) -> Result<Screen> {
    let log = paths.out().join("logs/loader-firmware.log");
    let mut guest = Guest::boot(&Machine::bare(accelerator), &log)?;
    guest.expect("BdsDxe")?;
    guest.screen()
}

/// Boots, waits for the sentence on serial and for a picture that was not seen before, and presses a key.
fn refusal(machine: &Machine, log: &Path, sentence: &str, seen: &mut Vec<Screen>) -> Result<()> {
    let mut guest = Guest::boot(machine, log)?;
    if guest.expect_any(&["KPIO cannot start: ", ACCEPTED])?.0 == 1 {
        return Err(unmet(WAS_ACCEPTED));
    }
    guest.expect(sentence)?;
    seen.push(new_screen(&mut guest, seen)?);
    guest.qmp().send_keys(&["ret"])?;
    guest.expect("failed to start").map(drop)
}

/// The sentence comes on serial first, and firmware draws slowly. It also stays for some seconds only,
/// and then the picture changes to one that is not ours: so it is not waited for longer than that.
fn new_screen(guest: &mut Guest, seen: &[Screen]) -> Result<Screen> {
    for _ in 0..SCREEN_TRIES {
        thread::sleep(Duration::from_millis(500));
        let screen = guest.screen()?;
        if !seen.contains(&screen) {
            return Ok(screen);
        }
    }
    Err(unmet("the sentence is not on the screen"))
}

const SCREEN_TRIES: usize = 14;
