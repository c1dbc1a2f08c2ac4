//! Dropping what was taken out of a queue, without recursion.
//!
//! A message that is dropped may close a channel, whose queue is then dropped too, and so on. Each such queue is put on a list of the
//! thread's that is already being worked off, so the stack does not grow with the depth.

use std::cell::RefCell;
use std::mem::ManuallyDrop;

use super::Envelope;
use crate::sync::thread_local;

/// What is still to be dropped, while somebody further down this thread's stack is at it. Nothing when nobody is, so there is nothing to
/// drop when the thread ends, and the list can be used until then.
type Pending = RefCell<ManuallyDrop<Option<Vec<Envelope>>>>;

thread_local! {
    static PENDING: Pending = const { RefCell::new(ManuallyDrop::new(None)) };
}

/// Drops them, and all that thereby is to be dropped. Not to be called with a channel's lock held.
pub(super) fn discard(envelopes: Vec<Envelope>) {
    if envelopes.is_empty() || add_to_pending(envelopes) {
        return;
    }
    while let Some(envelope) = next_pending() {
        drop(envelope);
    }
}

/// Whether somebody is at it who will drop these too; if not, the caller is.
fn add_to_pending(envelopes: Vec<Envelope>) -> bool {
    PENDING.with(|pending| match &mut **pending.borrow_mut() {
        Some(list) => {
            list.extend(envelopes);
            true
        }
        nobody => {
            *nobody = Some(envelopes);
            false
        }
    })
}

fn next_pending() -> Option<Envelope> {
    PENDING.with(|pending| {
        let pending = &mut **pending.borrow_mut();
        let next = pending.as_mut().and_then(Vec::pop);
        if next.is_none() {
            *pending = None;
        }
        next
    })
}
