//! Programs that misbehave, at the prompt: each ends with a sentence, the prompt comes back, and afterwards as much
//! memory is free as before.
//!
//! Law: memory is compared as `free` shows it, after every program ran once: caches of compiled programs and the heap's
//! backing fill at the first run, by design. Every owner must have what it had, to the page, but for two: what is in
//! use within the heap may differ by a little, since the lines that the prompt remembers are there, and what backs it by a
//! few of the steps in which it grows; and the stacks of the system's own threads keep the depth that they once
//! had. What is free is what the others leave. The order of the long runs is random; its seed is printed,
//! and the environment's `KPIO_SEED` replays it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::report::unmet;
use super::{Report, console, guests};
use crate::build;
use crate::failure::Result;
use crate::image::Parts;
use crate::paths::{Paths, Variant};
use crate::programs;
use crate::qemu::accelerator;
use crate::qemu::{Guest, Machine};
use crate::run::NEEDS;
use crate::setup::ensure_packages;
use crate::system::{Copy, System};

/// Runs in a row, and those before them in which places of the pool are used for the first time by another CPU.
const RUNS: usize = 200;
const WARMING_RUNS: usize = 60;
/// How often a program, or a family of them, is run at most until it uses nothing for the first time.
const CASE_RUNS: usize = 2;
const FAMILY_RUNS: usize = 6;
/// How often each program is run that finds no memory.
const HUNGRY_RUNS: usize = 3;
/// Bytes typed by a person whose cat walks over the keyboard.
const NOISE_BYTES: usize = 4_000;
/// How often memory is looked at again before it counts as lost: a program that is killed while it is compiled gives
/// its memory back when the compiler is done.
const LOOKS: usize = 20;
/// How often it is looked whether programs are still being optimized.
const SETTLING_LOOKS: usize = 240;

/// What a program holds whose memory is compared with what is missing, in MiB.
const HELD_MIB: u64 = 32;

/// How much more of the heap may be in use after one run, and after many, in KiB. Losing 100 bytes at each run is
/// too much.
const SLACK_ONE_KIB: u64 = 4;
const SLACK_MANY_KIB: u64 = 16;
/// How much more may back the heap, in KiB: where free blocks lie depends on which CPU ran what.
const SLACK_BACKING_KIB: u64 = 1024;
/// How much deeper the system's own threads may get meanwhile, in KiB. A stack that is lost at each run is more.
const SLACK_STACKS_KIB: u64 = 64;
/// How much more page tables may take, in KiB: the pool keeps those of 16 memories for their programs' next start, each
/// of at most 8 MiB, with the tables above and those of cached stacks. A table that is lost at each run is more.
const SLACK_TABLES_KIB: u64 = 640;
const STACKS: &str = "stacks";
const TABLES: &str = "page tables";
const REGIONS: &str = "regions";
const HEAP: &str = "kernel heap";
const HEAP_IN_USE: &str = "kernel heap, in use";
const HEAP_SPARE: &str = "kernel heap, spare";

/// How a case is run.
type Run = fn(&mut Session, &Case) -> Result<()>;

/// One program that misbehaves.
struct Case {
    line: &'static str,
    keys: Keys,
    /// Part of what must be said before the next prompt.
    says: &'static str,
}

