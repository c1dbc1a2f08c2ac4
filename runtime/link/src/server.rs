//! The exporter's side: calls that come from other processes.
//!
//! Law: a provider is one instance and one thread. It takes one call after another, in turn from its clients, and is in
//! none while it waits. A call that traps ends the provider, and whoever made it learns that it is lost; those who wait
//! behind it were not seen. Asked to stop, by the end of its standard input, a provider takes its offers back first, then
//! answers what is in its queue, and then returns. What its input holds before its end is read and means nothing.
//!
//! A provider that exports reactions is told between its calls what is ready of that which it has watched. Where a call and a
//! reaction are both there they take turns, so neither keeps the other from being heard. A reaction that traps ends the
//! provider. What is watched when it is asked to stop is not heard any more.

use std::slice;
use std::sync::Arc;

use runtime_engine::values::{self, Lifted, Values};
use runtime_host::channel::{
    self, ClientEnd, HANDLES_MAX, Incoming, Message, Passed, Request, ServerEnd,
};
use runtime_host::{Awaited, ByteSource, Notifier, Read};
use runtime_wasi::io::{Turn, Woken};
use wasmtime::component::{Component, ComponentExportIndex, Instance, ResourceAny};
use wasmtime::{AsContextMut, Store, StoreContextMut};

use crate::answer;
use crate::context::LinkView;
use crate::failure::LinkFailure;
use crate::objects::Objects;
use crate::probe::{HealthExport, Probe, Probed};
use crate::reactions::{ReactionExports, Reactions};
use crate::returns::{RemoteObject, Returns};
use crate::route::Route;
use crate::shape::ResourceName;
use crate::signature::{self, Function, Interface, SignatureError};
use crate::streams;
use crate::walk::{Courier, CrossError, walk};

/// How often a provider's input is read before its calls have their turn again.
const READS_MAX: usize = 16;

/// What a process is to provide, and where it is offered.
#[derive(Clone)]
pub struct Service {
    routes: Vec<Route>,
    limits: channel::Limits,
    on_ready: Arc<dyn Fn() + Send + Sync>,
    probe: Option<Probe>,
}

impl Service {
    /// A service on these routes; `limits` say how much may wait at it. `on_ready` is called when it can be called.
    pub fn new(
        routes: Vec<Route>,
        limits: channel::Limits,
        on_ready: impl Fn() + Send + Sync + 'static,
    ) -> Service {
        Service {
            routes,
            limits,
            on_ready: Arc::new(on_ready),
            probe: None,
        }
    }

    /// The same, which can be asked whether it is well.
    pub fn with_probe(mut self, probe: Probe) -> Service {
        self.probe = Some(probe);
        self
    }

    /// The interfaces that it provides, by name.
    pub fn interfaces(&self) -> impl Iterator<Item = &str> {
        self.routes.iter().map(Route::interface)
    }
}

/// A program's interfaces as it serves them: found once, used at each of its starts.
pub struct Served {
    interfaces: Vec<Interface>,
    /// The functions of all interfaces, one interface after another.
    functions: Vec<ServedFunction>,
    reactions: Option<ReactionExports>,
    health: Option<HealthExport>,
}

struct ServedFunction {
    signature: Function,
    /// The interface that it belongs to.
    interface: usize,
    export: ComponentExportIndex,
}

impl Served {
    /// What a program provides of a service: all of it, or an error.
    pub fn new(component: &Component, service: &Service) -> Result<Served, SignatureError> {
        let health = service.probe.is_some();
        let health = health.then(|| HealthExport::of(component)).transpose()?;
        let mut served = Served {
            interfaces: Vec::new(),
            functions: Vec::new(),
            reactions: ReactionExports::of(component)?,
            health,
        };
        for name in service.interfaces() {
            served.add(component, name)?;
        }
        Ok(served)
    }

    fn add(&mut self, component: &Component, name: &str) -> Result<(), SignatureError> {
        let interface = signature::export(component, name)?;
        let missing = |name: &str| SignatureError::Missing {
            interface: name.to_owned(),
        };
        let instance = component.get_export_index(None, &interface.full_name);
        let instance = instance.ok_or_else(|| missing(&interface.full_name))?;
        for function in &interface.functions {
            let export = component.get_export_index(Some(&instance), &function.name);
            self.functions.push(ServedFunction {
                signature: function.clone(),
                interface: self.interfaces.len(),
                export: export.ok_or_else(|| missing(&function.name))?,
            });
        }
        self.interfaces.push(interface);
        Ok(())
    }

