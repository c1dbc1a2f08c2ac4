//! A kernel that fails says why: what happened, where, with the names of functions, on the terminal line and on the screen.
//!
//! Law: each kind of failure is a machine of its own, which must end by itself with the kernel's verdict. A report is
//! judged as a whole ([`judge`]), and so that the judge is judged too, a machine whose kernel has lost its function
//! names must not pass it.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use lib_bundle::sha256;
use lib_text_screen::{Colours, PixelSink, Rgb, TextScreen};

use super::report::unmet;
use super::{Report, console};
use crate::build;
use crate::failure::Result;
use crate::image::Parts;
use crate::paths::{Paths, Variant};
use crate::qemu::accelerator::{self, Accelerator};
use crate::qemu::{Ending, Guest, Machine, Screen};
use crate::run::{NEEDS, PROMPT};
use crate::setup::ensure_packages;

/// What the kernel tells the debug-exit port (`EXIT_CODE` in `kernel/core/src/fault.rs`).
const VERDICT: u8 = 0x33;
const REPORT_START: &str = "*** KPIO has stopped: the kernel performed an illegal operation ***";
const REPORT_END: &str = "*** end of report ***";
/// Outer functions of every kind that is provoked from a thread of `std`, innermost first.
const FROM_STD_THREAD: &[&str] = &[
    "kernel_core::crash::crash",
    "std::sys::backtrace::__rust_begin_short_backtrace",
    "kernel_core::thread::run_thread",
];

/// A kind of failure, and what its report must say.
struct Failing {
    kind: &'static str,
    cpus: u32,
    memory_mib: u32,
    /// How its sentence begins.
    sentence: &'static str,
    /// Where it happened: the innermost function of a fault, one further out of a panic.
    innermost: Place,
    /// Functions that come after that, in this order, others between them.
    callers: &'static [&'static str],
    /// Further words that the report must have.
    says: &'static str,
}

