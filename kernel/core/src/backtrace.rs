//! Walking the stack of code that has failed.

use kernel_machine::cpu::trap::Frame;

/// One place in the chain of calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Address of the instruction, or the return address.
    pub address: usize,
    /// Whether it is a return address: the call lies before it.
    pub is_return: bool,
}

impl Place {
    /// The address by which the function is found.
    pub fn lookup_address(self) -> usize {
        self.address - usize::from(self.is_return)
    }
}

/// Visits the places from the innermost outwards.
pub(crate) fn walk(frame: Option<&Frame>, visit: &mut dyn FnMut(Place)) {
    if let Some(frame) = frame {
        visit(Place {
            address: frame.dwarf()[16] as usize,
            is_return: false,
        });
    }
}
