//! The loader's program: from the firmware's entry to the kernel's.
//!
//! Law:
//! - The boot volume is hostile until hashes match. The hash list itself is not authenticated (see
//!   `lib-bundle`'s `manifest`): with it, damage is noticed; an attacker who writes to the disk is not.
//! - Whatever fails before boot services are exited ends in [`LoadError`]: one sentence on screen and
//!   on serial. All that can fail is done before; what follows is arithmetic on memory already taken.
//! - Firmware interrupts run on the loader's stack. That is safe here and only here: code for
//!   `x86_64-unknown-uefi` has no red zone and keeps nothing below its stack pointer. From the exit
//!   of boot services on, interrupts stay off.
//! - Memory that the kernel shall find is claimed by exact range; everything else the loader used becomes
//!   free.

mod console;
mod cpu;
mod entropy;
mod files;
mod memory;
mod screen;

use alloc::vec;
use alloc::vec::Vec;

use boot_loader::LoadError;
use boot_loader::memory_map::Claim;
use contract_boot::{
    BootInfo, DIRECT_MAP_BASE, Framebuffer, KERNEL_BASE, MAGIC, VERSION, memory_kind,
};
use lib_bundle::Digest;
use lib_elf::{Executable, Move};
use uefi::mem::memory_map::MemoryMap;
use uefi::{Status, boot, entry, system, table::cfg::ConfigTableEntry};

use files::{SystemFiles, Volume};
use memory::{KernelMemory, Layout, Pages};

/// How much address space from [`KERNEL_BASE`] on the kernel's segments may use.
const KERNEL_SPACE_LEN_BYTES: u64 = 512 << 20;
/// Room for the kernel's first stack.
const BOOT_STACK_LEN_BYTES: u64 = 128 << 10;

#[entry]
fn main() -> Status {
    let tsc_loader_entry = cpu::time_stamp();
    console::start();
    console::say(format_args!("KPIO loader {}", env!("CARGO_PKG_VERSION")));
    let Err(error) = load(tsc_loader_entry);
    console::say(format_args!("KPIO cannot start: {error}."));
    console::wait_for_key();
    Status::LOAD_ERROR
}

/// Does everything; comes back only to say why not.
fn load(tsc_loader_entry: u64) -> Result<core::convert::Infallible, LoadError> {
    cpu::check()?;
    let mut volume = Volume::open()?;
    let (kernel, memory) = load_kernel(&mut volume)?;
    let files = SystemFiles::read(&mut volume)?;
    let entropy = entropy::collect();
    let framebuffer = screen::set_mode(files.wanted_screen_size());
    let claims = claims(&memory, &files);
    memory::check_map(&claims)?;
    let mut info = describe(&memory, &files, &kernel);
    info.entropy = entropy;
    info.framebuffer = framebuffer;
    info.tsc_loader_entry = tsc_loader_entry;
    console::progress(format_args!("starting the kernel"));
    leave_firmware(memory, &claims, info, kernel.entry)
}

/// What is known of the kernel once its file is gone.
struct Kernel {
    entry: u64,
    virt_start: u64,
    build_id: Digest,
}

/// Reads the kernel, puts its segments in their places, which are in the file's own memory where that can be, and maps them: on a
/// small machine there is no room for both.
fn load_kernel(volume: &mut Volume) -> Result<(Kernel, KernelMemory), LoadError> {
    let (file, build_id) = volume.read_kernel()?;
    let space = KERNEL_BASE..KERNEL_BASE + KERNEL_SPACE_LEN_BYTES;
    let executable = Executable::parse(file.bytes(), space)?;
    let layout = Layout::of(&executable);
    let kernel = Kernel {
        entry: executable.entry(),
        virt_start: layout.pages.start,
        build_id,
    };
    let moves: Option<Vec<Move>> = executable.moves(file.bytes()).map(Iterator::collect);
    let pages = match moves {
        Some(moves) if layout.len_bytes() <= file.room_bytes() => {
            memory::place_kernel(file.into_pages(), &moves, &layout)
        }
        _ => {
            let pages = memory::copy_kernel(&executable, &layout)?;
            file.release();
            pages
        }
    };
    let mut memory = KernelMemory::reserve(pages)?;
    memory.make_page_tables(&layout)?;
    Ok((kernel, memory))
}