/// What is typed while the program runs.
enum Keys {
    Nothing,
    /// Typed ahead of everything.
    Early(&'static str),
    /// Typed when it has had a moment to get going.
    Late(&'static str),
    /// Typed when it has said the first.
    After(&'static str, &'static str),
}

use Keys::{After, Early, Late, Nothing};

/// A program that none of the cases runs.
const NEW_PROGRAM: &str = "new";
const INTERRUPT: &str = "\x03";

const fn case(line: &'static str, keys: Keys, says: &'static str) -> Case {
    Case { line, keys, says }
}

const CASES: &[Case] = &[
    case("garbage", Nothing, "garbage "),
    case("truncated", Nothing, "truncated "),
    case("core-module", Nothing, ""),
    case("invoke core-module add 40 0x2", Nothing, "42"),
    case("invoke core-module sub", Nothing, "no function `sub`"),
    case("invoke core-module trap", Nothing, "culprit"),
    case(
        "invoke core-module loop",
        Late(INTERRUPT),
        "was told to end",
    ),
    case("invoke loops run", Nothing, "is a component"),
    case("old-program", Early("abc\r"), "abc\r\n"),
    case("old-program", Late(INTERRUPT), "was told to end"),
    case("old-library", Nothing, "hello"),
    case("old-trap", Nothing, "culprit"),
    case("old-with-other-imports", Nothing, "env::frobnicate"),
    case("baseline-stack-bomb", Nothing, "is no command"),
    case(
        "baseline-locals-bomb",
        Nothing,
        "local variables of all functions",
    ),
    case("imports-nothing-known", Nothing, "kpio:nowhere/nothing"),
    case("exports-nothing", Nothing, "is no command"),
    case("declares-4-gib", Nothing, "more memory"),
    case("declares-a-huge-table", Nothing, "more memory"),
    case("many-functions", Nothing, "functions"),
    case("one-huge-function", Nothing, "function"),
    case("huge-br-table", Nothing, "huge-br-table "),
    case("many-br-tables", Nothing, "many-br-tables "),
    case("many-large-functions", Nothing, "many-large-functions "),
    case("deep-loops", Nothing, "deep-loops "),
    case("deep-blocks", Nothing, "deep-blocks "),
    case("deep-components", Nothing, "deep-components "),
    case("fails", Nothing, ""),
    case("loops", Late(INTERRUPT), "was told to end"),
    case("loops-in-start", Late(INTERRUPT), "was told to end"),
    case("loops-in-memory", Late(INTERRUPT), "was told to end"),
    case("loops-filling", Late(INTERRUPT), "was told to end"),
    case("loops-growing", Late(INTERRUPT), "was told to end"),
    case("loops-by-tail-calls", Late(INTERRUPT), "was told to end"),
    case("loops-in-allocation", Late(INTERRUPT), "was told to end"),
    case("allocation-traps", Nothing, "culprit"),
    case("allocation-recurses", Nothing, "stack"),
    case("allocation-outside-memory", Nothing, "beyond end of memory"),
    case("allocation-calls-the-host", Nothing, "leave component"),
    case("recurses-into-host-calls", Nothing, "stack"),
    case("grows", Nothing, ""),
    case("recurses", Nothing, "stack"),
    case("traps-unreachable", Nothing, "culprit"),
    case("traps-divide-by-zero", Nothing, "divide by zero"),
    case("traps-overflow", Nothing, "overflow"),
    case("traps-conversion", Nothing, "conversion"),
    case("traps-load", Nothing, "out of bounds"),
    case("traps-store", Nothing, "out of bounds"),
    case("traps-fill", Nothing, "out of bounds"),
    case("traps-table", Nothing, "out of bounds"),
    case("traps-null-call", Nothing, "uninitialized"),
    case("traps-wrong-call", Nothing, "mismatch"),
    case("handle-zero", Nothing, "unknown handle"),
    case("closed-handle", Nothing, "unknown handle"),
    case("twice-closed-handle", Nothing, "unknown handle"),
    case("handle-of-another-type", Nothing, "wrong type"),
    case("forged-process", Nothing, "not granted"),
    case("wrapping-list", Nothing, "wrapping-list trapped"),
    case("endless-list", Nothing, "endless-list trapped"),
    case("bad-handle", Nothing, "unknown handle"),
    case("bad-pointer", Nothing, "bad-pointer trapped"),
    case("bad-result-pointer", Nothing, "bad-result-pointer trapped"),
    case("long-list", Nothing, "long-list trapped"),
    case("misbehave bury", Nothing, "folders deep"),
    case("misbehave close-parents", Nothing, "2 bytes of a closed"),
    case(
        "misbehave count-input",
        Early("abc\r\x04"),
        "4 bytes of input, then Ok",
    ),
    case("misbehave count-input", Late(INTERRUPT), "was told to end"),
    case("misbehave escape", Nothing, "did not escape: true"),
    case("misbehave fill", Nothing, "removed: true"),
    case("misbehave hoard-handles", Nothing, "handles"),
    case("misbehave hoard-memory", Nothing, "refused after"),
    case("misbehave hoard-pollables", Nothing, "misbehave"),
    case("misbehave long-paths", Nothing, "misbehave trapped"),
    case("misbehave poll-ten-thousand", Nothing, "ready: [9999]"),
    case("misbehave huge-lists", Nothing, "misbehave trapped"),
    case("misbehave panic", Nothing, "this program gives up"),
    case(
        "misbehave poll-for-ever",
        Late(INTERRUPT),
        "was told to end",
    ),
    case(
        "misbehave read-for-ever",
        Late("line\r\x03"),
        "was told to end",
    ),
    case("misbehave recurse", Nothing, "stack"),
    case(
        "misbehave sleep-for-ever",
        Late(INTERRUPT),
        "was told to end",
    ),
    case("misbehave spin", Late(INTERRUPT), "was told to end"),
    case(
        "misbehave spin-in-host-calls",
        Late(INTERRUPT),
        "was told to end",
    ),
    case("misbehave spin", Early(INTERRUPT), "was told to end"),
    case("yes", After("y\r\ny\r\n", INTERRUPT), "was told to end"),
];

/// Memory is not compared for these: the engine's pool keeps the bookkeeping of a garbage-collected heap for each of its places,
/// and which place a program gets is not the same every time. Losing more shows in the suite `stress`.
const UNCOMPARED: &[Case] = &[case("loops-throwing", Late(INTERRUPT), "was told to end")];

/// Programs that start programs, themselves among them. What they leave behind, `ps` must not know any more.
const FAMILIES: &[Case] = &[
    case("family-probe bomb", Nothing, ""),
    case("family-probe bomb", Late(INTERRUPT), "was told to end"),
    case("family-probe bomb-disowned 3", Nothing, ""),
    case("family-probe huge-launch", Nothing, "family-probe trapped"),
    case("family-probe handles", Nothing, "2048"),
    case(
        "family-probe strangers handle-seven",
        Nothing,
        "unknown handle",
    ),
    case(
        "family-probe strangers handle-seven",
        Nothing,
        "all is still there",
    ),
    case(
        "family-probe strangers /bin/forged-process.wasm",
        Nothing,
        "unknown handle",
    ),
    case(
        "family-probe strangers /bin/forged-process.wasm",
        Nothing,
        "all is still there",
    ),
    case("family-probe leave", Nothing, ""),
    case("limit processes=6 family-probe bomb", Nothing, ""),
    case(
        "limit processes=1 family-probe code exit 0",
        Nothing,
        "no more may",
    ),
    // The image grants it this many bytes of output, and no children.
    case("rg -n TODO /share", Nothing, "more than the 100 bytes"),
    case(
        "limit output=7 rg -n TODO /share",
        Nothing,
        "more than the 7 bytes",
    ),
    case(
        "limit output=1M rg -n TODO /share",
        Nothing,
        "more than the 100 bytes",
    ),
];
const FAMILY: &str = "family-probe";

/// Whether something of the system's is made when Cranelift's code of it first runs, and then kept: adapters of modules, or, for a
/// program that does not fit the pool, an engine without one and its linker.
fn keeps_something(case: &Case) -> bool {
    case.line.starts_with("old-") || case.line == "declares-a-huge-table"
}

/// Boots with one CPU and with two.
pub fn run(paths: &Paths, report: &mut Report) -> Result<()> {
    ensure_packages(&NEEDS)?;
    build::build_all_of(paths, Variant::Checks)?;
    let image = image(paths)?;
    let accelerator = accelerator::choose(paths)?;
    let seed = report.seed();
    println!("seed {seed}; KPIO_SEED={seed} replays the order of the runs");
    for (cpus, name) in [(1, "one-cpu"), (2, "two-cpus")] {
        let machine = Machine {
            cpus,
            ..Machine::new(accelerator, image.clone())
        };
        let log = report.log_file(name);
        match Session::start(&machine, &log) {
            Ok(session) => session.test_all(report, name, seed),
            Err(failure) => report.failed(name, &failure.to_string()),
        }
    }
    little_memory(paths, report)
}

/// With 96 MiB, what is precompiled runs, and what would take too much to compile is refused. There is no room for
/// checks.
fn little_memory(paths: &Paths, report: &mut Report) -> Result<()> {
    build::build_all(paths)?;
    let mut system = System::load(paths, "small")?;
    system.command_line += " prompt";
    let wasm = programs::build(paths, system.program_mut("rg")?)?;
    add(&mut system, &wasm, "rg-from-source.wasm");
    let image = paths.out().join("hostile-small.img");
    Parts::of(paths, &system, Variant::Plain)?.write_disk(&image)?;
    let machine = Machine {
        memory_mib: 96,
        ..Machine::new(accelerator::choose(paths)?, image)
    };
    let log = report.log_file("little-memory");
    report.test("little-memory", || {
        let mut session = Session::start(&machine, &log)?;
        let refusal = case("rg-from-source TODO /share", Nothing, "memory");
        session.perform(&refusal)?;
        session.perform(&case(
            "rg -n TODO /share",
            Nothing,
            "list for the first five minutes",
        ))?;
        let before = session.memory()?;
        session.perform(&refusal)?;
        session.returns_to(&before, SLACK_ONE_KIB, refusal.line)?;
        console::power_off(session.guest)
    });
    Ok(())
}

/// The test system with all hostile programs.
fn image(paths: &Paths) -> Result<PathBuf> {
    let mut system = System::load(paths, "test")?;
    system.own_programs.push(guests::family());
    system.program_mut("rg")?.limits.output = Some(100);
    let misbehave = guests::component(paths, "misbehave")?;
    add(
        &mut system,
        &programs::precompile(paths, &misbehave)?,
        "misbehave.cwasm",
    );
    add(&mut system, &misbehave, "misbehave.wasm");
    for written in guests::WRITTEN {
        add(
            &mut system,
            &written.write(paths)?,
            &format!("{}.wasm", written.name),
        );
    }
    let image = paths.out().join("hostile.img");
    Parts::of(paths, &system, Variant::Checks)?.write_disk(&image)?;
    Ok(image)
}

fn add(system: &mut System, file: &Path, name: &str) {
    system.copy.push(Copy {
        from: file.display().to_string(),
        to: format!("/bin/{name}"),
    });
}

/// What `free` shows.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// KiB by owner, those below aside.
    pages_kib: BTreeMap<String, u64>,
    /// What is in use within the heap.
    heap_in_use_kib: u64,
    /// What backs the heap.
    heap_kib: u64,
    stacks_kib: u64,
    tables_kib: u64,
}

impl Memory {
    fn parse(said: &str) -> Option<Self> {
        let mut memory = Self::default();
        for line in said.lines() {
            let Some(row) = line.trim().strip_suffix(" KiB") else {
                continue;
            };
            let (owner, kib) = row.rsplit_once(' ')?;
            let kib: u64 = kib.parse().ok()?;
            match owner.trim() {
                "free" => {}
                STACKS => memory.stacks_kib = kib,
                TABLES => memory.tables_kib = kib,
                HEAP_IN_USE => memory.heap_in_use_kib = kib,
                HEAP_SPARE => memory.heap_kib = kib + memory.heap_in_use_kib,
                owner => memory.add(owner, kib),
            }
        }
        memory.pages_kib.contains_key("all").then_some(memory)
    }

