//! Contents of an image that are damaged where the loader does not look: the kernel notices at the first use, says so,
//! and goes on. What the loader notices is the suite `loader`.

use std::path::Path;

use super::report::unmet;
use super::{Report, console};
use crate::build;
use crate::failure::Result;
use crate::image::Parts;
use crate::paths::{Paths, Variant};
use crate::qemu::accelerator;
use crate::qemu::{Guest, Machine};
use crate::run::NEEDS;
use crate::setup::ensure_packages;

/// What is damaged in the one image.
const DAMAGED: [&str; 2] = ["/bin/coreutils.cwasm", "/share/first-steps.txt"];

/// Lines typed at the prompt, part of each answer, and what must not be in it.
const DIALOGUE: [(&str, &str, &str); 4] = [
    ("ls /", "is damaged", "share"),
    (
        "rg -c prompt /share/first-steps.txt",
        "error",
        "first-steps.txt:1",
    ),
    ("rg cargo /share/README.md", "cargo xtask", "error"),
    ("uptime", "Up for", "error"),
];

/// Boots one image with several files damaged, and one where nothing is: the same dialogue must fail there.
pub fn run(paths: &Paths, report: &mut Report) -> Result<()> {
    ensure_packages(&NEEDS)?;
    build::build_all(paths)?;
    let whole = Parts::collect(paths, "test", Variant::Plain)?;
    let mut damaged = whole.clone();
    for path in DAMAGED {
        flip_bit(&mut damaged.bundle, path)?;
    }
    let accelerator = accelerator::choose(paths)?;
    let image = paths.out().join("damaged-contents.img");
    let machine = Machine::new(accelerator, image.clone());
    let log = report.log_file("contents");
    report.test("damaged-contents-are-refused", || {
        damaged.write_disk(&image)?;
        dialogue(&machine, &log)
    });
    report.test("whole-contents-fail-this-test", || {
        whole.write_disk(&image)?;
        match dialogue(&machine, &log) {
            Ok(()) => Err(unmet("an image without damage was taken for a damaged one")),
            Err(_) => Ok(()),
        }
    });
    Ok(())
}

/// Changes one bit in the middle of a file's contents.
fn flip_bit(bundle: &mut [u8], path: &str) -> Result<()> {
    let opened = lib_bundle::Bundle::open(bundle).map_err(|e| unmet(e.to_string()))?;
    let entry = opened
        .get(path)
        .ok_or_else(|| unmet(format!("the bundle has no {path}")))?;
    let contents = entry.contents();
    let start = contents.as_ptr().addr() - bundle.as_ptr().addr();
    let middle = start + contents.len() / 2;
    bundle[middle] ^= 0x10;
    Ok(())
}

fn dialogue(machine: &Machine, log: &Path) -> Result<()> {
    let mut guest = Guest::boot(machine, log)?;
    console::prompt(&mut guest)?;
    for (line, wanted, unwanted) in DIALOGUE {
        let said = console::command(&mut guest, line)?;
        let answer = said.split_once('\n').map_or("", |(_, answer)| answer);
        if !answer.contains(wanted) || answer.contains(unwanted) {
            return Err(unmet(format!("`{line}` was answered:\n{said}")));
        }
    }
    console::power_off(guest)
}
