//! Off, and off and on again.
//!
//! Law: each way is tried in the order of how well it is specified, with a bounded wait after it;
//! [`reboot`] always ends, since a CPU without an interrupt table resets at the next fault. Call
//! with interrupts off, when everything that matters is written and the other CPUs have stopped.
//!
//! Source: ACPI 6.5, sections 4.8.3.2 (PM1 control), 4.8.3.6 (reset register), 16.1.7 (entering
//! S5).

use core::arch::asm;

use crate::mmio::Mmio;
use crate::port::{Port, io_delay};

use super::acpi::{Platform, PmControl, ResetRegister, SleepType};

const PM1_SCI_ENABLED: u16 = 1;
const PM1_SLEEP_TYPE_SHIFT: u16 = 10;
const PM1_SLEEP_TYPE_MASK: u16 = 0b111 << PM1_SLEEP_TYPE_SHIFT;
const PM1_SLEEP_ENABLE: u16 = 1 << 13;

/// PM1a control of QEMU's machines, where S5 is sleep type 0: for when the firmware's tables cannot
/// be read.
const QEMU_PM1A_CONTROL: Port<u16> = Port::new(0x604);
/// QEMU's `isa-debug-exit` device, at the address that this project's test machines give it.
const QEMU_DEBUG_EXIT: Port<u32> = Port::new(0xf4);

/// Reset control register of PIIX and ICH chip sets.
const RESET_CONTROL: Port<u8> = Port::new(0xcf9);
const RESET_CONTROL_SYSTEM: u8 = 0b010;
const RESET_CONTROL_GO: u8 = 0b110;

/// 8042 keyboard controller: pulse output line 0, which is wired to reset.
const KEYBOARD_COMMAND: Port<u8> = Port::new(0x64);
const KEYBOARD_INPUT_FULL: u8 = 1 << 1;
const KEYBOARD_PULSE_RESET: u8 = 0xfe;

const PCI_CONFIGURATION_ADDRESS: Port<u32> = Port::new(0xcf8);
const PCI_CONFIGURATION_DATA: u16 = 0xcfc;

/// About how long each way gets to work, in microseconds.
const PATIENCE_US: u32 = 300_000;

/// Switches the machine off; returns if it would not go.
pub fn power_off(platform: &Platform) {
    if let Some((control, s5)) = platform.pm_control.zip(platform.s5) {
        take_over_from_firmware(&control);
        enter_sleep(&control, s5);
        wait(PATIENCE_US);
    }
    QEMU_PM1A_CONTROL.write(PM1_SLEEP_ENABLE);
    wait(PATIENCE_US);
}

/// Some firmware ignores PM1 control until it has been told that an ACPI system runs (ACPI 6.5,
/// section 4.8.2.5).
fn take_over_from_firmware(control: &PmControl) {
    let status = Port::<u16>::new(control.pm1a);
    let Some((port, value)) = control.acpi_enable else {
        return;
    };
    if status.read() & PM1_SCI_ENABLED != 0 {
        return;
    }
    Port::<u8>::new(port).write(value);
    for _ in 0..PATIENCE_US {
        if status.read() & PM1_SCI_ENABLED != 0 {
            return;
        }
        io_delay();
    }
}

fn enter_sleep(control: &PmControl, sleep: SleepType) {
    let pm1a = Port::<u16>::new(control.pm1a);
    let pm1b = control.pm1b.map(Port::<u16>::new);
    pm1a.write(sleep_command(pm1a.read(), sleep.pm1a));
    if let Some(pm1b) = pm1b {
        pm1b.write(sleep_command(pm1b.read(), sleep.pm1b));
    }
}

fn sleep_command(control: u16, sleep_type: u8) -> u16 {
    control & !PM1_SLEEP_TYPE_MASK
        | u16::from(sleep_type) << PM1_SLEEP_TYPE_SHIFT & PM1_SLEEP_TYPE_MASK
        | PM1_SLEEP_ENABLE
}

/// Resets the machine.
pub fn reboot(platform: &Platform) -> ! {
    if let Some((register, value)) = platform.reset {
        write_reset_register(register, value);
        wait(PATIENCE_US);
    }
    RESET_CONTROL.write(RESET_CONTROL_SYSTEM);
    io_delay();
    RESET_CONTROL.write(RESET_CONTROL_GO);
    wait(PATIENCE_US);
    pulse_keyboard_reset();
    wait(PATIENCE_US);
    triple_fault()
}

fn write_reset_register(register: ResetRegister, value: u8) {
    match register {
        ResetRegister::Port(port) => Port::<u8>::new(port).write(value),
        ResetRegister::Memory(address) => write_reset_memory(address, value),
        ResetRegister::PciConfiguration {
            device,
            function,
            offset,
        } => {
            PCI_CONFIGURATION_ADDRESS.write(pci_address(device, function, offset));
            Port::<u8>::new(PCI_CONFIGURATION_DATA + u16::from(offset & 3)).write(value);
        }
    }
}

/// Device windows are accessed 32 bits at a time, so the byte goes with its neighbours as they are.
fn write_reset_memory(address: u64, value: u8) {
    let Ok(window) = Mmio::map(address & !3, 4) else {
        return;
    };
    let shift = (address & 3) * 8;
    let others = window.read32(0) & !(0xff << shift);
    window.write32(0, others | u32::from(value) << shift);
}

/// Configuration mechanism 1, bus 0.
fn pci_address(device: u8, function: u8, offset: u8) -> u32 {
    1 << 31 | u32::from(device) << 11 | u32::from(function) << 8 | u32::from(offset & !3)
}

fn pulse_keyboard_reset() {
    for _ in 0..PATIENCE_US {
        if KEYBOARD_COMMAND.read() & KEYBOARD_INPUT_FULL == 0 {
            break;
        }
        io_delay();
    }
    KEYBOARD_COMMAND.write(KEYBOARD_PULSE_RESET);
}

/// Faults without an interrupt table: the fault cannot be delivered, nor the double fault, and the
/// CPU shuts down, which PCs wire to reset.
fn triple_fault() -> ! {
    let empty_table = [0u8; 10];
    // SAFETY: nothing runs on this CPU after this; that is the purpose.
    unsafe {
        asm!("lidt [{}]", "2: int3", "hlt", "jmp 2b", in(reg) &raw const empty_table, options(noreturn));
    }
}

/// Ends QEMU with exit status `code * 2 + 1`, if the machine has the debug-exit device; returns if not.
pub fn debug_exit(code: u32) {
    QEMU_DEBUG_EXIT.write(code);
}

/// Waits without a clock: a write to port 0x80 takes about a microsecond.
fn wait(us: u32) {
    (0..us).for_each(|_| io_delay());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sleep_command_keeps_other_bits() {
        assert_eq!(sleep_command(0b1, 5), 1 << 13 | 5 << 10 | 1);
        assert_eq!(sleep_command(7 << 10, 0), 1 << 13);
        assert_eq!(sleep_command(0, 0xff), 1 << 13 | 7 << 10);
    }

    #[test]
    fn pci_addresses_are_those_of_mechanism_1() {
        assert_eq!(pci_address(31, 7, 0xff), 0x8000_fffc);
        assert_eq!(pci_address(0, 0, 0), 0x8000_0000);
    }
}
