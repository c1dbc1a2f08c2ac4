//! Serves counters, echoes and much data, for tests.

mod bulk;

use std::cell::Cell;
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

use exports::kpio::link_probe::{counters, shapes};
use kpio::link::failure::LinkFailure;
use shapes::{Colours, Direction, Error, Shape};
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

    fn finish(counter: counters::Counter) -> u64 {
        counter.get::<Counter>().0.get()
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

export!(Provider);
