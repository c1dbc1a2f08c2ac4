//! The importer's side: functions that are calls to another process.
//!
//! Law: a call runs on the thread of the process that makes it and blocks it until there is an answer or a failure; it
//! ends with the process. What is given away in a call that fails is gone. A call that no provider has seen is made again
//! where its client waits for providers, unless it gave something away.

use std::fmt;
use std::slice;
use std::sync::Arc;

use runtime_engine::values::{self, Lifted, Values};
use runtime_host::channel::{
    self, CallFailure, Envelope, Message, Passed, Progress, Refusal, SendError,
};
use runtime_host::{Awaited, Tie};
use runtime_wasi::LimitReached;
use wasmtime::StoreContextMut;
use wasmtime::component::{
    Linker, LinkerInstance, Resource, ResourceAny, ResourceDynamic, ResourceType,
};

use crate::answer;
use crate::context::LinkView;
use crate::failure::{FailureSlot, LinkFailure};
use crate::returns::RemoteObject;
use crate::route::{ConnectError, Connection, WhileDown};
use crate::shape::ResourceName;
use crate::signature::{Function, Interface, SignatureError};
use crate::streams;
use crate::walk::{Courier, CrossError, walk};

/// Defines `interfaces`, as [`crate::imports`] gave them, so that calls of their functions go to whom the process was
/// granted.
pub fn add_to_linker<T: LinkView + 'static>(
    linker: &mut Linker<T>,
    interfaces: &[Interface],
) -> wasmtime::Result<()> {
    let mut resources = 0u32;
    for (place, interface) in interfaces.iter().enumerate() {
        let stub = Arc::new(Stub::new(place, interface, resources));
        resources += interface.resources.len() as u32;
        let mut instance = linker.instance(&interface.full_name)?;
        define_resources(&mut instance, &stub)?;
        for function in 0..interface.functions.len() {
            define_function(&mut instance, Arc::clone(&stub), function)?;
        }
    }
    Ok(())
}

/// One imported interface.
struct Stub {
    /// Its place among the program's interfaces.
    place: usize,
    interface: Interface,
    failure_slots: Vec<Option<FailureSlot>>,
    /// How Wasmtime knows the first of its resources; the others follow.
    first_resource: u32,
}

impl Stub {
    fn new(place: usize, interface: &Interface, first_resource: u32) -> Stub {
        let functions = interface.functions.iter();
        Stub {
            place,
            interface: interface.clone(),
            failure_slots: functions.map(Function::failure_slot).collect(),
            first_resource,
        }
    }

    /// How Wasmtime knows one of its resources.
    fn resource(&self, name: &ResourceName) -> Option<u32> {
        let mut resources = (self.first_resource..).zip(&self.interface.resources);
        let is_own = name.interface == self.interface.name();
        let found = resources.find(|(_, other)| is_own && **other == name.name);
        found.map(|(number, _)| number)
    }
}

fn define_resources<T: LinkView + 'static>(
    instance: &mut LinkerInstance<'_, T>,
    stub: &Stub,
) -> wasmtime::Result<()> {
    for (number, name) in (stub.first_resource..).zip(&stub.interface.resources) {
        let ty = ResourceType::host_dynamic(number);
        instance.resource(name, ty, |mut store, rep| {
            let (wasi, _) = store.data_mut().link();
            // The object's number goes back as this is dropped.
            let _object = wasi.delete(Resource::<RemoteObject>::new_own(rep))?;
            Ok(())
        })?;
    }
    Ok(())
}

fn define_function<T: LinkView + 'static>(
    instance: &mut LinkerInstance<'_, T>,
    stub: Arc<Stub>,
    function: usize,
) -> wasmtime::Result<()> {
    let signature = &stub.interface.functions[function];
    let (name, counts) = (signature.name.clone(), signature.flat_counts());
    values::define(instance, &name, counts, move |store, lifted| {
        let stub = &*stub;
        let call = Call {
            store,
            stub,
            function,
        };
        call.serve(lifted)
    })
}

/// A call failed, and its function has no way to say so.
#[derive(Debug)]
struct Unreported {
    interface: String,
    function: String,
    provider: String,
    failure: LinkFailure,
}

impl fmt::Display for Unreported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            interface,
            function,
            provider,
            failure,
        } = self;
        write!(
            f,
            "the call of `{function}` of `{interface}`, which '{provider}' provides, failed: {failure}; the function has no error for that"
        )
    }
}

impl std::error::Error for Unreported {}

/// The two do not fit.
#[derive(Debug)]
struct Mismatch {
    provider: String,
    why: SignatureError,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' does not fit: {}", self.provider, self.why)
    }
}

