//! Has a number for others: `kpio:demo/counter`. The number is kept by the system, so it goes on when this process ends and
//! another takes its place; what a caller was answered is kept already.
#![expect(missing_docs, reason = "what is generated is documented in the WIT")]

include!(concat!(env!("OUT_DIR"), "/wit.rs"));

generate! { world: "kpio:counter/counter", generate_all }

use exports::kpio::demo::counter;
use exports::kpio::service::health;
use kpio::link::failure::LinkFailure;
use kpio::service::escrow::{self, EscrowError};

/// By this name the number is kept, as eight bytes, the lowest first.
const NUMBER: &str = "number";

struct Counter;

impl counter::Guest for Counter {
    fn add(amount: u64) -> Result<u64, LinkFailure> {
        let sum = read().and_then(|number| keep(number.wrapping_add(amount)));
        // There is no room for the number: that may change.
        sum.map_err(|_full| LinkFailure::Busy)
    }
}

impl health::Guest for Counter {
    fn check() -> Result<(), String> {
        let number = read().map_err(|error| format!("the number cannot be had: {error}"));
        number.map(drop)
    }
}

fn read() -> Result<u64, EscrowError> {
    let bytes = escrow::get(NUMBER)?.and_then(|bytes| bytes.try_into().ok());
    Ok(bytes.map_or(0, u64::from_le_bytes))
}

fn keep(number: u64) -> Result<u64, EscrowError> {
    escrow::put(NUMBER, &number.to_le_bytes())?;
    Ok(number)
}

export!(Counter);