#[derive(Clone, Copy)]
enum Place {
    /// The first place of the backtrace lies in this function.
    First(&'static str),
    /// The report was asked for further in, as after a panic.
    Later(&'static str),
    /// There is no function.
    Nowhere,
}
use Place::{First, Later, Nowhere};

const fn failing(kind: &'static str, innermost: Place, sentence: &'static str) -> Failing {
    Failing {
        kind,
        cpus: 1,
        memory_mib: 512,
        sentence,
        innermost,
        callers: FROM_STD_THREAD,
        says: "",
    }
}

const NOT_MAPPED: &str = "page fault: nothing is mapped there (vector 14";
const FORBIDDEN: &str = "page fault: the page forbids it (vector 14";

#[rustfmt::skip]
const FAILINGS: &[Failing] = &[
    failing("panic", Later("kernel_core::crash::panic_in_kernel"), "panic at kernel/core/src/crash.rs:"),
    failing("null-read", First("provoke::null_read"), NOT_MAPPED),
    failing("null-write", First("provoke::write"), NOT_MAPPED),
    failing("wild-jump", Nowhere, NOT_MAPPED),
    Failing {
        callers: &["kernel_core::crash::recurse", "kernel_core::crash::recurse"],
        says: "(and so on)",
        ..failing("stack-overflow", First("kernel_core::crash::recurse"), "page fault: the thread has used up its stack")
    },
    Failing { callers: &[], ..failing("lost-stack", First("provoke::lost_stack"), NOT_MAPPED) },
    failing("division", First("provoke::division"), "division error (vector 0"),
    failing("invalid-instruction", First("provoke::invalid_instruction"), "invalid instruction (vector 6"),
    failing("breakpoint", First("provoke::breakpoint"), "breakpoint (vector 3"),
    failing("general-protection", First("provoke::general_protection"), "general protection fault (vector 13"),
    failing("page-fault-interrupts-off", First("provoke::null_read"), "page fault with interrupts off (vector 14"),
    failing("deadlock", Later("kernel_core::crash::lock_twice"), "panic at kernel/machine/src/sync.rs:"),
    Failing {
        says: "a block is freed that is not live",
        ..failing("double-free", Later("provoke::double_free"), "panic at kernel/machine/src/heap.rs:")
    },
    Failing {
        says: "is freed twice",
        ..failing("frame-freed-twice", Later("kernel_core::crash::free_frame_twice"), "panic at kernel/machine/src/memory/frame.rs:")
    },
    failing("double-fault", First("provoke::null_read"), "double fault (vector 8"),
    Failing {
        callers: &["kernel_core::crash::raise_again", "kernel_core::traps::handle", "kpio_trap_common"],
        ..failing("nested-trap", First("provoke::interrupt"), "trap 69 came on landing pad 2 while it was in use")
    },
    Failing {
        callers: &[],
        ..failing("nmi", Later("kernel_core::crash::interrupt_oneself"), "non-maskable interrupt that nobody asked for (vector 2")
    },
    Failing {
        callers: &["kernel_core::traps::handle", "kpio_trap_common", "provoke::interrupt",
            "kernel_core::crash::crash", "kernel_core::thread::run_thread"],
        ..failing("interrupt-handler", Later("kernel_core::crash::panicking_handler"), "panic at kernel/core/src/crash.rs:")
    },
    Failing {
        cpus: 2,
        callers: &["provoke::null_write", "kernel_core::crash::fault_away_from_boot_cpu", "kernel_core::thread::run_thread"],
        says: "on cpu 1, thread",
        ..failing("other-cpu", First("provoke::write"), "page fault with interrupts off")
    },
    Failing {
        cpus: 2,
        says: "1 other cpus were stopped",
        ..failing("spinning-cpu", Later("kernel_core::crash::panic_while_another_cpu_spins"), "panic at kernel/core/src/crash.rs:")
    },
    Failing {
        memory_mib: 192,
        says: "memory allocation of 32768 bytes failed",
        ..failing("heap-exhaustion", Later("kernel_core::crash::exhaust_heap"), "abort: native code gave up")
    },
    failing("write-text", First("provoke::write"), FORBIDDEN),
    failing("write-text-alias", First("provoke::write"), FORBIDDEN),
    failing("execute-heap", Nowhere, FORBIDDEN),
    Failing {
        callers: &["runtime_entry"],
        ..failing("abort", Later("abort"), "abort: native code gave up")
    },
    Failing {
        callers: &["kernel_core::crash::crash", "wasmtime", "(code of a program)", "runtime_supervisor", "kernel_core::thread::run_thread"],
        ..failing("host-call", First("provoke::null_read"), NOT_MAPPED)
    },
];

/// The colours of the report (`COLOURS` in `kernel/core/src/fault.rs`).
const COLOURS: Colours = Colours {
    foreground: Rgb {
        red: 0xff,
        green: 0xff,
        blue: 0xff,
    },
    background: Rgb {
        red: 0x10,
        green: 0x20,
        blue: 0x60,
    },
};
/// Height of a line of text on screens of this size.
const LINE_PX: usize = 16;
/// How often the screen is looked at, and how long each time is waited before.
const LOOKS: u32 = 100;
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// Images and what is known about them.
struct Images {
    accelerator: Accelerator,
    /// The test image.
    test: PathBuf,
    /// The same without function names.
    nameless: PathBuf,
    /// The same, but a kernel that fails waits for a person.
    waiting: PathBuf,
    /// The same without the command `crash`.
    harmless: PathBuf,
    /// The same with a loader whose word is not to be believed.
    lying: PathBuf,
    /// What the kernel calls its build.
    build_id: String,
}

/// Makes the kernel fail in every way.
pub fn run(paths: &Paths, report: &mut Report) -> Result<()> {
    ensure_packages(&NEEDS)?;
    build::build_all_of(paths, Variant::Checks)?;
    let images = Images::write(paths)?;
    for failing in FAILINGS {
        let log = report.log_file(failing.kind);
        report.test(failing.kind, || {
            let said = fail(&images, &images.test, failing, &log)?;
            judge(&said, failing, &images.build_id)
        });
    }
    let log = report.log_file("survivors");
    report.test("what-is-survived", || survives(&images, &log));
    let log = report.log_file("harmless");
    report.test("other-images-cannot-crash", || refuses(&images, &log));
    let log = report.log_file("lying-loader");
    report.test("lying-loader", || disbelieves(&images, &log));
    let log = report.log_file("screen");
    report.test("the-screen-shows-it", || shows(&images, &log));
    let log = report.log_file("nameless");
    report.test("lost-names-are-noticed", || {
        notices_lost_names(&images, &log)
    });
    Ok(())
}

impl Images {
    fn write(paths: &Paths) -> Result<Self> {
        let parts = Parts::collect(paths, "test", Variant::Checks)?;
        let write = |name: &str, change: &dyn Fn(&mut Parts)| {
            let mut parts = parts.clone();
            change(&mut parts);
            let path = paths.out().join(format!("crashes-{name}.img"));
            parts.write_disk(&path).map(|()| path)
        };
        let without = |parts: &mut Parts, word: &str| {
            parts.command_line = parts.command_line.replace(word, "");
        };
        Ok(Self {
            accelerator: accelerator::choose(paths)?,
            test: write("test", &|_| ())?,
            nameless: write("nameless", &|parts| parts.symbols.fill(0))?,
            waiting: write("waiting", &|parts| without(parts, "fault=exit"))?,
            harmless: write("harmless", &|parts| without(parts, "test"))?,
            lying: write("lying", &|parts| spoil_magic(&mut parts.loader))?,
            build_id: sha256(&[&parts.kernel])
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        })
    }

    fn machine(&self, image: &Path, failing: &Failing) -> Machine {
        Machine {
            cpus: failing.cpus,
            memory_mib: failing.memory_mib,
            ..Machine::new(self.accelerator, image.to_path_buf())
        }
    }
}

/// Boots, fails, and waits for the machine's end; returns the report.
fn fail(images: &Images, image: &Path, failing: &Failing, log: &Path) -> Result<String> {
    let mut guest = Guest::boot(&images.machine(image, failing), log)?;
    let said = provoke(&mut guest, failing)?;
    match guest.wait()? {
        Ending::Verdict(VERDICT) => Ok(said),
        other => Err(unmet(format!(
            "the machine was to end with verdict {VERDICT:#x}, but: {other:?}"
        ))),
    }
}

/// Waits for the prompt and makes the kernel fail; returns the report.
fn provoke(guest: &mut Guest, failing: &Failing) -> Result<String> {
    console::prompt(guest)?;
    guest.send(format!("crash {}\r", failing.kind))?;
    match guest.expect_any(&[REPORT_START, PROMPT])? {
        (0, _) => guest.expect(REPORT_END).map(|said| said.replace('\r', "")),
        (_, before) => Err(unmet(format!("nothing failed; it said:\n{before}"))),
    }
}

/// Whether a report says all that it must.
fn judge(said: &str, failing: &Failing, build_id: &str) -> Result<()> {
    let complaint = complaint(said, failing, build_id);
    complaint.map_or(Ok(()), |complaint| {
        Err(unmet(format!("{complaint} in the report:\n{said}")))
    })
}

fn complaint(said: &str, failing: &Failing, build_id: &str) -> Option<String> {
    let sentence = said.lines().find(|line| !line.is_empty()).unwrap_or("");
    if !sentence.starts_with(failing.sentence) {
        return Some(format!("there is no sentence {:?}", failing.sentence));
    }
    for words in ["on cpu ", failing.says, &format!("build: {build_id}\n")] {
        if !said.contains(words) {
            return Some(format!("there are no words {words:?}"));
        }
    }
    complaint_about_registers(&section(said, "registers:\n", "backtrace:\n"))
        .or_else(|| complaint_about_places(&places(said), failing))
        .or_else(|| {
            let log = section(said, "\nlog:\n", "\nbuild:");
            let line = format!("crash: {}", failing.kind_in_log());
            (!log.contains(&line)).then(|| format!("there is no log line {line:?}"))
        })
}

impl Failing {
    /// What the kernel itself was asked for.
    fn kind_in_log(&self) -> &str {
        match self.kind {
            "host-call" => "null-read",
            kind => kind,
        }
    }
}

/// What stands between two texts; nothing where either is missing.
fn section(said: &str, start: &str, end: &str) -> String {
    let behind = said.split_once(start).map_or("", |(_, behind)| behind);
    let section = behind.split_once(end).map_or("", |(section, _)| section);
    section.to_owned()
}

fn complaint_about_registers(text: &str) -> Option<String> {
    const NAMES: &str = "rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip rflags";
    let words: Vec<&str> = text.split_whitespace().collect();
    let names: Vec<&str> = words.iter().step_by(2).copied().collect();
    let values = words.iter().skip(1).step_by(2);
    let is_value = |word: &&str| word.len() == 16 && u64::from_str_radix(word, 16).is_ok();
    let whole = names.join(" ") == NAMES && values.filter(|word| is_value(word)).count() == 18;
    (!whole).then(|| "the registers are not all there".to_owned())
}

/// The functions of the backtrace, innermost first.
fn places(said: &str) -> Vec<String> {
    let backtrace = section(said, "backtrace:\n", "\nlog:");
    let place = |line: &str| line.trim().split_once(' ').map(|(_, name)| name.to_owned());
    backtrace.lines().filter_map(place).collect()
}

fn complaint_about_places(places: &[String], failing: &Failing) -> Option<String> {
    let mut rest = places.iter();
    let mut wanted = failing.callers.to_vec();
    match failing.innermost {
        First(name) if !rest.next().is_some_and(|place| is_in(place, name)) => {
            return Some(format!("the innermost function is not {name}"));
        }
        First(_) | Nowhere => {}
        Later(name) => wanted.insert(0, name),
    }
    let missing = wanted
        .into_iter()
        .find(|name| !rest.any(|place| is_in(place, name)));
    missing.map(|name| format!("{name} is not in its place in the backtrace"))
}

/// Whether a place, as in "a::b::c+0x12", lies in the function, or the module or crate, of this name.
fn is_in(place: &str, name: &str) -> bool {
    place.contains(name)
}

/// What ends no more than a process, and what protects the machine.
fn survives(images: &Images, log: &Path) -> Result<()> {
    let machine = Machine::new(images.accelerator, images.test.clone());
    let mut guest = Guest::boot(&machine, log)?;
    console::prompt(&mut guest)?;
    for (line, answer) in [
        ("crash", "say which: protections, "),
        ("crash no-such-kind", "say which: protections, "),
        ("crash panic-runtime", "a bug of this system"),
        (
            "crash panic-runtime",
            "a bug of the runtime, made for a test",
        ),
        ("echo still here", "still here"),
        ("crash protections", "the same on 2 of 2 cpus"),
    ] {
        let said = console::command(&mut guest, line)?;
        let answered = said
            .split_once('\n')
            .is_some_and(|(_, said)| said.contains(answer));
        if !answered || said.contains(" off,") {
            return Err(unmet(format!(
                "{line:?} was not answered by {answer:?}, but:\n{said}"
            )));
        }
    }
    console::power_off(guest)
}

/// Only test images have the command.
fn refuses(images: &Images, log: &Path) -> Result<()> {
    let machine = Machine::new(images.accelerator, images.harmless.clone());
    let mut guest = Guest::boot(&machine, log)?;
    console::prompt(&mut guest)?;
    let said = console::command(&mut guest, "crash panic")?;
    if !said.contains("no command or program called 'crash'") {
        return Err(unmet(format!("an image without `test` answered:\n{said}")));
    }
    console::power_off(guest)
}

/// Changes the number by which loader and kernel know each other, wherever the loader has it.
fn spoil_magic(loader: &mut [u8]) {
    let magic = contract_boot::MAGIC.to_le_bytes();
    for start in 0..loader.len().saturating_sub(magic.len()) {
        if loader[start..].starts_with(&magic) {
            loader[start] ^= 1;
        }
    }
}

/// A loader whose word cannot be believed leaves the kernel with no memory, no names and no command
/// line; there is a report all the same, and then the machine waits.
fn disbelieves(images: &Images, log: &Path) -> Result<()> {
    const SENTENCE: &str = "the loader's boot information has a wrong magic number\n";
    let machine = Machine::new(images.accelerator, images.lying.clone());
    let mut guest = Guest::boot(&machine, log)?;
    guest.expect(REPORT_START)?;
    let said = guest.expect(REPORT_END)?.replace('\r', "");
    let registers = complaint_about_registers(&section(&said, "registers:\n", "backtrace:\n"));
    match registers {
        None if said.contains(SENTENCE) && said.contains("before the first thread") => Ok(()),
        _ => Err(unmet(format!(
            "a loader with a wrong magic number led to:\n{said}"
        ))),
    }
}

/// The report is on the screen, and its first line has not scrolled away.
fn shows(images: &Images, log: &Path) -> Result<()> {
    let failing = &FAILINGS[1];
    let mut guest = Guest::boot(&images.machine(&images.waiting, failing), log)?;
    let said = provoke(&mut guest, failing)?;
    let sentence = said.lines().find(|line| !line.is_empty()).unwrap_or("");
    let build = format!("build: {}", images.build_id);
    for _ in 0..LOOKS {
        let screen = guest.screen()?;
        if line_of(&screen, REPORT_END).is_some() {
            let lines = [REPORT_START, sentence].map(|text| line_of(&screen, text));
            let ok = lines == [Some(1), Some(2)] && line_of(&screen, &build).is_some();
            return ok.then_some(()).ok_or_else(|| {
                unmet(format!("the screen shows title and sentence in lines {lines:?}, not 1 and 2, or no {build:?}"))
            });
        }
        thread::sleep(BETWEEN_LOOKS);
    }
    Err(unmet("the report's end did not come on the screen"))
}

/// The line of the screen that shows `text` and nothing else.
fn line_of(screen: &Screen, text: &str) -> Option<usize> {
    let wanted = picture(screen.width_px, text);
    let mut lines = screen.pixels.chunks(screen.width_px * LINE_PX);
    lines.position(|line| line == wanted)
}

/// A line of text as the kernel draws it.
fn picture(width_px: usize, text: &str) -> Vec<[u8; 3]> {
    let mut pixels = vec![[0; 3]; width_px * LINE_PX];
    let sink = PixelLine {
        width_px,
        pixels: &mut pixels,
    };
    TextScreen::new(sink, &mut vec![0; width_px], COLOURS).write(text);
    pixels
}

struct PixelLine<'a> {
    width_px: usize,
    pixels: &'a mut [[u8; 3]],
}

impl PixelSink for PixelLine<'_> {
    fn width_px(&self) -> u32 {
        self.width_px as u32
    }

