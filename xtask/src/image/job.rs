//! The bundle of one run: `xtask run -- PROGRAM.wasm ARG…`.
//!
//! Layout: `/program.wasm`; `/program.cwasm` unless the kernel is to compile it; `/arguments`, each argument ended by a
//! zero byte, the program's name first; `/function`, if one is to be called instead of the program's start; `/tree`, the folder that becomes the program's `/`.
//! Standard input is not in it: it is sent while the program runs.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use lib_bundle::{BuildError, BundleBuilder};

use crate::failure::{Failure, Result};
use crate::paths;

/// What to run.
#[derive(Clone, Debug)]
pub struct Job {
    /// The component.
    pub wasm: PathBuf,
    /// Its code for the guest, unless the guest is to make it.
    pub compiled: Option<PathBuf>,
    /// Arguments, the program's own name first.
    pub arguments: Vec<String>,
    /// The function to call instead of the program's start.
    pub function: Option<String>,
    /// The folder that becomes `/`.
    pub tree: Option<PathBuf>,
}

/// The bytes of the bundle.
pub fn job_bundle(job: &Job) -> Result<Vec<u8>> {
    let mut builder = BundleBuilder::new();
    add(
        &mut builder,
        "/program.wasm",
        paths::read(&job.wasm)?,
        0,
        true,
    )?;
    if let Some(compiled) = &job.compiled {
        add(
            &mut builder,
            "/program.cwasm",
            paths::read(compiled)?,
            0,
            true,
        )?;
    }
    let arguments: Vec<u8> = job
        .arguments
        .iter()
        .flat_map(|a| [a.as_bytes(), &[0]].concat())
        .collect();
    add(&mut builder, "/arguments", arguments, 0, false)?;
    if let Some(function) = &job.function {
        let name = function.clone().into_bytes();
        add(&mut builder, "/function", name, 0, false)?;
    }
    if let Some(tree) = &job.tree {
        add_tree(&mut builder, tree, "/tree")?;
    }
    builder.build().map_err(refused)
}

fn add(
    builder: &mut BundleBuilder<'_>,
    path: &str,
    contents: Vec<u8>,
    mtime_ns: u64,
    executable: bool,
) -> Result<()> {
    builder
        .file(path, contents, mtime_ns, executable)
        .map(drop)
        .map_err(refused)
}

/// Adds a file, link or folder of the host; anything else (a socket, a device) is refused.
fn add_tree(builder: &mut BundleBuilder<'_>, from: &Path, to: &str) -> Result<()> {
    let metadata = fs::symlink_metadata(from).map_err(|e| Failure::io("read", from, e))?;
    let mtime_ns = modified_ns(&metadata);
    if metadata.is_symlink() {
        let target = fs::read_link(from).map_err(|e| Failure::io("read the link", from, e))?;
        return builder
            .symlink(to, text(&target)?, mtime_ns)
            .map(drop)
            .map_err(refused);
    }
    if metadata.is_file() {
        let executable = metadata.permissions().mode() & 0o111 != 0;
        return add(builder, to, paths::read(from)?, mtime_ns, executable);
    }
    if !metadata.is_dir() {
        return Err(Failure::input(
            from.display(),
            "it is neither a file nor a folder nor a link",
        ));
    }
    builder.directory(to, mtime_ns).map_err(refused)?;
    add_children(builder, from, to)
}

fn add_children(builder: &mut BundleBuilder<'_>, from: &Path, to: &str) -> Result<()> {
    let entries = fs::read_dir(from).map_err(|e| Failure::io("read", from, e))?;
    for entry in entries {
        let path = entry.map_err(|e| Failure::io("read", from, e))?.path();
        let name = text(Path::new(path.file_name().unwrap_or_default()))?;
        add_tree(builder, &path, &format!("{to}/{name}"))?;
    }
    Ok(())
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| {
        Failure::input(
            path.display(),
            "the name is not UTF-8; WASI has no other names",
        )
    })
}

/// Times before 1970 become 1970.
fn modified_ns(metadata: &fs::Metadata) -> u64 {
    let seconds = u64::try_from(metadata.mtime()).unwrap_or(0);
    seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::try_from(metadata.mtime_nsec()).unwrap_or(0))
}

fn refused(error: BuildError) -> Failure {
    Failure::input("the run's bundle", error)
}
