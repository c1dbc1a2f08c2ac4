//! What the core adds to the checks of the machine layer (`kernel_machine::checks`): the order of locks that its text
//! promises, and how a broken rule ends.
//!
//! Law: an order that is not in [`LOCK_ORDER`] may be taken, but is listed when the machine powers off, and the suite
//! `checks` fails on it: the text and the machine agree. Without the feature `checks` all of it is nothing.

use core::fmt;

use kernel_machine::cpu::trap::Trap;

#[cfg(feature = "checks")]
use kernel_machine::checks as machine_checks;

/// Which lock may be held while which is taken, by their names; what follows from two rows need not be a third.
#[cfg(feature = "checks")]
const LOCK_ORDER: &[(&str, &str)] = &[
    ("heap lists", "heap"),
    ("heap", "frame cache"),
    ("regions", "frame cache"),
    ("device window", "frame cache"),
    ("frame cache", "frames"),
    ("console line", "log ring"),
    ("early screen", "screen queue"),
    // Never taken but to contradict it: see `crash/defects.rs`.
    ("crash outer", "crash inner"),
];

/// From here on a broken rule ends in a report.
pub(crate) fn init() {
    #[cfg(feature = "checks")]
    {
        machine_checks::init(crate::fault::stop_with);
        crate::watchdog::init();
        for (outer, inner) in LOCK_ORDER {
            machine_checks::locks::declare(outer, inner);
        }
    }
}

/// The machine stops for a reason: rules need no longer hold.
pub(crate) fn finish() {
    #[cfg(feature = "checks")]
    machine_checks::finish();
}

/// The locks that CPUs hold and wait for, for a report.
#[cfg_attr(
    not(feature = "checks"),
    expect(clippy::unnecessary_wraps, reason = "with checks it writes")
)]
pub(crate) fn write_state(_out: &mut dyn fmt::Write) -> fmt::Result {
    #[cfg(feature = "checks")]
    machine_checks::locks::write_state(_out)?;
    Ok(())
}

/// Looks at the other CPUs, if nobody has for a while.
pub(crate) fn look_at_others() {
    #[cfg(feature = "checks")]
    crate::watchdog::look();
}

/// Whether an interrupt that cannot be masked was the watchdog's.
#[cfg_attr(
    not(feature = "checks"),
    expect(unused_variables, reason = "with checks it is looked at")
)]
pub(crate) fn is_question(trap: &Trap<'_>) -> bool {
    #[cfg(feature = "checks")]
    return crate::watchdog::answer(trap);
    #[cfg(not(feature = "checks"))]
    false
}

/// When this CPU is to look at the others again, if it has to.
pub(crate) fn next_look_ns() -> Option<u64> {
    #[cfg(feature = "checks")]
    return crate::watchdog::next_look_ns();
    #[cfg(not(feature = "checks"))]
    None
}

/// A CPU that had nothing to do handles an interrupt.
pub(crate) fn woke_up() {
    #[cfg(feature = "checks")]
    if machine_checks::context::has_woken() {
        crate::watchdog::woke_up();
    }
}

/// Says in the log what the checks have seen.
pub(crate) fn summarize() {
    #[cfg(feature = "checks")]
    {
        let pages = crate::memory::audit::audit()
            .unwrap_or_else(|finding| crate::fault::stop_with(format_args!("{finding}")));
        crate::log::set_terminal_level(log::LevelFilter::Info);
        machine_checks::locks::for_each_undeclared(&mut |order| {
            log::warn!("checks: an order of locks that was not declared: {order}");
        });
        log::info!(
            "checks: nothing was found; {pages} pages agree with their regions; with interrupts off, at most {} bytes of stack were used",
            machine_checks::context::deepest_bytes()
        );
    }
}
