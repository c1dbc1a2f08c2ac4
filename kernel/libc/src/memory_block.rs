//! Copying, filling, comparing and searching blocks of memory (`<string.h>`).
//!
//! All of it is assembly in naked functions. Written in Rust, the compiler would recognise the
//! loops and turn them into calls of the very functions that they implement. The functions use
//! no stack, so the red zone of the caller and of an interrupted function are left alone, and
//! they hold no state, so a page fault in the middle is harmless. A fault that nobody resolves is
//! often the caller's wrong pointer: call frame information lets a dump name that caller.
//!
//! Moves are 16 bytes at a time through `xmm0`–`xmm5`, which the C ABI lets a function spend. Long blocks take eight of
//! them in a round, so that counting costs little beside moving.
//! `rep movsb` would be faster for large blocks on some real machines, but it moves one byte at a
//! time under emulation, and a choice at run time costs every small copy a branch.
//!
//! Blocks of up to 32 bytes are moved by two moves that overlap in the middle: all loads come
//! before all stores, so they are right for overlapping blocks too.

use core::arch::naked_asm;
use core::ffi::{c_char, c_int};

/// Copies `len_bytes` bytes; the blocks must not overlap, but nothing here depends on it.
///
/// # Safety
/// `source` must be readable and `destination` writable for `len_bytes` bytes.
#[cfg_attr(not(test), unsafe(no_mangle))]
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn memcpy(
    destination: *mut u8,
    source: *const u8,
    len_bytes: usize,
) -> *mut u8 {
    naked_asm!(
        ".cfi_startproc",
        "jmp {memmove}",
        ".cfi_endproc",
        memmove = sym memmove,
    )
}

/// Copies `len_bytes` bytes between blocks that may overlap.
///
/// # Safety
/// `source` must be readable and `destination` writable for `len_bytes` bytes.
#[cfg_attr(not(test), unsafe(no_mangle))]
#[unsafe(naked)]
unsafe extern "C" fn memmove(destination: *mut u8, source: *const u8, len_bytes: usize) -> *mut u8 {
    naked_asm!(
        ".cfi_startproc",
        "mov rax, rdi",
        "cmp rdx, 32",
        "ja 5f",
        "cmp rdx, 16",
        "jae 4f",
        "cmp rdx, 8",
        "jae 3f",
        "cmp rdx, 4",
        "jae 2f",
        "test rdx, rdx",
        "jz 9f",
        // 1 to 3 bytes: the first, the middle and the last.
        "mov r9, rdx",
        "shr r9, 1",
        "movzx ecx, byte ptr [rsi]",
        "movzx r8d, byte ptr [rsi + r9]",
        "movzx r10d, byte ptr [rsi + rdx - 1]",
        "mov [rdi], cl",
        "mov [rdi + r9], r8b",
        "mov [rdi + rdx - 1], r10b",
        "9:",
        "ret",
        // 4 to 7 bytes.
        "2:",
        "mov ecx, [rsi]",
        "mov r8d, [rsi + rdx - 4]",
        "mov [rdi], ecx",
        "mov [rdi + rdx - 4], r8d",
        "ret",
        // 8 to 15 bytes.
        "3:",
        "mov rcx, [rsi]",
        "mov r8, [rsi + rdx - 8]",
        "mov [rdi], rcx",
        "mov [rdi + rdx - 8], r8",
        "ret",
        // 16 to 32 bytes.
        "4:",
        "movups xmm0, [rsi]",
        "movups xmm1, [rsi + rdx - 16]",
        "movups [rdi], xmm0",
        "movups [rdi + rdx - 16], xmm1",
        "ret",
        // More: upwards, unless the destination begins inside the source.
        "5:",
        "mov rcx, rdi",
        "sub rcx, rsi",
        "cmp rcx, rdx",
        "jb 7f",
        // The last 32 bytes are loaded before the loop can overwrite them.
        "movups xmm2, [rsi + rdx - 32]",
        "movups xmm3, [rsi + rdx - 16]",
        "lea r8, [rdi + rdx]",
        // 128 bytes a round, as long as 32 are left afterwards. Every load comes before a store that could overwrite what
        // a later one reads: the destination is below the source, or does not overlap it.
        "cmp rdx, 160",
        "jb 6f",
        "20:",
        "movups xmm0, [rsi]",
        "movups xmm1, [rsi + 16]",
        "movups xmm4, [rsi + 32]",
        "movups xmm5, [rsi + 48]",
        "movups [rdi], xmm0",
        "movups [rdi + 16], xmm1",
        "movups [rdi + 32], xmm4",
        "movups [rdi + 48], xmm5",
        "movups xmm0, [rsi + 64]",
        "movups xmm1, [rsi + 80]",
        "movups xmm4, [rsi + 96]",
        "movups xmm5, [rsi + 112]",
        "movups [rdi + 64], xmm0",
        "movups [rdi + 80], xmm1",
        "movups [rdi + 96], xmm4",
        "movups [rdi + 112], xmm5",
        "add rsi, 128",
        "add rdi, 128",
        "sub rdx, 128",
        "cmp rdx, 160",
        "jae 20b",
        "6:",
        "movups xmm0, [rsi]",
        "movups xmm1, [rsi + 16]",
        "movups [rdi], xmm0",
        "movups [rdi + 16], xmm1",
        "add rsi, 32",
        "add rdi, 32",
        "sub rdx, 32",
        "cmp rdx, 32",
        "ja 6b",
        "movups [r8 - 32], xmm2",
        "movups [r8 - 16], xmm3",
        "ret",
        // Downwards; the first 32 bytes likewise.
        "7:",
        "movups xmm2, [rsi]",
        "movups xmm3, [rsi + 16]",
        "8:",
        "movups xmm0, [rsi + rdx - 16]",
        "movups xmm1, [rsi + rdx - 32]",
        "movups [rdi + rdx - 16], xmm0",
        "movups [rdi + rdx - 32], xmm1",
        "sub rdx, 32",
        "cmp rdx, 32",
        "ja 8b",
        "movups [rdi], xmm2",
        "movups [rdi + 16], xmm3",
        "ret",
        ".cfi_endproc",
    )
}

