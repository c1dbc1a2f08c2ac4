//! The guest's screen, looked at again and again.
//!
//! Law: nothing says that everything has been drawn. A screen that many looks in a row find the same counts as that; where it is to change,
//! that is to be waited for first.

use std::thread;
use std::time::Duration;

use super::report::unmet;
use crate::failure::Result;
use crate::qemu::{Guest, Screen};

/// How often something is looked at, and how long each time is waited before.
pub const LOOKS: u32 = 240;
pub const BETWEEN_LOOKS: Duration = Duration::from_millis(250);
/// So many looks in a row find the same screen when everything has been drawn.
const EQUAL_LOOKS: u32 = 12;

/// The screen when it has not changed for a while.
pub fn rest(guest: &mut Guest) -> Result<Screen> {
    let mut last = guest.screen()?;
    let mut unchanged = 0;
    for _ in 0..LOOKS {
        thread::sleep(BETWEEN_LOOKS);
        let screen = guest.screen()?;
        unchanged = if screen == last { unchanged + 1 } else { 0 };
        if unchanged == EQUAL_LOOKS {
            return Ok(screen);
        }
        last = screen;
    }
    Err(unmet("the screen does not come to rest"))
}