    /// What programs' memories, their code and all stacks take.
    fn programs_kib(&self) -> u64 {
        let regions = self.pages_kib.get(REGIONS).copied().unwrap_or_default();
        regions + self.stacks_kib
    }

    fn add(&mut self, owner: &str, kib: u64) {
        self.pages_kib.insert(owner.to_owned(), kib);
    }

    /// What it differs in from `before`, a line each.
    fn differences(&self, before: &Self, slack_kib: u64) -> Vec<String> {
        let changed = self
            .pages_kib
            .iter()
            .filter(|(owner, kib)| before.pages_kib.get(*owner) != Some(*kib));
        let mut lines: Vec<_> = changed
            .map(|(owner, kib)| {
                let was = before.pages_kib.get(owner).copied().unwrap_or_default();
                format!("{owner}: {was} KiB before, {kib} KiB now")
            })
            .collect();
        for (owner, was, kib, slack_kib) in [
            (
                HEAP_IN_USE,
                before.heap_in_use_kib,
                self.heap_in_use_kib,
                slack_kib,
            ),
            (HEAP, before.heap_kib, self.heap_kib, SLACK_BACKING_KIB),
            (STACKS, before.stacks_kib, self.stacks_kib, SLACK_STACKS_KIB),
            (TABLES, before.tables_kib, self.tables_kib, SLACK_TABLES_KIB),
        ] {
            if kib > was + slack_kib {
                lines.push(format!("{owner}: {was} KiB before, {kib} KiB now"));
            }
        }
        lines
    }
}

/// One boot, at the prompt.
pub struct Session {
    /// The machine.
    pub guest: Guest,
}

impl Session {
    /// Boots to the prompt.
    pub fn start(machine: &Machine, log: &Path) -> Result<Self> {
        let mut guest = Guest::boot(machine, log)?;
        console::prompt(&mut guest)?;
        Ok(Self { guest })
    }

