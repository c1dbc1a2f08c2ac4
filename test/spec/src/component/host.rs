//! What a component of the suite may import: one instance, `host`.
//!
//! | export | what it does |
//! |---|---|
//! | `concat: func(a: string, b: string) -> string` | `a`, then `b` |
//! | `sum: func(numbers: list<u32>) -> u64` | their sum |
//! | `invert: func(value: result<u32, string>) -> result<string, u32>` | the other case, with the same payload |
//! | `refuse: func()` | fails on the host's side |
//! | `resource ticket` | made of a number; the store counts those that live |
//! | `[constructor]ticket: func(number: u32) -> own<ticket>` | |
//! | `[method]ticket.number: func(self: borrow<ticket>) -> u32` | |
//! | `[static]ticket.redeem: func(ticket: own<ticket>) -> u32` | its number; the ticket is gone |
//! | `[static]ticket.live: func() -> u32` | how many there are |

use wasmtime::component::{Linker, LinkerInstance, Resource, ResourceType};
use wasmtime::{Engine, Result, StoreContextMut, bail};

/// What the host knows of one store.
#[derive(Clone, Copy, Debug, Default)]
pub struct Host {
    live_tickets: u32,
}

/// The resource's type; its representation is the number.
enum Ticket {}

/// A linker that has all of it.
///
/// # Errors
/// None: the names are fixed and differ.
pub fn linker(engine: &Engine) -> Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    let mut host = linker.instance("host")?;
    add_functions(&mut host)?;
    add_tickets(&mut host)?;
    Ok(linker)
}

fn add_functions(host: &mut LinkerInstance<'_, Host>) -> Result<()> {
    host.func_wrap("concat", |_, (a, b): (String, String)| Ok((a + &b,)))?;
    host.func_wrap("sum", |_, (numbers,): (Vec<u32>,)| {
        Ok((numbers.into_iter().map(u64::from).sum::<u64>(),))
    })?;
    host.func_wrap("invert", |_, (value,): (Result<u32, String>,)| {
        Ok((match value {
            Ok(number) => Err(number),
            Err(text) => Ok(text),
        },))
    })?;
    host.func_wrap("refuse", |_, (): ()| -> Result<()> {
        bail!("the host refuses")
    })
}

fn add_tickets(host: &mut LinkerInstance<'_, Host>) -> Result<()> {
    host.resource(
        "ticket",
        ResourceType::host::<Ticket>(),
        |mut store, _number| {
            store.data_mut().live_tickets -= 1;
            Ok(())
        },
    )?;
    host.func_wrap("[constructor]ticket", |mut store, (number,): (u32,)| {
        store.data_mut().live_tickets += 1;
        Ok((Resource::<Ticket>::new_own(number),))
    })?;
    host.func_wrap(
        "[method]ticket.number",
        |_, (ticket,): (Resource<Ticket>,)| Ok((ticket.rep(),)),
    )?;
    host.func_wrap("[static]ticket.redeem", redeem)?;
    host.func_wrap("[static]ticket.live", |store, (): ()| {
        Ok((store.data().live_tickets,))
    })
}

fn redeem(mut store: StoreContextMut<'_, Host>, (ticket,): (Resource<Ticket>,)) -> Result<(u32,)> {
    store.data_mut().live_tickets -= 1;
    Ok((ticket.rep(),))
}
