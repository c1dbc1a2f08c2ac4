//! Exceptions and interrupts that go wrong: every one comes to what [`MATRIX`] says, and nobody else notices.
//!
//! Law: the guest (`test/interrupts/kernel`) tells what came of each exception, and here is what had to. One machine
//! of one, two and four CPUs each runs everything that a machine survives; what stops it, or comes from outside
//! (a non-maskable interrupt, a machine check), has a machine of its own. Ring 3 does not exist, so there are two
//! places: the kernel's own code and code that the engine published. Planted defects must be noticed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::report::unmet;
use super::{Report, console};
use crate::build;
use crate::failure::Result;
use crate::image::{self, Parts};
use crate::paths::{Paths, Variant};
use crate::qemu::accelerator::{self, Accelerator};
use crate::qemu::{Ending, Guest, Machine};
use crate::run::NEEDS;
use crate::setup::ensure_packages;

/// The image, and the package at the top of its kernel.
const SYSTEM: &str = "interrupts";
const KERNEL: &str = "test-interrupts-kernel";
/// What begins a line of the guest's own.
const MARK: &str = "interrupts: ";
/// What the kernel tells the debug-exit port (`EXIT_CODE` in `kernel/core/src/fault.rs`).
const VERDICT: u8 = 0x33;
const REPORT_START: &str = "*** KPIO has stopped: the kernel performed an illegal operation ***";
const REPORT_END: &str = "*** end of report ***";

/// What an exception comes to.
struct Exception {
    vector: u8,
    /// How the sentence of the stopped machine begins.
    sentence: &'static str,
    /// Linux's number of the signal that the engine gets where published code raises it with interrupts on.
    signal: Option<u32>,
    /// Which suites see more of it than this one: the whole report of a stopped machine in `crashes`, the end of a
    /// process with code 134 and a sentence in `hostile` and, for every instruction that traps, in `spec`.
    elsewhere: &'static str,
}

const fn stops(vector: u8, sentence: &'static str, elsewhere: &'static str) -> Exception {
    Exception {
        vector,
        sentence,
        signal: None,
        elsewhere,
    }
}

const fn signals(
    vector: u8,
    sentence: &'static str,
    signal: u32,
    elsewhere: &'static str,
) -> Exception {
    Exception {
        vector,
        sentence,
        signal: Some(signal),
        elsewhere,
    }
}

const UNEXPECTED: &str = "unexpected exception";
const SEGV: u32 = 11;
const ILL: u32 = 4;
const FPE: u32 = 8;
/// How a page fault with interrupts off is called: it is one at once, whatever the address.
const PAGE_FAULT_OFF: &str = "page fault with interrupts off";

/// Each exception (Intel SDM vol. 3, table 6-1; AMD APM vol. 2, table 8-1) in ring 0. In the kernel's own code, and
/// with interrupts off anywhere, each stops the machine with a report that names vector and place.
#[rustfmt::skip]
const MATRIX: [Exception; 32] = [
    signals(0, "division error", FPE, "crashes division; hostile traps-divide-by-zero; spec"),
    stops(1, "debug exception", ""),
    stops(2, "non-maskable interrupt that nobody asked for", "crashes nmi; below from outside"),
    stops(3, "breakpoint", "crashes breakpoint"),
    stops(4, UNEXPECTED, ""),
    stops(5, UNEXPECTED, ""),
    signals(6, "invalid instruction", ILL, "crashes invalid-instruction; hostile traps-unreachable; spec"),
    stops(7, UNEXPECTED, ""),
    stops(8, "double fault", "crashes double-fault"),
    stops(9, UNEXPECTED, ""),
    stops(10, UNEXPECTED, ""),
    stops(11, UNEXPECTED, ""),
    stops(12, UNEXPECTED, ""),
    signals(13, "general protection fault", SEGV, "crashes general-protection"),
    signals(14, "page fault: nothing is mapped there", SEGV, "crashes null-read and others; hostile traps-load; spec"),
    stops(15, UNEXPECTED, ""),
    stops(16, UNEXPECTED, ""),
    stops(17, UNEXPECTED, ""),
    stops(18, "machine check", "below from outside"),
    signals(19, "floating-point exception", FPE, ""),
    stops(20, UNEXPECTED, ""),
    stops(21, UNEXPECTED, ""),
    stops(22, UNEXPECTED, ""),
    stops(23, UNEXPECTED, ""),
    stops(24, UNEXPECTED, ""),
    stops(25, UNEXPECTED, ""),
    stops(26, UNEXPECTED, ""),
    stops(27, UNEXPECTED, ""),
    stops(28, UNEXPECTED, ""),
    stops(29, UNEXPECTED, ""),
    stops(30, UNEXPECTED, ""),
    stops(31, UNEXPECTED, ""),
];