    fn test_all(mut self, report: &mut Report, name: &str, seed: u64) {
        report.test(&format!("{name}-each-ends-with-a-sentence"), || self.each());
        report.test(&format!("{name}-each-gives-its-memory-back"), || {
            self.each_returns()
        });
        report.test(&format!("{name}-noise-on-the-line"), || self.noise(seed));
        report.test(&format!("{name}-{RUNS}-runs"), || self.many(seed));
        report.test(&format!("{name}-families-end-and-give-all-back"), || {
            self.families()
        });
        report.test(&format!("{name}-shares-of-cpu-time-are-kept"), || {
            self.shares()
        });
        report.test(&format!("{name}-ps-tells-what-is-resident"), || {
            self.residents()
        });
        report.test(&format!("{name}-nothing-is-compiled-twice"), || {
            self.compile_once()
        });
        report.test(&format!("{name}-no-memory-ends-the-process"), || {
            self.exhaust()
        });
        report.test(&format!("{name}-a-leak-is-noticed"), || self.leak());
        report.test(&format!("{name}-powers-off"), || {
            console::power_off(self.guest)
        });
    }

    /// Programs are run once by the baseline compiler's code, and those after which something is kept also by Cranelift's.
    fn each(&mut self) -> Result<()> {
        let cases = CASES.iter().chain(UNCOMPARED);
        all_of(cases.map(|case| self.perform(case)))?;
        self.settle()?;
        let mut kept = CASES.iter().filter(|case| keeps_something(case));
        kept.try_for_each(|case| self.perform(case))
    }

