//! What one process has of others: its grants, and its connections under them.

use std::sync::Arc;

use runtime_wasi::{WasiContext, WasiView};

use crate::route::{Connection, Grant};
use crate::signature::Interface;

/// A process's imports that other processes provide. It is a part of the data of the process's store.
#[derive(Default)]
pub struct LinkContext {
    /// One for each interface of the program, in the order of [`crate::imports`]; none for those that need no provider.
    imports: Vec<Option<Import>>,
}

pub(crate) struct Import {
    pub grant: Grant,
    pub connection: Option<Arc<Connection>>,
}

/// A store's data that holds both contexts of a process.
pub trait LinkView: WasiView {
    /// Both of them.
    fn link(&mut self) -> (&mut WasiContext, &mut LinkContext);
}

impl LinkContext {
    /// The context of a program that imports `interfaces`, each of which needs one of `grants`. Fails with the name of the
    /// first interface that has none.
    pub fn new(interfaces: &[Interface], grants: &[Grant]) -> Result<LinkContext, String> {
        let imports = interfaces.iter().map(|interface| {
            let is_needed = interface.needs_provider();
            is_needed.then(|| Import::of(interface, grants)).transpose()
        });
        Ok(LinkContext {
            imports: imports.collect::<Result<_, _>>()?,
        })
    }

    pub(crate) fn import(&mut self, place: usize) -> Option<&mut Import> {
        self.imports.get_mut(place)?.as_mut()
    }
}

impl Import {
    fn of(interface: &Interface, grants: &[Grant]) -> Result<Import, String> {
        let mut grants = grants.iter();
        let grant = grants.find(|grant| grant.route().interface() == interface.name());
        let grant = grant.ok_or_else(|| interface.full_name.clone())?;
        Ok(Import {
            grant: grant.clone(),
            connection: None,
        })
    }
}
