//! The QEMU process of one machine, and the folder that its sockets and logs lie in.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use super::machine::quoted;
use super::{Machine, firmware};
use crate::command;
use crate::failure::{Failure, Result};

/// A QEMU that runs until this value is dropped.
#[derive(Debug)]
pub struct Process<T> {
    child: Child,
    folder: Folder,
    /// What the caller's own options left behind: sockets, names of files.
    pub extra: T,
}

/// A folder of one machine: short, because the names of sockets must be, and gone afterwards.
#[derive(Debug)]
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // It lies in the system's folder for temporary files; what cannot be removed is harmless.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Folder {
    fn new() -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        if number == 0 {
            remove_leftovers();
        }
        let path = env::temp_dir().join(format!("{FOLDER_PREFIX}{}-{number}", std::process::id()));
        let made = fs::DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|e| Failure::io("make the folder", &path, e))?;
        Ok(Self(path))
    }
}

const FOLDER_PREFIX: &str = "kpio-";

/// Folders of processes that were killed.
fn remove_leftovers() {
    let Ok(entries) = fs::read_dir(env::temp_dir()) else {
        return;
    };
    for entry in entries.flatten() {
        if owner(&entry.file_name().to_string_lossy()).is_some_and(is_gone) {
            // Somebody else's folder stays.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The process that made a folder of this name.
fn owner(name: &str) -> Option<u32> {
    let (process, number) = name.strip_prefix(FOLDER_PREFIX)?.split_once('-')?;
    number.parse::<u32>().ok()?;
    process.parse().ok()
}

fn is_gone(process: u32) -> bool {
    // A number that was given out again belongs to somebody; this process has made nothing yet.
    process == std::process::id() || !Path::new("/proc").join(process.to_string()).exists()
}

impl<T> Process<T> {
    /// Starts a machine. `more` adds serial ports and monitors to the command line; it gets the
    /// machine's folder, and what it returns is kept in [`Process::extra`].
    ///
    /// The child gets a termination signal when the thread that called this ends, however it ends.
    pub fn start_with(
        machine: &Machine,
        more: impl FnOnce(&mut Command, &Path) -> Result<T>,
    ) -> Result<Self> {
        let folder = Folder::new()?;
        let (code, variables) = firmware::prepare(&folder.0)?;
        let mut qemu = tied_to_this_thread("qemu-system-x86_64");
        machine.apply(&mut qemu);
        qemu.args([
            "-drive",
            &format!("if=pflash,format=raw,readonly=on,file={}", quoted(&code)),
        ]);
        qemu.args([
            "-drive",
            &format!("if=pflash,format=raw,file={}", quoted(&variables)),
        ]);
        qemu.stdin(Stdio::null()).stdout(Stdio::null());
        let messages = folder.0.join("qemu.log");
        let log = fs::File::create(&messages).map_err(|e| Failure::io("write", &messages, e))?;
        qemu.stderr(log);
        let extra = more(&mut qemu, &folder.0)?;
        let child = qemu.spawn().map_err(|e| Failure::Program {
            command: command::display(&qemu),
            status: format!("could not be started: {e}"),
            output: String::new(),
        })?;
        Ok(Self {
            child,
            folder,
            extra,
        })
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until it ends by itself.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        self.child
            .wait()
            .map_err(|e| Failure::io("wait for", "qemu-system-x86_64", e))
    }

    /// How it ended, if it has.
    pub fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// The number of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What QEMU itself complained about.
    pub fn messages(&self) -> String {
        fs::read_to_string(self.folder.0.join("qemu.log")).unwrap_or_default()
    }

    /// The machine's folder.
    pub fn folder(&self) -> &Path {
        &self.folder.0
    }
}

impl<T> Drop for Process<T> {
    fn drop(&mut self) {
        // Either fails only if it ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that ends when this thread does, where the system has the tool for that.
pub fn tied_to_this_thread(program: impl AsRef<OsStr>) -> Command {
    if !command::exists("setpriv") {
        return Command::new(program);
    }
    let mut tied = Command::new("setpriv");
    tied.args(["--pdeathsig", "TERM"]).arg(program);
    tied
}
