//! Targets without WebAssembly: what reads bytes of disks, lines, screens and persons, and what moves bytes by numbers of others. Built unoptimised in continuous integration, so
//! that arithmetic that goes over is a panic.

mod blit;
mod boot;
mod bundle;
mod cooked_input;
mod elf;
mod gather;
mod host_link;
mod line_editor;
mod line_keys;
mod resolver;
mod shell_expansion;
mod shell_parser;
mod shell_pattern;
mod shell_text;
mod symbols;
mod terminal;

use test_fuzz::Target;

/// All of them.
pub const TARGETS: &[Target] = &[
    resolver::TARGET,
    line_keys::TARGET,
    line_editor::TARGET,
    cooked_input::TARGET,
    shell_parser::TARGET,
    shell_expansion::TARGET,
    shell_pattern::TARGET,
    terminal::TARGET,
    bundle::TARGET,
    bundle::MANIFEST,
    host_link::TARGET,
    elf::TARGET,
    symbols::TARGET,
    boot::TARGET,
    gather::TARGET,
    blit::TARGET,
];