    /// Waits until nothing is compiled behind programs' backs.
    fn settle(&mut self) -> Result<()> {
        for _ in 0..SETTLING_LOOKS {
            if !console::command(&mut self.guest, "ps")?.contains("[optimizer]") {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(500));
        }
        Err(unmet("programs are still being optimized"))
    }

    fn each_returns(&mut self) -> Result<()> {
        all_of(
            CASES
                .iter()
                .map(|case| self.gives_back(case, CASE_RUNS, Self::perform)),
        )
    }

    /// A program that is new is compiled twice, by each compiler once, however often it runs; so it is noticed that it is.
    fn compile_once(&mut self) -> Result<()> {
        console::command(&mut self.guest, "log supervisor=debug")?;
        for _ in 0..3 {
            self.perform(&case(NEW_PROGRAM, Nothing, ""))?;
            self.settle()?;
        }
        let log = console::command(&mut self.guest, "dmesg supervisor=debug")?;
        console::command(&mut self.guest, "log supervisor=info")?;
        let of = |compiler| format!("compiled {NEW_PROGRAM} by {compiler}: ");
        for compiler in ["the baseline compiler", "Cranelift"] {
            if log.matches(&of(compiler)).count() != 1 {
                return Err(unmet(format!("{compiler} was not used once:\n{log}")));
            }
        }
        Ok(())
    }

