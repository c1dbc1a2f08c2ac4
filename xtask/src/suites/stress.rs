//! Storms of everything that the kernel hands out: memory, mappings, wake-ups, threads, processes. All of it comes
//! back, and nobody waits in vain.
//!
//! Law: the storms are the guest's (`test/stress/kernel` has the format of what it says), and so is the judgement; here
//! is on which machines, and that planted defects are noticed. The product's own kernel starts programs at its prompt
//! and must show as much memory as before. What is random follows from a seed, which is printed; the environment's
//! `KPIO_SEED` replays it. The short form takes minutes; with `--long` it is hours.

use std::path::{Path, PathBuf};

use super::hostile::{Random, Session};
use super::report::unmet;
use super::{Report, console, guests};
use crate::build;
use crate::failure::Result;
use crate::image::{self, Parts};
use crate::paths::{Paths, Variant};
use crate::qemu::accelerator::{self, Accelerator};
use crate::qemu::{Ending, Guest, Machine};
use crate::run::NEEDS;
use crate::setup::ensure_packages;
use crate::system::System;

/// The image, and the package at the top of its kernel.
const SYSTEM: &str = "stress";
const KERNEL: &str = "test-stress-kernel";
/// What begins a line of the guest's own.
const MARK: &str = "stress: ";
const REPORT_END: &str = "*** end of report ***";
/// Programs started at the prompt, those before them in which caches fill, and the slack in what `free` shows then, in KiB.
const STARTS: usize = 200;
const WARMING_STARTS: usize = 28;
const STARTS_LONG: usize = 10_000;
const STARTS_SLACK_KIB: u64 = 32;
/// Programs that a program starts, one after the other, before those that count and then; and how many one of it starts.
const WARMING_CHILDREN: usize = 100;
const CHILDREN: usize = 400;
const CHILDREN_LONG: usize = 50_000;
const CHILDREN_OF_ONE: usize = 100;

/// One machine and its storms.
struct Weather {
    name: &'static str,
    cpus: u32,
    memory_mib: u32,
    storms: &'static str,
    rounds: u32,
    /// Rounds go on for so long in the long form.
    minutes_long: u32,
}

const WEATHERS: [Weather; 4] = [
    Weather {
        name: "four-cpus",
        cpus: 4,
        memory_mib: 768,
        storms: "heap,mappings,translations,wakes,processes",
        rounds: 1,
        minutes_long: 5,
    },
    Weather {
        name: "one-cpu",
        cpus: 1,
        memory_mib: 512,
        storms: "heap,mappings,wakes",
        rounds: 1,
        minutes_long: 5,
    },
    Weather {
        name: "little-memory",
        cpus: 2,
        memory_mib: 96,
        storms: "threads,exhaustion",
        rounds: 2,
        minutes_long: 5,
    },
    Weather {
        name: "everything-at-once",
        cpus: 4,
        memory_mib: 256,
        storms: "everything",
        rounds: 1,
        minutes_long: 60,
    },
];

/// Planted defects: the storm that has to notice, and a part of what must be said. A CPU that is left out of shoot-downs shows by
/// a stale translation, or by frames that nobody could be proved to have forgotten: which comes first is left open.
const DEFECTS: [(&str, &str, &str); 8] = [
    ("leak-heap", "heap", "heap in use: "),
    ("free-twice", "heap", "a block is freed that is not live"),
    ("leak-frame", "mappings", "regions: "),
    (
        "spare-the-killed",
        "processes",
        "a process that was killed goes on",
    ),
    (
        "skipped-shoot-down",
        "translations",
        "failed translations: ",
    ),
    ("lost-wake", "wakes", "a wake-up was lost"),
    ("leak-thread", "threads", "threads: "),
    ("leak-process", "processes", "processes are left"),
];

