//! Asking a provider whether it is well: `kpio:service/health`, which it exports where it is to be asked.
//!
//! Law: a question is kept until the provider's next turn, and two that wait are one. Who is in a call does not answer;
//! what follows from that is decided by whoever asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use runtime_host::{Notifier, Subscribers};
use wasmtime::component::{Component, ComponentExportIndex, Instance, TypedFunc};
use wasmtime::{AsContextMut, StoreContextMut};

use crate::signature::SignatureError;

/// The interface as it is looked for among a program's exports.
const HEALTH: &str = "kpio:service/health@0.1.0";
/// So much is taken of a provider's sentence, in characters.
const SENTENCE_CHARS_MAX: usize = 200;

/// A way to ask one provider. Clones are the same.
#[derive(Clone)]
pub struct Probe(Arc<Shared>);

struct Shared {
    is_asked: AtomicBool,
    asked: Subscribers,
    on_answer: Box<dyn Fn(Result<(), String>) + Send + Sync>,
}

impl Probe {
    /// One whose answers go to `on_answer`, on the provider's thread.
    pub fn new(on_answer: impl Fn(Result<(), String>) + Send + Sync + 'static) -> Probe {
        Probe(Arc::new(Shared {
            is_asked: AtomicBool::new(false),
            asked: Subscribers::new(),
            on_answer: Box::new(on_answer),
        }))
    }

    /// Asks. Returns at once.
    pub fn ask(&self) {
        self.0.is_asked.store(true, Ordering::Release);
        self.0.asked.notify_all();
    }

    /// Whether it was asked since this was last looked at.
    pub(crate) fn take(&self) -> bool {
        self.0.is_asked.swap(false, Ordering::AcqRel)
    }

    pub(crate) fn subscribe(&self, notifier: &Notifier) {
        self.0.asked.add(notifier);
    }
}

/// Where a program has the function.
pub(crate) struct HealthExport(ComponentExportIndex);

impl HealthExport {
    /// That of a program, which has to have one.
    pub fn of(component: &Component) -> Result<HealthExport, SignatureError> {
        let instance = component.get_export_index(None, HEALTH);
        let check =
            instance.and_then(|instance| component.get_export_index(Some(&instance), "check"));
        let missing = || SignatureError::Missing {
            interface: HEALTH.to_owned(),
        };
        check.map(HealthExport).ok_or_else(missing)
    }
}

/// A provider that can be asked.
pub(crate) struct Probed {
    probe: Probe,
    check: TypedFunc<(), (Result<(), String>,)>,
}

impl Probed {
    /// An instance of that program. Fails if its function has another type than it should.
    pub fn new(
        mut store: impl AsContextMut,
        instance: &Instance,
        export: &HealthExport,
        probe: &Probe,
    ) -> wasmtime::Result<Probed> {
        Ok(Probed {
            probe: probe.clone(),
            check: instance.get_typed_func(&mut store, export.0)?,
        })
    }

    pub fn probe(&self) -> &Probe {
        &self.probe
    }

    /// Has the provider answer.
    pub fn answer<T: 'static>(&self, store: &mut StoreContextMut<'_, T>) -> wasmtime::Result<()> {
        let (health,) = self.check.call(store, ())?;
        let short = |sentence: String| sentence.chars().take(SENTENCE_CHARS_MAX).collect();
        (self.probe.0.on_answer)(health.map_err(short));
        Ok(())
    }
}
