//! One program in a machine of its own, as a person at a shell sees it: output, exit code, input, tree.
//!
//! The tool is run as a command of its own, so that what is tested includes that nothing else is printed.

use std::env;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime};

use super::report::unmet;
use super::{Report, guests};
use crate::build;
use crate::command;
use crate::failure::{Failure, Result};
use crate::paths::{self, Paths, Variant};
use crate::programs;
use crate::run::NEEDS;
use crate::setup::ensure_packages;
use crate::system::System;

/// Runs the utilities in every way that the command line offers.
pub fn run(paths: &Paths, report: &mut Report) -> Result<()> {
    ensure_packages(&NEEDS)?;
    build::build_all_of(paths, Variant::Checks)?;
    let jobs = Jobs {
        utilities: utilities(paths)?,
        probe: guests::component(paths, "job-probe")?,
        probe_here: guests::native(paths, "job-probe")?,
        trapping: guests::written(paths, "traps-unreachable")?,
        failing: guests::written(paths, "fails")?,
        importing: guests::written(paths, "imports-nothing-known")?,
        module: guests::written(paths, "core-module")?,
        old: guests::written(paths, "old-program")?,
        old_trap: guests::written(paths, "old-trap")?,
        scratch: paths.out().join("jobs-suite"),
    };
    report.test("output-and-success", || jobs.output_and_success());
    report.test("failure-code", || jobs.failure_code());
    report.test("own-stdin", || jobs.own_stdin());
    report.test("long-stdin-from-a-file", || jobs.long_stdin());
    report.test("tree-in-and-out", || jobs.tree());
    report.test("garbage-is-refused", || jobs.garbage(&[]));
    report.test("garbage-is-refused-by-the-kernel", || {
        jobs.garbage(&["--jit"])
    });
    report.test("a-file-that-is-not-there", || jobs.missing());
    report.test("everything-as-on-this-machine", || jobs.everything());
    report.test("exit-code", || jobs.exit_code());
    report.test("an-answer-of-failure", || jobs.run_fails());
    report.test("trap", || jobs.trap(&[]));
    report.test("trap-compiled-by-the-kernel", || jobs.trap(&["--jit"]));
    for (name, options) in HOW_COMPILED {
        report.test(&format!("a-program-of-wasi-0.1-{name}"), || {
            jobs.old_program(options)
        });
        report.test(&format!("a-function-of-a-module-{name}"), || {
            jobs.function(options)
        });
    }
    report.test("no-such-function", || jobs.no_such_function());
    report.test("both-compilers-and-this-machine", || jobs.compilers());
    for name in ["truncated", "many-functions"] {
        let program = guests::written(paths, name)?;
        report.test(&format!("{name}-is-refused"), || {
            refused(&[], &program, name)
        });
        report.test(&format!("{name}-is-refused-by-the-kernel"), || {
            refused(&["--jit"], &program, name)
        });
    }
    report.test("an-import-that-nobody-has", || {
        refused(&[], &jobs.importing, "kpio:nowhere/nothing")
    });
    report.test("absent-stdin-is-empty", || jobs.absent_stdin());
    report.test("too-little-memory-names-the-log", || {
        jobs.too_little_memory()
    });
    report.test("a-reader-that-leaves-ends-the-program", || {
        jobs.reader_leaves()
    });
    report.test("differences-are-noticed", || jobs.differences());
    Ok(())
}

/// Where a program's code comes from, and the options that say so.
const HOW_COMPILED: [(&str, &[&str]); 2] = [
    ("compiled-here", &[]),
    ("compiled-by-the-kernel", &["--jit"]),
];

/// The component that holds all of coreutils; its second argument says which.
fn utilities(paths: &Paths) -> Result<PathBuf> {
    let system = System::load(paths, "base")?;
    let program = system
        .programs
        .iter()
        .find(|program| program.binary == "coreutils");
    programs::build(
        paths,
        program.ok_or_else(|| unmet("the base system has no coreutils"))?,
    )
}