/// Runs all storms, then those with defects.
pub fn run(paths: &Paths, report: &mut Report) -> Result<()> {
    ensure_packages(&NEEDS)?;
    build::build_kernel_of(paths, KERNEL, Variant::Checks)?;
    build::build_all_of(paths, Variant::Checks)?;
    let seed = report.seed();
    println!("seed {seed}; KPIO_SEED={seed} replays what is random");
    let boots = Boots {
        parts: Parts::collect(paths, SYSTEM, Variant::Checks)?,
        image: paths.out().join(format!("{SYSTEM}.img")),
        accelerator: accelerator::choose(paths)?,
        seed,
    };
    for weather in &WEATHERS {
        boots.weather(weather, report);
    }
    for (defect, storm, sign) in DEFECTS {
        let log = report.log_file(defect);
        report.test(&format!("{defect}-is-noticed"), || {
            boots.notices(defect, storm, sign, &log)
        });
    }
    prompt(paths, boots.accelerator, seed, report)?;
    family(paths, boots.accelerator, report)
}

/// What is booted again and again, each time with other words.
struct Boots {
    parts: Parts,
    image: PathBuf,
    accelerator: Accelerator,
    seed: u64,
}

impl Boots {
    fn start(&self, cpus: u32, memory_mib: u32, words: &str, log: &Path) -> Result<Guest> {
        let mut parts = self.parts.clone();
        parts.command_line = format!("{} seed={} {words}", parts.command_line, self.seed);
        parts.write_disk(&self.image)?;
        let machine = Machine {
            cpus,
            memory_mib,
            ..Machine::new(self.accelerator, self.image.clone())
        };
        Guest::boot(&machine, log)
    }

    /// Every storm of the weather is a test of its own.
    fn weather(&self, weather: &Weather, report: &mut Report) {
        let log = report.log_file(weather.name);
        let minutes = if report.is_long() {
            weather.minutes_long
        } else {
            0
        };
        let words = format!(
            "only={} rounds={} minutes={minutes}",
            weather.storms, weather.rounds
        );
        let told = self
            .start(weather.cpus, weather.memory_mib, &words, &log)
            .and_then(|mut guest| follow(&mut guest));
        let told = match told {
            Ok(told) => told,
            Err(failure) => return report.failed(weather.name, &failure.to_string()),
        };
        let expected = weather.storms.split(',').count();
        report.test(&format!("{}-counts", weather.name), || match told.len() {
            count if count == expected => Ok(()),
            count => Err(unmet(format!("{count} storms of {expected} ended"))),
        });
        for (storm, failure) in told {
            let name = format!("{}-{storm}", weather.name);
            match failure {
                None => report.passed(&name, 0),
                Some(why) => report.failed(&name, &why),
            }
        }
    }

    /// The planted defect must make the storm fail, or stop the machine, and for its own reason.
    fn notices(&self, defect: &str, storm: &str, sign: &str, log: &Path) -> Result<()> {
        let words = format!("only={storm} rounds=1 defect={defect}");
        let mut guest = self.start(4, 512, &words, log)?;
        let end = format!("{MARK}end ");
        let (_, said) = guest.expect_any(&[&end, REPORT_END])?;
        if said.contains(sign) {
            return Ok(());
        }
        Err(unmet(format!("expected {sign:?}, but it said:\n{said}")))
    }
}

/// Storms by name, each with the reason if it failed, until the guest has counted and powered off.
fn follow(guest: &mut Guest) -> Result<Vec<(String, Option<String>)>> {
    let mut told = Vec::new();
    loop {
        let line = console::expect(guest, "\r\n")?;
        match parse(&line) {
            None => {}
            Some(Line::Storm(name, failure)) => {
                told.push((name.to_owned(), failure.map(str::to_owned)));
            }
            Some(Line::End(count)) if count == told.len() => break,
            Some(Line::End(count)) => {
                return Err(unmet(format!(
                    "it counted {count} storms and told of {}",
                    told.len()
                )));
            }
        }
    }
    match guest.wait()? {
        Ending::PowerOff => Ok(told),
        other => Err(unmet(format!("the machine ended otherwise: {other:?}"))),
    }
}

/// One line of the guest's.
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    Storm(&'a str, Option<&'a str>),
    End(usize),
}

/// What a line says; `None` for lines that are not the guest's own.
fn parse(line: &str) -> Option<Line<'_>> {
    let (_, line) = line.split_once(MARK)?;
    let (kind, rest) = line.split_once(' ')?;
    match kind {
        "ok" => Some(Line::Storm(rest.split(' ').next()?, None)),
        "failed" => rest
            .split_once(": ")
            .map(|(name, why)| Line::Storm(name, Some(why))),
        "end" => rest.split(' ').next()?.parse().ok().map(Line::End),
        _ => None,
    }
}