    fn height_px(&self) -> u32 {
        LINE_PX as u32
    }

    fn write_row(&mut self, x_px: u32, y_px: u32, row: &[Rgb]) {
        let start = y_px as usize * self.width_px + x_px as usize;
        for (pixel, colour) in self.pixels[start..].iter_mut().zip(row) {
            *pixel = [colour.red, colour.green, colour.blue];
        }
    }
}

/// A kernel without names still says what happened, but does not pass.
fn notices_lost_names(images: &Images, log: &Path) -> Result<()> {
    let failing = &FAILINGS[1];
    let said = fail(images, &images.nameless, failing, log)?;
    match complaint(&said, failing, &images.build_id) {
        Some(complaint) if complaint.starts_with("the innermost function") => Ok(()),
        other => Err(unmet(format!(
            "the judge said {other:?} about a report without names:\n{said}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "\npage fault: nothing is mapped there (vector 14, code 0x0, address 0x8)\n\
        on cpu 0, thread 7 (crash); 0 other cpus were stopped\nregisters:\n\
        rax 0000000000000001 rbx 0000000000000001 rcx 0000000000000001\n\
        rdx 0000000000000001 rsi 0000000000000001 rdi 0000000000000001\n\
        rbp 0000000000000001 rsp 0000000000000001 r8 0000000000000001\n\
        r9 0000000000000001 r10 0000000000000001 r11 0000000000000001\n\
        r12 0000000000000001 r13 0000000000000001 r14 0000000000000001\n\
        r15 0000000000000001 rip 0000000000000001 rflags 0000000000000001\n\
        backtrace:\n  ffffffff80000001 kernel_machine::cpu::provoke::null_read+0x1\n\
        ffffffff80000002 kernel_core::crash::crash+0x1\n\
        ffffffff80000003 std::sys::backtrace::__rust_begin_short_backtrace+0x1\n\
        ffffffff80000004 kernel_core::thread::run_thread+0x1\n\
        log:\n[    1.000000] crash: null-read\nbuild: 00ff\n";

    #[test]
    fn a_whole_report_passes_and_every_part_is_missed() {
        let judged = |said: &str| complaint(said, &FAILINGS[1], "00ff");
        assert_eq!(judged(REPORT), None);
        for part in [
            "page fault",
            "on cpu",
            "rflags 0000000000000001",
            "r9 ",
            "null_read",
            "crash::crash",
            "__rust_begin_short_backtrace",
            "run_thread",
            "crash: null-read",
            "00ff\n",
        ] {
            assert!(
                judged(&REPORT.replacen(part, "", 1)).is_some(),
                "{part} is not missed"
            );
        }
    }

    #[test]
    fn a_text_is_found_on_the_line_that_shows_it() {
        let mut pixels = picture(640, "one");
        pixels.extend(picture(640, "two"));
        let screen = Screen {
            width_px: 640,
            height_px: 2 * LINE_PX,
            pixels,
        };
        assert_eq!(line_of(&screen, "two"), Some(1));
        assert_eq!(line_of(&screen, "tw"), None);
    }
}