struct Jobs {
    utilities: PathBuf,
    /// `job-probe` of `test/guest/hostile` as a component, and for this machine.
    probe: PathBuf,
    probe_here: PathBuf,
    trapping: PathBuf,
    failing: PathBuf,
    importing: PathBuf,
    module: PathBuf,
    /// A program of WASI 0.1 that copies a little of its input, and one that traps.
    old: PathBuf,
    old_trap: PathBuf,
    /// Files of the host that tests make.
    scratch: PathBuf,
}

impl Jobs {
    fn output_and_success(&self) -> Result<()> {
        let output = self.utility(&[], &["echo", "two", "words"], Stdio::null())?;
        check(&output, 0, "two words\n", "")
    }

    fn failure_code(&self) -> Result<()> {
        let output = self.utility(&[], &["cat", "/absent"], Stdio::null())?;
        check(&output, 1, "", "/absent")
    }

    fn own_stdin(&self) -> Result<()> {
        let input = self.file("lines", b"b\nc\na\n")?;
        let input = File::open(&input).map_err(|e| Failure::io("read", &input, e))?;
        let output = self.utility(&[], &["sort"], input.into())?;
        check(&output, 0, "a\nb\nc\n", "")
    }

    /// More than the guest has room for at once.
    fn long_stdin(&self) -> Result<()> {
        let bytes: Vec<u8> = (0..300_000_u32)
            .map(|number| (number % 251) as u8)
            .collect();
        let file = self.file("long", &bytes)?;
        let output = self.utility(&["--stdin", text(&file)], &["sha256sum"], Stdio::null())?;
        check(
            &output,
            0,
            &format!("{}  -\n", crate::digest::hex(&bytes)),
            "",
        )
    }

    fn tree(&self) -> Result<()> {
        let (tree_in, tree_out) = (self.scratch.join("in"), self.scratch.join("out"));
        if tree_out.exists() {
            fs::remove_dir_all(&tree_out).map_err(|e| Failure::io("remove", &tree_out, e))?;
        }
        paths::write(&tree_in.join("folder/original"), b"contents")?;
        let options = ["--dir", text(&tree_in), "--out", text(&tree_out)];
        let output = self.utility(
            &options,
            &["mv", "/folder/original", "/moved"],
            Stdio::null(),
        )?;
        check(&output, 0, "", "")?;
        let moved = paths::read(&tree_out.join("moved"))?;
        if moved != b"contents"
            || tree_out.join("folder/original").exists()
            || !tree_out.join("folder").is_dir()
        {
            return Err(unmet("the tree that came out is not what `mv` left"));
        }
        Ok(())
    }

    fn garbage(&self, options: &[&str]) -> Result<()> {
        let file = self.file("garbage.wasm", b"this is no component\n")?;
        let output = xtask_run(options, &file, &[], Stdio::null())?;
        check(&output, 126, "", "garbage.wasm")
    }

    fn missing(&self) -> Result<()> {
        let output = xtask_run(&[], &self.scratch.join("absent.wasm"), &[], Stdio::null())?;
        check(&output, 126, "", "absent.wasm")
    }

    /// The same program over copies of one tree, in a guest and on this machine: output, exit code and tree are the
    /// same.
    fn everything(&self) -> Result<()> {
        let [tree_in, tree_here, tree_out] =
            ["probe-in", "probe-here", "probe-out"].map(|name| self.scratch.join(name));
        for folder in [&tree_in, &tree_here, &tree_out] {
            remove(folder)?;
        }
        write_probe_tree(&tree_in)?;
        copy_tree(&tree_in, &tree_here)?;
        let input: Vec<u8> = (0..500_000_u32)
            .map(|number| (number.wrapping_mul(number) % 253) as u8)
            .collect();
        let input = self.file("probe-stdin", &input)?;
        let words = [
            "everything",
            "two words",
            "",
            "\u{d55c}\u{ae00} \u{2713}",
            "--jit",
        ];
        let expected = self.probe_here(&tree_here, &input, &words)?;
        let options = [
            "--dir",
            text(&tree_in),
            "--out",
            text(&tree_out),
            "--stdin",
            text(&input),
        ];
        let output = xtask_run(&options, &self.probe, &words, Stdio::null())?;
        same_output(&expected, &output)?;
        same_trees(&tree_here, &tree_out)
    }

