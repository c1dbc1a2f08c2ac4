//! The other side: Wasmtime as its makers publish it for Python, with its own host, on this machine.
//!
//! Law: the package is the one that `test/oracle/requirements.txt` names by version and digest, kept in the user's cache.
//! `test/oracle/reference.py` runs the cases and says how each ended; what they wrote lies in files. Each case is a process
//! of its own, in a folder of its own.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;
use serde_json::{Value, json};

use super::outcome::Outcome;
use super::{Case, Cases, Count, Programs, tree};
use crate::command;
use crate::digest;
use crate::failure::{Failure, Result};
use crate::paths::{self, Paths};
use crate::progress;
use crate::setup::{Need, ensure_packages};

const DRIVER: &str = "test/oracle/reference.py";
const REQUIREMENTS: &str = "test/oracle/requirements.txt";
/// Brings `python3 -m pip` where Python has none.
const PIP: Need = Need::File("python3-pip", "/usr/bin/pip3");

/// The reference, ready to run.
#[derive(Debug)]
pub struct Reference {
    driver: PathBuf,
    /// Where the package lies.
    package: PathBuf,
    /// Where compiled programs are kept.
    compiled: PathBuf,
    /// Where cases run.
    scratch: PathBuf,
}

/// One line of the driver's.
#[derive(Deserialize)]
struct Ended {
    code: i32,
    message: String,
}

impl Reference {
    /// Installs the package, unless that was done before.
    pub fn install(paths: &Paths) -> Result<Self> {
        let requirements = paths.source(REQUIREMENTS);
        let key = digest::key(&[&paths::read(&requirements)?]);
        let folder = paths.cache.join("reference").join(&key[..16]);
        if !folder.exists() {
            progress::step(
                "Installing the reference from the Python package index",
                || install(&requirements, &folder),
            )?;
        }
        Ok(Self {
            driver: paths.source(DRIVER),
            compiled: folder.join("compiled"),
            package: folder,
            scratch: paths.out().join("oracle"),
        })
    }

    /// What it is, in its own words.
    pub fn version(&self) -> Result<String> {
        let text = command::capture(self.python().arg("--version"))?;
        Ok(text.trim().to_owned())
    }

    /// Runs the cases and says what came of each, in order.
    pub fn run(
        &self,
        cases: &Cases,
        chosen: &[&Case],
        programs: &Programs,
    ) -> Result<Vec<Outcome>> {
        // What a run before has left; if there is nothing, there is nothing to remove.
        let _ = fs::remove_dir_all(&self.scratch);
        paths::make_folder(&self.compiled)?;
        let places: Vec<Place> = (0..chosen.len())
            .map(|number| Place(self.scratch.join(format!("{number:04}"))))
            .collect();
        let mut wanted = Vec::new();
        for (case, place) in chosen.iter().zip(&places) {
            cases.tree(case).write(&place.tree())?;
            paths::write(&place.stdin(), case.stdin.as_bytes())?;
            wanted.push(place.wanted(case));
        }
        let programs = self.programs(chosen, programs)?;
        let what = format!("Running {} under the reference", Count(chosen.len()));
        let wanted = json!({ "programs": programs, "cases": wanted });
        let ended = progress::step(&what, || self.drive(&wanted))?;
        if ended.len() != chosen.len() {
            let problem = format!("it told of {} cases of {}", ended.len(), chosen.len());
            return Err(Failure::input(DRIVER, problem));
        }
        let outcomes = ended.into_iter().zip(&places);
        outcomes
            .map(|(ended, place)| place.outcome(ended))
            .collect()
    }

    /// For each program's name, its bytes and where its code is kept.
    fn programs(&self, chosen: &[&Case], programs: &Programs) -> Result<Value> {
        let mut all = BTreeMap::new();
        for case in chosen {
            let wasm = programs.wasm(case.program())?;
            let key = digest::key(&[&paths::read(wasm)?]);
            let code = self.compiled.join(format!("{key}.cwasm"));
            all.insert(case.program(), json!({ "wasm": wasm, "code": code }));
        }
        Ok(json!(all))
    }

    fn drive(&self, wanted: &Value) -> Result<Vec<Ended>> {
        let mut python = self.python();
        let mut child = python
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| Failure::io("start", "python3", e))?;
        if let Some(mut stdin) = child.stdin.take() {
            let written = stdin.write_all(wanted.to_string().as_bytes());
            written.map_err(|e| Failure::io("write to", &self.driver, e))?;
        }
        let output = child
            .wait_with_output()
            .map_err(|e| Failure::io("wait for", "python3", e))?;
        if !output.status.success() {
            let problem = format!("it failed ({}), and said why above", output.status);
            return Err(Failure::input(DRIVER, problem));
        }
        let lines = String::from_utf8_lossy(&output.stdout);
        let ended = lines.lines().map(serde_json::from_str);
        let ended: std::result::Result<_, _> = ended.collect();
        ended.map_err(|problem| Failure::input(DRIVER, problem))
    }

    fn python(&self) -> Command {
        let mut python = Command::new("python3");
        python.arg(&self.driver).env("PYTHONPATH", &self.package);
        python
    }
}

fn install(requirements: &Path, folder: &Path) -> Result<()> {
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "--version"]);
    if command::capture(&mut pip).is_err() {
        ensure_packages(&[Need::Program("python3"), PIP])?;
    }
    let partial = folder.with_extension(format!("partial-{}", std::process::id()));
    let mut pip = Command::new("python3");
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ])
    // It goes into a folder of ours, so it harms nobody's Python.
    .args(["--root-user-action", "ignore"])
    .args(["--no-deps", "--only-binary", ":all:", "--require-hashes"])
    .arg("--target")
    .arg(&partial)
    .arg("--requirement")
    .arg(requirements);
    command::run(&mut pip)?;
    fs::rename(&partial, folder).map_err(|e| Failure::io("put in place", folder, e))
}

/// A case's folder.
struct Place(PathBuf);

impl Place {
    fn tree(&self) -> PathBuf {
        self.0.join("tree")
    }

    fn stdin(&self) -> PathBuf {
        self.0.join("stdin")
    }

    fn stdout(&self) -> PathBuf {
        self.0.join("stdout")
    }

    fn stderr(&self) -> PathBuf {
        self.0.join("stderr")
    }

    fn wanted(&self, case: &Case) -> Value {
        json!({
            "run": case.run,
            "environment": case.environment(),
            "tree": self.tree(),
            "read_only": case.read_only,
            "stdin": self.stdin(),
            "stdout": self.stdout(),
            "stderr": self.stderr(),
        })
    }

    fn outcome(&self, ended: Ended) -> Result<Outcome> {
        Ok(Outcome {
            stdout: paths::read(&self.stdout())?,
            stderr: paths::read(&self.stderr())?,
            code: ended.code,
            message: ended.message,
            tree: tree::read(&self.tree())?,
        })
    }
}