    fn first_function(&self, interface: usize) -> u32 {
        let before = self.functions.iter();
        before
            .take_while(|function| function.interface < interface)
            .count() as u32
    }
}

/// Starts the provider, offers it, and serves until the service is told to stop (`Ok`), the process is, or a call traps.
pub fn serve<T: LinkView + 'static>(
    store: &mut Store<T>,
    instance: &Instance,
    served: &Served,
    service: &Service,
) -> wasmtime::Result<()> {
    let (wasi, _) = store.data_mut().link();
    let budget = wasi.budget().clone();
    let mut functions = Vec::with_capacity(served.functions.len());
    for function in &served.functions {
        let found = instance.get_func(&mut *store, function.export);
        let found = found.ok_or_else(|| wasmtime::format_err!("an export is gone"))?;
        functions.push(values::Function::new(&mut *store, found)?);
    }
    let reactions = served.reactions.as_ref();
    let reactions = reactions.map(|exports| Reactions::new(&mut *store, instance, exports));
    let probe = served.health.as_ref().zip(service.probe.as_ref());
    let probed = probe.map(|(export, probe)| Probed::new(&mut *store, instance, export, probe));
    let (server, client) = channel::channel(service.limits, &budget)?;
    let mut provider = Provider {
        reactions: reactions.transpose()?,
        probed: probed.transpose()?,
        store: store.as_context_mut(),
        served,
        functions,
        server,
        objects: Objects::new(&budget)?,
        returns: Arc::default(),
    };
    provider.start()?;
    let offers = Offers::make(served, service, client, &provider.returns);
    (service.on_ready)();
    provider.serve_until_stopped()?;
    drop(offers);
    provider.serve_rest()
}

/// Offers that are taken back when this is dropped.
struct Offers(Vec<(Route, u64)>);

impl Offers {
    fn make(
        served: &Served,
        service: &Service,
        client: ClientEnd,
        returns: &Arc<Returns>,
    ) -> Offers {
        let client = Arc::new(client);
        let interfaces = served.interfaces.iter().enumerate();
        let offers = interfaces.zip(&service.routes);
        let offers = offers.map(|((place, interface), route)| {
            let number = route.offer(
                Arc::clone(&client),
                interface.clone(),
                served.first_function(place),
                Arc::clone(returns),
            );
            (route.clone(), number)
        });
        Offers(offers.collect())
    }
}

impl Drop for Offers {
    fn drop(&mut self) {
        for (route, number) in &self.0 {
            route.withdraw(*number);
        }
    }
}

struct Provider<'a, T: 'static> {
    store: StoreContextMut<'a, T>,
    served: &'a Served,
    functions: Vec<values::Function>,
    reactions: Option<Reactions>,
    probed: Option<Probed>,
    server: ServerEnd,
    objects: Objects,
    returns: Arc<Returns>,
}

/// What there is to do next.
enum Next {
    Check,
    Call(Request),
    Returned(Vec<u32>),
    Stop,
}

impl<T: LinkView + 'static> Provider<'_, T> {
    fn start(&mut self) -> wasmtime::Result<()> {
        let Some(reactions) = &self.reactions else {
            return Ok(());
        };
        self.store.data_mut().wasi().hear_watched();
        reactions.start(&mut self.store)
    }

    fn serve_until_stopped(&mut self) -> wasmtime::Result<()> {
        let mut first = Turn::Others;
        loop {
            match self.wait(first)? {
                Woken::Ready(token) => {
                    first = Turn::Others;
                    self.react(token)?;
                }
                Woken::Answer(Next::Call(request)) => {
                    first = Turn::Watched;
                    self.handle(request)?;
                }
                Woken::Answer(Next::Check) => self.answer_probe()?,
                Woken::Answer(Next::Returned(numbers)) => self.drop_objects(numbers)?,
                Woken::Answer(Next::Stop) => return Ok(()),
            }
        }
    }

    fn answer_probe(&mut self) -> wasmtime::Result<()> {
        let probed = self.probed.as_ref();
        probed.map_or(Ok(()), |probed| probed.answer(&mut self.store))
    }