    fn probe_here(&self, tree: &Path, input: &Path, words: &[&str]) -> Result<Output> {
        let input = File::open(input).map_err(|e| Failure::io("read", input, e))?;
        let mut probe = Command::new(&self.probe_here);
        probe.current_dir(tree).args(words).stdin(input);
        let output = probe.output();
        output.map_err(|e| Failure::io("start", &self.probe_here, e))
    }

    fn exit_code(&self) -> Result<()> {
        let output = xtask_run(&[], &self.probe, &["exit", "255"], Stdio::null())?;
        check(&output, 255, "", "")
    }

    fn run_fails(&self) -> Result<()> {
        let output = xtask_run(&["--jit"], &self.failing, &[], Stdio::null())?;
        check(&output, 1, "", "")
    }

    /// The backtrace names the functions, each frame once.
    fn trap(&self, options: &[&str]) -> Result<()> {
        let output = xtask_run(options, &self.trapping, &[], Stdio::null())?;
        check(&output, 134, "", "unreachable")?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        for name in ["!culprit", "!caller"] {
            if complaint.matches(name).count() != 1 {
                return Err(unmet(format!("`{name}` is not there once:\n{complaint}")));
            }
        }
        Ok(())
    }

    fn old_program(&self, options: &[&str]) -> Result<()> {
        let input = self.file("old-stdin", b"some words\n")?;
        let options = [options, &["--stdin", text(&input)]].concat();
        let output = xtask_run(&options, &self.old, &[], Stdio::null())?;
        check(&output, 0, "some words\n", "")?;
        let empty = self.file("empty-stdin", b"")?;
        let options = [&options[..options.len() - 1], &[text(&empty)]].concat();
        let output = xtask_run(&options, &self.old, &[], Stdio::null())?;
        check(&output, 77, "", "")
    }

    fn function(&self, options: &[&str]) -> Result<()> {
        let invoke = |function| [options, &["--invoke", function]].concat();
        let words = ["0.5", "-7"];
        let output = xtask_run(&invoke("swap"), &self.module, &words, Stdio::null())?;
        check(&output, 0, "-7\n0.5\n", "")?;
        let output = xtask_run(&invoke("trap"), &self.module, &[], Stdio::null())?;
        check(&output, 134, "", "culprit")
    }

    fn no_such_function(&self) -> Result<()> {
        for (options, words, why) in [
            (["--invoke", "sub"], &[][..], "exports no function `sub`"),
            (["--invoke", "add"], &["1"][..], "takes 2 arguments"),
        ] {
            let output = xtask_run(&options, &self.module, words, Stdio::null())?;
            check(&output, 126, "", why)?;
        }
        Ok(())
    }

    /// Each compiler alone, on programs that do much and on one that traps.
    fn compilers(&self) -> Result<()> {
        let (input, words) = (self.file("compilers-stdin", &[7; 100_000])?, ["sha512sum"]);
        let stdin = ["--stdin", text(&input)];
        let expected = xtask_run(&stdin, &self.utilities, &words, Stdio::null())?;
        let expected_trap = xtask_run(&[], &self.old_trap, &[], Stdio::null())?;
        check(&expected_trap, 134, "hello\n", "culprit")?;
        for compiler in ["baseline", "cranelift"] {
            let options = ["--compiler", compiler];
            let with_input = [&options[..], &stdin].concat();
            let output = xtask_run(&with_input, &self.utilities, &words, Stdio::null())?;
            same_output(&expected, &output)?;
            let output = xtask_run(&options, &self.old_trap, &[], Stdio::null())?;
            same_output(&expected_trap, &output)?;
        }
        Ok(())
    }

    fn absent_stdin(&self) -> Result<()> {
        let output = xtask_run(&[], &self.probe, &["read-only"], Stdio::null())?;
        check(&output, 0, "input: 0 bytes\n", "")
    }