    fn many(&mut self, seed: u64) -> Result<()> {
        let mut random = Random(seed);
        self.random_runs(WARMING_RUNS, &mut random)?;
        let before = self.memory()?;
        self.random_runs(RUNS, &mut random)?;
        self.returns_to(&before, SLACK_MANY_KIB, "all runs together")
    }

    fn families(&mut self) -> Result<()> {
        all_of(
            FAMILIES
                .iter()
                .map(|case| self.gives_back(case, FAMILY_RUNS, Self::perform_family)),
        )
    }

    /// One of so many runs leaves as much memory as there was before it. The system's tables grow once in a while, and places that
    /// are used for the first time are kept; what is lost at each run is lost in all of them.
    fn gives_back(&mut self, case: &Case, runs: usize, run: Run) -> Result<()> {
        let mut given_back = Ok(());
        for _ in 0..runs {
            let before = self.memory()?;
            run(self, case)?;
            given_back = self.returns_to(&before, SLACK_ONE_KIB, case.line);
            if given_back.is_ok() {
                break;
            }
        }
        given_back
    }

    fn perform_family(&mut self, case: &Case) -> Result<()> {
        self.perform(case)?;
        self.has_ended(FAMILY)
    }

    /// Of two busy programs the one whose share is four times as large uses about four times as much; with the same share it does not.
    /// And with what is given at the prompt, both together use about so much of the time, or less.
    fn shares(&mut self) -> Result<()> {
        let [one, other, _] = self.used_ms("family-probe shares 10 40")?;
        if !is_near(one * 4, other) {
            return Err(unmet(format!("10 % were {one} ms, and 40 % {other} ms")));
        }
        let [one, other, _] = self.used_ms("family-probe shares 40 40")?;
        if is_near(one * 4, other) {
            return Err(unmet(format!("equal shares were {one} and {other} ms")));
        }
        let [one, other, age] = self.used_ms("limit cpu=25 family-probe shares 100 100")?;
        if one + other > age / 2 {
            return Err(unmet(format!(
                "with 25 % they used {one} and {other} ms of {age} ms"
            )));
        }
        let [one, other, age] = self.used_ms("family-probe shares 100 100")?;
        if one + other <= age / 2 {
            return Err(unmet(format!(
                "without a limit they used {one} and {other} ms of {age} ms"
            )));
        }
        Ok(())
    }

    /// What `ps` says of a program's memory is what the machine has less for it.
    fn residents(&mut self) -> Result<()> {
        let line = format!("family-probe leave hold {HELD_MIB}");
        let mut differences = [0, 0];
        for difference in &mut differences {
            let before = self.memory()?.programs_kib();
            let said = console::command(&mut self.guest, &line)?;
            let id = said.split_once("left: ").map(|(_, id)| id.trim());
            let id = id.ok_or_else(|| unmet(format!("`{line}` left nobody:\n{said}")))?;
            let taken = self.memory()?.programs_kib().saturating_sub(before);
            let told = self.resident_kib(id)?;
            self.adds_up()?;
            *difference = taken.abs_diff(told) * 100 / told.max(1);
            console::command(&mut self.guest, &format!("kill {id}"))?;
            self.has_ended(FAMILY)?;
            if told < HELD_MIB * 1024 {
                return Err(unmet(format!("{told} KiB are resident, of {HELD_MIB} MiB")));
            }
        }
        // The first time, stacks and tables that are kept are made.
        match differences {
            [_, 0] => Ok(()),
            [_, percent] => Err(unmet(format!("`ps` is wrong by {percent} %"))),
        }
    }

