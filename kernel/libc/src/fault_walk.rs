//! A real fault, in this very test program: a copy to nowhere is caught, and the stack is walked from
//! the registers that the processor left, as the kernel's dump does.
//!
//! It holds three crates to reality: the functions of `memory_block`, in which such faults happen, the
//! unwinder, on code that a compiler made, and the symbol table, on a linker's symbols. The oracle is
//! `std`'s own backtrace, taken just before the fault.

use std::backtrace::Backtrace;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::string::{String, ToString};
use std::sync::{Mutex, OnceLock};
use std::vec::Vec;

use core::ffi::{c_int, c_void};
use core::hint::black_box;

use lib_symbols::{SymbolTable, SymbolTableBuilder};
use lib_unwind::{Memory, Registers, Section, Tables, Unwinder};
use object::{Object, ObjectSection, ObjectSymbol};

use crate::memory_block::memcpy;

const FRAMES_MAX: usize = 64;

/// The program as it was loaded.
struct Program {
    /// Address in memory minus address in the file.
    bias: u64,
    file: Vec<u8>,
    symbols: Vec<u8>,
}

/// The process's memory, which the operating system reads for us without faults.
struct OwnMemory(File);

impl Memory for OwnMemory {
    fn read_u64(&self, address: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        self.0.read_exact_at(&mut bytes, address).ok()?;
        Some(u64::from_le_bytes(bytes))
    }
}

static PROGRAM: OnceLock<Program> = OnceLock::new();
/// The function names that the walk found, innermost first.
static WALKED: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Where the program's first page lies: programs are linked at zero and moved when loaded.
fn load_bias() -> u64 {
    let program = fs::read_link("/proc/self/exe").expect("Linux");
    let maps = fs::read_to_string("/proc/self/maps").expect("Linux");
    let first = maps
        .lines()
        .find(|line| line.ends_with(program.to_string_lossy().as_ref()))
        .expect("the program is mapped");
    let start = first.split('-').next().expect("a range");
    u64::from_str_radix(start, 16).expect("an address")
}

fn load_program() -> Program {
    let file = fs::read("/proc/self/exe").expect("the program's own file");
    let mut builder = SymbolTableBuilder::new();
    let elf = object::File::parse(&*file).expect("ELF");
    for symbol in elf
        .symbols()
        .filter(|symbol| symbol.kind() == object::SymbolKind::Text)
    {
        builder.add(
            symbol.address(),
            symbol.size(),
            symbol.name().unwrap_or("?"),
        );
    }
    let symbols = builder.build().expect("one program's functions");
    drop(elf);
    Program {
        bias: load_bias(),
        file,
        symbols,
    }
}

fn section<'a>(elf: &object::File<'a>, name: &str, bias: u64) -> Section<'a> {
    let section = elf.section_by_name(name).expect("the section");
    Section {
        address: section.address() + bias,
        bytes: section.data().expect("its contents"),
    }
}

/// The names of the functions on the stack of `registers`.
fn walk(program: &Program, registers: Registers) -> Vec<String> {
    let elf = object::File::parse(&*program.file).expect("ELF");
    let text = section(&elf, ".text", program.bias);
    let tables = Tables::new(
        text.address..text.address + text.bytes.len() as u64,
        section(&elf, ".eh_frame_hdr", program.bias),
        section(&elf, ".eh_frame", program.bias),
    )
    .expect("a linker made them");
    let symbols = SymbolTable::open(&program.symbols).expect("just built");
    let memory = OwnMemory(File::open("/proc/self/mem").expect("Linux"));
    let mut unwinder = Unwinder::new(&tables, registers, FRAMES_MAX);
    std::iter::from_fn(|| unwinder.next(&memory))
        .map_while(|frame| symbols.lookup(frame.lookup_address - program.bias))
        .map(|symbol| symbol.name.to_string())
        .collect()
}

/// The interrupted registers, in DWARF's order.
fn registers_of(context: &libc::ucontext_t) -> Registers {
    use libc::{
        REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RAX, REG_RBP,
        REG_RBX, REG_RCX, REG_RDI, REG_RDX, REG_RIP, REG_RSI, REG_RSP,
    };
    let order = [
        REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP, REG_R8, REG_R9,
        REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP,
    ];
    Registers::from_dwarf(
        order.map(|index| context.uc_mcontext.gregs[index as usize].cast_unsigned()),
    )
}

