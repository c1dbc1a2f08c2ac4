//! Areas of the system, as people name them.

/// What part of the system a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Area {
    /// The kernel's core, where nothing below says more.
    Kernel,
    /// Frames, regions, the heap, published code.
    Memory,
    /// Threads, scheduling, futexes.
    Thread,
    /// Interrupts, their controllers, traps.
    Interrupt,
    /// Processors.
    Cpu,
    /// Clocks and timers.
    Time,
    /// What firmware tells about the machine; power.
    Platform,
    /// Serial lines, keyboard, screen.
    Console,
    /// Tracing and profiling.
    Trace,
    /// The WebAssembly engine.
    Wasm,
    /// WASI and the streams and files behind it.
    Wasi,
    /// Processes, services, and what they call beyond WASI.
    Supervisor,
    /// The prompt, jobs and the image.
    Runtime,
    /// What was printed without the log's macros.
    Stdio,
    /// Everything else.
    Other,
}

/// Every area with its name, in the order of [`Area`]'s numbers.
pub const AREAS: [(Area, &str); 15] = [
    (Area::Kernel, "kernel"),
    (Area::Memory, "memory"),
    (Area::Thread, "thread"),
    (Area::Interrupt, "interrupt"),
    (Area::Cpu, "cpu"),
    (Area::Time, "time"),
    (Area::Platform, "platform"),
    (Area::Console, "console"),
    (Area::Trace, "trace"),
    (Area::Wasm, "wasm"),
    (Area::Wasi, "wasi"),
    (Area::Supervisor, "supervisor"),
    (Area::Runtime, "runtime"),
    (Area::Stdio, "stdio"),
    (Area::Other, "other"),
];

/// Modules by path; the first that the target lies in counts.
const TARGETS: &[(&str, Area)] = &[
    ("kernel_core::memory", Area::Memory),
    ("kernel_core::thread", Area::Thread),
    ("kernel_core::futex", Area::Thread),
    ("kernel_core::interrupt", Area::Interrupt),
    ("kernel_core::traps", Area::Interrupt),
    ("kernel_core::trap_delivery", Area::Interrupt),
    ("kernel_core::cpu", Area::Cpu),
    ("kernel_core::time", Area::Time),
    ("kernel_core::platform", Area::Platform),
    ("kernel_core::power", Area::Platform),
    ("kernel_core::console", Area::Console),
    ("kernel_core::screen", Area::Console),
    ("kernel_drivers_ps2", Area::Console),
    ("kernel_core::trace", Area::Trace),
    ("kernel_core", Area::Kernel),
    ("kernel_machine::memory", Area::Memory),
    ("kernel_machine::heap", Area::Memory),
    ("kernel_machine", Area::Kernel),
    ("kernel_libc", Area::Kernel),
    ("runtime_engine", Area::Wasm),
    ("wasmtime", Area::Wasm),
    ("cranelift_codegen", Area::Wasm),
    ("runtime_wasi", Area::Wasi),
    ("runtime_host", Area::Wasi),
    ("runtime_supervisor", Area::Supervisor),
    ("runtime_services", Area::Supervisor),
    ("runtime_link", Area::Supervisor),
    ("runtime_kpio", Area::Supervisor),
    ("runtime_entry", Area::Runtime),
    ("runtime_prompt", Area::Runtime),
    ("runtime_platform", Area::Runtime),
];

impl Area {
    /// The area of a `log` target, which is the path of the module that logs unless it says otherwise.
    pub fn of_target(target: &str) -> Self {
        let found = TARGETS.iter().find(|(module, _)| {
            let rest = target.strip_prefix(module);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        });
        found.map_or(Self::Other, |(_, area)| *area)
    }

    /// The area of this name.
    pub fn by_name(name: &str) -> Option<Self> {
        let found = AREAS.iter().find(|(_, known)| *known == name);
        found.map(|(area, _)| *area)
    }

    /// The area of this number; numbers that none has are [`Area::Other`].
    pub fn by_number(number: u8) -> Self {
        AREAS
            .get(usize::from(number))
            .map_or(Self::Other, |(area, _)| *area)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        AREAS[self as usize].1
    }
}

#[cfg(test)]
mod tests {
    use super::{AREAS, Area};

    #[test]
    fn numbers_names_and_order_agree() {
        for (number, (area, name)) in AREAS.iter().enumerate() {
            assert_eq!(*area as usize, number);
            assert_eq!(Area::by_number(number as u8), *area);
            assert_eq!(Area::by_name(name), Some(*area));
            assert_eq!(area.name(), *name);
        }
        assert_eq!(Area::by_number(200), Area::Other);
        assert_eq!(Area::by_name("Memory"), None);
    }

    #[test]
    fn targets_are_modules_not_prefixes() {
        for (target, area) in [
            ("kernel_core::memory::regions", Area::Memory),
            ("kernel_core::memory", Area::Memory),
            ("kernel_core::memoryless", Area::Kernel),
            ("kernel_core", Area::Kernel),
            ("kernel_coreutils", Area::Other),
            ("wasmtime::runtime", Area::Wasm),
            ("", Area::Other),
        ] {
            assert_eq!(Area::of_target(target), area, "{target}");
        }
    }
}
