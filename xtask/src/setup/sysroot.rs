//! Making a sysroot for a Rust target from the standard library's sources, where rustup cannot fetch one.
//!
//! Law: the sources are those of exactly the pinned compiler, as Debian packages them; their hashes
//! are written here and checked; packages are unpacked, never installed. A sysroot is keyed by the
//! compiler's full version. Only the sysroot is built with unstable features unlocked, never what
//! is then built with it.
//!
//! The packages are found in the folder that `KPIO_DEB_DIR` names, else in the cache, else on the
//! machine's own Debian mirror.

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::targets::{UEFI, WASM, holds_core};
use crate::command;
use crate::digest;
use crate::failure::{Failure, Result};
use crate::paths::{self, Paths};
use crate::progress;

/// How a sysroot was had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was made earlier.
    Cached,
    /// It was made now.
    Made,
}

/// A Debian package, as it lies in a mirror's pool.
struct Package {
    /// The file's folder below the mirror's root.
    folder: &'static str,
    file: &'static str,
    sha256: &'static str,
}

/// The compiler that [`RUST_SOURCES`] belongs to.
const RUSTC_VERSION: &str = "1.95.0";
const RUST_SOURCES: Package = Package {
    folder: "pool/main/r/rustc",
    file: "rust-src_1.95.0+dfsg1-2~bpo13+1_all.deb",
    sha256: "7b76db5b880a77f9e52975d2baa6209d2f76d2c9c2789515c3088cb960e2c83b",
};
const WASI_LIBC: Package = Package {
    folder: "pool/main/w/wasi-libc",
    file: "wasi-libc_0.0~git20260129.ec0effd-3~bpo13+1_all.deb",
    sha256: "45eb80a2d4dcf7fe54c8e5c5d6a3cd165a3682fccc124c46f7abc6255c9b1bce",
};
/// The objects and the library that rustc expects beside its own in `self-contained`.
const WASI_LIBC_FILES: [&str; 3] = ["crt1-command.o", "crt1-reactor.o", "libc.a"];
const HOST: &str = "x86_64-unknown-linux-gnu";

/// Finds or makes the sysroot for `target`.
pub fn ensure(paths: &Paths, target: &'static str) -> Result<(PathBuf, Origin)> {
    let compiler = command::capture(Command::new("rustc").arg("-vV"))?;
    let key = &digest::hex(compiler.as_bytes())[..16];
    let sysroot = paths.cache.join("sysroots").join(format!("{target}-{key}"));
    if holds_core(&libraries(&sysroot, target)) {
        return Ok((sysroot, Origin::Cached));
    }
    check_compiler(&compiler)?;
    progress::step(&format!("Making a sysroot for {target}"), || {
        make(paths, target, &sysroot)
    })?;
    Ok((sysroot, Origin::Made))
}

/// Gets the packages that making a sysroot needs, without making one.
pub fn obtain_packages(paths: &Paths) -> Result<()> {
    [&RUST_SOURCES, &WASI_LIBC]
        .iter()
        .try_for_each(|package| obtain(paths, package).map(drop))
}

fn libraries(sysroot: &Path, target: &str) -> PathBuf {
    sysroot.join("lib/rustlib").join(target).join("lib")
}

fn check_compiler(version: &str) -> Result<()> {
    if version
        .lines()
        .any(|line| line == format!("release: {RUSTC_VERSION}"))
    {
        return Ok(());
    }
    Err(Failure::input(
        "rustc",
        format!("a sysroot can be made for version {RUSTC_VERSION} only; this is {version}"),
    ))
}

/// Makes the sysroot beside its final place and moves it there when it is whole.
fn make(paths: &Paths, target: &str, sysroot: &Path) -> Result<()> {
    let work = sysroot.with_extension(format!("partial-{}", std::process::id()));
    let result = make_in(paths, target, &work).and_then(|()| {
        fs::rename(work.join("sysroot"), sysroot)
            .map_err(|e| Failure::io("put in place", sysroot, e))
    });
    // What is left is only scratch; if it cannot be removed, the cache is untidy and nothing else.
    let _ = fs::remove_dir_all(&work);
    result
}

