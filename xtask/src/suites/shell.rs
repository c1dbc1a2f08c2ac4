//! The shell in the guest: its language beside bash's on this machine, and a person at its prompt.
//!
//! Law: the script `test/shell/features.sh` is run by both, with the same arguments, and what they write is the same to the
//! byte. The planted defect is a shell that does not expand patterns; it has to be noticed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use super::report::unmet;
use super::{Report, console};
use crate::build;
use crate::command;
use crate::failure::{Failure, Result};
use crate::image;
use crate::paths::{self, Paths, Variant};
use crate::qemu::accelerator;
use crate::qemu::{Guest, Machine};
use crate::run::NEEDS;
use crate::setup::ensure_packages;

/// The script, in this tree and in the guest.
const SCRIPT: (&str, &str) = ("test/shell/features.sh", "/share/shell/features.sh");
/// What the guest says around the script's output. It is typed with quotes inside, so that its echo is another text.
const MARKS: [(&str, &str); 2] = [("BE''GIN", "BEGIN"), ("E''ND", "END")];

/// Boots one machine and does everything in it.
pub fn run(paths: &Paths, report: &mut Report) -> Result<()> {
    ensure_packages(&NEEDS)?;
    build::build_all_of(paths, Variant::Plain)?;
    let image = image::system_image(paths, "shell", Variant::Plain)?;
    let machine = Machine::new(accelerator::choose(paths)?, image);
    let expected = by_bash(paths)?;
    let mut guest = Guest::boot(&machine, &report.log_file("shell"))?;
    report.test("starts-at-boot", || prompt(&mut guest).map(drop));
    report.test("language-as-bash", || {
        compare(&expected, &by_guest(&mut guest, "", "/tmp/whole")?)
    });
    report.test("defect-patterns-are-not-expanded", || {
        let defective = by_guest(&mut guest, "-f ", "/tmp/defective")?;
        match compare(&expected, &defective) {
            Ok(()) => Err(unmet("a shell that expands no pattern passed")),
            Err(failure) if failure.to_string().contains("g/*.txt") => Ok(()),
            Err(failure) => Err(failure),
        }
    });
    for (name, scene) in SCENES {
        report.test(name, || play(&mut guest, scene));
    }
    report.test("leads-to-the-kernels-prompt-and-back", || {
        leaves_and_returns(guest)
    });
    Ok(())
}

/// What bash writes, with itself under the name `sh`.
fn by_bash(paths: &Paths) -> Result<String> {
    let folder = paths.out().join("shell-suite");
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|e| Failure::io("remove", &folder, e))?;
    }
    let (work, programs) = (folder.join("work"), folder.join("bin"));
    paths::make_folder(&work)?;
    paths::make_folder(&programs)?;
    let own = programs.join("sh");
    symlink("/bin/bash", &own).map_err(|e| Failure::io("make", &own, e))?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = std::env::join_paths(
        std::iter::once(programs).chain(std::env::split_paths(&path).collect::<Vec<PathBuf>>()),
    );
    let all = all.map_err(|problem| Failure::input("PATH", problem))?;
    let mut bash = Command::new("bash");
    bash.arg(paths.source(SCRIPT.0))
        .env("WORK", work)
        .env("PATH", all)
        .env("LC_ALL", "C.UTF-8");
    command::capture(&mut bash)
}

/// What the guest's shell writes, in a folder of its own.
fn by_guest(guest: &mut Guest, options: &str, folder: &str) -> Result<String> {
    let [(begin, begun), (end, ended)] = MARKS;
    let script = SCRIPT.1;
    guest.send(format!(
        "mkdir {folder}; WORK={folder} sh {options}{script} > {folder}.out 2> {folder}.err; \
         echo {begin}; cat {folder}.out; echo {end}\r"
    ))?;
    console::expect(guest, begun)?;
    let said = console::expect(guest, ended)?;
    prompt(guest)?;
    let text = said.replace("\r\n", "\n");
    Ok(text.trim_start_matches('\n').to_owned())
}

/// The first line that differs, with the one before it.
fn compare(expected: &str, actual: &str) -> Result<()> {
    let mut before = "";
    let mut actual_lines = actual.lines();
    for wanted in expected.lines() {
        let line = actual_lines.next().unwrap_or("(nothing more)");
        if line != wanted {
            return Err(unmet(format!(
                "behind {before:?} bash writes {wanted:?}, the shell {line:?}"
            )));
        }
        before = wanted;
    }
    match actual_lines.next() {
        Some(line) => Err(unmet(format!("behind its end the shell writes {line:?}"))),
        None => Ok(()),
    }
}

/// What is typed, and what is said to it; the next is typed only then.
type Scene = &'static [(&'static str, &'static str)];

const PROMPT: &str = console::SHELL_PROMPT;

