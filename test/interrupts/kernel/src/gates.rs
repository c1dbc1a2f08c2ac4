//! What a gate makes sure of before the handler runs.

use kernel_core::crash::Licence;
use kernel_core::mishap::{self, Act, Outcome};

use crate::cells::exception;

/// A vector for every landing pad, and the pad.
const PADS: [(u8, u8); 5] = [(13, 1), (2, 3), (8, 4), (18, 5), (1, 6)];

/// A landing pad that is entered while it is in use has lost its frame, which stops the machine.
pub fn busy_pads(licence: &Licence) -> Result<(), String> {
    for (vector, pad) in PADS {
        let act = Act::RaiseOnBusyPad(exception(vector, None));
        let wanted = format!("trap {vector} came on landing pad {pad} while it was in use");
        match mishap::rehearse(licence, act, true) {
            Outcome::Stopped(stop) if stop.sentence() == wanted => {}
            other => return Err(format!("expected {wanted:?}, but {}", told(&other))),
        }
    }
    Ok(())
}

fn told(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Returned => "it was ignored".to_owned(),
        Outcome::Stopped(stop) => format!("it was {:?}", stop.sentence()),
        Outcome::Delivered(signal, _) => format!("signal {signal} was delivered"),
    }
}

/// A handler is a function of the ABI whatever it interrupts: DF and AC are clear, MXCSR is the initial one.
pub fn state(licence: &Licence) -> Result<(), String> {
    const INTERRUPT_FLAG: u64 = 1 << 9;
    const DIRECTION_FLAG: u64 = 1 << 10;
    const ALIGNMENT_CHECK: u64 = 1 << 18;
    let (flags, mxcsr) = mishap::handler_state(licence);
    if flags & (INTERRUPT_FLAG | DIRECTION_FLAG | ALIGNMENT_CHECK) != 0 {
        return Err(format!("the handler's flags are {flags:#x}"));
    }
    if mxcsr != 0x1f80 {
        return Err(format!("the handler's MXCSR is {mxcsr:#x}"));
    }
    Ok(())
}