/// Fills `len_bytes` bytes with the low byte of `value`.
///
/// # Safety
/// `destination` must be writable for `len_bytes` bytes.
#[cfg_attr(not(test), unsafe(no_mangle))]
#[unsafe(naked)]
unsafe extern "C" fn memset(destination: *mut u8, value: c_int, len_bytes: usize) -> *mut u8 {
    naked_asm!(
        ".cfi_startproc",
        "mov rax, rdi",
        // The byte eight times over.
        "movzx esi, sil",
        "mov rcx, 0x0101010101010101",
        "imul rsi, rcx",
        "cmp rdx, 32",
        "ja 5f",
        "cmp rdx, 16",
        "jae 4f",
        "cmp rdx, 8",
        "jae 3f",
        "cmp rdx, 4",
        "jae 2f",
        "test rdx, rdx",
        "jz 9f",
        "mov rcx, rdx",
        "shr rcx, 1",
        "mov [rdi], sil",
        "mov [rdi + rcx], sil",
        "mov [rdi + rdx - 1], sil",
        "9:",
        "ret",
        "2:",
        "mov [rdi], esi",
        "mov [rdi + rdx - 4], esi",
        "ret",
        "3:",
        "mov [rdi], rsi",
        "mov [rdi + rdx - 8], rsi",
        "ret",
        "4:",
        "movq xmm0, rsi",
        "punpcklqdq xmm0, xmm0",
        "movups [rdi], xmm0",
        "movups [rdi + rdx - 16], xmm0",
        "ret",
        "5:",
        "movq xmm0, rsi",
        "punpcklqdq xmm0, xmm0",
        "lea r8, [rdi + rdx - 32]",
        // 128 bytes a round, as long as 32 are left afterwards.
        "lea rcx, [r8 - 128]",
        "cmp rdi, rcx",
        "ja 6f",
        "20:",
        "movups [rdi], xmm0",
        "movups [rdi + 16], xmm0",
        "movups [rdi + 32], xmm0",
        "movups [rdi + 48], xmm0",
        "movups [rdi + 64], xmm0",
        "movups [rdi + 80], xmm0",
        "movups [rdi + 96], xmm0",
        "movups [rdi + 112], xmm0",
        "add rdi, 128",
        "cmp rdi, rcx",
        "jbe 20b",
        "6:",
        "movups [rdi], xmm0",
        "movups [rdi + 16], xmm0",
        "add rdi, 32",
        "cmp rdi, r8",
        "jb 6b",
        "movups [r8], xmm0",
        "movups [r8 + 16], xmm0",
        "ret",
        ".cfi_endproc",
    )
}

