//! What surrounds the CPU cores: firmware tables, interrupt controllers, timers, clock, serial
//! ports, power.
//!
//! Law: each module owns the ports and registers of one kind of device and exports a safe type for
//! it. What firmware and devices say is hostile: it is decoded by pure functions that host tests
//! drive, ends in a value or an error with a sentence, and every wait for a device is bounded.
//! Nothing here allocates, except [`acpi`], which runs once at boot; nothing here takes a lock.
//! Units: frequencies in Hz, times in nanoseconds, unless a name says otherwise.

pub mod acpi;
pub mod apic_timer;
pub mod features;
pub mod framebuffer;
pub mod hardware_random;
pub mod hpet;
pub mod i8042;
pub mod io_apic;
pub mod local_apic;
pub mod pic;
pub mod pit;
pub mod pm_timer;
pub mod power;
pub mod rtc;
pub mod serial;
pub mod tsc;
