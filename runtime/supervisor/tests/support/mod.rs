//! What tests of several processes have in common: guests that are built now, and a memory for what they write.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use runtime_host::{ByteSink, Notifier, StreamFailure, Subscribers};

/// The folder with the guests of `test/guest/NAME`, or of `test/guest` itself without a name: the one that the environment's
/// `variable` names, or where they are built now.
pub fn guests_folder(variable: &str, name: &str) -> PathBuf {
    if let Some(folder) = std::env::var_os(variable) {
        return folder.into();
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guests");
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../test/guest")
        .join(name)
        .join("Cargo.toml");
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

/// Remembers what was written.
#[derive(Default)]
pub struct Collected {
    bytes: Mutex<Vec<u8>>,
    pub changed: Subscribers,
}

impl Collected {
    pub fn text(&self) -> String {
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl ByteSink for Collected {
    fn room_bytes(&self) -> Result<usize, StreamFailure> {
        Ok(4096)
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, StreamFailure> {
        let mut kept = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(bytes);
        drop(kept);
        self.changed.notify_all();
        Ok(bytes.len())
    }

    fn subscribe(&self, notifier: &Notifier) {
        self.changed.add(notifier);
    }
}
