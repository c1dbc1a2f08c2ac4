//! Serves counters, echoes and much data, for tests.

mod bulk;

use std::cell::{Cell, RefCell};
use std::hint::black_box;

include!(concat!(env!("OUT_DIR"), "/wit.rs"));

generate! {
    world: "kpio:link-probe/provider",
    generate_all,
    with: {
        "wasi:io/error@0.2.12": wasip2::io::error,
        "wasi:io/poll@0.2.12": wasip2::io::poll,
        "wasi:io/streams@0.2.12": wasip2::io::streams,
    },
}

use exports::kpio::link_probe::{counters, shapes, watching};
use exports::kpio::service::{health, reactions};
use kpio::link::failure::LinkFailure;
use kpio::service::reactor;
use shapes::{Colours, Direction, Error, Shape, Wide};
use wasip2::clocks::monotonic_clock::{subscribe_duration, subscribe_instant};
use wasip2::io::poll::Pollable;
use wasip2::io::streams::{InputStream, StreamError};

struct Provider;

thread_local! {
    static LIVE: Cell<u32> = const { Cell::new(0) };
}

struct Counter(Cell<u64>);

impl Drop for Counter {
    fn drop(&mut self) {
        LIVE.set(LIVE.get() - 1);
    }
}

impl counters::GuestCounter for Counter {
    fn new(start: u64) -> Counter {
        LIVE.set(LIVE.get() + 1);
        Counter(Cell::new(start))
    }

    fn add(&self, amount: u64) -> Result<u64, LinkFailure> {
        self.0.set(self.0.get() + amount);
        Ok(self.0.get())
    }
}

impl counters::Guest for Provider {
    type Counter = Counter;

    fn make(start: u64) -> Result<counters::Counter, LinkFailure> {
        Ok(counters::Counter::new(
            <Counter as counters::GuestCounter>::new(start),
        ))
    }

    fn finish(counter: counters::Counter) -> u64 {
        counter.get::<Counter>().0.get()
    }

    fn give_back(counter: counters::Counter) -> Result<u64, LinkFailure> {
        Ok(Self::finish(counter))
    }

    fn live() -> u32 {
        LIVE.get()
    }
}

impl shapes::Guest for Provider {
    fn echo(
        shape: Shape,
        colours: Colours,
        direction: Direction,
        letter: char,
        is_it: bool,
        maybe: Option<Option<i8>>,
        numbers: Vec<i64>,
    ) -> Result<
        (
            Shape,
            Colours,
            Direction,
            char,
            bool,
            Option<Option<i8>>,
            Vec<i64>,
        ),
        Error,
    > {
        Ok((shape, colours, direction, letter, is_it, maybe, numbers))
    }

    fn produce(len: u32) -> Result<Vec<u8>, Error> {
        Ok((0..len).map(|number| number as u8).collect())
    }

    fn consume(bytes: Vec<u8>) -> Result<u32, Error> {
        Ok(bytes.len() as u32)
    }

    fn consume_sparse(items: Vec<Option<Wide>>) -> Result<u32, Error> {
        Ok(items.len() as u32)
    }

    fn produce_sparse(len: u32) -> Result<Vec<Option<Wide>>, Error> {
        Ok(vec![None; len as usize])
    }

    fn read(bytes: InputStream) -> Result<u64, Error> {
        let mut sum = 0;
        loop {
            match bytes.blocking_read(4096) {
                Ok(read) => sum += read.iter().map(|byte| u64::from(*byte)).sum::<u64>(),
                Err(StreamError::Closed) => return Ok(sum),
                Err(error) => return Err(Error::Bad(error.to_string())),
            }
        }
    }

    fn pass_back(bytes: InputStream) -> Result<InputStream, Error> {
        Ok(bytes)
    }

    fn crash() -> Result<(), Error> {
        panic!("told to")
    }

    fn crash_silently() {
        panic!("told to")
    }

    fn spin(rounds: u64) -> Result<(), Error> {
        println!("spins");
        for round in 0..rounds {
            black_box(round);
        }
        Ok(())
    }
}

/// For this token it watches anew each time that it is told.
const AGAIN: u64 = 1_000_000;
/// By this one it ends.
const CRASH: u64 = 1_000_001;

thread_local! {
    static ILLNESS: RefCell<Option<String>> = const { RefCell::new(None) };
    static STARTS: Cell<u32> = const { Cell::new(0) };
    static AGAINS: Cell<u64> = const { Cell::new(0) };
    static TOLD: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

fn watch(pollable: Pollable, token: u64) -> Result<(), String> {
    reactor::watch(pollable, token).map_err(|error| error.to_string())
}

fn watch_past(token: u64) -> Result<(), String> {
    watch(subscribe_instant(0), token)
}

impl watching::Guest for Provider {
    fn watch_past(tokens: Vec<u64>) -> Result<(), String> {
        tokens.into_iter().try_for_each(watch_past)
    }

    fn watch_but(tokens: Vec<u64>, forgotten: u64) -> Result<(), String> {
        tokens.into_iter().try_for_each(watch_past)?;
        reactor::forget(forgotten);
        Ok(())
    }

    fn watch_input(bytes: InputStream, token: u64) -> Result<(), String> {
        watch(bytes.subscribe(), token)
    }

    fn watch_in(ms: u64, token: u64) -> Result<(), String> {
        watch(subscribe_duration(ms * 1_000_000), token)
    }

    fn watch_many() -> u64 {
        let refused = (0..).find(|token| watch(subscribe_instant(u64::MAX), *token).is_err());
        refused.unwrap_or_default()
    }

    fn told() -> (u32, Vec<u64>) {
        (STARTS.get(), TOLD.with_borrow(Vec::clone))
    }

    fn fall_ill(why: String) -> Result<(), LinkFailure> {
        ILLNESS.set(Some(why));
        Ok(())
    }

    fn again() -> Result<u64, LinkFailure> {
        Ok(AGAINS.get())
    }
}

impl health::Guest for Provider {
    fn check() -> Result<(), String> {
        ILLNESS.with_borrow(|why| why.clone().map_or(Ok(()), Err))
    }
}

impl reactions::Guest for Provider {
    fn start() {
        STARTS.set(STARTS.get() + 1);
    }

    fn ready(token: u64) {
        match token {
            AGAIN => {
                AGAINS.set(AGAINS.get() + 1);
                watch_past(AGAIN).expect("it was watched before");
            }
            CRASH => panic!("told to"),
            _ => {
                TOLD.with_borrow_mut(|told| told.push(token));
                println!("ready: {token}");
            }
        }
    }
}

export!(Provider);