impl std::error::Error for Mismatch {}

/// Why a call has no values.
enum CallError {
    /// The program is told, if its function can say it.
    Failed(LinkFailure),
    /// The program ends.
    Ends(wasmtime::Error),
}

impl From<LinkFailure> for CallError {
    fn from(failure: LinkFailure) -> Self {
        Self::Failed(failure)
    }
}

impl From<CrossError> for CallError {
    fn from(error: CrossError) -> Self {
        match error {
            CrossError::TooMany | CrossError::TooLarge => Self::Failed(LinkFailure::TooLarge),
            CrossError::Stale => Self::Failed(LinkFailure::Lost),
            CrossError::Full => Self::Failed(LinkFailure::Busy),
            CrossError::Resource(error) => Self::Ends(error),
            CrossError::Malformed => Self::Ends(error.into()),
        }
    }
}

/// What became of one attempt to call.
enum Attempt {
    Answered(Envelope),
    /// Nobody saw it, and nothing was given away.
    Again,
}

struct Call<'a, T: 'static> {
    store: StoreContextMut<'a, T>,
    stub: &'a Stub,
    function: usize,
}

impl<T: LinkView + 'static> Call<'_, T> {
    /// What the program gets for what it gave.
    fn serve(mut self, lifted: Lifted) -> wasmtime::Result<Values> {
        let (made, given) = match lifted {
            Lifted::Whole(mut parameters) => (self.make(&mut parameters), parameters.resources),
            Lifted::TooLong(resources) => (Err(LinkFailure::TooLarge.into()), resources),
        };
        match made {
            Ok(result) => Ok(result),
            Err(CallError::Failed(failure)) => {
                self.release(&given);
                self.failed(failure)
            }
            Err(CallError::Ends(error)) => Err(error),
        }
    }

    /// The function's own error, if it has one for that.
    fn failed(&mut self, failure: LinkFailure) -> wasmtime::Result<Values> {
        let slot = self.stub.failure_slots[self.function];
        let slot = slot.ok_or_else(|| self.unreported(failure))?;
        Ok(Values {
            bytes: slot.result(failure),
            resources: Vec::new(),
        })
    }

    fn make(&mut self, parameters: &mut Values) -> Result<Values, CallError> {
        loop {
            let connection = self.connection()?;
            if let Attempt::Answered(answer) = self.attempt(&connection, parameters)? {
                return self.values(answer, &connection.ties.client);
            }
            if self.while_down() == WhileDown::Fail {
                return Err(LinkFailure::Unavailable.into());
            }
        }
    }

    /// A connection to whom the route leads now; made, or waited for, where there is none.
    fn connection(&mut self) -> Result<Arc<Connection>, CallError> {
        let stub = self.stub;
        let (wasi, links) = self.store.data_mut().link();
        let import = links.import(stub.place).ok_or(LinkFailure::Revoked)?;
        let grant = import.grant.clone();
        let kept = import.connection.take();
        if let Some(connection) = kept.filter(|connection| grant.is_current(connection)) {
            import.connection = Some(Arc::clone(&connection));
            return Ok(connection);
        }
        let attempt = || match grant.connect(&stub.interface, wasi.budget()) {
            Err(ConnectError::Absent) if grant.while_down() == WhileDown::Wait => None,
            decided => Some(decided),
        };
        let connected = wasi.block_on(|notifier| grant.subscribe(notifier), attempt);
        let connected = connected.map_err(CallError::Ends)?;
        let connection = connected.map_err(|error| match error {
            ConnectError::Absent => CallError::Failed(LinkFailure::Unavailable),
            ConnectError::Failed(failure) => CallError::Failed(failure),
            ConnectError::Mismatch(why) => {
                let provider = grant.route().provider().to_owned();
                CallError::Ends(Mismatch { provider, why }.into())
            }
        })?;
        let connection = Arc::new(connection);
        import.connection = Some(Arc::clone(&connection));
        Ok(connection)
    }

    fn attempt(
        &mut self,
        connection: &Arc<Connection>,
        parameters: &mut Values,
    ) -> Result<Attempt, CallError> {
        let (message, lends) = self.message(connection, parameters)?;
        let gives_away = !message.handles.is_empty();
        match self.send_and_wait(connection, message)? {
            Ok(answer) => Ok(Attempt::Answered(answer)),
            // What it was to work on went with its provider.
            Err(LinkFailure::Unavailable) if lends => Err(LinkFailure::Lost.into()),
            Err(LinkFailure::Unavailable) if !gives_away => Ok(Attempt::Again),
            Err(failure) => Err(failure.into()),
        }
    }