/// Vectors whose error code is pushed by the processor; where no instruction raises the exception, this is the code.
const ERROR_VECTORS: [u8; 10] = [8, 10, 11, 12, 13, 14, 17, 21, 29, 30];
const ERROR: u32 = 0x5a50;

/// Planted defects, tests that see them, and a part of what must be said.
const DEFECTS: [(&str, &str, &str); 3] = [
    ("lost-trap", "matrix", "6 code on"),
    (
        "stray-handler",
        "spurious-by-instruction",
        "vector 0x46 was not counted",
    ),
    (
        "forgotten-halves",
        "registers-in-a-storm",
        "a vector register changed",
    ),
];

/// Moments at which a non-maskable interrupt comes.
const SCENES: [&str; 3] = ["idle", "storm", "switches"];

/// Runs everything.
pub fn run(paths: &Paths, report: &mut Report) -> Result<()> {
    ensure_packages(&NEEDS)?;
    build::build_kernel_of(paths, KERNEL, Variant::Checks)?;
    build::build_all_of(paths, Variant::Checks)?;
    let boots = Boots {
        parts: Parts::collect(paths, SYSTEM, Variant::Checks)?,
        image: paths.out().join(format!("{SYSTEM}.img")),
        accelerator: accelerator::choose(paths)?,
    };
    for (cpus, name) in [(1, "one-cpu"), (2, "two-cpus"), (4, "four-cpus")] {
        let log = report.log_file(name);
        match boots.run(cpus, "", &log) {
            Ok(told) => told.tell(report, name),
            Err(failure) => report.failed(name, &failure.to_string()),
        }
    }
    for scene in SCENES {
        let log = report.log_file(&format!("nmi-{scene}"));
        report.test(&format!("non-maskable-interrupt-{scene}"), || {
            let guest = boots.scene(scene, &log)?;
            stops_because(
                guest,
                "inject-nmi",
                "non-maskable interrupt that nobody asked for (vector 2",
            )
        });
    }
    let log = report.log_file("machine-check");
    report.test("machine-check", || {
        let guest = boots.scene("idle", &log)?;
        stops_because(guest, MACHINE_CHECK, "machine check (vector 18")
    });
    for (defect, test, sign) in DEFECTS {
        let log = report.log_file(defect);
        report.test(&format!("{defect}-is-noticed"), || {
            let told = boots.run(1, &format!("only={test} defect={defect}"), &log)?;
            told.notices(sign)
        });
    }
    let image = image::system_image(paths, "test", Variant::Checks)?;
    let machine = Machine::new(boots.accelerator, image);
    let log = report.log_file("prompt");
    report.test("the-prompt-answers-in-a-storm", || answers(&machine, &log));
    Ok(())
}

/// The product's kernel runs programs at its prompt while the interval timer interrupts as often as it can.
fn answers(machine: &Machine, log: &Path) -> Result<()> {
    const COUNT_MIN: u64 = 500;
    let mut guest = Guest::boot(machine, log)?;
    console::prompt(&mut guest)?;
    for (line, answer) in [
        ("crash interrupt-storm", "the storm begins"),
        ("echo still here", "still here"),
        (
            "rg -n TODO /share",
            "1:TODO list for the first five minutes",
        ),
        ("uptime", "Up for"),
    ] {
        let said = console::command(&mut guest, line)?;
        if !said.contains(answer) {
            return Err(unmet(format!(
                "{line:?} was not answered by {answer:?}, but:\n{said}"
            )));
        }
    }
    let said = console::command(&mut guest, "crash calm")?;
    let counts = said
        .lines()
        .filter_map(|line| line.strip_suffix(" interrupts came"));
    let count = counts
        .filter_map(|count| count.trim().parse::<u64>().ok())
        .next();
    if count.is_none_or(|count| count < COUNT_MIN) {
        return Err(unmet(format!("there was no storm:\n{said}")));
    }
    console::power_off(guest)
}

/// QEMU's own command for it, which the machine protocol reaches by way of the human monitor: CPU 0, bank 1, an
/// uncorrected error, a machine check in progress.
const MACHINE_CHECK: &str = "mce 0 1 0xb200000000000000 0x5 0 0";

/// What is booted again and again, each time with other words.
struct Boots {
    parts: Parts,
    image: PathBuf,
    accelerator: Accelerator,
}

impl Boots {
    fn start(&self, cpus: u32, words: &str, log: &Path) -> Result<Guest> {
        let mut parts = self.parts.clone();
        parts.command_line = format!("{} {words}", parts.command_line).trim().to_owned();
        parts.write_disk(&self.image)?;
        let machine = Machine {
            cpus,
            memory_mib: 512,
            ..Machine::new(self.accelerator, self.image.clone())
        };
        Guest::boot(&machine, log)
    }

