//! Calls between services go over links.
//!
//! Law: each interface of each service has one route, made when it is first named and kept until the service is not known any
//! more and nobody has a grant for it. Each run of a client gets grants of its own, which are revoked together and forgotten when it is gone,
//! and so is its permission to control services: who has either from it does not keep it.
//!
//! Lock order: the state here, then a route's; a grant's with none of them held.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lib_service_manifest::{CONTROL, Import, Service, WhileDown};
use lib_service_policy::RunId;
use runtime_link::{Grant, MESSAGE_BYTES_MAX, Route};
use runtime_supervisor::{Launch, Permission};

use crate::{Bindings, ServiceRun};

/// How much may wait at one service.
const LIMITS: runtime_link::Limits = runtime_link::Limits {
    clients: 256,
    messages: 1024,
    bytes: 16 << 20,
    client_messages: 16,
    client_bytes: 4 * MESSAGE_BYTES_MAX,
};

/// Bindings over `runtime-link`.
#[derive(Default)]
pub struct LinkBindings {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By service and interface.
    routes: BTreeMap<(String, String), Route>,
    runs: BTreeMap<RunId, Client>,
}

/// What a run was granted.
struct Client {
    service: String,
    grants: Vec<Grant>,
    /// To control services.
    control: Option<Permission>,
}

impl Client {
    /// What it has for an interface.
    fn rights<'a>(&'a self, interface: &'a str) -> impl Iterator<Item = Right> + 'a {
        let grants = self.grants.iter();
        let grants = grants.filter(move |grant| grant.route().interface() == interface);
        let control = self.control.iter().filter(move |_| interface == CONTROL);
        let control = control.cloned().map(Right::Control);
        grants.cloned().map(Right::Call).chain(control)
    }
}

/// Something that can be taken back while the service runs.
enum Right {
    Call(Grant),
    Control(Permission),
}

impl Right {
    fn revoke(&self) {
        match self {
            Right::Call(grant) => grant.revoke(),
            Right::Control(permission) => permission.revoke(),
        }
    }
}

impl Bindings for LinkBindings {
    fn prepare(
        &self,
        service: &Service,
        run: &ServiceRun,
        launch: &mut Launch,
    ) -> Result<(), String> {
        let mut state = self.lock();
        let provided: BTreeSet<&String> = service.provides.iter().collect();
        if !provided.is_empty() {
            let routes = provided.into_iter();
            let routes = routes.map(|interface| state.route(&service.name, interface));
            let routes = routes.collect();
            let mut provider = runtime_link::Service::new(routes, LIMITS, run.serves());
            if let Some(probe) = &run.probe {
                provider = provider.with_probe(probe.clone());
            }
            launch.links.service = Some(provider);
        }
        let imports = service.imports.iter();
        let grants: Vec<Grant> = imports.map(|import| state.grant(import)).collect();
        launch.links.grants.clone_from(&grants);
        let client = Client {
            service: service.name.clone(),
            grants,
            control: launch.links.control.clone(),
        };
        state.runs.insert(run.id, client);
        Ok(())
    }

    fn unbind(&self, service: &str) {
        let state = self.lock();
        let routes = state.routes.iter();
        for (_, route) in routes.filter(|((provider, _), _)| provider == service) {
            route.close();
        }
    }

    fn gone(&self, run: RunId) {
        let client = self.lock().runs.remove(&run);
        // What it passed on to processes that outlive it is taken back as well.
        let grants = client.iter().flat_map(|client| &client.grants);
        grants.for_each(Grant::expire);
        let control = client.iter().flat_map(|client| &client.control);
        control.for_each(Permission::revoke);
    }

    fn keep(&self, is_known: &dyn Fn(&str) -> bool) {
        let mut state = self.lock();
        let State { routes, runs } = &mut *state;
        routes.retain(|(provider, interface), _| {
            let is_used = |grant: &Grant| {
                let route = grant.route();
                route.provider() == provider && route.interface() == interface
            };
            is_known(provider) || runs.values().flat_map(|client| &client.grants).any(is_used)
        });
    }

