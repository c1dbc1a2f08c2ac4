//! What code asks about the system it runs on: page size, CPUs, limits, loaded objects.

use core::ffi::{c_char, c_int, c_long, c_ulong, c_void};

use kernel_core::cpu;
use libc::{cpu_set_t, pid_t};

use crate::error::{fail, fail_long, set_errno};
use crate::files::BUFFERS_MAX;
use crate::mapping::PAGE_LEN_BYTES;
use crate::threads::STACK_LEN_BYTES_MIN;

#[unsafe(no_mangle)]
extern "C" fn sysconf(name: c_int) -> c_long {
    match name {
        libc::_SC_PAGESIZE => PAGE_LEN_BYTES as c_long,
        libc::_SC_NPROCESSORS_ONLN | libc::_SC_NPROCESSORS_CONF => cpu::online_count() as c_long,
        libc::_SC_THREAD_STACK_MIN => STACK_LEN_BYTES_MIN as c_long,
        libc::_SC_IOV_MAX => c_long::from(BUFFERS_MAX),
        _ => fail_long(libc::EINVAL) as c_long,
    }
}

/// The auxiliary vector has the page size and nothing else; CPU features are asked of the CPU.
#[unsafe(no_mangle)]
extern "C" fn getauxval(kind: c_ulong) -> c_ulong {
    if kind == libc::AT_PAGESZ {
        return PAGE_LEN_BYTES as c_ulong;
    }
    set_errno(libc::ENOENT);
    0
}

/// Every online CPU is in the set, for every thread: `std::thread::available_parallelism` counts
/// them.
///
/// # Safety
/// `set` must be writable for `len_bytes` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn sched_getaffinity(
    _thread: pid_t,
    len_bytes: usize,
    set: *mut cpu_set_t,
) -> c_int {
    let cpus = cpu::online_count();
    if len_bytes.saturating_mul(8) < cpus {
        return fail(libc::EINVAL);
    }
    let set = set.cast::<u8>();
    // SAFETY: by contract; the CPUs' bits fit in `len_bytes` bytes.
    unsafe {
        set.write_bytes(0, len_bytes);
        for cpu in 0..cpus {
            *set.add(cpu / 8) |= 1 << (cpu % 8);
        }
    }
    0
}

/// There is no dynamic linker, and no symbol is found.
#[unsafe(no_mangle)]
extern "C" fn dlsym(_object: *mut c_void, _name: *const c_char) -> *mut c_void {
    core::ptr::null_mut()
}

/// Lists no objects: stack traces get their names from the kernel's table, not from files.
#[unsafe(no_mangle)]
extern "C" fn dl_iterate_phdr(_visit: *mut c_void, _data: *mut c_void) -> c_int {
    0
}
