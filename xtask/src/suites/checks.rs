//! A kernel that watches itself finds bugs before they do harm: each planted one stops the machine with the sentence
//! that names it, and a machine without one finds nothing.
//!
//! Law: each bug is one that a kernel without checks survives, so a report can come from the check alone; that is
//! shown for one of them. The control run must say at its end that nothing was found and that every order in which
//! locks were taken is declared.

use std::path::{Path, PathBuf};

use super::report::unmet;
use super::{Report, console};
use crate::build;
use crate::failure::Result;
use crate::image::Parts;
use crate::paths::{Paths, Variant};
use crate::qemu::accelerator::{self, Accelerator};
use crate::qemu::{Ending, Guest, Machine};
use crate::run::{NEEDS, PROMPT};
use crate::setup::ensure_packages;

/// What the kernel tells the debug-exit port (`EXIT_CODE` in `kernel/core/src/fault.rs`).
const VERDICT: u8 = 0x33;
const REPORT_START: &str = "*** KPIO has stopped: the kernel performed an illegal operation ***";
const REPORT_END: &str = "*** end of report ***";
/// What survives in a kernel without checks.
const SURVIVED: &str = "the machine survived it";
/// The last words of a machine that found nothing, and those of one that does not do as its text says.
const NOTHING_FOUND: &str = "checks: nothing was found";
const UNDECLARED: &str = "checks: an order of locks that was not declared";

/// A planted bug, and what its report must say, in this order.
struct Defect {
    kind: &'static str,
    says: &'static [&'static str],
}

