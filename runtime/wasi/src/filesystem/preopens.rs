//! `wasi:filesystem/preopens`: the directories that a process was granted.

use runtime_host::{FileTree, tmpfs};
use wasmtime::component::Resource;

use super::{Descriptor, Rights};
use crate::WasiContext;
use crate::bindings::wasi::filesystem::preopens::Host;

/// A granted directory.
pub(crate) struct Preopen {
    pub(crate) tree: FileTree,
    pub(crate) node: tmpfs::NodeId,
    pub(crate) path: String,
    pub(crate) rights: Rights,
}

impl Host for WasiContext {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let opened = self
            .preopens
            .iter()
            .map(|preopen| Ok((preopen.open()?, preopen.path.clone())))
            .collect::<Result<Vec<_>, tmpfs::Error>>()?;
        opened
            .into_iter()
            .map(|(descriptor, path)| Ok((self.push(descriptor)?, path)))
            .collect()
    }
}