/// A person at the prompt. Each scene begins behind a prompt and ends with one.
const SCENES: &[(&str, Scene)] = &[
    (
        "a-line-is-edited",
        &[
            ("echo he\x1b[D\x1b[Ax\x03", "^C"),
            ("", PROMPT),
            ("echo helo\x1b[Dl\r", "\nhello"),
            ("", PROMPT),
        ],
    ),
    (
        "lines-are-remembered",
        &[
            ("echo fir''st\r", "\nfirst"),
            ("", PROMPT),
            ("echo sec''ond\r", "\nsecond"),
            ("", PROMPT),
            ("\x1b[A\x1b[A\r", "\nfirst"),
            ("", PROMPT),
        ],
    ),
    (
        "names-are-completed",
        &[
            ("base6\t/etc/hostn\t\r", "\na3Bpbwo="),
            ("", PROMPT),
            ("sha2\t", "sha224sum"),
            ("\x03", PROMPT),
        ],
    ),
    (
        "a-command-takes-several-lines",
        &[
            ("for a in 1 2; do\r", "> "),
            ("echo \"n$a\"\r", "> "),
            ("done\r", "\nn1"),
            ("", "n2"),
            ("", PROMPT),
            ("cat <<E\r", "> "),
            ("here $((40 + 2))\r", "> "),
            ("E\r", "\nhere 42"),
            ("", PROMPT),
        ],
    ),
    (
        "ctrl-c-ends-a-program",
        &[
            ("sh -c 'echo run\"\"ning; sleep 1000'\r", "\nrunning"),
            ("\x03", PROMPT),
            ("echo \"status $?\"\r", "\nstatus 130"),
            ("", PROMPT),
        ],
    ),
    (
        "ctrl-c-ends-a-pipeline",
        &[
            (
                // The shell has yet to start the last part when the first one speaks.
                "{ echo run''ning >&2; yes; } | cat > /dev/null\r",
                "\nrunning",
            ),
            ("\x03", PROMPT),
            ("jobs; echo no''ne\r", "\nnone"),
            ("", PROMPT),
        ],
    ),
    (
        "ctrl-c-ends-what-was-only-just-entered",
        &[
            ("sleep 1000 | cat | cat\r\x03", PROMPT),
            ("echo \"status $?\"\r", "\nstatus 130"),
            ("", PROMPT),
        ],
    ),
    (
        "ctrl-c-ends-what-words-of-a-pipeline-wait-for",
        &[
            (
                "cat $(echo run''ning >&2; while sleep 1000; do :; done) | cat\r",
                "\nrunning",
            ),
            ("\x03", PROMPT),
            ("echo \"status $?\"\r", "\nstatus 130"),
            ("", PROMPT),
        ],
    ),
    (
        "ctrl-c-ends-the-shells-own-loop",
        &[
            ("echo loop''ing; while :; do :; done\r", "\nlooping"),
            ("\x03", PROMPT),
            ("echo \"status $?\"\r", "\nstatus 130"),
            ("", PROMPT),
        ],
    ),
    (
        "ctrl-z-suspends-and-fg-goes-on",
        &[
            ("sh -c 'echo run\"\"ning; cat'\r", "\nrunning"),
            ("\x1a", "Stopped"),
            ("", PROMPT),
            ("jobs\r", "[1]+  Stopped"),
            ("", PROMPT),
            ("fg\r", "echo run"),
            ("typed\r", "\ntyped"),
            ("", "\ntyped"),
            ("\x04", PROMPT),
            ("jobs; echo no''ne\r", "\nnone"),
            ("", PROMPT),
        ],
    ),
    (
        "ctrl-z-ends-what-cannot-go-on-later",
        &[
            (
                "cat $(echo run''ning >&2; while :; do sleep 1000; done) | cat\r",
                "\nrunning",
            ),
            ("\x1a", "cannot stand still"),
            ("", PROMPT),
            ("echo \"status $?\"\r", "\nstatus 130"),
            ("", PROMPT),
            ("(sh -c 'echo run\"\"ning; sleep 1000')\r", "\nrunning"),
            ("\x1a", "cannot stand still"),
            ("", PROMPT),
            ("echo \"status $?\"\r", "\nstatus 130"),
            ("", PROMPT),
        ],
    ),
    (
        "jobs-run-in-the-background",
        &[
            ("sleep 1000 &\r", "[1] "),
            ("", PROMPT),
            ("jobs\r", "[1]+  Running"),
            ("", PROMPT),
            ("kill %1; wait %1; echo \"status $?\"\r", "\nstatus 130"),
            ("", PROMPT),
            ("(exit 4) & wait $!; echo \"own $?\"\r", "\nown 4"),
            ("", PROMPT),
        ],
    ),
    (
        "wrong-input-is-refused-with-a-sentence",
        &[
            ("echo )\r", "syntax error"),
            ("", PROMPT),
            ("nosuchprogram\r", "nosuchprogram: command not found"),
            ("", PROMPT),
            ("cd /nowhere\r", "cd: /nowhere: No such file or directory"),
            ("", PROMPT),
            ("f() { f; }; f\r", "deeper than"),
            ("", PROMPT),
        ],
    ),
    (
        "the-folder-is-in-the-prompt",
        &[
            ("cd /share\r", "/share $ "),
            ("ls first*\r", "\nfirst-steps.txt"),
            ("", "/share $ "),
            ("cd\r", PROMPT),
        ],
    ),
];

fn play(guest: &mut Guest, scene: Scene) -> Result<()> {
    scene.iter().try_for_each(|(typed, said)| {
        guest.send(typed)?;
        console::expect(guest, said).map(drop)
    })
}

fn prompt(guest: &mut Guest) -> Result<String> {
    console::expect(guest, PROMPT)
}

fn leaves_and_returns(mut guest: Guest) -> Result<()> {
    guest.send("exit\r")?;
    console::prompt(&mut guest)?;
    guest.send("sh\r")?;
    prompt(&mut guest)?;
    guest.send("exit 3\r")?;
    console::prompt(&mut guest)?;
    console::power_off(guest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_shown_with_the_line_before_it() {
        assert!(compare("a\nb\n", "a\nb\n").is_ok());
        let problem = compare("a\nb\n", "a\nc\n").unwrap_err().to_string();
        assert!(
            problem.contains("\"a\"") && problem.contains("\"c\""),
            "{problem}"
        );
        assert!(compare("a\n", "a\nb\n").is_err() && compare("a\nb\n", "a\n").is_err());
    }
}
