//! What the loader read: the bundle of the benchmark image.
//!
//! Layout: `/wasm/NAME.wasm` are core modules that figures are taken of; `/bin/NAME.wasm` and `/bin/NAME.cwasm` are programs.

use contract_boot::BootInfo;
use kernel_core::memory;
use lib_bundle::{Bundle, Entry};

/// The files of the bundle.
#[derive(Clone, Copy)]
pub struct Files(Bundle<'static>);

impl Files {
    /// Maps and opens it.
    ///
    /// # Errors
    /// A sentence.
    pub fn open(info: &BootInfo) -> Result<Self, String> {
        let bytes = memory::map_boot_module(&info.bundle)
            .map_err(|error| format!("the bundle cannot be mapped: {error}"))?;
        let bundle =
            Bundle::open(bytes).map_err(|error| format!("the bundle is damaged: {error}"))?;
        Ok(Self(bundle))
    }

    /// Names and bytes of the core modules.
    pub fn modules(&self) -> impl Iterator<Item = (&'static str, &'static [u8])> {
        let entries = self.0.children("/wasm");
        entries.filter_map(|entry| Some((entry.name().strip_suffix(".wasm")?, entry.contents())))
    }

    /// Whether there is such a program.
    pub fn has_program(&self, name: &str) -> bool {
        self.program(name, "cwasm").is_some()
    }

    /// A program in one of its forms.
    pub fn program(&self, name: &str, form: &str) -> Option<Entry<'static>> {
        self.0.get(&format!("/bin/{name}.{form}"))
    }
}
