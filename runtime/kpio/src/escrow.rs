//! `kpio:service/escrow`: what is kept for a service over the ends of its processes.

use runtime_host::{EscrowFull, Seat};

use crate::bindings::service::kpio::service::escrow::{EscrowError, Host};
use crate::context::Caller;

type Answer<T> = wasmtime::Result<Result<T, EscrowError>>;

impl Host for Caller<'_> {
    fn put(&mut self, key: String, bytes: Vec<u8>) -> Answer<()> {
        let put = self.at_turn(|seat| seat.put(key, bytes))?;
        Ok(put.and_then(|put| put.map_err(|EscrowFull| EscrowError::Quota)))
    }

    fn get(&mut self, key: String) -> Answer<Option<Vec<u8>>> {
        self.at_turn(|seat| seat.get(&key))
    }

    fn remove(&mut self, key: String) -> Answer<()> {
        self.at_turn(|seat| seat.remove(&key))
    }

    fn keys(&mut self) -> Answer<Vec<String>> {
        self.at_turn(Seat::keys)
    }
}

impl Caller<'_> {
    /// Waits until it is the process's turn; nothing is done if that would never be.
    fn at_turn<T>(&self, operation: impl FnOnce(&Seat) -> T) -> Answer<T> {
        let Some(service) = self.service() else {
            return Ok(Err(EscrowError::NoService));
        };
        let seat = service.escrow();
        if !seat.is_first() && !service.takes_over() {
            return Ok(Err(EscrowError::NotYet));
        }
        let is_first = || seat.is_first().then_some(());
        self.wasi
            .block_on(|notifier| seat.subscribe(notifier), is_first)?;
        Ok(Ok(operation(seat)))
    }
}
