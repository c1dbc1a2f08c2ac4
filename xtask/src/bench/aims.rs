//! What the figures are held against: aims, and reasons why a figure of the peer has no counterpart.

/// What a figure is to come to.
#[derive(Clone, Copy, Debug)]
pub enum Limit {
    /// A number in the figure's unit.
    Value(f64),
    /// A number of the peer's in the same round.
    Ratio(f64),
}

/// The aims, by how the figures' names begin: as people read them, and as numbers.
pub const AIMS: &[(&str, &str, Limit)] = &[
    ("boot.loader_to_prompt", "≤ 2 s", Limit::Value(2.0)),
    ("memory.guest_used", "≤ 64 MiB", Limit::Value(64.0 * 1024.0)),
    (
        "native.sched.futex_rtt_same_cpu",
        "≤ 8 µs",
        Limit::Value(8e3),
    ),
    (
        "native.sched.futex_rtt_cross_cpu",
        "≤ 40 µs",
        Limit::Value(40e3),
    ),
    ("native.thread.create_join", "≤ 60 µs", Limit::Value(60e3)),
    ("native.mem.fault_4k", "≤ 8 µs", Limit::Value(8e3)),
    (
        "wasm.component.instantiate_pool",
        "≤ 30 µs",
        Limit::Value(30e3),
    ),
    (
        "wasm.run.hello_process",
        "≤ 0.02 of Linux's",
        Limit::Ratio(0.02),
    ),
    ("wasm.call.wasm_to_host", "≤ 100 ns", Limit::Value(100.0)),
    ("wasi.clock_time_get", "≤ 0.3 µs", Limit::Value(300.0)),
    // No call: memory that the program has already, and the compiler's code.
    (
        "wasi.malloc_memset_free_64k",
        "≤ Linux's",
        Limit::Ratio(1.0),
    ),
    ("wasi.", "≤ 0.5 of Linux's", Limit::Ratio(0.5)),
    ("calls.tmpfs.", "≤ Linux's", Limit::Ratio(1.0)),
    ("calls.", "≤ 0.5 of Linux's", Limit::Ratio(0.5)),
    (
        "channels.call_0",
        "≤ 0.1 of Linux's pipes",
        Limit::Ratio(0.1),
    ),
    (
        "channels.call_64",
        "≤ 0.1 of Linux's pipes",
        Limit::Ratio(0.1),
    ),
    (
        "channels.call_4k",
        "≤ 0.1 of Linux's pipes",
        Limit::Ratio(0.1),
    ),
    (
        "channels.call_64k",
        "≤ 0.1 of Linux's pipes",
        Limit::Ratio(0.1),
    ),
    (
        "channels.call_4k_in_buffer",
        "≤ 0.1 of Linux's pipes",
        Limit::Ratio(0.1),
    ),
    (
        "channels.call_64k_in_buffer",
        "≤ 0.1 of Linux's pipes",
        Limit::Ratio(0.1),
    ),
    ("channels.kill_to_answer", "≤ 5 ms", Limit::Value(5.0)),
    ("channels.idle_service", "≤ 512 KiB", Limit::Value(512.0)),
    ("processes.pipe_rtt_64", "≤ Linux's", Limit::Ratio(1.0)),
    ("processes.pipe_bw_64k", "≤ Linux's", Limit::Ratio(1.0)),
    // 0.98 of the peer's speed.
    ("wasm.compute.", "≤ 1.02 of Linux's", Limit::Ratio(1.02)),
];

/// Figures of the peer that KPIO has not, by how their names begin, and why.
pub const ABSENT: &[(&str, &str)] = &[
    (
        "native.syscall.",
        "there are no system calls: a thread of the kernel calls a function, and WebAssembly an import",
    ),
    (
        "native.clock.gettime_syscall",
        "the same: `clock.gettime_user` is the one way to read the clock",
    ),
    (
        "native.process.",
        "there is no fork and no exec; starting a program is `wasm.run.hello_process`",
    ),
    (
        "native.compute.",
        "the peer's are C compiled for the processor; both sides compute in WebAssembly, in the suite wasm",
    ),
    (
        "native.file.tmpfs.",
        "files are reached through WASI, in the suites wasi and calls",
    ),
    ("native.file.", "there is no driver for disks"),
    ("native.net.", "there is no network"),
    (
        "wasm.deserialize.",
        "precompiled programs run where they lie in the image; nothing is copied or parsed anew per start",
    ),
    ("wasm.aot_size.", "the same"),
    (
        "boot.kernel_uptime_at_prompt",
        "Linux's own count of the same time",
    ),
    ("boot.init", "there is no init between kernel and prompt"),
    ("boot.ready", "the same"),
    (
        "channels.unix_",
        "native programs over Unix sockets, for comparison: a service of KPIO's is WebAssembly",
    ),
    (
        "memory.",
        "Linux's own parts of `memory.guest_used`, which is the sum on both sides",
    ),
];

/// The aim of a figure, as people read it and as a number.
pub fn aim_of(name: &str) -> Option<(&'static str, Limit)> {
    let aim = AIMS.iter().find(|(figure, ..)| fits(figure, name));
    aim.map(|(_, text, limit)| (*text, *limit))
}

/// Whether a name is the one that is meant, or one of those that begin with it where it ends in a dot.
fn fits(figure: &str, name: &str) -> bool {
    figure == name || figure.ends_with('.') && name.starts_with(figure)
}

/// Why KPIO has not that figure of the peer's.
pub fn reason_for(name: &str) -> Option<&'static str> {
    ABSENT
        .iter()
        .find(|(start, _)| name.starts_with(start))
        .map(|(_, reason)| *reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_that_fits_counts() {
        let disks = reason_for("native.file.ext4_virtio.stat").unwrap();
        assert!(disks.contains("driver"), "{disks}");
        let tmpfs = reason_for("native.file.tmpfs.stat").unwrap();
        assert!(tmpfs.contains("WASI"), "{tmpfs}");
        assert_eq!(reason_for("native.thread.create_join"), None);
    }

    #[test]
    fn an_aim_is_a_figure_s_or_a_group_s() {
        assert!(aim_of("native.mem.memcpy_16m").is_none());
        assert!(aim_of("memory.guest_used_without_bundle").is_none());
        let (text, limit) = aim_of("wasm.compute.nbody_5k").unwrap();
        assert!(text.contains("Linux") && matches!(limit, Limit::Ratio(_)));
        let (text, _) = aim_of("calls.tmpfs.read_64k").unwrap();
        assert!(!text.contains("0.5"), "files are not held against calls");
    }
}