/// Compares two blocks as unsigned bytes: negative, zero or positive.
///
/// # Safety
/// Both blocks must be readable for `len_bytes` bytes.
#[cfg_attr(not(test), unsafe(no_mangle))]
#[unsafe(naked)]
unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, len_bytes: usize) -> c_int {
    naked_asm!(
        ".cfi_startproc",
        "2:",
        "cmp rdx, 8",
        "jb 4f",
        "mov rax, [rdi]",
        "mov rcx, [rsi]",
        "cmp rax, rcx",
        "jne 3f",
        "add rdi, 8",
        "add rsi, 8",
        "sub rdx, 8",
        "jmp 2b",
        // The first byte in memory decides, so it goes to the top.
        "3:",
        "bswap rax",
        "bswap rcx",
        "cmp rax, rcx",
        "sbb eax, eax",
        "or eax, 1",
        "ret",
        "4:",
        "test rdx, rdx",
        "jz 5f",
        "movzx eax, byte ptr [rdi]",
        "movzx ecx, byte ptr [rsi]",
        "sub eax, ecx",
        "jne 6f",
        "inc rdi",
        "inc rsi",
        "dec rdx",
        "jmp 4b",
        "5:",
        "xor eax, eax",
        "6:",
        "ret",
        ".cfi_endproc",
    )
}

/// Zero where the blocks are equal; the compiler calls this where only that matters.
///
/// # Safety
/// As [`memcmp`].
#[cfg_attr(not(test), unsafe(no_mangle))]
#[unsafe(naked)]
unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, len_bytes: usize) -> c_int {
    naked_asm!(
        ".cfi_startproc",
        "jmp {memcmp}",
        ".cfi_endproc",
        memcmp = sym memcmp,
    )
}

/// The first byte of the block that equals the low byte of `value`, or null.
///
/// # Safety
/// The block must be readable up to that byte, or whole.
#[cfg_attr(not(test), unsafe(no_mangle))]
#[unsafe(naked)]
unsafe extern "C" fn memchr(block: *const u8, value: c_int, len_bytes: usize) -> *mut u8 {
    naked_asm!(
        ".cfi_startproc",
        "2:",
        "test rdx, rdx",
        "jz 3f",
        "cmp byte ptr [rdi], sil",
        "je 4f",
        "inc rdi",
        "dec rdx",
        "jmp 2b",
        "3:",
        "xor eax, eax",
        "ret",
        "4:",
        "mov rax, rdi",
        "ret",
        ".cfi_endproc",
    )
}

/// The last byte of the block that equals the low byte of `value`, or null.
///
/// # Safety
/// The block must be readable for `len_bytes` bytes.
#[cfg_attr(not(test), unsafe(no_mangle))]
#[unsafe(naked)]
unsafe extern "C" fn memrchr(block: *const u8, value: c_int, len_bytes: usize) -> *mut u8 {
    naked_asm!(
        ".cfi_startproc",
        "2:",
        "test rdx, rdx",
        "jz 3f",
        "cmp byte ptr [rdi + rdx - 1], sil",
        "je 4f",
        "dec rdx",
        "jmp 2b",
        "3:",
        "xor eax, eax",
        "ret",
        "4:",
        "lea rax, [rdi + rdx - 1]",
        "ret",
        ".cfi_endproc",
    )
}

