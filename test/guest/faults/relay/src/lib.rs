//! Serves `work`, and has all of it written down in a journal that somebody else keeps.

include!(concat!(env!("OUT_DIR"), "/wit.rs"));

generate! {
    world: "kpio:fault-probe/relay",
    generate_all,
    with: {
        "wasi:io/error@0.2.12": wasip2::io::error,
        "wasi:io/poll@0.2.12": wasip2::io::poll,
        "wasi:io/streams@0.2.12": wasip2::io::streams,
    },
}

use exports::kpio::fault_probe::work::{Guest, GuestSession};
use kpio::fault_probe::journal;
use kpio::link::failure::LinkFailure;
use wasip2::io::streams::{InputStream, StreamError};

struct Relay;

struct Session {
    client: u32,
}

impl GuestSession for Session {
    fn new(client: u32) -> Session {
        Session { client }
    }

    fn note(&self, number: u64) -> Result<u64, LinkFailure> {
        serve(self.client, number)
    }
}

impl Guest for Relay {
    type Session = Session;

    fn enter(client: u32, number: u64, _padding: Vec<u8>) -> Result<u64, LinkFailure> {
        serve(client, number)
    }

    fn read(bytes: InputStream) -> Result<u64, LinkFailure> {
        let mut sum = 0;
        loop {
            match bytes.blocking_read(4096) {
                Ok(read) => sum += read.iter().map(|byte| u64::from(*byte)).sum::<u64>(),
                Err(StreamError::Closed) => return Ok(sum),
                Err(StreamError::LastOperationFailed(_)) => return Err(LinkFailure::Lost),
            }
        }
    }

    fn pass_back(bytes: InputStream) -> Result<InputStream, LinkFailure> {
        Ok(bytes)
    }

    fn trap() -> Result<u64, LinkFailure> {
        std::process::abort()
    }
}

fn serve(client: u32, number: u64) -> Result<u64, LinkFailure> {
    let number = journal::append(client, number)?;
    Ok(number.wrapping_mul(31).wrapping_add(u64::from(client)))
}

export!(Relay);