    /// What all threads have, and what ended ones left, is what `free` says of regions and stacks, give or take 1 %.
    fn adds_up(&mut self) -> Result<()> {
        let said = console::command(&mut self.guest, "ps")?;
        let threads = said.lines().filter(|line| line.contains('['));
        let told: u64 = threads.filter_map(thread_kib).sum();
        let taken = self.memory()?.programs_kib();
        if taken.abs_diff(told) * 100 <= taken {
            return Ok(());
        }
        Err(unmet(format!(
            "all threads have {told} KiB, and {taken} KiB are taken:\n{said}"
        )))
    }

    /// What `ps` says of the process of this number.
    fn resident_kib(&mut self, id: &str) -> Result<u64> {
        let said = console::command(&mut self.guest, "ps")?;
        let rows = said.lines().map(|line| line.split_whitespace());
        let mut rows = rows.map(Iterator::collect::<Vec<_>>);
        let row = rows.find(|row| row.first() == Some(&id) && row.last() == Some(&FAMILY));
        let kib = row.and_then(|row| row.get(3)?.parse().ok());
        kib.ok_or_else(|| unmet(format!("`ps` does not tell of {id}:\n{said}")))
    }

    /// Runs two busy programs: the CPU time of each, and how long that took by the guest's clock, in milliseconds.
    fn used_ms(&mut self, line: &str) -> Result<[u64; 3]> {
        let said = console::command(&mut self.guest, line)?;
        let numbers = said.split_once("shares: ").map(|(_, numbers)| numbers);
        let numbers = numbers.unwrap_or_default().split_whitespace();
        let numbers: Vec<u64> = numbers.filter_map(|word| word.parse().ok()).collect();
        let used = numbers.try_into();
        used.map_err(|_| unmet(format!("`{line}` was to say three numbers, but:\n{said}")))
    }

    /// Waits until no process of this name is left: those that were disowned outlive who started them.
    fn has_ended(&mut self, name: &str) -> Result<()> {
        let mut processes = String::new();
        for _ in 0..SETTLING_LOOKS {
            processes = console::command(&mut self.guest, "ps")?;
            if !processes.contains(name) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(500));
        }
        Err(unmet(format!("processes are left:\n{processes}")))
    }

    fn random_runs(&mut self, count: usize, random: &mut Random) -> Result<()> {
        (0..count).try_for_each(|_| self.perform(&CASES[random.below(CASES.len())]))
    }

    /// With every frame gone that a program may have, programs end, each with a sentence, and the system goes on.
    fn exhaust(&mut self) -> Result<()> {
        let before = self.memory()?;
        self.perform(&case("crash hoard", Nothing, "are hoarded"))?;
        for _ in 0..HUNGRY_RUNS {
            for line in ["misbehave hoard-memory", "grows", "misbehave huge-lists"] {
                self.perform(&case(line, Nothing, line.split(' ').next().unwrap_or(line)))?;
            }
        }
        self.perform(&case("crash give-back", Nothing, "are given back"))?;
        self.returns_to(&before, SLACK_MANY_KIB, "the hunger")?;
        self.perform(&case("misbehave hoard-memory", Nothing, "refused after"))
    }

    /// What test images lose on request must show, or nothing above has shown anything.
    fn leak(&mut self) -> Result<()> {
        let before = self.memory()?;
        self.perform(&case("crash leak", Nothing, "are lost"))?;
        self.perform(&case("crash mark", Nothing, "is marked"))?;
        self.perform(&case("crash lose-frame", Nothing, "is lost"))?;
        self.perform(&case("crash growth", Nothing, "regions: 1 frame(s) more"))?;
        let differences = self.memory()?.differences(&before, SLACK_MANY_KIB);
        if differences.iter().any(|line| line.starts_with(HEAP_IN_USE)) {
            return Ok(());
        }
        Err(unmet(format!(
            "the planted leak was not noticed: {differences:?}"
        )))
    }

