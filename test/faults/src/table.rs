//! Which faults there are, and in which states of a call each can happen.
//!
//! Law: every kind has an answer for every state: how it is injected there, or why it cannot be.

use std::fmt;

use crate::World;
use crate::faults::{
    answers, clients, floods, garbage, holders, memory, providers, revocations, services, silence,
    storms, traps,
};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A provider is killed.
    KillProvider,
    /// A client is killed.
    KillClient,
    /// The provider traps in a call.
    Trap,
    /// A client dies that holds objects, streams or buffers.
    HolderDies,
    /// A provider does not answer.
    NeverAnswers,
    /// Two providers answer one call, or one answers a call that is over.
    AnswersTwice,
    /// What is sent or answered means nothing.
    Garbage,
    /// A client sends as much as it may and more.
    Flood,
    /// There is no memory in the middle of a hand-over.
    MemoryExhausted,
    /// A provider is killed again and again, as soon as it is there.
    RestartStorm,
    /// A grant is taken back.
    Revocation,
    /// Services are started and stopped.
    StartStop,
}

/// How far a call, or who takes part in it, had come when it went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The call is wanted, and nothing of it has been sent: there is no provider.
    Before,
    /// The client is connected, and calls nobody.
    Idle,
    /// The call waits in the channel.
    Queued,
    /// The provider has received it, and has not begun to serve it.
    Received,
    /// The provider's code serves it.
    Serving,
    /// It is answered, and the client has not looked at the answer.
    Answered,
    /// A stream, an object or a buffer is in a message that nobody has received.
    InTransit,
    /// The client holds objects of the provider.
    Holding,
    /// The process that would take part has been started, and is not ready.
    Starting,
    /// The provider was asked to stop, and answers what is left.
    Stopping,
    /// Calls are made, and the instant is any.
    AnyInstant,
}

/// All kinds.
pub const KINDS: [Kind; 12] = [
    Kind::KillProvider,
    Kind::KillClient,
    Kind::Trap,
    Kind::HolderDies,
    Kind::NeverAnswers,
    Kind::AnswersTwice,
    Kind::Garbage,
    Kind::Flood,
    Kind::MemoryExhausted,
    Kind::RestartStorm,
    Kind::Revocation,
    Kind::StartStop,
];

/// All states, in the order in which a call goes through them, and that which may be any of them.
pub const STATES: [State; 11] = [
    State::Before,
    State::Idle,
    State::Queued,
    State::Received,
    State::Serving,
    State::Answered,
    State::InTransit,
    State::Holding,
    State::Starting,
    State::Stopping,
    State::AnyInstant,
];

/// Brings the world into a state, injects the fault, and holds what follows at once against what has to.
pub type Inject = fn(&mut World) -> Result<(), String>;

/// Whether a kind of fault can happen in a state.
#[derive(Clone, Copy)]
pub enum Reach {
    /// It can, and is injected like this.
    Injected(Inject),
    /// It cannot, for this reason.
    Never(&'static str),
}

/// A kind of fault in a state where it can happen.
#[derive(Clone, Copy)]
pub struct Pair {
    /// What goes wrong.
    pub kind: Kind,
    /// When.
    pub state: State,
    pub(crate) inject: Inject,
}

impl Kind {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::KillProvider => "kill-provider",
            Self::KillClient => "kill-client",
            Self::Trap => "trap",
            Self::HolderDies => "holder-dies",
            Self::NeverAnswers => "never-answers",
            Self::AnswersTwice => "answers-twice",
            Self::Garbage => "garbage",
            Self::Flood => "flood",
            Self::MemoryExhausted => "memory-exhausted",
            Self::RestartStorm => "restart-storm",
            Self::Revocation => "revocation",
            Self::StartStop => "start-stop",
        }
    }

    /// Whether it can happen in `state`, and how.
    pub fn reach(self, state: State) -> Reach {
        match self {
            Self::KillProvider => providers::reach(state),
            Self::KillClient => clients::reach(state),
            Self::Trap => traps::reach(state),
            Self::HolderDies => holders::reach(state),
            Self::NeverAnswers => silence::reach(state),
            Self::AnswersTwice => answers::reach(state),
            Self::Garbage => garbage::reach(state),
            Self::Flood => floods::reach(state),
            Self::MemoryExhausted => memory::reach(state),
            Self::RestartStorm => storms::reach(state),
            Self::Revocation => revocations::reach(state),
            Self::StartStop => services::reach(state),
        }
    }
}

impl State {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::Idle => "idle",
            Self::Queued => "queued",
            Self::Received => "received",
            Self::Serving => "serving",
            Self::Answered => "answered",
            Self::InTransit => "in-transit",
            Self::Holding => "holding",
            Self::Starting => "starting",
            Self::Stopping => "stopping",
            Self::AnyInstant => "any-instant",
        }
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.name(), self.state.name())
    }
}

/// All pairs that there are.
pub fn pairs() -> Vec<Pair> {
    let all = KINDS
        .iter()
        .flat_map(|kind| STATES.iter().map(|state| (*kind, *state)));
    all.filter_map(|(kind, state)| match kind.reach(state) {
        Reach::Injected(inject) => Some(Pair {
            kind,
            state,
            inject,
        }),
        Reach::Never(_) => None,
    })
    .collect()
}
