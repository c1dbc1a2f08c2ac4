//! A machine whose console is this terminal.

use std::io::{IsTerminal, Read, stdin};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use super::{Options, terminal};
use crate::command;
use crate::failure::{Failure, Result};
use crate::paths::{PRODUCT_KERNEL, Paths};
use crate::qemu::{Ending, Guest, Machine, Process, accelerator};

const DEBUGGER_PORT: u16 = 1234;
/// What the guest says when it waits for a command.
pub const PROMPT: &str = "kpio> ";

/// Boots the image and gives the person its prompt.
pub fn run(paths: &Paths, options: &Options, image: PathBuf) -> Result<ExitCode> {
    let machine = machine(paths, options, image)?;
    if options.gdb {
        eprintln!("{}", debugger_line(paths, options));
    }
    if stdin().is_terminal() {
        on_terminal(&machine)
    } else {
        with_commands_from_stdin(paths, &machine)
    }
}

/// The machine that the options describe.
pub fn machine(paths: &Paths, options: &Options, image: PathBuf) -> Result<Machine> {
    let accelerator = accelerator::choose(paths)?;
    Ok(Machine {
        cpus: options.cpus,
        memory_mib: options.memory_mib,
        display: if options.headless { None } else { window() },
        debugger_port: options.gdb.then_some(DEBUGGER_PORT),
        ..Machine::new(accelerator, image)
    })
}

/// The command that attaches a debugger, with symbols.
pub fn debugger_line(paths: &Paths, options: &Options) -> String {
    let kernel = paths.kernel_of(PRODUCT_KERNEL, options.variant).debug;
    format!(
        "The machine waits for a debugger: gdb {} -ex 'target remote 127.0.0.1:{DEBUGGER_PORT}'",
        kernel.display()
    )
}

/// A kind of window that this QEMU can open here.
fn window() -> Option<String> {
    if std::env::var_os("DISPLAY").is_none() && std::env::var_os("WAYLAND_DISPLAY").is_none() {
        return None;
    }
    let kinds =
        command::capture(Command::new("qemu-system-x86_64").args(["-display", "help"])).ok()?;
    ["gtk", "sdl"]
        .iter()
        .find(|kind| kinds.lines().any(|line| line == **kind))
        .map(|kind| (*kind).to_owned())
}

fn on_terminal(machine: &Machine) -> Result<ExitCode> {
    let _guard = terminal::Guard::new()?;
    eprintln!("==> Starting the machine. To leave: `poweroff` at its prompt, or Ctrl-A X here.");
    let mut process = Process::start_with(machine, |qemu, _| {
        qemu.stdin(Stdio::inherit()).stdout(Stdio::inherit());
        qemu.args([
            "-chardev",
            "stdio,id=console,mux=on,signal=off",
            "-serial",
            "chardev:console",
            "-mon",
            "chardev=console",
        ]);
        Ok(())
    })?;
    let status = process.wait()?;
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(ExitCode::SUCCESS),
        (Some(code), _) if code > 1 && code & 1 == 1 => Ok(terminal::exit_code(code >> 1)),
        _ => Err(Failure::Guest(format!(
            "QEMU failed ({status}):\n{}",
            process.messages()
        ))),
    }
}

/// Without a person at the keyboard: lines of stdin are typed one at each prompt, and the end of stdin
/// powers off. Firmware would swallow what comes too early.
fn with_commands_from_stdin(paths: &Paths, machine: &Machine) -> Result<ExitCode> {
    let mut lines = String::new();
    stdin()
        .read_to_string(&mut lines)
        .map_err(|e| Failure::io("read", "standard input", e))?;
    let mut guest = Guest::boot(machine, &paths.out().join("logs/run.log"))?;
    guest.mirror_to_stdout();
    for line in lines.lines().chain(["poweroff"]) {
        match guest.expect(PROMPT) {
            Ok(_) => guest.send(format!("{line}\r"))?,
            Err(silent) if guest.is_running() => return Err(silent),
            Err(_) => break,
        }
    }
    ending(guest.wait()?)
}

fn ending(ending: Ending) -> Result<ExitCode> {
    match ending {
        Ending::PowerOff | Ending::Reset => Ok(ExitCode::SUCCESS),
        Ending::Verdict(code) => Ok(ExitCode::from(code)),
        Ending::Broken(how) => Err(Failure::Guest(format!("QEMU failed ({how})"))),
    }
}
