//! Who carries calls from one service to another.
//!
//! Law: a service's clients do not know its runs. The one that answers is changed by [`Bindings::bind`] while calls are under way,
//! and there may be none for some time; what a call does then is its client's choice, which stands in its manifest
//! (`lib_service_manifest::WhileDown`).

use lib_service_manifest::Service;
use lib_service_policy::RunId;
use runtime_supervisor::Launch;

use crate::ServiceRun;

/// Carries calls between services.
pub trait Bindings: Send + Sync {
    /// Before the process of a run is started: has it find its imports, and its exports served. Whoever serves them says
    /// [`ServiceRun::serves`] when they can be called. An error is a sentence, and the run does not begin.
    fn prepare(
        &self,
        service: &Service,
        run: &ServiceRun,
        launch: &mut Launch,
    ) -> Result<(), String>;
    /// From now on `run` answers the calls of the service's clients.
    fn bind(&self, service: &str, run: RunId);
    /// From now on nobody does, until the next [`Bindings::bind`].
    fn unbind(&self, service: &str);
    /// The process of a run is gone.
    fn gone(&self, run: RunId);
}

/// Carries nothing: services that provide or import something are refused.
pub struct NoBindings;

impl Bindings for NoBindings {
    fn prepare(&self, service: &Service, _: &ServiceRun, _: &mut Launch) -> Result<(), String> {
        let imports = service.imports.iter().map(|import| &import.interface);
        match imports.chain(&service.provides).next() {
            None => Ok(()),
            Some(interface) => Err(format!(
                "it names {interface}, and nothing carries calls between services here"
            )),
        }
    }

    fn bind(&self, _service: &str, _run: RunId) {}

    fn unbind(&self, _service: &str) {}

    fn gone(&self, _run: RunId) {}
}