/// Lines for the prompt and what must be said; those without an end of their own get Ctrl-C.
const LINES: [(&str, &str); 7] = [
    ("true", ""),
    ("false", ""),
    ("echo one two", "one two"),
    ("cat /etc/hostname", "kpio"),
    ("seq 7", "7"),
    ("nothing-of-this-name", "no command or program"),
    ("sleep 1000", "was told to end"),
];
const INTERRUPT: &str = "\x03";

/// Starts programs at the product's prompt, one after the other; afterwards memory is as before.
fn prompt(paths: &Paths, accelerator: Accelerator, seed: u64, report: &mut Report) -> Result<()> {
    let image = image::system_image(paths, "test", Variant::Checks)?;
    let log = report.log_file("prompt");
    let starts = if report.is_long() {
        STARTS_LONG
    } else {
        STARTS
    };
    report.test(&format!("{starts}-starts-at-the-prompt"), || {
        let mut session = Session::start(&Machine::new(accelerator, image), &log)?;
        // Caches fill, those of the commands' lines and of threads' stacks among them.
        for (line, says) in LINES.iter().cycle().take(WARMING_STARTS) {
            perform(&mut session.guest, line, says)?;
        }
        let before = session.memory()?;
        let mut random = Random(seed);
        for _ in 0..starts {
            let (line, says) = LINES[random.below(LINES.len())];
            perform(&mut session.guest, line, says)?;
        }
        session.returns_to(&before, STARTS_SLACK_KIB, "all starts")?;
        console::power_off(session.guest)
    });
    Ok(())
}

/// A program at the prompt starts programs through `kpio:process`; afterwards memory and threads are as before, and no process is
/// there.
fn family(paths: &Paths, accelerator: Accelerator, report: &mut Report) -> Result<()> {
    let mut system = System::load(paths, "test")?;
    system.own_programs.push(guests::family());
    let image = paths.out().join("stress-family.img");
    Parts::of(paths, &system, Variant::Checks)?.write_disk(&image)?;
    let log = report.log_file("family");
    let count = if report.is_long() {
        CHILDREN_LONG
    } else {
        CHILDREN
    };
    report.test(&format!("{count}-children-of-programs"), || {
        let mut session = Session::start(&Machine::new(accelerator, image), &log)?;
        start_children(&mut session.guest, WARMING_CHILDREN)?;
        let memory = session.memory()?;
        let tasks = session.tasks()?;
        start_children(&mut session.guest, count)?;
        session.returns_to(&memory, STARTS_SLACK_KIB, "all starts")?;
        let now = session.tasks()?;
        if now != tasks {
            return Err(unmet(format!(
                "{tasks:?} were there before, {now:?} are now"
            )));
        }
        console::power_off(session.guest)
    });
    Ok(())
}

fn start_children(guest: &mut Guest, count: usize) -> Result<()> {
    let line = format!("family-probe many {CHILDREN_OF_ONE}");
    let says = format!("{CHILDREN_OF_ONE} have ended");
    (0..count / CHILDREN_OF_ONE).try_for_each(|_| perform(guest, &line, &says))
}

fn perform(guest: &mut Guest, line: &str, says: &str) -> Result<()> {
    guest.send(format!("{line}\r"))?;
    if says == "was told to end" {
        // Typed ahead: it comes while the program is started, or while it sleeps.
        guest.send(INTERRUPT)?;
    }
    let said = console::prompt(guest)?;
    if said.contains(says) {
        return Ok(());
    }
    Err(unmet(format!(
        "`{line}` was to be answered with {says:?}, but:\n{said}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_apart() {
        assert_eq!(parse("[    1.0] INFO cpu: 2 running"), None);
        assert_eq!(parse("stress: ok heap 3"), Some(Line::Storm("heap", None)));
        assert_eq!(
            parse("stress: failed heap: round 1: a: b"),
            Some(Line::Storm("heap", Some("round 1: a: b")))
        );
        assert_eq!(parse("stress: end 3 1"), Some(Line::End(3)));
    }
}
