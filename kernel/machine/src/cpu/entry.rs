//! The kernel's first instructions on the boot CPU.
//!
//! Law: per-CPU block, thread-locals, tables and extended state are set up here, in this order, before
//! anything else runs: prebuilt `core` may use SSE at once, `std` may use thread-locals at once.
//! Then the function named by [`crate::entry_point!`] runs on the loader's stack.

use contract_boot::BootInfo;

use super::{Block, tables, thread_pointer};

core::arch::global_asm!(
    r#"
.section .text._kernel_entry, "ax"
.globl _kernel_entry
_kernel_entry:
  cli
  cld
  xor ebp, ebp
  jmp {start}
.text
"#,
    start = sym start,
);

/// The boot CPU's block; handed out once.
struct BootBlock(core::cell::UnsafeCell<Block>);

// SAFETY: see `start`, its only user.
unsafe impl Sync for BootBlock {}

static BOOT_BLOCK: BootBlock = BootBlock(core::cell::UnsafeCell::new(Block::new(0)));

unsafe extern "Rust" {
    /// Defined by [`crate::entry_point!`]; weak so that host tests link.
    fn kpio_kernel_main(hand_over: HandOver) -> !;
}

core::arch::global_asm!(".weak kpio_kernel_main");

/// What the boot CPU starts with.
#[derive(Debug)]
pub struct HandOver {
    boot_info: *const BootInfo,
    /// FS of the code that runs now.
    pub thread_pointer: u64,
}

impl HandOver {
    /// The loader's words, copied; not yet checked beyond magic, version and size.
    ///
    /// # Errors
    /// A sentence, where loader and kernel do not belong together.
    pub fn boot_info(&self) -> Result<BootInfo, &'static str> {
        let base = contract_boot::DIRECT_MAP_BASE as usize;
        let at = self.boot_info as usize;
        if at < base || !at.is_multiple_of(8) {
            return Err("the loader's boot information is not in the direct map");
        }
        // SAFETY: the loader maps low memory before it calls the kernel (boot contract); the first
        // fields are read before the rest is believed to exist.
        let info = unsafe { core::ptr::read(self.boot_info) };
        if info.magic != contract_boot::MAGIC {
            return Err("the loader's boot information has a wrong magic number");
        }
        if info.version != contract_boot::VERSION
            || info.size_bytes as usize != size_of::<BootInfo>()
        {
            return Err("loader and kernel come from different images: write the image again");
        }
        Ok(info)
    }
}

unsafe extern "sysv64" fn start(boot_info: *const BootInfo) -> ! {
    // SAFETY: the first Rust code on the boot CPU, run once: nobody else has the statics.
    unsafe {
        super::xsave::enable(true);
        (*BOOT_BLOCK.0.get()).install();
        let thread_pointer = thread_pointer::install_boot_block();
        tables::install_boot();
        super::configure(true);
        kpio_kernel_main(HandOver {
            boot_info,
            thread_pointer,
        })
    }
}

/// Names the function `fn(HandOver) -> !` that the kernel starts with. Used once, by the top crate.
#[macro_export]
macro_rules! entry_point {
    ($main:path) => {
        #[unsafe(no_mangle)]
        fn kpio_kernel_main(hand_over: $crate::cpu::entry::HandOver) -> ! {
            let main: fn($crate::cpu::entry::HandOver) -> ! = $main;
            main(hand_over)
        }
    };
}