fn make_in(paths: &Paths, target: &str, work: &Path) -> Result<()> {
    let sources = unpack(paths, &RUST_SOURCES, work)?;
    let sources = find_folder(&sources, "library")?;
    let built = build_standard_library(paths, target, work, &sources)?;
    let sysroot = work.join("sysroot");
    copy_libraries(&built, &libraries(&sysroot, target))?;
    if target == WASM {
        copy_wasi_libc(
            paths,
            work,
            &libraries(&sysroot, target).join("self-contained"),
        )?;
    }
    link_host_tools(&sysroot)
}

/// Unpacks a package below `work` and returns the folder.
fn unpack(paths: &Paths, package: &Package, work: &Path) -> Result<PathBuf> {
    let file = obtain(paths, package)?;
    let folder = work.join(package.file);
    paths::make_folder(&folder)?;
    command::run(Command::new("dpkg-deb").arg("-x").arg(file).arg(&folder))?;
    Ok(folder)
}

/// The package's file, with its hash checked.
fn obtain(paths: &Paths, package: &Package) -> Result<PathBuf> {
    if let Some(folder) = env::var_os("KPIO_DEB_DIR") {
        let file = PathBuf::from(folder).join(package.file);
        if file.exists() {
            return check(package, file);
        }
    }
    let kept = paths.cache.join("packages").join(package.file);
    if !kept.exists() {
        download(package, &kept)?;
    }
    check(package, kept)
}

fn check(package: &Package, file: PathBuf) -> Result<PathBuf> {
    let actual = digest::hex(&paths::read(&file)?);
    if actual == package.sha256 {
        return Ok(file);
    }
    Err(Failure::input(
        file.display(),
        format!("its SHA-256 is {actual}, not {}: remove it", package.sha256),
    ))
}

/// Fetches by apt's own helper: it knows the machine's proxies.
fn download(package: &Package, to: &Path) -> Result<()> {
    let mirror = debian_mirror()?;
    let url = format!("{mirror}/{}/{}", package.folder, package.file);
    paths::make_folder(to.parent().unwrap_or(to))?;
    let mut helper = Command::new("/usr/lib/apt/apt-helper");
    helper
        .arg("download-file")
        .arg(url)
        .arg(to)
        .arg(format!("SHA256:{}", package.sha256));
    command::run(&mut helper)
}

/// The first Debian archive (not the security one) among the machine's apt sources.
fn debian_mirror() -> Result<String> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(entries) = fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(entries.flatten().map(|entry| entry.path()));
    }
    let texts = files
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok());
    let mirror = texts.into_iter().find_map(|text| mirror_in(&text));
    mirror.ok_or_else(|| {
        Failure::input(
            "/etc/apt",
            "no source of the Debian archive is named there; set KPIO_DEB_DIR",
        )
    })
}

fn mirror_in(sources: &str) -> Option<String> {
    let lines = sources
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'));
    let words = lines.flat_map(str::split_whitespace);
    let mut addresses = words.filter(|word| word.starts_with("http"));
    addresses.find_map(|word| {
        let address = word.trim_end_matches('/');
        address.ends_with("/debian").then(|| address.to_owned())
    })
}

/// The first folder of that name with a `Cargo.toml` or with crates in it, breadth first.
fn find_folder(below: &Path, name: &str) -> Result<PathBuf> {
    let mut level = vec![below.to_path_buf()];
    while !level.is_empty() {
        if let Some(found) = level
            .iter()
            .find(|folder| folder.ends_with(name) && folder.join("core").is_dir())
        {
            return Ok(found.clone());
        }
        level = level.iter().flat_map(|folder| subfolders(folder)).collect();
    }
    Err(Failure::input(
        below.display(),
        format!("the package holds no folder `{name}`"),
    ))
}

