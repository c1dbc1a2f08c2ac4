//! A service that ends by itself, for those who want to see what happens then: `crasher AFTER_MS CODE`.
//!
//! It ends with that code, or by a trap where CODE is `trap`.

use std::process::{ExitCode, abort};
use std::thread::sleep;
use std::time::Duration;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [after_ms, code] = arguments.as_slice() else {
        return usage();
    };
    let Ok(after_ms) = after_ms.parse() else {
        return usage();
    };
    sleep(Duration::from_millis(after_ms));
    println!("ends with {code}");
    match code.parse::<u8>() {
        Ok(code) => ExitCode::from(code),
        Err(_) if code == "trap" => abort(),
        Err(_) => usage(),
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: crasher AFTER_MS CODE|trap");
    ExitCode::from(2)
}
