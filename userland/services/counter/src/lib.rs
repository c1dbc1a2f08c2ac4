//! Has a number for others: `kpio:demo/counter`. It begins at zero whenever the service is started.
#![expect(missing_docs, reason = "what is generated is documented in the WIT")]

use std::sync::atomic::{AtomicU64, Ordering};

include!(concat!(env!("OUT_DIR"), "/wit.rs"));

generate! { world: "kpio:demo/provider", generate_all }

use exports::kpio::demo::counter::Guest;
use kpio::link::failure::LinkFailure;

struct Counter;

static NUMBER: AtomicU64 = AtomicU64::new(0);

impl Guest for Counter {
    fn add(amount: u64) -> Result<u64, LinkFailure> {
        Ok(NUMBER.fetch_add(amount, Ordering::Relaxed) + amount)
    }
}

export!(Counter);
