//! The other side of a comparison: a Linux guest with the same engine, in the same virtual machine.
//!
//! Law: the peer's folder is only read. It is copied into the user's cache and built there by its own scripts, which fetch
//! Debian packages by name; what is built once is kept until the folder changes. The peer's own driver starts QEMU, with
//! the accelerator, processor, CPUs and memory that [`crate::qemu::Machine`] has by default, and prints results.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::launcher::Launcher;
use super::options::Options;
use super::programs::Contents;
use super::record::Record;
use crate::command;
use crate::digest;
use crate::failure::{Failure, Result};
use crate::paths::{self, Paths};
use crate::progress;
use crate::setup::{Need, ensure_packages};

/// What the peer's scripts need, by Debian package.
const NEEDS: [Need; 10] = [
    Need::File("binutils", "/usr/bin/objcopy"),
    Need::File("clang", "/usr/bin/clang"),
    Need::File("e2fsprogs", "/usr/sbin/mke2fs"),
    Need::File("gcc", "/usr/bin/gcc"),
    Need::File(
        "libclang-rt-14-dev-wasm32",
        "/usr/lib/llvm-14/lib/clang/14.0.6/lib/wasi/libclang_rt.builtins-wasm32.a",
    ),
    Need::File("lld", "/usr/bin/lld-link"),
    Need::File("mtools", "/usr/bin/mformat"),
    Need::Program("npm"),
    Need::Program("python3"),
    Need::File("wasi-libc", "/usr/lib/wasm32-wasi/libc.a"),
];
/// Folders beside the sources that building fills.
const BUILT: [&str; 3] = ["out", "target", "node_modules"];
/// Says which sources were built.
const STAMP: &str = "out/built-from";
/// Figures of these are taken where nothing is filtered out: calls before what takes long.
const GROUPS: &str = "call.,component.,compute.,memory.,run.,kernels,hello";
const LARGE_GROUPS: &str = ",sqlite3,quickjs,resvg";
/// Who boots it, from the repository's root.
const DRIVER: &str = "bench/linux/drive.py";
/// The peer's kernel does not always survive its start under translation.
const ATTEMPTS: usize = 6;

/// A peer that was built.
#[derive(Debug)]
pub struct Peer {
    folder: PathBuf,
    /// See [`DRIVER`].
    driver: PathBuf,
    /// Who runs the suites that it does not have.
    launcher: Option<Launcher>,
}

impl Peer {
    /// Copies and builds the peer in `from`, unless that was done before.
    pub fn build(paths: &Paths, from: &Path) -> Result<Self> {
        let folder = paths.cache.join("peer");
        let sources = sources(from)?;
        let stamp = stamp(from, &sources)?;
        let peer = Self {
            folder,
            driver: paths.source(DRIVER),
            launcher: None,
        };
        let folder = &peer.folder;
        if paths::read_text(&folder.join(STAMP)).is_ok_and(|built| built == stamp) {
            return Ok(peer);
        }
        ensure_packages(&NEEDS)?;
        for file in &sources {
            copy(&from.join(file), &folder.join(file))?;
        }
        for script in ["fetch.sh", "build.sh"] {
            let mut bash = Command::new("bash");
            bash.current_dir(folder).arg(script);
            progress::step(&format!("Building the Linux peer: {script}"), || {
                command::run(&mut bash)
            })?;
        }
        paths::write(&folder.join(STAMP), stamp.as_bytes())?;
        Ok(peer)
    }

    /// From now on it also runs the suites that are ours.
    pub fn add_launcher(&mut self, paths: &Paths, contents: &Contents) -> Result<()> {
        self.launcher = Some(Launcher::build(paths, &self.folder, contents)?);
        Ok(())
    }

    /// The folder of its WebAssembly.
    pub fn wasm(&self) -> PathBuf {
        self.folder.join("out/wasm")
    }

    /// Versions of what it is made of, as its packages and its lock file say.
    pub fn versions(&self) -> Vec<String> {
        let package = |name: &str| {
            let file = self.folder.join("out/pkg").join(name).join(".version");
            let name = paths::read_text(&file).unwrap_or_default();
            name.trim().trim_end_matches(".deb").to_owned()
        };
        let lock = paths::read_text(&self.folder.join("wasmbench/Cargo.lock")).unwrap_or_default();
        let wasmtime = lock.split("name = \"wasmtime\"\nversion = \"").nth(1);
        let wasmtime = wasmtime
            .and_then(|rest| rest.split('"').next())
            .unwrap_or("?");
        vec![
            package("kernel"),
            package("busybox"),
            format!("Wasmtime {wasmtime}"),
        ]
    }