/// What the kernel must find untouched, and as what.
fn claims(memory: &KernelMemory, files: &SystemFiles) -> Vec<Claim> {
    let loader = |pages: &Pages| Claim {
        memory: pages.range(),
        kind: memory_kind::LOADER,
    };
    let module = |range| Claim {
        memory: range,
        kind: memory_kind::MODULE,
    };
    let mut claims = vec![
        Claim {
            memory: memory.kernel.range(),
            kind: memory_kind::KERNEL,
        },
        loader(&memory.boot_stack),
        loader(&memory.boot_info),
        loader(&memory.memory_map),
        loader(&memory.page_tables),
        Claim {
            memory: memory.trampoline(),
            kind: memory_kind::LOADER,
        },
        module(files::range_of(&files.symbols)),
        module(files::range_of(&files.command_line)),
    ];
    let bundles = [files.bundle.module(), files.job_module()];
    claims.extend(bundles.iter().flat_map(|bundle| bundle.pieces).map(module));
    claims
}

/// The boot information, but for what is only known later.
fn describe(memory: &KernelMemory, files: &SystemFiles, kernel: &Kernel) -> BootInfo {
    BootInfo {
        magic: MAGIC,
        version: VERSION,
        size_bytes: size_of::<BootInfo>() as u32,
        direct_map_base: DIRECT_MAP_BASE,
        direct_map_len_bytes: memory.direct_map_len_bytes,
        page_table_root: memory.page_tables.range().start,
        kernel: memory.kernel.range(),
        kernel_virt_start: kernel.virt_start,
        boot_stack: memory.boot_stack.range(),
        trampoline: memory.trampoline(),
        memory_map: memory.memory_map.range(),
        command_line: files.command_line_words(),
        bundle: files.bundle.module(),
        job: files.job_module(),
        symbols: files::range_of(&files.symbols),
        acpi_rsdp: acpi_rsdp(),
        framebuffer: Framebuffer::default(),
        entropy: [0; 64],
        build_id: kernel.build_id,
        tsc_loader_entry: 0,
        tsc_hand_over: 0,
    }
}

/// Physical address of the ACPI root pointer, of revision 2 where there is one; 0 if there is none.
fn acpi_rsdp() -> u64 {
    system::with_config_table(|tables| {
        let find = |guid| tables.iter().find(|table| table.guid == guid);
        let found =
            find(ConfigTableEntry::ACPI2_GUID).or_else(|| find(ConfigTableEntry::ACPI_GUID));
        found.map_or(0, |table| table.address as u64)
    })
}

/// Exits boot services and enters the kernel.
fn leave_firmware(mut memory: KernelMemory, claims: &[Claim], mut info: BootInfo, entry: u64) -> ! {
    console::leave_screen();
    // SAFETY: From here on nothing uses boot services: the files' and the kernel's memory was allocated
    // by pages and is only named by address, `claims` is only read, the console writes to the serial port
    // alone, and nothing below allocates or frees.
    let firmware_map = unsafe { boot::exit_boot_services(None) };
    cpu::disable_interrupts();
    let ranges = firmware_map.entries().map(memory::firmware_range);
    info.memory_map.len_bytes = memory.write_map(ranges, claims);
    info.tsc_hand_over = cpu::time_stamp();
    memory.write_boot_info(info);
    // SAFETY: `load` has loaded and mapped the kernel, whose entry lies in an executable segment of it,
    // and has mapped the loader's own code and the stack; boot services are exited and interrupts
    // are off. The kernel expects just this state (`contract-boot`).
    unsafe {
        cpu::enter_kernel(
            &info,
            entry,
            DIRECT_MAP_BASE + memory.boot_info.range().start,
        )
    }
}