const fn defect(kind: &'static str, says: &'static [&'static str]) -> Defect {
    Defect { kind, says }
}

#[rustfmt::skip]
const DEFECTS: &[Defect] = &[
    defect("lock-inversion", &[
        "lock order: now the lock 'crash two', taken at kernel/core/src/crash/defects.rs:",
        " is held while the lock 'crash one' is taken at kernel/core/src/crash/defects.rs:",
        "; but before the lock 'crash one', taken at kernel/core/src/crash/defects.rs:",
        " is held while the lock 'crash two' is taken at kernel/core/src/crash/defects.rs:",
        " holds the lock 'crash two'", "backtrace:", "invert_two_locks",
    ]),
    defect("lock-inversion-of-three", &[
        "lock order: now the lock 'crash three'", "'crash one'",
        "; but before the lock 'crash one'", "'crash two'", " and the lock 'crash two'", "'crash three'",
    ]),
    defect("lock-order-declared", &["lock order: now the lock 'crash inner'", "the lock 'crash outer'",
        "; but before the lock 'crash outer' was declared to come before the lock 'crash inner'"]),
    defect("locks-of-one-kind", &["lock order: two locks of one class are held together: the lock of kernel/core/src/crash/defects.rs:"]),
    defect("allocate-under-lock", &["the heap is used while the lock 'crash one'", "is held", "defects::allocate"]),
    defect("allocate-in-handler", &["the heap is used in the handler of interrupt 69", "defects::allocate"]),
    defect("sleep-under-lock", &["a thread gives up its CPU while the lock 'crash one'", "wait::park"]),
    defect("sleep-in-handler", &["a thread gives up its CPU in the handler of interrupt 69", "wait::park"]),
    defect("interrupts-on-under-lock", &["interrupts", " on while the lock 'crash one'", "is held"]),
    defect("interrupts-on-in-handler", &["the handler of vector 69 returns with interrupts on"]),
    defect("handler-keeps-lock", &["the handler of vector 69 returns while the lock 'crash one'", "is held"]),
    defect("pad-overrun", &["the landing pad that ends at 0x", " ran over"]),
    defect("stack-reserve", &["code with interrupts off has used ", " bytes of stack when it takes a lock", "take_far_below"]),
    defect("heap-overrun", &["the heap's block of 72 bytes at 0x", " was written past its end: byte 72 is 0x01", "provoke::heap_overrun"]),
    defect("heap-written-after-free", &["the heap's block of ", " was written after the thread in slot ", " freed it: byte ", "provoke::heap_write_after_free"]),
    defect("frame-written-after-free", &["frame 0x", " was written after it was freed: byte 0x800 is 0x01; its last owner was: stacks"]),
    defect("stale-frame-freed", &["frame 0x", " is freed after a shoot-down of generation ", "a cpu may still reach it", "free_stale_frame"]),
    defect("uncovered-page", &["memory audit: the page at 0xffffd7fffffff000 has a frame, but no region covers it"]),
    defect("too-many-rights", &["memory audit: the page at 0xffffc", "may be used in a way that its region forbids"]),
    defect("lost-stack-frame", &["memory audit: stacks have ", " frames, but ", " pages of stacks have one"]),
    defect("stuck-cpu", &["cpu ", " is stuck: for ", "it has had interrupts off and run, last at 0x", "defects::spin", "backtrace:", "defects::spin", "run_thread"]),
    defect("deadlock-of-two", &["cpu ", " is stuck: for ", "the lock 'crash one'", "the lock 'crash one'", "backtrace:", "run_thread"]),
    defect("lost-lock", &["cpu ", " is stuck: for ", "it waits for the lock 'crash one'", "which no cpu holds: whoever took it has lost it", "backtrace:", "take_one"]),
];

/// What is booted.
struct Images {
    accelerator: Accelerator,
    checks: PathBuf,
    plain: PathBuf,
}

/// Plants every defect, and none.
pub fn run(paths: &Paths, report: &mut Report) -> Result<()> {
    ensure_packages(&NEEDS)?;
    let images = Images {
        accelerator: accelerator::choose(paths)?,
        checks: image(paths, Variant::Checks, "checks-test.img")?,
        plain: image(paths, Variant::Plain, "checks-plain.img")?,
    };
    for defect in DEFECTS {
        let log = report.log_file(defect.kind);
        report.test(defect.kind, || images.finds(defect, &log));
    }
    let log = report.log_file("control");
    report.test("a-machine-without-a-defect", || images.finds_nothing(&log));
    let log = report.log_file("plain");
    report.test("a-kernel-without-checks-survives", || {
        images.is_survived_without(&log)
    });
    Ok(())
}

fn image(paths: &Paths, variant: Variant, name: &str) -> Result<PathBuf> {
    build::build_all_of(paths, variant)?;
    let path = paths.out().join(name);
    Parts::collect(paths, "test", variant)?.write_disk(&path)?;
    Ok(path)
}

impl Images {
    fn boot(&self, image: &Path, log: &Path) -> Result<Guest> {
        let machine = Machine::new(self.accelerator, image.to_path_buf());
        let mut guest = Guest::boot(&machine, log)?;
        console::prompt(&mut guest)?;
        Ok(guest)
    }

    /// The defect ends the machine with its report.
    fn finds(&self, defect: &Defect, log: &Path) -> Result<()> {
        let mut guest = self.boot(&self.checks, log)?;
        guest.send(format!("crash {}\r", defect.kind))?;
        let said = match guest.expect_any(&[REPORT_START, PROMPT])? {
            (0, _) => guest.expect(REPORT_END)?.replace('\r', ""),
            (_, before) => return Err(unmet(format!("nothing was found; it said:\n{before}"))),
        };
        says_in_order(&said, defect.says)?;
        match guest.wait()? {
            Ending::Verdict(VERDICT) => Ok(()),
            other => Err(unmet(format!(
                "the machine was to end with verdict {VERDICT:#x}, but: {other:?}"
            ))),
        }
    }

    fn finds_nothing(&self, log: &Path) -> Result<()> {
        let mut guest = self.boot(&self.checks, log)?;
        for line in ["rg -n TODO /share", "ps", "free", "crash panic-runtime"] {
            console::command(&mut guest, line)?;
        }
        guest.send("poweroff\r")?;
        let said = guest.expect(NOTHING_FOUND)?;
        if said.contains(UNDECLARED) {
            return Err(unmet(format!(
                "the text of the lock order is wrong:\n{said}"
            )));
        }
        Ok(())
    }

    /// So it is the check that finds it, and nothing else.
    fn is_survived_without(&self, log: &Path) -> Result<()> {
        let mut guest = self.boot(&self.plain, log)?;
        let said = console::command(&mut guest, "crash lock-inversion")?;
        if !said.contains(SURVIVED) {
            return Err(unmet(format!("a kernel without checks said:\n{said}")));
        }
        console::power_off(guest)
    }
}

fn says_in_order(said: &str, parts: &[&str]) -> Result<()> {
    let mut rest = said;
    for part in parts {
        let Some((_, behind)) = rest.split_once(part) else {
            return Err(unmet(format!("{part:?} is not in its place in:\n{said}")));
        };
        rest = behind;
    }
    Ok(())
}
