//! Planted defects: what the suite must notice to be trusted.

use kernel_core::crash::Licence;
use kernel_core::trap_delivery::{self, TrapSignal};
use kernel_core::{fault, interrupt};
use kernel_machine::cpu::rehearse;

/// A line that no device has, on a vector that is expected to be unexpected.
const FREE_LINE: u8 = 6;

/// One way in which the run goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// The upper halves of the vector registers are not saved.
    ForgottenHalves,
    /// An interrupt that nobody asked for finds a handler, and is not counted.
    StrayHandler,
    /// Invalid instructions are not handed to the runtime.
    LostTrap,
}

impl Defect {
    /// The defect of this name.
    pub fn named(name: &str) -> Self {
        match name {
            "forgotten-halves" => Self::ForgottenHalves,
            "stray-handler" => Self::StrayHandler,
            "lost-trap" => Self::LostTrap,
            _ => fault::stop_with(format_args!("there is no defect {name}")),
        }
    }

    /// Makes it so, after code was published.
    pub fn plant(self, licence: &Licence) {
        match self {
            Self::ForgottenHalves => rehearse::forget_vector_halves(licence),
            Self::StrayHandler => {
                interrupt::register_isa(FREE_LINE, || ());
            }
            Self::LostTrap => trap_delivery::set_handler(TrapSignal::Ill, None),
        }
    }
}
