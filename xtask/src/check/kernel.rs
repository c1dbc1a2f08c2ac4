//! What the linked kernel, and the archive it is linked from, may hold.
//!
//! Law: the kernel is compiled for Linux, and every crate in it believes that. These checks find out where that belief
//! would show: a system call, a C symbol that nobody promised, an address that was thought to be small.

use std::collections::BTreeSet;

use iced_x86::{Decoder, DecoderOptions, Mnemonic};
use object::read::archive::ArchiveFile;
use object::{Object, ObjectSection, ObjectSymbol, RelocationFlags, SectionKind, SymbolKind, elf};

use super::verdict;
use crate::failure::{Failure, Result};
use crate::paths::{self, Paths};

/// The table of C symbols that the kernel supplies.
const LIBC_TABLE: &str = "kernel/libc/README.md";
const LINKER_SCRIPT: &str = "kernel/kernel.ld";
/// Names that the linker itself gives a value.
const LINKER_SYMBOLS: [&str; 2] = ["_GLOBAL_OFFSET_TABLE_", "__dso_handle"];
/// Archive members of the crate that supplies them begin with this.
const LIBC_MEMBER: &str = "kernel_libc";

/// No instruction enters an operating system below the kernel: there is none.
pub fn syscalls(paths: &Paths) -> Result<()> {
    let file = paths.kernel().debug;
    let bytes = paths::read(&file)?;
    let kernel = object::File::parse(&*bytes).map_err(|e| Failure::input(file.display(), e))?;
    let functions = kernel
        .symbols()
        .filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 0);
    let mut findings = BTreeSet::new();
    let mut decoded_bytes = 0;
    for function in functions {
        let code = code_of(&kernel, &function).unwrap_or_default();
        decoded_bytes += code.len() as u64;
        let calls = system_calls(code, function.address());
        findings.extend(calls.map(|(address, how)| {
            format!("{address:#x}: {how} in {}", function.name().unwrap_or("?"))
        }));
    }
    if decoded_bytes < text_len_bytes(&kernel) / 2 {
        findings.insert(format!(
            "only {decoded_bytes} bytes of code belong to a known function"
        ));
    }
    verdict(findings)
}

/// Length of all executable sections.
fn text_len_bytes(kernel: &object::File<'_>) -> u64 {
    let executable = kernel
        .sections()
        .filter(|section| section.kind() == SectionKind::Text);
    executable.map(|section| section.size()).sum()
}

fn code_of<'data>(
    kernel: &object::File<'data>,
    function: &object::Symbol<'data, '_>,
) -> Option<&'data [u8]> {
    let section = kernel.section_by_index(function.section_index()?).ok()?;
    section
        .data_range(function.address(), function.size())
        .ok()?
}

/// Addresses and names of such instructions, decoded one after the other from the function's start.
fn system_calls(code: &[u8], address: u64) -> impl Iterator<Item = (u64, &'static str)> {
    // A function without the two bytes of any of them need not be decoded.
    let suspicious = code
        .windows(2)
        .any(|pair| matches!(pair, [0x0f, 0x05 | 0x34] | [0xcd, 0x80]));
    let decoder = suspicious.then(|| Decoder::with_ip(64, code, address, DecoderOptions::NONE));
    decoder
        .into_iter()
        .flatten()
        .filter_map(|instruction| match instruction.mnemonic() {
            Mnemonic::Syscall => Some((instruction.ip(), "syscall")),
            Mnemonic::Sysenter => Some((instruction.ip(), "sysenter")),
            Mnemonic::Int if instruction.immediate8() == 0x80 => {
                Some((instruction.ip(), "int 0x80"))
            }
            _ => None,
        })
}

/// Every symbol that `std` or a crate takes from the C library is in the table.
pub fn symbols(paths: &Paths) -> Result<()> {
    let archive = paths::read(&paths.kernel().archive)?;
    let names = Names::of_archive(&archive)?;
    let table = table_symbols(&paths::read_text(&paths.source(LIBC_TABLE))?);
    let script = script_symbols(&paths::read_text(&paths.source(LINKER_SCRIPT))?);
    let linked = linked_symbols(paths)?;
    let needed = names.needed.difference(&names.supplied);
    let needed = needed
        .filter(|name| linked.contains(*name) && !table.contains(*name) && !script.contains(*name))
        .filter(|name| !LINKER_SYMBOLS.contains(&name.as_str()));
    verdict(
        needed.map(|name| format!("`{name}` is linked into the kernel and not in {LIBC_TABLE}")),
    )
}