    fn run(&self, cpus: u32, words: &str, log: &Path) -> Result<Told> {
        let mut guest = self.start(cpus, words, log)?;
        let told = follow(&mut guest)?;
        match guest.wait()? {
            Ending::PowerOff => Ok(told),
            other => Err(unmet(format!("the machine ended otherwise: {other:?}"))),
        }
    }

    /// Two CPUs in this scene.
    fn scene(&self, name: &str, log: &Path) -> Result<Guest> {
        let mut guest = self.start(2, &format!("scene={name}"), log)?;
        console::expect(&mut guest, &format!("{MARK}scene {name}"))?;
        Ok(guest)
    }
}

/// Does it to the machine, which must stop with this sentence.
fn stops_because(mut guest: Guest, deed: &str, sentence: &str) -> Result<()> {
    match deed {
        "inject-nmi" => guest.qmp().execute(deed, json!({}))?,
        line => guest
            .qmp()
            .execute("human-monitor-command", json!({ "command-line": line }))?,
    };
    guest.expect(REPORT_START)?;
    let said = guest.expect(REPORT_END)?;
    if !said.trim_start().starts_with(sentence) || !said.contains("on cpu ") {
        return Err(unmet(format!(
            "expected {sentence:?} in the report:\n{said}"
        )));
    }
    match guest.wait()? {
        Ending::Verdict(VERDICT) => Ok(()),
        other => Err(unmet(format!("the machine ended otherwise: {other:?}"))),
    }
}

/// What one run told.
#[derive(Debug, Default)]
struct Told {
    passed: Vec<String>,
    failed: Vec<(String, String)>,
    /// "VECTOR PLACE on|off", and what came of it.
    cells: Vec<(String, String)>,
}

impl Told {
    fn tell(&self, report: &mut Report, machine: &str) {
        for name in self.passed.iter().filter(|name| *name != "matrix") {
            report.passed(&format!("{machine}-{name}"), 0);
        }
        for (name, why) in &self.failed {
            report.failed(&format!("{machine}-{name}"), why);
        }
        report.test(&format!("{machine}-matrix"), || self.judge_cells());
    }

    /// Every cell has been told, once, and is as the matrix has it.
    fn judge_cells(&self) -> Result<()> {
        let wanted = wanted_cells();
        let mut wrong: Vec<String> = self
            .cells
            .iter()
            .filter(|(cell, outcome)| !is_wanted(&wanted, cell, outcome))
            .map(|(cell, outcome)| format!("{cell}: {outcome}{}", see_also(cell)))
            .collect();
        let told: BTreeSet<&str> = self.cells.iter().map(|(cell, _)| cell.as_str()).collect();
        let missing = wanted
            .iter()
            .filter(|(cell, _)| !told.contains(cell.as_str()));
        wrong.extend(missing.map(|(cell, _)| format!("{cell}: nothing was told")));
        if wrong.is_empty() && self.cells.len() == wanted.len() {
            return Ok(());
        }
        Err(unmet(format!(
            "{} cells; wrong are:\n{}",
            self.cells.len(),
            wrong.join("\n")
        )))
    }

    /// The planted defect must have made a test fail, and for its reason.
    fn notices(&self, sign: &str) -> Result<()> {
        let mut failures: Vec<String> = self.failed.iter().map(|(_, why)| why.clone()).collect();
        if !self.cells.is_empty() {
            failures.extend(self.judge_cells().err().map(|failure| failure.to_string()));
        }
        if failures.iter().any(|failure| failure.contains(sign)) {
            return Ok(());
        }
        Err(unmet(format!(
            "the planted defect was not noticed: {failures:?}"
        )))
    }
}

fn is_wanted(wanted: &[(String, String)], cell: &str, outcome: &str) -> bool {
    wanted
        .iter()
        .any(|(name, start)| name == cell && outcome.starts_with(start.as_str()))
}

/// Where more of a cell's exception is seen.
fn see_also(cell: &str) -> String {
    let vector = cell
        .split(' ')
        .next()
        .and_then(|word| word.parse::<usize>().ok());
    let row = vector.and_then(|vector| MATRIX.get(vector));
    match row {
        Some(row) if !row.elsewhere.is_empty() => format!(" (see also: {})", row.elsewhere),
        _ => String::new(),
    }
}

/// All cells, and how what came of each must begin.
fn wanted_cells() -> Vec<(String, String)> {
    let mut cells = Vec::new();
    for exception in &MATRIX {
        for (place, switch) in [
            ("kernel", "on"),
            ("kernel", "off"),
            ("code", "on"),
            ("code", "off"),
        ] {
            cells.push((
                format!("{} {place} {switch}", exception.vector),
                exception.outcome(place, switch),
            ));
        }
    }
    cells
}

