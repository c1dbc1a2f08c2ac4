//! Programs of `test/guest`, built now for tests on the host. Each of those includes this file by its path, so that they all build them
//! in one way.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// The folder with the guests of `test/guest/NAME`, or of `test/guest` itself without a name: the one that the environment's
/// `variable` names, or where they are built now.
pub fn guests_folder(variable: &str, name: &str) -> PathBuf {
    if let Some(folder) = std::env::var_os(variable) {
        return folder.into();
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guests");
    let manifest = workspace().join(name).join("Cargo.toml");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--workspace"])
        .args(["--target", "wasm32-wasip2"])
        .arg("--manifest-path")
        .arg(manifest)
        .arg("--target-dir")
        .arg(&target)
        .status();
    assert!(
        built.is_ok_and(|status| status.success()),
        "what is in test/guest/{name} does not build; it needs the target wasm32-wasip2"
    );
    target.join("wasm32-wasip2/release")
}

/// The bytes of a guest in that folder.
pub fn guest(folder: &Path, name: &str) -> Arc<[u8]> {
    let path = folder.join(name).with_extension("wasm");
    let bytes = std::fs::read(&path);
    bytes
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .into()
}

/// `test/guest`, wherever the crate of the test is.
fn workspace() -> PathBuf {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let mut folders = above.map(|folder| folder.join("test/guest"));
    let found = folders.find(|folder| folder.is_dir());
    found.expect("the test's crate lies in the repository")
}