    fn too_little_memory(&self) -> Result<()> {
        let output = xtask_run(
            &["--memory", "40"],
            &self.probe,
            &["exit", "0"],
            Stdio::null(),
        )?;
        check(&output, 125, "", "the kernel's log is in ")?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        let log = complaint
            .rsplit(" is in ")
            .next()
            .unwrap_or_default()
            .trim();
        if Path::new(log).exists() {
            Ok(())
        } else {
            Err(unmet(format!("there is no log {log}")))
        }
    }

    /// Instead of the signal that a program on this machine would get.
    fn reader_leaves(&self) -> Result<()> {
        let mut run = xtask_command(&[], &self.probe, &["write-for-ever"])?;
        run.stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = run
            .spawn()
            .map_err(|e| Failure::io("start", command::display(&run), e))?;
        let mut some = [0; 10_000];
        let mut reader = child
            .stdout
            .take()
            .ok_or_else(|| unmet("there is no stdout"))?;
        let read = reader.read_exact(&mut some);
        read.map_err(|e| Failure::io("read from", "the program", e))?;
        drop(reader);
        let status = child
            .wait()
            .map_err(|e| Failure::io("wait for", "the program", e))?;
        match status.code() {
            Some(130) if some.iter().all(|byte| *byte == b'y') => Ok(()),
            _ => Err(unmet(format!("the program was to be ended, but: {status}"))),
        }
    }

    /// What compares trees and outputs must notice a byte.
    fn differences(&self) -> Result<()> {
        let [one, other] = ["one", "other"].map(|name| self.scratch.join(name));
        paths::write(&one.join("folder/file"), b"same")?;
        paths::write(&other.join("folder/file"), b"sane")?;
        if same_trees(&one, &other).is_ok() {
            return Err(unmet("a changed byte was not noticed"));
        }
        paths::write(&other.join("folder/file"), b"same")?;
        paths::write(&other.join("more"), b"")?;
        if same_trees(&one, &other).is_ok() {
            return Err(unmet("one file too many was not noticed"));
        }
        remove(&one)?;
        remove(&other)
    }

    fn utility(&self, options: &[&str], words: &[&str], stdin: Stdio) -> Result<Output> {
        xtask_run(options, &self.utilities, words, stdin)
    }

    fn file(&self, name: &str, contents: &[u8]) -> Result<PathBuf> {
        let file = self.scratch.join(name);
        paths::write(&file, contents)?;
        Ok(file)
    }
}

/// Runs this tool's `run` on a program.
fn xtask_run(options: &[&str], program: &Path, words: &[&str], stdin: Stdio) -> Result<Output> {
    let mut run = xtask_command(options, program, words)?;
    let output = run.stdin(stdin).output();
    output.map_err(|e| Failure::io("start", command::display(&run), e))
}

fn xtask_command(options: &[&str], program: &Path, words: &[&str]) -> Result<Command> {
    let this = env::current_exe().map_err(|e| Failure::io("find", "this program", e))?;
    let mut run = Command::new(this);
    run.args(["run", "--headless", "--checks"])
        .args(options)
        .arg("--")
        .arg(program)
        .args(words);
    Ok(run)
}

/// The program cannot be run, and what is said about it holds `why`.
fn refused(options: &[&str], program: &Path, why: &str) -> Result<()> {
    let output = xtask_run(options, program, &[], Stdio::null())?;
    check(&output, 126, "", why)
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Failure::io("remove", folder, e)),
        _ => Ok(()),
    }
}

