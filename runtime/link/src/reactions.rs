//! What a provider does without being called by others: `kpio:service/reactions`, which it may export.

use wasmtime::component::{Component, ComponentExportIndex, Instance, TypedFunc};
use wasmtime::{AsContextMut, StoreContextMut};

use crate::signature::SignatureError;

/// The interface as it is looked for among a program's exports.
const REACTIONS: &str = "kpio:service/reactions@0.1.0";

/// Where a program has them.
pub(crate) struct ReactionExports {
    start: ComponentExportIndex,
    ready: ComponentExportIndex,
}

impl ReactionExports {
    /// Those of a program, if it has any.
    pub fn of(component: &Component) -> Result<Option<ReactionExports>, SignatureError> {
        let Some(instance) = component.get_export_index(None, REACTIONS) else {
            return Ok(None);
        };
        let find = |name: &str| {
            let export = component.get_export_index(Some(&instance), name);
            export.ok_or_else(|| SignatureError::Missing {
                interface: format!("{REACTIONS}#{name}"),
            })
        };
        Ok(Some(ReactionExports {
            start: find("start")?,
            ready: find("ready")?,
        }))
    }
}

/// A provider's reactions.
pub(crate) struct Reactions {
    start: TypedFunc<(), ()>,
    ready: TypedFunc<(u64,), ()>,
}

impl Reactions {
    /// Those of an instance. Fails if they have other types than they should.
    pub fn new(
        mut store: impl AsContextMut,
        instance: &Instance,
        exports: &ReactionExports,
    ) -> wasmtime::Result<Reactions> {
        Ok(Reactions {
            start: instance.get_typed_func(&mut store, exports.start)?,
            ready: instance.get_typed_func(&mut store, exports.ready)?,
        })
    }

    /// Before the provider can be called.
    pub fn start<T: 'static>(&self, store: &mut StoreContextMut<'_, T>) -> wasmtime::Result<()> {
        self.start.call(store, ())
    }

    /// What was watched for this token is ready.
    pub fn ready<T: 'static>(
        &self,
        store: &mut StoreContextMut<'_, T>,
        token: u64,
    ) -> wasmtime::Result<()> {
        self.ready.call(store, (token,))
    }
}