    fn message(
        &mut self,
        connection: &Arc<Connection>,
        parameters: &mut Values,
    ) -> Result<(Message, bool), CallError> {
        let shapes = &self.stub.interface.functions[self.function].parameters;
        // A call that carries resources is made once.
        let mut bytes = match parameters.resources.is_empty() {
            true => parameters.bytes.clone(),
            false => std::mem::take(&mut parameters.bytes),
        };
        let mut giver = Giver {
            store: &mut self.store,
            connection,
            resources: parameters.resources.iter(),
            passed: Vec::new(),
            lends: false,
        };
        if !parameters.resources.is_empty() {
            walk(&mut bytes, shapes, &mut giver)?;
        }
        let message = Message {
            function: connection.functions[self.function],
            bytes,
            handles: giver.passed,
        };
        Ok((message, giver.lends))
    }

    fn send_and_wait(
        &mut self,
        connection: &Connection,
        message: Message,
    ) -> Result<Result<Envelope, LinkFailure>, CallError> {
        let waits = self.while_down() == WhileDown::Wait;
        let (wasi, _) = self.store.data_mut().link();
        let client = &connection.client;
        let mut unsent = Some(message);
        let attempt = || match client.call(unsent.take()?) {
            Err(refused) if waits && is_full(refused.error) => {
                unsent = Some(refused.message);
                None
            }
            decided => Some(decided),
        };
        let sent = wasi.block_on(|notifier| client.subscribe(notifier), attempt);
        let call = match sent.map_err(CallError::Ends)? {
            Ok(call) => call,
            Err(unsent) => return Ok(Err(of_send_error(unsent.error))),
        };
        let answer = wasi.block_on(|notifier| call.subscribe(notifier), || call.take());
        let answer = answer.map_err(CallError::Ends)?;
        Ok(answer.map_err(of_call_error))
    }

    fn values(&mut self, answer: Envelope, tie: &Tie) -> Result<Values, CallError> {
        let (mut answer, _paid) = answer.open();
        answer::check(&answer)?;
        let shapes = self.stub.interface.functions[self.function].result.as_ref();
        let mut taker = Taker {
            store: &mut self.store,
            stub: self.stub,
            tie,
            passed: answer.handles.into_iter(),
            taken: Vec::new(),
        };
        let walked = walk(&mut answer.bytes, shapes, &mut taker);
        let resources = taker.taken;
        if let Err(error) = walked {
            self.release(&resources);
            return Err(error.into());
        }
        Ok(Values {
            bytes: answer.bytes,
            resources,
        })
    }

    /// What a call that failed was given is gone, and what it was lent is given back, as far as it was not sent.
    fn release(&mut self, resources: &[ResourceAny]) {
        for resource in resources {
            release(&mut self.store, *resource);
        }
    }

    fn while_down(&mut self) -> WhileDown {
        let (_, links) = self.store.data_mut().link();
        let import = links.import(self.stub.place);
        import.map_or(WhileDown::Fail, |import| import.grant.while_down())
    }

    fn unreported(&mut self, failure: LinkFailure) -> Unreported {
        let (_, links) = self.store.data_mut().link();
        let import = links.import(self.stub.place);
        let provider = import.map(|import| import.grant.route().provider().to_owned());
        Unreported {
            interface: self.stub.interface.full_name.clone(),
            function: self.stub.interface.functions[self.function].name.clone(),
            provider: provider.unwrap_or_default(),
            failure,
        }
    }
}

fn is_full(error: SendError) -> bool {
    matches!(error, SendError::Refused(Refusal::Full(_)))
}

fn of_send_error(error: SendError) -> LinkFailure {
    match error {
        SendError::Refused(Refusal::ServerClosed) => LinkFailure::Unavailable,
        SendError::Refused(Refusal::Revoked) => LinkFailure::Revoked,
        SendError::Refused(Refusal::Full(_)) | SendError::OverBudget(_) => LinkFailure::Busy,
        SendError::Refused(Refusal::TooLarge { .. }) | SendError::TooManyHandles { .. } => {
            LinkFailure::TooLarge
        }
    }
}

fn of_call_error(error: channel::CallError) -> LinkFailure {
    match error {
        channel::CallError::Unsent(unsent) => of_send_error(unsent.error),
        channel::CallError::OverBudget(_) => LinkFailure::TooLarge,
        channel::CallError::Failed(failure) => match failure {
            CallFailure::ServerClosed(Progress::NotReceived) => LinkFailure::Unavailable,
            CallFailure::Rejected => LinkFailure::Busy,
            CallFailure::Revoked(_) => LinkFailure::Revoked,
            CallFailure::ServerClosed(Progress::Received)
            | CallFailure::ReplyDropped
            | CallFailure::Over => LinkFailure::Lost,
        },
    }
}

