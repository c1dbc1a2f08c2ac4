//! Moments in which the host does something to the machine.

use std::thread;

use kernel_core::crash::Licence;
use kernel_core::{cpu, fault, mishap};

/// A vector that means nothing.
const VECTOR: u8 = 0x77;

/// Sets the scene and stays in it.
pub fn set(licence: &Licence, name: &str) -> ! {
    match name {
        "idle" => {}
        "storm" => {
            mishap::start_storm(licence, 24);
            let licence = *licence;
            thread::spawn(move || {
                loop {
                    (0..cpu::online_count() as u32)
                        .for_each(|cpu| mishap::send(&licence, cpu, VECTOR));
                }
            });
        }
        "switches" => {
            for _ in 0..4 * cpu::online_count() {
                thread::spawn(|| {
                    loop {
                        thread::yield_now();
                    }
                });
            }
        }
        _ => fault::stop_with(format_args!("there is no scene {name}")),
    }
    println!("interrupts: scene {name}");
    loop {
        thread::park();
    }
}
