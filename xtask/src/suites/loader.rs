//! A boot volume that is damaged, incomplete or too large is refused with a sentence, on serial and on the screen, and the machine
//! goes back to its firmware at the press of a key.

use std::path::Path;

use super::Report;
use super::report::unmet;
use crate::build;
use crate::failure::Result;
use crate::image::{self, Parts, Volume};
use crate::paths::Paths;
use crate::qemu::accelerator;
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
    let parts = Parts::collect(paths, "job")?;
    let accelerator = accelerator::choose(paths)?;
    let mut screens = Vec::new();
    for damage in DAMAGES {
        let image = paths.out().join("damaged.img");
        let machine = Machine {
            memory_mib: damage.memory_mib,
            ..Machine::new(accelerator, image.clone())
        };
        let log = report.log_file(damage.name);
        let screens = &mut screens;
        report.test(damage.name, || {
            let mut volume = Volume::from(&parts);
            (damage.inflict)(&mut volume);
            image::write_disk(&volume, &image)?;
            screens.push(refusal(&machine, &log, damage.sentence)?);
            Ok(())
        });
    }
    report.test("each-sentence-is-on-the-screen", || differ(&screens));
    Ok(())
}

/// Boots, waits for the sentence, and presses a key; returns what was on the screen before that.
fn refusal(machine: &Machine, log: &Path, sentence: &str) -> Result<Screen> {
    let mut guest = Guest::boot(machine, log)?;
    guest.expect("KPIO cannot start: ")?;
    guest.expect(sentence)?;
    let screen = guest.screen()?;
    guest.qmp().send_keys(&["ret"])?;
    guest.expect("failed to start")?;
    Ok(screen)
}

/// Sentences differ, so screens that show them do; a logo or a blank screen is always the same.
fn differ(screens: &[Screen]) -> Result<()> {
    let same = |(number, screen)| screens[..number].contains(screen);
    if screens.len() < 2 || screens.iter().enumerate().any(same) {
        return Err(unmet(
            "different sentences left the same picture on the screen",
        ));
    }
    Ok(())
}