    fn react(&mut self, token: u64) -> wasmtime::Result<()> {
        let reactions = self.reactions.as_ref();
        reactions.map_or(Ok(()), |reactions| reactions.ready(&mut self.store, token))
    }

    /// What was sent before the offers were taken back.
    fn serve_rest(&mut self) -> wasmtime::Result<()> {
        while let Some(request) = next_request(&self.server) {
            self.handle(request)?;
        }
        Ok(())
    }

    fn wait(&mut self, first: Turn) -> wasmtime::Result<Woken<Next>> {
        let (server, returns) = (&self.server, &self.returns);
        let probe = self.probed.as_ref().map(Probed::probe);
        let wasi = self.store.data_mut().wasi();
        let stdin = Arc::clone(wasi.stdin());
        let attempt = || {
            if probe.is_some_and(Probe::take) {
                return Some(Next::Check);
            }
            let returned = returns.take();
            if !returned.is_empty() {
                return Some(Next::Returned(returned));
            }
            if is_at_end(&*stdin) {
                return Some(Next::Stop);
            }
            next_request(server).map(Next::Call)
        };
        let subscribe = |notifier: &Notifier| {
            server.subscribe(notifier);
            returns.subscribe(notifier);
            stdin.subscribe(notifier);
            probe.inspect(|probe| probe.subscribe(notifier));
        };
        wasi.wait_watching(first, subscribe, attempt)
    }

    fn handle(&mut self, request: Request) -> wasmtime::Result<()> {
        let (message, _paid) = request.envelope.open();
        let answer = self.answer(message)?;
        if let Some(reply) = request.reply {
            // A caller that is gone does not get it: objects in it are among the returns as it is dropped.
            let _unanswered = reply.answer(answer);
        }
        Ok(())
    }

    fn answer(&mut self, message: Message) -> wasmtime::Result<Message> {
        let served = self.served;
        let number = message.function as usize;
        let Some(function) = served.functions.get(number) else {
            return Ok(answer::failed(LinkFailure::Busy));
        };
        let parameters = match self.parameters(function, message)? {
            Ok(parameters) => parameters,
            Err(CrossError::TooMany | CrossError::TooLarge) => {
                return Ok(answer::failed(LinkFailure::TooLarge));
            }
            Err(_) => return Ok(answer::failed(LinkFailure::Busy)),
        };
        match self.functions[number].call(&mut self.store, parameters)? {
            Lifted::Whole(result) => self.result(function, result),
            Lifted::TooLong(resources) => {
                self.drop_all(&resources)?;
                Ok(answer::failed(LinkFailure::TooLarge))
            }
        }
    }

    fn parameters(
        &mut self,
        function: &ServedFunction,
        mut message: Message,
    ) -> wasmtime::Result<Result<Values, CrossError>> {
        let mut taker = Taker {
            store: &mut self.store,
            objects: &mut self.objects,
            returns: &self.returns,
            passed: message.handles.into_iter(),
            resources: Vec::new(),
            taken: Vec::new(),
        };
        let shapes = &function.signature.parameters;
        let walked = walk(&mut message.bytes, shapes, &mut taker);
        let (resources, taken) = (taker.resources, taker.taken);
        if let Err(error) = walked {
            self.drop_all(&taken)?;
            return Ok(Err(error));
        }
        Ok(Ok(Values {
            bytes: message.bytes,
            resources,
        }))
    }

    /// Drops resources that nobody got: streams and loans out of the table of handles, objects by their own destructors.
    fn drop_all(&mut self, resources: &[ResourceAny]) -> wasmtime::Result<()> {
        for &resource in resources {
            if !streams::release(&mut self.store, resource) {
                resource.resource_drop(&mut self.store)?;
            }
        }
        Ok(())
    }