    fn revoke(&self, service: &str, interface: &str) -> Result<(), String> {
        let state = self.lock();
        let clients = state.runs.values();
        let rights = clients
            .filter(|client| client.service == service)
            .flat_map(|client| client.rights(interface));
        let rights: Vec<Right> = rights.collect();
        drop(state);
        if rights.is_empty() {
            let (service, interface) = (service.escape_debug(), interface.escape_debug());
            return Err(format!(
                "No run of '{service}' imports '{interface}' from a service, and only that and '{CONTROL}' can be taken back while it runs."
            ));
        }
        rights.iter().for_each(Right::revoke);
        Ok(())
    }
}

impl LinkBindings {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn route(&mut self, service: &str, interface: &str) -> Route {
        let key = (service.to_owned(), interface.to_owned());
        let route = self.routes.entry(key);
        route
            .or_insert_with(|| Route::new(interface, service))
            .clone()
    }

    fn grant(&mut self, import: &Import) -> Grant {
        let while_down = match import.while_down {
            WhileDown::Wait => runtime_link::WhileDown::Wait,
            WhileDown::Fail => runtime_link::WhileDown::Fail,
        };
        Grant::new(self.route(&import.from, &import.interface), while_down)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_go_with_services_that_nobody_knows_or_uses() {
        let bindings = LinkBindings::default();
        let import = |from: &str| Import {
            interface: "kpio:log/sink".to_owned(),
            from: from.to_owned(),
            while_down: WhileDown::Wait,
        };
        let mut state = bindings.lock();
        let grants = ["known", "used", "gone"].map(|from| state.grant(&import(from)));
        let client = Client {
            service: "client".to_owned(),
            grants: vec![grants[1].clone()],
            control: None,
        };
        state.runs.insert(RunId(1), client);
        drop(state);
        let left = |bindings: &LinkBindings| {
            let state = bindings.lock();
            let names = state.routes.keys().map(|(provider, _)| provider.clone());
            names.collect::<Vec<_>>()
        };
        bindings.keep(&|name| name == "known");
        assert_eq!(left(&bindings), ["known", "used"]);
        bindings.gone(RunId(1));
        bindings.keep(&|name| name == "known");
        assert_eq!(left(&bindings), ["known"]);
    }

    /// What a run was granted it may have passed on to a process that outlives it.
    #[test]
    fn grants_are_taken_back_with_the_run_that_had_them() {
        let bindings = LinkBindings::default();
        let import = Import {
            interface: "kpio:log/reader".to_owned(),
            from: "log".to_owned(),
            while_down: WhileDown::Wait,
        };
        let mut state = bindings.lock();
        let grant = state.grant(&import);
        let control = Permission::new();
        let client = Client {
            service: "shell".to_owned(),
            grants: vec![grant.clone()],
            control: Some(control.clone()),
        };
        state.runs.insert(RunId(1), client);
        drop(state);
        assert!(!grant.is_revoked() && control.holds());
        bindings.gone(RunId(1));
        assert!(grant.is_revoked() && !control.holds());
    }

    #[test]
    fn control_is_taken_back_from_the_service_that_is_named() {
        let bindings = LinkBindings::default();
        let [one, other] = [Permission::new(), Permission::new()];
        for (run, service, control) in [(1, "shell", &one), (2, "other", &other)] {
            let client = Client {
                service: service.to_owned(),
                grants: Vec::new(),
                control: Some(control.clone()),
            };
            bindings.lock().runs.insert(RunId(run), client);
        }
        let refused = bindings.revoke("shell", "kpio:console/devices");
        assert!(refused.is_err_and(|why| why.contains("'shell'")));
        assert_eq!(bindings.revoke("shell", CONTROL), Ok(()));
        assert!(!one.holds() && other.holds());
    }
}