fn subfolders(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_dir() && !path.is_symlink())
        .collect()
}

/// Builds an empty crate together with the standard library; returns the folder of rlibs.
fn build_standard_library(
    paths: &Paths,
    target: &str,
    work: &Path,
    sources: &Path,
) -> Result<PathBuf> {
    let package = work.join("package");
    paths::write(&package.join("Cargo.toml"), EMPTY_PACKAGE.as_bytes())?;
    paths::write(&package.join("src/lib.rs"), b"#![no_std]\n")?;
    fs::copy(
        paths.source("rust-toolchain.toml"),
        package.join("rust-toolchain.toml"),
    )
    .map_err(|e| Failure::io("copy the toolchain file to", &package, e))?;
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(&package)
        .args(["build", "--release", "--target", target])
        .args(build_std(target));
    cargo
        .env("RUSTC_BOOTSTRAP", "1")
        .env("__CARGO_TESTS_ONLY_SRC_ROOT", sources);
    cargo
        .env("RUSTFLAGS", "-Cembed-bitcode=yes")
        .env("CARGO_TARGET_DIR", work.join("target"));
    command::run(&mut cargo)?;
    Ok(work.join("target").join(target).join("release/deps"))
}

const EMPTY_PACKAGE: &str =
    "[package]\nname = \"empty\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n";

fn build_std(target: &str) -> Vec<&'static str> {
    match target {
        UEFI => vec![
            "-Zbuild-std=core,alloc",
            "-Zbuild-std-features=compiler-builtins-mem",
        ],
        _ => vec![
            "-Zbuild-std=std,panic_abort,proc_macro,test",
            "-Zbuild-std-features=panic-unwind,backtrace",
        ],
    }
}

fn copy_libraries(from: &Path, to: &Path) -> Result<()> {
    paths::make_folder(to)?;
    let entries = fs::read_dir(from).map_err(|e| Failure::io("read", from, e))?;
    let files = entries.flatten().map(|entry| entry.path());
    for file in files.filter(|file| file.extension().is_some_and(|e| e == "rlib")) {
        if !file_name(&file).starts_with("libempty-") {
            copy_into(&file, to)?;
        }
    }
    Ok(())
}

fn copy_wasi_libc(paths: &Paths, work: &Path, to: &Path) -> Result<()> {
    let package = unpack(paths, &WASI_LIBC, work)?;
    let from = package.join("usr/lib").join(WASM);
    paths::make_folder(to)?;
    WASI_LIBC_FILES
        .iter()
        .try_for_each(|name| copy_into(&from.join(name), to))
}

/// rust-lld and wasm-component-ld are looked for in the sysroot too.
fn link_host_tools(sysroot: &Path) -> Result<()> {
    let toolchain = command::capture(Command::new("rustc").args(["--print", "sysroot"]))?;
    let tools = Path::new(toolchain.trim()).join("lib/rustlib").join(HOST);
    let link = sysroot.join("lib/rustlib").join(HOST);
    symlink(&tools, &link).map_err(|e| Failure::io("make the link", link, e))
}

fn copy_into(file: &Path, folder: &Path) -> Result<()> {
    let to = folder.join(file_name(file));
    fs::copy(file, to)
        .map(drop)
        .map_err(|e| Failure::io("copy", file, e))
}

fn file_name(file: &Path) -> String {
    file.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_mirror_in_both_formats_of_apt_sources() {
        let list = "deb http://security.example/debian-security x\ndeb http://mirror.example/debian/ bookworm main\n";
        assert_eq!(
            mirror_in(list).as_deref(),
            Some("http://mirror.example/debian")
        );
        let deb822 = "Types: deb\n# http://old.example/debian\nURIs: https://mirror.example/debian\nSuites: bookworm\n";
        assert_eq!(
            mirror_in(deb822).as_deref(),
            Some("https://mirror.example/debian")
        );
        assert_eq!(
            mirror_in("deb http://elsewhere.example/apt stable main\n"),
            None
        );
    }
}
