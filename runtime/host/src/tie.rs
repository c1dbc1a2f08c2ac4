//! What ends with a permission: streams that went over it, loans of buffers, and whatever else can be cut off.
//!
//! Law: once [`Tie::cut`] has returned, whoever holds something that hangs on the tie gets no byte of it and puts none into it. What was
//! held is let go of at once, so that a pipe's other end sees it closed and a buffer is with its owner, and whoever waits for it
//! wakes. What is hung on a tie that was cut already is cut with that.
//!
//! A stream is hung on a tie by putting something in front of it, for those alone who get it from there. One that hangs on a tie
//! does not do so twice, and one hangs on [`TIES_MAX`] at most, however often it goes to and fro. What that takes is charged to the
//! budget that is named. What hangs on a tie is known to it weakly; when something is added, the list of it is not longer than twice what lives plus a
//! constant, and a place in it that nobody needs any more keeps the few bytes of what was there.
//!
//! Lock order: a tie's lock is never held together with another; a stream's in front is taken before that of what lies behind it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Weak};

use crate::sync::{Mutex, MutexGuard, PoisonError};
use crate::{
    Budget, ByteSink, ByteSource, Notifier, OverBudget, Read, Reservation, SINK_DEPTH_MAX,
    StreamFailure, Subscribers,
};

/// On how many ties one stream may hang.
pub const TIES_MAX: usize = 16;
/// What hanging a stream on a tie is charged with: what stands in front of it, and its place in the tie's list.
const TIED_BYTES: u64 = 256;
/// Lists shorter than this are not swept.
const SWEEP_MIN: usize = 8;

/// What things hang on until it is cut. Clones are the same tie.
#[derive(Clone, Default)]
pub struct Tie(Arc<Mutex<Hanging>>);

/// Something that can be cut off from those who hold it.
pub trait Severable: Send + Sync {
    /// Cuts it off. Later times do nothing.
    fn sever(&self);
}

#[derive(Default)]
struct Hanging {
    is_cut: bool,
    /// By where each lies in memory, which is its own as long as it is here.
    list: BTreeMap<usize, Weak<dyn Severable>>,
    /// How long the list may become before it is swept.
    sweep_at: usize,
}

/// Why a stream is not hung on a tie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TieError {
    /// It hangs on as many as it may.
    TooMany,
    /// It cannot be paid for.
    OverBudget(OverBudget),
}

impl Tie {
    /// One on which nothing hangs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cuts off everything that hangs on it, now and later.
    pub fn cut(&self) {
        let list = {
            let mut hanging = self.lock();
            hanging.is_cut = true;
            std::mem::take(&mut hanging.list)
        };
        for thing in list.values().filter_map(Weak::upgrade) {
            thing.sever();
        }
    }