/// The number of bytes before the terminating zero.
///
/// # Safety
/// `text` must be a readable string that ends in a zero byte.
#[cfg_attr(not(test), unsafe(no_mangle))]
#[unsafe(naked)]
unsafe extern "C" fn strlen(text: *const c_char) -> usize {
    naked_asm!(
        ".cfi_startproc",
        "xor eax, eax",
        "2:",
        "cmp byte ptr [rdi + rax], 0",
        "je 3f",
        "inc rax",
        "jmp 2b",
        "3:",
        "ret",
        ".cfi_endproc",
    )
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    /// Lengths around every boundary between the variants above.
    fn lengths() -> impl Iterator<Item = usize> {
        (0..=330).chain([4095, 4096, 4097])
    }

    /// Bytes that differ from their neighbours, so that a shifted copy is noticed.
    fn pattern(len_bytes: usize) -> Vec<u8> {
        (0..len_bytes).map(|i| (i * 131 + i / 251) as u8).collect()
    }

    #[test]
    fn copies_exactly_the_block() {
        for len in lengths() {
            for shift in [0, 1, 7, 16] {
                let source = pattern(len + shift);
                let mut copy = std::vec![0xEE; len + 2];
                // SAFETY: `shift..shift + len` of `source` and `1..=len` of `copy` exist.
                let answer =
                    unsafe { memcpy(copy.as_mut_ptr().add(1), source.as_ptr().add(shift), len) };
                assert_eq!(answer.cast_const(), copy[1..].as_ptr());
                assert_eq!(&copy[1..=len], &source[shift..]);
                assert_eq!((copy[0], copy[len + 1]), (0xEE, 0xEE));
            }
        }
    }

    #[test]
    fn moves_between_overlapping_blocks_as_the_model_does() {
        const SHIFTS: [usize; 9] = [0, 1, 2, 8, 15, 16, 31, 33, 64];
        for len in lengths() {
            for (from, to) in SHIFTS.iter().flat_map(|&s| [(0, s), (s, 0)]) {
                let mut moved = pattern(len + 64);
                let mut model = moved.clone();
                model.copy_within(from..from + len, to);
                let start = moved.as_mut_ptr();
                // SAFETY: both blocks lie within the `len + 64` bytes.
                unsafe { memmove(start.add(to), start.add(from), len) };
                assert_eq!(moved, model, "{len} bytes from {from} to {to}");
            }
        }
    }

    #[test]
    fn fills_exactly_the_block() {
        for len in lengths() {
            let mut block = std::vec![0x11; len + 2];
            // SAFETY: `1..=len` of `block` exist.
            unsafe { memset(block.as_mut_ptr().add(1), 0x1AB, len) };
            assert!(block[1..=len].iter().all(|&byte| byte == 0xAB));
            assert_eq!((block[0], block[len + 1]), (0x11, 0x11));
        }
    }

    #[test]
    fn compares_as_unsigned_bytes() {
        for len in (1..70).chain([4096]) {
            let left = pattern(len);
            for at in [0, len / 2, len - 1] {
                for change in [1, 0x80, 0xFF] {
                    let mut right = left.clone();
                    right[at] ^= change;
                    // SAFETY: both blocks have `len` bytes.
                    let order = unsafe { memcmp(left.as_ptr(), right.as_ptr(), len) };
                    // SAFETY: both blocks have `len` bytes.
                    let differ = unsafe { bcmp(left.as_ptr(), right.as_ptr(), len) };
                    assert_eq!(order.cmp(&0), left.cmp(&right));
                    assert_ne!(differ, 0);
                }
            }
            let copy = left.clone();
            // SAFETY: both blocks have `len` bytes.
            let order = unsafe { memcmp(left.as_ptr(), copy.as_ptr(), len) };
            assert_eq!(order, 0);
        }
    }

    #[test]
    fn an_empty_block_needs_no_memory() {
        let nowhere = core::ptr::without_provenance_mut::<u8>(1);
        // SAFETY: no byte is read or written.
        unsafe {
            assert_eq!(memcpy(nowhere, nowhere, 0), nowhere);
            assert_eq!(memset(nowhere, 1, 0), nowhere);
            assert_eq!(memcmp(nowhere, nowhere, 0), 0);
            assert!(memchr(nowhere, 0, 0).is_null());
            assert!(memrchr(nowhere, 0, 0).is_null());
        }
    }

    #[test]
    fn finds_the_first_and_the_last() {
        let block = b"a.b.c";
        let find = |search: unsafe extern "C" fn(*const u8, c_int, usize) -> *mut u8, byte: u8| {
            // SAFETY: the block has that many bytes.
            let found = unsafe { search(block.as_ptr(), c_int::from(byte), block.len()) };
            (!found.is_null()).then(|| found.addr() - block.as_ptr().addr())
        };
        assert_eq!(
            (find(memchr, b'.'), find(memrchr, b'.')),
            (Some(1), Some(3))
        );
        assert_eq!(
            (find(memchr, b'a'), find(memrchr, b'a')),
            (Some(0), Some(0))
        );
        assert_eq!(
            (find(memchr, b'c'), find(memrchr, b'c')),
            (Some(4), Some(4))
        );
        assert_eq!((find(memchr, b'x'), find(memrchr, b'x')), (None, None));
    }

    #[test]
    fn measures_strings() {
        for text in [c"", c"a", c"seventeen letters"] {
            // SAFETY: a `CStr` ends in a zero byte.
            assert_eq!(unsafe { strlen(text.as_ptr()) }, text.to_bytes().len());
        }
    }
}