    /// Runs one suite once and shows each result.
    pub fn run(&self, suite: &str, options: &Options, visit: &mut dyn FnMut(Record)) -> Result<()> {
        let mut last = Failure::Guest(String::new());
        for _ in 0..ATTEMPTS {
            match self.attempt(suite, options) {
                Ok(records) => {
                    records.into_iter().for_each(visit);
                    return Ok(());
                }
                Err(failure) => {
                    progress::note(&format!("the peer failed and is started again: {failure}"));
                    last = failure;
                }
            }
        }
        Err(last)
    }

    /// Who boots the guest and runs the suite in it.
    fn command(&self, suite: &str, options: &Options) -> Command {
        let mut python = Command::new("python3");
        python.arg(&self.driver).arg(&self.folder);
        match self.launcher.as_ref().filter(|_| Launcher::has(suite)) {
            Some(launcher) => python.args(launcher.words(suite, &options.filter)),
            None => python.arg("own").args(words(suite, options)),
        };
        python
    }

    fn attempt(&self, suite: &str, options: &Options) -> Result<Vec<Record>> {
        let mut python = self.command(suite, options);
        let mut child = python
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| Failure::io("start", "python3", e))?;
        let output = child.stdout.take().map(BufReader::new);
        let lines = output
            .into_iter()
            .flat_map(|output| output.lines().map_while(std::io::Result::ok));
        let records = lines.filter_map(|line| Record::parse(&line)).collect();
        let ended = child
            .wait_with_output()
            .map_err(|e| Failure::io("wait for", "python3", e))?;
        if ended.status.success() {
            return Ok(records);
        }
        let said = String::from_utf8_lossy(&ended.stderr);
        let reason = said.trim_end().lines().last().unwrap_or_default();
        Err(Failure::Guest(format!(
            "{}: {reason}",
            command::display(&python)
        )))
    }
}

/// The words for the peer's own driver.
fn words(suite: &str, options: &Options) -> Vec<String> {
    let words: Vec<&str> = match suite {
        "boot" => vec!["boot", "-r", "1"],
        "memory" => vec!["memory", "-r", "1"],
        _ => vec!["bench", "-r", "1", "--only", suite],
    };
    let mut words: Vec<String> = words.into_iter().map(str::to_owned).collect();
    if !["boot", "memory"].contains(&suite) {
        let large = if options.large { LARGE_GROUPS } else { "" };
        words.extend(["--groups".to_owned(), format!("{GROUPS}{large}")]);
        words.extend(["--filter".to_owned(), options.filter.clone()]);
    }
    words
}

/// The files of the peer, without what was built among them, in order.
fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    gather(folder, Path::new(""), &mut found)?;
    found.sort();
    if found.iter().any(|file| file == Path::new("peer.py")) {
        Ok(found)
    } else {
        Err(Failure::input(
            folder.display(),
            "it is no folder of a peer: there is no peer.py in it",
        ))
    }
}

fn gather(root: &Path, below: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let folder = root.join(below);
    let entries = fs::read_dir(&folder).map_err(|e| Failure::io("read", &folder, e))?;
    for entry in entries.flatten() {
        let path = below.join(entry.file_name());
        if entry.path().is_file() {
            found.push(path);
        } else if !BUILT.iter().any(|name| entry.file_name() == *name) {
            gather(root, &path, found)?;
        }
    }
    Ok(())
}

fn stamp(folder: &Path, sources: &[PathBuf]) -> Result<String> {
    let mut parts = Vec::new();
    for file in sources {
        parts.push(file.to_string_lossy().into_owned().into_bytes());
        parts.push(paths::read(&folder.join(file))?);
    }
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    Ok(digest::key(&parts))
}

/// A copy may be changed even where the original may not.
fn copy(from: &Path, to: &Path) -> Result<()> {
    paths::write(to, &paths::read(from)?)
}