    /// Bytes that nobody meant, of every value but the one that ends a line: what they spell is not run.
    fn noise(&mut self, seed: u64) -> Result<()> {
        let mut random = Random(seed ^ 1);
        let bytes: Vec<u8> = (0..NOISE_BYTES)
            .map(|_| random.below(256) as u8)
            .filter(|byte| !b"\r\n".contains(byte))
            .collect();
        for piece in bytes.chunks(100) {
            self.guest.send(piece)?;
        }
        // Ends the line, or an escape sequence, or both.
        self.guest.send("\x03\x03")?;
        self.guest.send("\r")?;
        self.guest.send("uptime\r")?;
        console::expect(&mut self.guest, "Up for ")?;
        console::prompt(&mut self.guest).map(drop)
    }

    /// Runs one program and waits for the prompt.
    fn perform(&mut self, case: &Case) -> Result<()> {
        self.guest.send(format!("{}\r", case.line))?;
        let mut said = String::new();
        match case.keys {
            Nothing => {}
            Early(keys) => self.guest.send(keys)?,
            Late(keys) => {
                thread::sleep(Duration::from_millis(300));
                self.guest.send(keys)?;
            }
            After(text, keys) => {
                said = console::expect(&mut self.guest, text)?;
                self.guest.send(keys)?;
            }
        }
        said += &console::prompt(&mut self.guest)?;
        if said.contains(case.says) {
            return Ok(());
        }
        Err(unmet(format!(
            "`{}` was to be answered with {:?}, but the answer was:\n{said}",
            case.line, case.says
        )))
    }

    /// Waits until memory is as it was.
    pub fn returns_to(&mut self, before: &Memory, slack_kib: u64, after_what: &str) -> Result<()> {
        let mut differences = self.memory()?.differences(before, slack_kib);
        for _ in 0..LOOKS {
            if differences.is_empty() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(500));
            differences = self.memory()?.differences(before, slack_kib);
        }
        Err(unmet(format!(
            "after {after_what}: {}",
            differences.join("; ")
        )))
    }

    /// The names of processes and threads that there are, sorted.
    pub fn tasks(&mut self) -> Result<Vec<String>> {
        let said = console::command(&mut self.guest, "ps")?;
        let mut rows = said.lines().skip_while(|line| !line.contains("MEMORY KiB"));
        rows.next()
            .ok_or_else(|| unmet(format!("`ps` has no table:\n{said}")))?;
        let mut names: Vec<_> = rows
            .filter_map(|row| Some(row.trim().rsplit_once(' ')?.1.to_owned()))
            .collect();
        names.sort();
        Ok(names)
    }

    /// What `free` shows now.
    pub fn memory(&mut self) -> Result<Memory> {
        let said = console::command(&mut self.guest, "free")?;
        Memory::parse(&said).ok_or_else(|| unmet(format!("`free` does not add up:\n{said}")))
    }
}

/// The resident memory in a thread's row, whose state may be of two words: the number behind the dash for memory.
fn thread_kib(row: &str) -> Option<u64> {
    let mut words = row.split_whitespace().skip_while(|word| *word != "-");
    words.nth(1)?.parse().ok()
}

/// Whether neither is more than twice the other.
fn is_near(one: u64, other: u64) -> bool {
    one <= other * 2 && other <= one * 2
}

/// All results; what failed is told together, a line each.
fn all_of(results: impl Iterator<Item = Result<()>>) -> Result<()> {
    let failed: Vec<_> = results
        .filter_map(Result::err)
        .map(|failure| failure.to_string())
        .collect();
    if failed.is_empty() {
        return Ok(());
    }
    Err(unmet(failed.join("\n")))
}

/// A linear congruential generator (Knuth, MMIX): good enough to shuffle.
pub struct Random(pub u64);

impl Random {
    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}