    /// Hangs something on it.
    pub fn hang<S: Severable + 'static>(&self, thing: &Arc<S>) {
        if self.lock().add(thing) {
            thing.sever();
        }
    }

    /// The source as those have it who lose it when this is cut.
    pub fn source(
        &self,
        source: Arc<dyn ByteSource>,
        payer: &Budget,
    ) -> Result<Arc<dyn ByteSource>, TieError> {
        let ties = source.ties();
        if ties.contains(self) {
            return Ok(source);
        }
        Ok(self.front(source, ties, payer)?)
    }

    /// The sink as those have it who lose it when this is cut.
    pub fn sink(
        &self,
        sink: Arc<dyn ByteSink>,
        payer: &Budget,
    ) -> Result<Arc<dyn ByteSink>, TieError> {
        let ties = sink.ties();
        if ties.contains(self) {
            return Ok(sink);
        }
        if sink.depth() >= SINK_DEPTH_MAX {
            return Err(TieError::TooMany);
        }
        Ok(self.front(sink, ties, payer)?)
    }

    fn front<S: ?Sized + Send + Sync + 'static>(
        &self,
        stream: Arc<S>,
        mut ties: Vec<Tie>,
        payer: &Budget,
    ) -> Result<Arc<Front<S>>, TieError> {
        if ties.len() >= TIES_MAX {
            return Err(TieError::TooMany);
        }
        ties.push(self.clone());
        let front = Arc::new(Front {
            stream: Mutex::new(Some(stream)),
            ties,
            severed: Subscribers::new(),
            _paid: payer.reserve(TIED_BYTES).map_err(TieError::OverBudget)?,
        });
        self.hang(&front);
        Ok(front)
    }

    fn lock(&self) -> MutexGuard<'_, Hanging> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PartialEq for Tie {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Hanging {
    /// Takes it into the list; where that is over, the answer says so.
    fn add<S: Severable + 'static>(&mut self, thing: &Arc<S>) -> bool {
        if self.is_cut {
            return true;
        }
        if self.list.len() >= self.sweep_at.max(SWEEP_MIN) {
            self.list.retain(|_, weak| weak.strong_count() > 0);
            self.sweep_at = self.list.len() * 2;
        }
        let thing: Arc<dyn Severable> = Arc::clone(thing) as _;
        let place = Arc::as_ptr(&thing).cast::<()>() as usize;
        self.list.insert(place, Arc::downgrade(&thing));
        false
    }
}

/// What stands in front of a stream.
struct Front<S: ?Sized> {
    /// Nothing once it was cut off.
    stream: Mutex<Option<Arc<S>>>,
    /// Its own, and those of what lies behind it.
    ties: Vec<Tie>,
    severed: Subscribers,
    _paid: Reservation,
}

impl<S: ?Sized> Front<S> {
    /// Uses the stream, which stays what it is until that is done.
    fn with<R>(&self, operation: impl FnOnce(&S) -> R) -> Option<R> {
        let stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        stream.as_deref().map(operation)
    }

    fn subscribe(&self, notifier: &Notifier, behind: impl FnOnce(&S)) {
        self.severed.add(notifier);
        self.with(behind);
    }
}

impl<S: ?Sized + Send + Sync> Severable for Front<S> {
    fn sever(&self) {
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        let let_go = stream.take();
        drop(stream);
        drop(let_go);
        self.severed.notify_all();
    }
}

fn taken_back() -> StreamFailure {
    StreamFailure::Failed("the permission by which the stream came was taken back".to_owned())
}

impl ByteSource for Front<dyn ByteSource> {
    fn read(&self, buffer: &mut [u8]) -> Result<Read, StreamFailure> {
        let read = self.with(|source| source.read(buffer));
        read.unwrap_or_else(|| Err(taken_back()))
    }

    fn is_readable(&self) -> bool {
        self.with(|source| source.is_readable()).unwrap_or(true)
    }

    fn subscribe(&self, notifier: &Notifier) {
        self.subscribe(notifier, |source| source.subscribe(notifier));
    }

    fn ties(&self) -> Vec<Tie> {
        self.ties.clone()
    }
}

impl ByteSink for Front<dyn ByteSink> {
    fn room_bytes(&self) -> Result<usize, StreamFailure> {
        let room = self.with(|sink| sink.room_bytes());
        room.unwrap_or_else(|| Err(taken_back()))
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, StreamFailure> {
        let written = self.with(|sink| sink.write(bytes));
        written.unwrap_or_else(|| Err(taken_back()))
    }

    fn subscribe(&self, notifier: &Notifier) {
        self.subscribe(notifier, |sink| sink.subscribe(notifier));
    }

    fn ties(&self) -> Vec<Tie> {
        self.ties.clone()
    }

    fn depth(&self) -> usize {
        self.with(|sink| sink.depth() + 1).unwrap_or(0)
    }
}

impl fmt::Display for TieError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany => write!(
                out,
                "the stream was handed over by {TIES_MAX} permissions already, and cannot be handed on"
            ),
            Self::OverBudget(over) => write!(out, "the stream cannot be handed over: {over}"),
        }
    }
}

impl std::error::Error for TieError {}