/// What `job-probe everything` expects to find.
fn write_probe_tree(root: &Path) -> Result<()> {
    let large: Vec<u8> = (0..3_000_000_u32)
        .map(|number| (number % 241) as u8)
        .collect();
    for (path, contents) in [
        ("large", large.as_slice()),
        ("empty", b""),
        ("nested/a/b/c/file", b"deep"),
        ("to-delete", b"x"),
        ("folder-to-delete/x/y", b"x"),
        ("to-rename", b"renamed"),
        ("folder-to-rename/file", b"in a renamed folder"),
        ("to-append", b"text"),
        ("to-cut", b"longer"),
        ("\u{d55c}\u{ae00} name", b"UTF-8"),
    ] {
        paths::write(&root.join(path), contents)?;
    }
    paths::make_folder(&root.join("empty-folder"))?;
    for (target, link) in [
        ("nested/a", "link"),
        ("nowhere", "nested/dangling"),
        ("/absolute", "absolute"),
    ] {
        let link = root.join(link);
        std::os::unix::fs::symlink(target, &link)
            .map_err(|e| Failure::io("make the link", &link, e))?;
    }
    for (path, nanoseconds) in [
        ("nested/a/b/c/file", 123_456_789),
        ("empty", 1),
        ("nested/a", 999_999_999),
    ] {
        let path = root.join(path);
        let time = SystemTime::UNIX_EPOCH + Duration::new(981_173_106, nanoseconds);
        let set = File::open(&path).and_then(|file| file.set_modified(time));
        set.map_err(|e| Failure::io("set the time of", &path, e))?;
    }
    Ok(())
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    command::run(Command::new("cp").arg("-a").arg(from).arg(to))
}

fn same_output(expected: &Output, output: &Output) -> Result<()> {
    if expected.status.code() != output.status.code() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        return Err(unmet(format!(
            "{} here, {} there: {complaint}",
            expected.status, output.status
        )));
    }
    for (name, here, there) in [
        ("stdout", &expected.stdout, &output.stdout),
        ("stderr", &expected.stderr, &output.stderr),
    ] {
        if here != there {
            let at = here
                .iter()
                .zip(there)
                .take_while(|(one, other)| one == other)
                .count();
            return Err(unmet(format!(
                "{name} is {} bytes here and {} there, the same up to {at}",
                here.len(),
                there.len()
            )));
        }
    }
    Ok(())
}

/// Names, kinds, contents and links' targets; and times, where the older tree's are from before this test.
fn same_trees(expected: &Path, actual: &Path) -> Result<()> {
    let (expected, actual) = (described(expected, expected)?, described(actual, actual)?);
    let missing = expected.iter().filter(|line| !actual.contains(line));
    let unexpected = actual.iter().filter(|line| !expected.contains(line));
    let differences: Vec<_> = missing
        .map(|line| format!("missing: {line}"))
        .chain(unexpected.map(|line| format!("unexpected: {line}")))
        .collect();
    if differences.is_empty() {
        Ok(())
    } else {
        Err(unmet(differences.join("\n")))
    }
}

/// One line for each entry below `folder`.
fn described(root: &Path, folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).map_err(|e| Failure::io("read", folder, e))?;
    let mut lines = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path();
        let metadata = fs::symlink_metadata(&path).map_err(|e| Failure::io("read", &path, e))?;
        let name = path
            .strip_prefix(root)
            .unwrap_or(&path)
            .display()
            .to_string();
        if metadata.is_symlink() {
            lines.push(format!("{name} -> {:?}", fs::read_link(&path).ok()));
        } else if metadata.is_dir() {
            lines.push(format!("{name}/ {}", old_time(&metadata)));
            lines.extend(described(root, &path)?);
        } else {
            let contents = paths::read(&path)?;
            let digest = crate::digest::hex(&contents);
            lines.push(format!(
                "{name} {} {digest} {}",
                contents.len(),
                old_time(&metadata)
            ));
        }
    }
    Ok(lines)
}

/// The time of a change that was not made just now.
fn old_time(metadata: &fs::Metadata) -> String {
    let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    match modified.elapsed() {
        Ok(age) if age > Duration::from_secs(24 * 3600) => format!("{modified:?}"),
        _ => "new".into(),
    }
}

/// The exit code and all of stdout, and a part of stderr; where no part is expected, there is none.
fn check(output: &Output, code: i32, stdout: &str, in_stderr: &str) -> Result<()> {
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    let stderr_fits =
        complained.contains(in_stderr) && complained.is_empty() == in_stderr.is_empty();
    if output.status.code() == Some(code) && said == stdout && stderr_fits {
        return Ok(());
    }
    Err(unmet(format!(
        "expected code {code}, {stdout:?} and {in_stderr:?} on stderr; got {}, {said:?} and {complained:?}",
        output.status
    )))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}
