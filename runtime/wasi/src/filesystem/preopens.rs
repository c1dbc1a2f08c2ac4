//! `wasi:filesystem/preopens`: the directories that a process was granted.

use runtime_host::tmpfs;
use wasmtime::component::Resource;

use super::Descriptor;
use crate::WasiContext;
use crate::bindings::wasi::filesystem::preopens::Host;

impl Host for WasiContext {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let opened = self
            .files
            .preopens()?
            .into_iter()
            .map(|folder| Ok((folder.open()?, folder.path)))
            .collect::<Result<Vec<_>, tmpfs::Error>>()?;
        opened
            .into_iter()
            .map(|(descriptor, path)| Ok((self.push(descriptor)?, path)))
            .collect()
    }
}