impl Exception {
    fn outcome(&self, place: &str, switch: &str) -> String {
        match (self.signal, place, switch) {
            (Some(signal), "code", "on") => format!("signal {signal}"),
            _ => format!(
                "stop {} (vector {}, {}",
                self.sentence_for(switch),
                self.vector,
                self.code(place)
            ),
        }
    }

    fn sentence_for(&self, switch: &str) -> &'static str {
        match (self.vector, switch) {
            (14, "off") => PAGE_FAULT_OFF,
            _ => self.sentence,
        }
    }

    /// Protection and page faults of published code are raised by instructions, with codes of their own.
    fn code(&self, place: &str) -> String {
        match (self.vector, place) {
            (13 | 14, "code") => "code 0x0".to_owned(),
            (14, "kernel") => format!("code {ERROR:#x}, address 0x8"),
            (vector, _) if ERROR_VECTORS.contains(&vector) => format!("code {ERROR:#x}"),
            _ => "code 0x0".to_owned(),
        }
    }
}

/// One line of the guest's.
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    Passed(&'a str),
    Failed(&'a str, &'a str),
    Cell(String, &'a str),
    /// The terminal's interrupt line is masked.
    Masked,
    /// Tests, and how many of them failed, as the guest counted.
    End(usize, usize),
}

/// Typed while the terminal's interrupt line is masked (`lost::serial` in the guest).
const TYPED: &str = "typed meanwhile";

/// Collects what the guest tells until it has counted. What it counted must be what it told.
fn follow(guest: &mut Guest) -> Result<Told> {
    let mut told = Told::default();
    loop {
        let line = console::expect(guest, "\r\n")?;
        match parse(&line) {
            None => {}
            Some(Line::Passed(name)) => told.passed.push(name.to_owned()),
            Some(Line::Failed(name, why)) => told.failed.push((name.to_owned(), why.to_owned())),
            Some(Line::Cell(cell, outcome)) => told.cells.push((cell, outcome.to_owned())),
            Some(Line::Masked) => guest.send(TYPED)?,
            Some(Line::End(count, failed)) => {
                let found = (told.passed.len() + told.failed.len(), told.failed.len());
                if found == (count, failed) && count > 0 {
                    return Ok(told);
                }
                return Err(unmet(format!(
                    "it counted {count} and {failed}, but told {found:?}"
                )));
            }
        }
    }
}

/// What a line says; `None` for lines that are not the guest's own.
fn parse(line: &str) -> Option<Line<'_>> {
    let (_, line) = line.split_once(MARK)?;
    let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
    match kind {
        "ok" => Some(Line::Passed(rest)),
        "failed" => rest
            .split_once(": ")
            .map(|(name, why)| Line::Failed(name, why)),
        "masked" => Some(Line::Masked),
        "cell" => {
            let words: Vec<&str> = rest.splitn(4, ' ').collect();
            let [vector, place, switch, outcome] = words[..] else {
                return None;
            };
            Some(Line::Cell(format!("{vector} {place} {switch}"), outcome))
        }
        "end" => {
            let (count, failed) = rest.split_once(' ')?;
            Some(Line::End(count.parse().ok()?, failed.parse().ok()?))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_apart() {
        assert_eq!(parse("[    1.0] INFO cpu: 2 running"), None);
        assert_eq!(parse("interrupts: ok a"), Some(Line::Passed("a")));
        assert_eq!(
            parse("interrupts: failed a: b: c"),
            Some(Line::Failed("a", "b: c"))
        );
        assert_eq!(parse("interrupts: masked"), Some(Line::Masked));
        assert_eq!(
            parse("interrupts: cell 6 code on signal 4"),
            Some(Line::Cell("6 code on".into(), "signal 4"))
        );
        assert_eq!(parse("interrupts: end 3 1"), Some(Line::End(3, 1)));
    }

    #[test]
    fn the_matrix_is_whole_and_a_wrong_or_missing_cell_is_noticed() {
        assert!(
            MATRIX
                .iter()
                .enumerate()
                .all(|(index, row)| index == usize::from(row.vector))
        );
        let right = Told {
            cells: wanted_cells(),
            ..Told::default()
        };
        assert_eq!(right.cells.len(), 128);
        assert!(right.judge_cells().is_ok());
        for index in 0..right.cells.len() {
            let mut cells = right.cells.clone();
            cells[index].1 = "ignored".to_owned();
            let wrong = Told {
                cells,
                ..Told::default()
            };
            assert!(wrong.judge_cells().is_err());
            let mut cells = right.cells.clone();
            cells.remove(index);
            let short = Told {
                cells,
                ..Told::default()
            };
            assert!(short.judge_cells().is_err());
        }
    }
}