    fn result(
        &mut self,
        function: &ServedFunction,
        mut result: Values,
    ) -> wasmtime::Result<Message> {
        if result.resources.is_empty() {
            return Ok(answer::returned(result.bytes, Vec::new()));
        }
        let mut giver = Giver {
            store: &mut self.store,
            objects: &mut self.objects,
            returns: &self.returns,
            resources: result.resources.iter(),
            passed: Vec::new(),
        };
        let shapes = function.signature.result.as_ref();
        let walked = walk(&mut result.bytes, shapes, &mut giver);
        let passed = giver.passed;
        let failure = match walked {
            Ok(()) if passed.len() <= HANDLES_MAX => {
                return Ok(answer::returned(result.bytes, passed));
            }
            Ok(()) | Err(CrossError::TooMany | CrossError::TooLarge) => LinkFailure::TooLarge,
            Err(CrossError::Full) => LinkFailure::Busy,
            Err(CrossError::Resource(error)) => return Err(error),
            Err(error @ (CrossError::Malformed | CrossError::Stale)) => return Err(error.into()),
        };
        // What was given so far comes back as it is dropped; the rest is still the provider's.
        let kept = result.resources.get(passed.len()..).unwrap_or_default();
        self.drop_all(kept)?;
        Ok(answer::failed(failure))
    }

    fn drop_objects(&mut self, numbers: Vec<u32>) -> wasmtime::Result<()> {
        for number in numbers {
            if let Some(object) = self.objects.take(number) {
                object.resource_drop(&mut self.store)?;
            }
        }
        Ok(())
    }
}

/// Whether there is nothing more to come. What is there is thrown away.
fn is_at_end(source: &dyn ByteSource) -> bool {
    let mut unread = [0; 64];
    for _ in 0..READS_MAX {
        match source.read(&mut unread) {
            Ok(Read::Bytes(_)) => {}
            Ok(Read::Empty) => return false,
            Ok(Read::End) | Err(_) => return true,
        }
    }
    false
}

/// What is to be served next. A request for which the provider cannot pay is sent back, so that its caller may try again.
fn next_request(server: &ServerEnd) -> Option<Request> {
    loop {
        match server.receive() {
            Ok(Incoming::Request(request)) => return Some(request),
            Ok(Incoming::ClientGone(_)) => {}
            Ok(Incoming::Empty | Incoming::Abandoned) => return None,
            Err(_over_budget) => server.reject(),
        }
    }
}

/// Takes in what a call's parameters hold.
struct Taker<'a, 's, T: 'static> {
    store: &'a mut StoreContextMut<'s, T>,
    objects: &'a mut Objects,
    returns: &'a Arc<Returns>,
    passed: std::vec::IntoIter<Passed>,
    resources: Vec<ResourceAny>,
    /// Those of them that are the provider's by now.
    taken: Vec<ResourceAny>,
}

impl<T: LinkView + 'static> Courier for Taker<'_, '_, T> {
    fn carry(
        &mut self,
        name: &ResourceName,
        is_owned: bool,
        number: &mut [u8; 4],
    ) -> Result<(), CrossError> {
        if !is_owned {
            let object = self.objects.get(u32::from_le_bytes(*number));
            self.resources.push(object.ok_or(CrossError::Malformed)?);
            return Ok(());
        }
        let passed = self.passed.next().ok_or(CrossError::Malformed)?;
        let resource = if streams::changes_hands(name) {
            streams::give(self.store, name, passed).map_err(CrossError::Resource)?
        } else {
            let object = RemoteObject::take_from(passed);
            let number = object.and_then(|object| object.hand_in(self.returns));
            let object = number.and_then(|number| self.objects.take(number));
            object.ok_or(CrossError::Malformed)?
        };
        self.taken.push(resource);
        self.resources.push(resource);
        Ok(())
    }
}

/// Gives away what a call's results hold.
struct Giver<'a, 's, T: 'static> {
    store: &'a mut StoreContextMut<'s, T>,
    objects: &'a mut Objects,
    returns: &'a Arc<Returns>,
    resources: slice::Iter<'a, ResourceAny>,
    passed: Vec<Passed>,
}

impl<T: LinkView + 'static> Courier for Giver<'_, '_, T> {
    fn carry(
        &mut self,
        name: &ResourceName,
        _is_owned: bool,
        _number: &mut [u8; 4],
    ) -> Result<(), CrossError> {
        let resource = *self.resources.next().ok_or(CrossError::Malformed)?;
        if streams::changes_hands(name) {
            let stream = streams::take(self.store, name, resource);
            self.passed.push(stream.map_err(CrossError::Resource)?);
            return Ok(());
        }
        let number = self.objects.give(resource);
        let number = number.map_err(|_full| CrossError::Full)?;
        let object = RemoteObject::new(number, Arc::clone(self.returns));
        self.passed.push(Passed::Object(Box::new(object)));
        Ok(())
    }
}