/// Gives away what a call's parameters hold.
struct Giver<'a, 's, T: 'static> {
    store: &'a mut StoreContextMut<'s, T>,
    connection: &'a Connection,
    resources: slice::Iter<'a, ResourceAny>,
    passed: Vec<Passed>,
    /// Whether it lends an object.
    lends: bool,
}

impl<T: LinkView + 'static> Courier for Giver<'_, '_, T> {
    fn carry(
        &mut self,
        name: &ResourceName,
        is_owned: bool,
        number: &mut [u8; 4],
    ) -> Result<(), CrossError> {
        let resource = *self.resources.next().ok_or(CrossError::Malformed)?;
        if streams::changes_hands(name) {
            let stream = streams::take(self.store, name, resource);
            let stream = stream.map_err(CrossError::Resource)?;
            let payer = self.store.data_mut().wasi().budget();
            let hung = streams::hang(stream, &self.connection.ties.provider, payer);
            self.passed.push(hung.map_err(|_refused| CrossError::Full)?);
            return Ok(());
        }
        let object = ResourceDynamic::try_from_resource_any(resource, &mut *self.store);
        let rep = object.map_err(CrossError::Resource)?.rep();
        let (wasi, _) = self.store.data_mut().link();
        let handle = Resource::<RemoteObject>::new_own(rep);
        let provider = &self.connection.offer.returns;
        if is_owned {
            // Wasmtime has forgotten it by now: it leaves the table of handles even if its provider is gone.
            let object = wasi.delete(handle).map_err(refused)?;
            object.number_at(provider).ok_or(CrossError::Stale)?;
            self.passed.push(Passed::Object(Box::new(object)));
            return Ok(());
        }
        let object = wasi.get(&handle).map_err(refused)?;
        let object_number = object.number_at(provider).ok_or(CrossError::Stale)?;
        self.lends = true;
        *number = object_number.to_le_bytes();
        Ok(())
    }
}

/// Drops what was given, and gives back what was lent, unless that was done before: Wasmtime and the table of handles both
/// know a handle that is used up.
fn release<T: LinkView + 'static>(store: &mut StoreContextMut<'_, T>, resource: ResourceAny) {
    if let Ok(object) = ResourceDynamic::try_from_resource_any(resource, &mut *store) {
        if resource.owned() {
            let handle = Resource::<RemoteObject>::new_own(object.rep());
            let _object = store.data_mut().wasi().delete(handle);
        }
        return;
    }
    let _is_known = streams::release(store, resource);
}

/// A process that holds as many handles as it may, or cannot pay for one more, is told so: what an answer holds is none of its doing.
fn refused(error: impl Into<wasmtime::Error>) -> CrossError {
    let error = error.into();
    match error.is::<LimitReached>() {
        true => CrossError::Full,
        false => CrossError::Resource(error),
    }
}

/// Takes in what a call's answer holds.
struct Taker<'a, 's, T: 'static> {
    store: &'a mut StoreContextMut<'s, T>,
    stub: &'a Stub,
    /// What is taken in hangs on this.
    tie: &'a Tie,
    passed: std::vec::IntoIter<Passed>,
    taken: Vec<ResourceAny>,
}

impl<T: LinkView + 'static> Courier for Taker<'_, '_, T> {
    fn carry(
        &mut self,
        name: &ResourceName,
        _is_owned: bool,
        _number: &mut [u8; 4],
    ) -> Result<(), CrossError> {
        let passed = self.passed.next().ok_or(CrossError::Malformed)?;
        if streams::changes_hands(name) {
            let payer = self.store.data_mut().wasi().budget();
            let hung = streams::hang(passed, self.tie, payer);
            let passed = hung.map_err(|_refused| CrossError::TooMany)?;
            let stream = streams::give(self.store, name, passed);
            self.taken.push(stream.map_err(refused)?);
            return Ok(());
        }
        let ty = self.stub.resource(name).ok_or(CrossError::Malformed)?;
        let object = RemoteObject::take_from(passed).ok_or(CrossError::Malformed)?;
        object.hang_on(self.tie);
        let (wasi, _) = self.store.data_mut().link();
        let handle = wasi.push(object).map_err(refused)?;
        let resource = ResourceDynamic::new_own(handle.rep(), ty);
        let resource = resource.try_into_resource_any(&mut *self.store);
        self.taken.push(resource.map_err(CrossError::Resource)?);
        Ok(())
    }
}
