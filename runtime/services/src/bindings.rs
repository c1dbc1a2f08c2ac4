//! Who carries calls from one service to another.
//!
//! Law: a service's clients do not know its runs. A run offers itself as soon as it serves, in place of the one before, while calls
//! are under way, and there may be none for some time; what a call does then is its client's choice, which stands in its
//! manifest (`lib_service_manifest::WhileDown`).

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
    /// From now on nobody answers the calls of the service's clients, until a run offers itself.
    fn unbind(&self, service: &str);
    /// The process of a run is gone.
    fn gone(&self, run: RunId);
    /// What is held for services that are not known any more goes.
    fn keep(&self, is_known: &dyn Fn(&str) -> bool);
    /// Takes an import back from the runs that a service has now: their calls fail, those in flight too; or what lets it control
    /// services. An error is a sentence.
    fn revoke(&self, service: &str, interface: &str) -> Result<(), String>;
}
