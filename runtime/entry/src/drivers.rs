//! The drivers of this image, and what command line and prompt say to them.

use contract_boot::BootInfo;
use kernel_drivers_ps2::{self as ps2, Layout};

/// Starts every driver. `keyboard=LAYOUT` chooses what the keys mean.
pub fn start(info: &BootInfo) {
    let words = kernel_core::log::command_line(info).split(' ');
    for name in words.filter_map(|word| word.strip_prefix("keyboard=")) {
        match Layout::from_name(name) {
            Some(layout) => ps2::set_layout(layout),
            None => log::warn!("{}", unknown(name)),
        }
    }
    ps2::start();
}

/// The prompt's `keyboard [LAYOUT]`.
///
/// # Errors
/// A sentence about words that name no layout.
pub fn keyboard(words: &[String]) -> Result<String, String> {
    match words {
        [] => Ok(format!(
            "The layout is {}. There are {}.\n",
            ps2::layout().name(),
            names()
        )),
        [name] => {
            ps2::set_layout(Layout::from_name(name).ok_or_else(|| unknown(name))?);
            Ok(String::new())
        }
        _ => Err("'keyboard' takes one layout.".to_owned()),
    }
}

fn unknown(name: &str) -> String {
    let name = name.escape_debug();
    format!(
        "There is no keyboard layout '{name}'; there are {}.",
        names()
    )
}

fn names() -> String {
    Layout::ALL.map(Layout::name).join(", ")
}