/// Walks the stack of the fault, then returns from the faulting function, which has none of its own.
///
/// It allocates, as a handler must not; here the fault is known to lie outside the allocator.
extern "C" fn on_fault(_signal: c_int, _info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the operating system passes the interrupted context, which is this handler's to change.
    let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    let registers = registers_of(context);
    if let Some(program) = PROGRAM.get() {
        *WALKED.lock().expect("not poisoned") = walk(program, registers);
    }
    let stack_pointer = &mut context.uc_mcontext.gregs[libc::REG_RSP as usize];
    let top = core::ptr::with_exposed_provenance::<i64>(*stack_pointer as usize);
    *stack_pointer += 8;
    // SAFETY: the interrupted function has pushed nothing, so its return address is on top.
    context.uc_mcontext.gregs[libc::REG_RIP as usize] = unsafe { top.read() };
}

/// Handles the next fault of the process; the answer is what handled faults before.
fn catch_faults() -> libc::sigaction {
    // SAFETY: zero is a valid action; both actions live through the call.
    unsafe {
        let mut action: libc::sigaction = core::mem::zeroed();
        action.sa_sigaction = on_fault as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO;
        let mut before: libc::sigaction = core::mem::zeroed();
        assert_eq!(
            libc::sigaction(libc::SIGSEGV, &raw const action, &raw mut before),
            0
        );
        before
    }
}

/// Copies to an address that is never mapped; the answer is `std`'s view of the stack.
#[inline(never)]
fn copy_to_nowhere(len_bytes: usize) -> String {
    let seen_by_std = Backtrace::force_capture().to_string();
    let source = std::vec![1_u8; len_bytes];
    let nowhere = core::ptr::without_provenance_mut(8);
    // SAFETY: this is a fault on purpose; the handler returns from it.
    unsafe { memcpy(nowhere, source.as_ptr(), len_bytes) };
    seen_by_std
}

#[inline(never)]
fn in_between(len_bytes: usize) -> String {
    let room = black_box([len_bytes; 50]);
    let seen_by_std = copy_to_nowhere(black_box(len_bytes));
    black_box(room);
    seen_by_std
}

/// Whether `names` all come in `text`, each after the one before.
fn come_in_order(names: &[String], text: &str) -> bool {
    let mut rest = text;
    names.iter().all(|name| {
        let name = name.trim_end_matches('…');
        let found = rest.find(name);
        rest = found.map_or("", |at| &rest[at + name.len()..]);
        found.is_some()
    })
}

/// Whether a function came compiled with the toolchain.
fn is_prebuilt(name: &str) -> bool {
    ["std::", "<std::", "test::"]
        .iter()
        .any(|start| name.starts_with(start))
}

#[test]
fn a_fault_in_a_copy_is_traced_to_the_thread_s_start() {
    PROGRAM.get_or_init(load_program);
    let before = catch_faults();
    let seen_by_std = in_between(black_box(100));
    // SAFETY: puts back what was there.
    unsafe { libc::sigaction(libc::SIGSEGV, &raw const before, core::ptr::null_mut()) };

    let walked = WALKED.lock().expect("not poisoned");
    assert!(walked[0].ends_with("memory_block::memmove"), "{walked:?}");
    assert!(walked[1].ends_with("copy_to_nowhere"), "{walked:?}");
    assert!(walked[2].ends_with("in_between"), "{walked:?}");
    let reaches_start = walked
        .iter()
        .any(|name| name.contains("__rust_begin_short_backtrace"));
    assert!(reaches_start, "{walked:?}");
    // What this crate's own functions are called depends on how much debug information it has.
    let foreign: Vec<String> = walked
        .iter()
        .filter(|name| is_prebuilt(name))
        .cloned()
        .collect();
    assert!(
        come_in_order(&foreign, &seen_by_std),
        "{walked:#?}\n{seen_by_std}"
    );
}