/// Symbols of the archive, the C library's own members aside.
#[derive(Default)]
struct Names {
    needed: BTreeSet<String>,
    supplied: BTreeSet<String>,
}

impl Names {
    fn of_archive(archive: &[u8]) -> Result<Self> {
        let mut names = Self::default();
        for_each_member(archive, |name, object| {
            if !name.starts_with(LIBC_MEMBER) {
                names.add(object);
            }
        })?;
        Ok(names)
    }

    fn add(&mut self, object: &object::File<'_>) {
        for symbol in object.symbols().filter(|symbol| !symbol.is_local()) {
            let names = if symbol.is_undefined() {
                &mut self.needed
            } else {
                &mut self.supplied
            };
            names.extend(
                symbol
                    .name()
                    .ok()
                    .filter(|name| !name.is_empty())
                    .map(str::to_owned),
            );
        }
    }
}

fn linked_symbols(paths: &Paths) -> Result<BTreeSet<String>> {
    let file = paths.kernel().debug;
    let bytes = paths::read(&file)?;
    let kernel = object::File::parse(&*bytes).map_err(|e| Failure::input(file.display(), e))?;
    // A weak symbol that nobody supplies, or one that the linker optimised away, needs no table.
    Ok(kernel
        .symbols()
        .filter(|symbol| symbol.is_definition())
        .filter_map(|symbol| symbol.name().ok().map(str::to_owned))
        .collect())
}

/// The first column of a table whose first column is a name in backquotes.
fn table_symbols(text: &str) -> BTreeSet<String> {
    let names = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    names.map(str::to_owned).collect()
}

/// Names to which the linker script gives a value.
fn script_symbols(text: &str) -> BTreeSet<String> {
    let words = text.split_whitespace().collect::<Vec<_>>();
    words
        .windows(2)
        .filter(|pair| pair[1] == "=")
        .map(|pair| pair[0].to_owned())
        .collect()
}

/// No loaded section holds a 32-bit absolute address: the kernel lies at the top of the address space.
pub fn relocations(paths: &Paths) -> Result<()> {
    let archive = paths::read(&paths.kernel().archive)?;
    let mut findings = Vec::new();
    for_each_member(&archive, |name, object| {
        for section in object.sections().filter(is_loaded) {
            let small = section.relocations().filter(|(_, relocation)| {
                relocation.flags()
                    == RelocationFlags::Elf {
                        r_type: elf::R_X86_64_32,
                    }
            });
            let section = section.name().unwrap_or("?");
            findings.extend(
                small.map(|(offset, _)| format!("{name}: {section}+{offset:#x}: R_X86_64_32")),
            );
        }
    })?;
    verdict(findings)
}

fn is_loaded(section: &object::Section<'_, '_>) -> bool {
    !matches!(
        section.kind(),
        SectionKind::Debug | SectionKind::DebugString | SectionKind::Other | SectionKind::Metadata
    )
}

fn for_each_member(archive: &[u8], mut visit: impl FnMut(&str, &object::File<'_>)) -> Result<()> {
    let wrong = |e: object::Error| Failure::input("the kernel's archive", e);
    let members = ArchiveFile::parse(archive).map_err(wrong)?;
    for member in members.members() {
        let member = member.map_err(wrong)?;
        let data = member.data(archive).map_err(wrong)?;
        // Members that are no objects (crate metadata) are not linked.
        if let Ok(object) = object::File::parse(data) {
            visit(&String::from_utf8_lossy(member.name()), &object);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_call_is_found_and_its_bytes_in_a_constant_are_not() {
        // mov eax, 39; syscall; ret
        let calls = [0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0xc3];
        assert_eq!(
            system_calls(&calls, 0x1000).collect::<Vec<_>>(),
            [(0x1005, "syscall")]
        );
        // mov eax, 0x050f; ret
        assert_eq!(system_calls(&[0xb8, 0x0f, 0x05, 0, 0, 0xc3], 0).count(), 0);
    }

    #[test]
    fn reads_the_table_and_the_script() {
        let table = table_symbols(
            "| symbol | x |\n|---|---|\n| `memcpy` | – | full | |\n| `read` | `a` | error | |\n",
        );
        assert_eq!(
            table,
            BTreeSet::from(["memcpy".to_owned(), "read".to_owned()])
        );
        let script = script_symbols("  . = 0x1;\n  __etext = .;\n");
        assert!(script.contains("__etext") && !script.contains("__other"));
    }
}
