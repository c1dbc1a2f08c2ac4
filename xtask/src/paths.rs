//! Where things lie: the repository, what is built, what is kept between builds.
//!
//! Law: no other module joins a path to the repository's root by hand; all files this tool makes are
//! under [`Paths::out`] (thrown away by `cargo clean`) or [`Paths::cache`] (shared by all clones).

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::failure::{Failure, Result};

/// The folders that this tool reads and writes.
#[derive(Clone, Debug)]
pub struct Paths {
    /// The repository's root.
    pub root: PathBuf,
    /// Cargo's target folder.
    pub target: PathBuf,
    /// The user's cache folder for this project: toolchain parts, programs, compiled code.
    pub cache: PathBuf,
}

impl Paths {
    /// Finds the folders from cargo's environment and the user's.
    pub fn find() -> Result<Self> {
        let root = repository_root()?;
        let target = env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| root.join("target"), |dir| root.join(dir));
        Ok(Self {
            target,
            cache: cache_folder()?,
            root,
        })
    }

    /// A file of the repository, by its path from the root.
    pub fn source(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// What this tool makes: kernel, bundle, logs.
    pub fn out(&self) -> PathBuf {
        self.target.join("kpio")
    }

    /// What cargo builds in the release profile.
    pub fn release(&self) -> PathBuf {
        self.target.join("release")
    }

    /// The product's kernel: `kernel.elf` and its companions.
    pub fn kernel(&self) -> KernelFiles {
        self.kernel_of(PRODUCT_KERNEL, Variant::Plain)
    }

    /// The kernel that has the package `top` at its top; another than the product's is called as that is, and
    /// one with checks ends in that word.
    pub fn kernel_of(&self, top: &str, variant: Variant) -> KernelFiles {
        let name = if top == PRODUCT_KERNEL { "kernel" } else { top };
        let stem = match variant {
            Variant::Plain => name.to_owned(),
            Variant::Checks => format!("{name}-checks"),
        };
        let out = self.out();
        KernelFiles {
            archive: self
                .release()
                .join(format!("lib{}.a", top.replace('-', "_"))),
            debug: out.join(format!("{stem}.debug.elf")),
            loaded: out.join(format!("{stem}.elf")),
            symbols: out.join(format!("{stem}.sym")),
        }
    }

    /// The loader, as firmware starts it.
    pub fn loader(&self) -> PathBuf {
        self.target
            .join("x86_64-unknown-uefi/release/boot-loader.efi")
    }

    /// The program that compiles components for the guest.
    pub fn compiler(&self) -> PathBuf {
        self.release().join("xtask-compiler")
    }
}

/// The package at the top of the product's kernel.
pub const PRODUCT_KERNEL: &str = "runtime-entry";

/// The builds of a kernel, which differ in the cargo feature `checks` and in nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Variant {
    /// What people get, and what is measured.
    #[default]
    Plain,
    /// The kernel watches itself, and stops at the first broken rule.
    Checks,
}

/// The files of one kernel.
#[derive(Clone, Debug)]
pub struct KernelFiles {
    /// The archive that it is linked from. All variants have the same: it is of the one that was built last.
    pub archive: PathBuf,
    /// With symbols and line tables, for debuggers and for the checks.
    pub debug: PathBuf,
    /// As it boots: the same bytes, without symbols.
    pub loaded: PathBuf,
    /// Its symbol table, as it reads it itself for backtraces.
    pub symbols: PathBuf,
}

fn repository_root() -> Result<PathBuf> {
    let manifest = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let root = manifest.parent().unwrap_or(&manifest).to_path_buf();
    fs::canonicalize(&root).map_err(|e| Failure::io("find the repository at", root, e))
}

fn cache_folder() -> Result<PathBuf> {
    let base = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|p| p.is_absolute());
    let base = base.or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
    let base = base.ok_or_else(|| {
        Failure::Usage("neither XDG_CACHE_HOME nor HOME says where the cache folder is".into())
    })?;
    Ok(base.join("kpio"))
}

/// Makes a folder and those above it.
pub fn make_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|e| Failure::io("make the folder", path, e))
}

/// Reads a whole file.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|e| Failure::io("read", path, e))
}

/// Reads a whole text file.
pub fn read_text(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|e| Failure::io("read", path, e))
}

/// Writes a whole file by way of a temporary name, so that nobody ever sees half of it.
pub fn write(path: &Path, contents: &[u8]) -> Result<()> {
    let partial = partial(path)?;
    fs::write(&partial, contents).map_err(|e| Failure::io("write", &partial, e))?;
    put_in_place(&partial, path)
}

/// A temporary name for a file that is to have the name `path`, in the same folder, which is made.
pub fn partial(path: &Path) -> Result<PathBuf> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    if let Some(folder) = path.parent() {
        make_folder(folder)?;
    }
    let (process, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    Ok(path.with_extension(format!("partial-{process}-{number}")))
}

/// Gives a file that was written whole its name. Whoever has opened the one before keeps that.
pub fn put_in_place(partial: &Path, path: &Path) -> Result<()> {
    fs::rename(partial, path).map_err(|e| Failure::io("put in place", path, e))
}
