//! A witness: code that keeps something known in every register and says what became of it.
//!
//! Law: interrupts must not be felt. The witness fills all general registers but the stack pointer, all vector
//! registers, the flags DF and AC, the control words of SSE and x87 and the top of the x87 stack, stays in a loop that
//! touches none of them, and stores what it then finds. It needs no [`super::provoke::Licence`]: it harms nobody.

use core::arch::global_asm;
use core::arch::x86_64::__cpuid;

const GENERAL_COUNT: usize = 15;
const VECTOR_WORDS: usize = 16 * 4;

/// The names of the general registers, in the order of the assembly.
const GENERAL_NAMES: [&str; GENERAL_COUNT] = [
    "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
    "r15",
];

/// The layout that the assembly knows.
#[repr(C)]
#[derive(Clone, Copy, PartialEq)]
struct State {
    /// 0: as in [`GENERAL_NAMES`].
    general: [u64; GENERAL_COUNT],
    /// 120: the flags that are looked at.
    flags: u64,
    /// 128: MXCSR.
    mxcsr: u32,
    /// 132: the x87 control word.
    x87_control: u32,
    /// 136: the top of the x87 stack.
    x87_top: f64,
    /// 144: ymm0 to ymm15, or in each the half that is there.
    vectors: [u64; VECTOR_WORDS],
}

const _: () = assert!(
    core::mem::offset_of!(State, flags) == 120
        && core::mem::offset_of!(State, mxcsr) == 128
        && core::mem::offset_of!(State, vectors) == 144
);

unsafe extern "sysv64" {
    fn kpio_witness(state: *mut State, rounds: u64, has_avx: u64);
}

const FLAGS: u64 = 1 << 10 | 1 << 18;
/// All exceptions masked; rounding toward zero.
const MXCSR: u32 = 0x7f80;
/// All exceptions masked, double precision, rounding toward zero.
const X87_CONTROL: u32 = 0x0e7f;

/// Keeps values made from `seed` in all registers for `rounds` turns of a loop; the first register that was found
/// changed, if any.
pub fn watch(seed: u64, rounds: u64) -> Option<&'static str> {
    let has_avx = __cpuid(1).ecx & 1 << 28 != 0;
    let wanted = State::of(seed, has_avx);
    let mut found = wanted;
    // SAFETY: the assembly stores into `found` only, and restores what the ABI wants restored.
    unsafe { kpio_witness(&raw mut found, rounds.max(1), has_avx.into()) };
    found.difference(&wanted)
}

impl State {
    fn of(seed: u64, has_avx: bool) -> Self {
        let mut word = seed;
        let mut next = || {
            word = (word ^ word >> 31)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .wrapping_add(1);
            word
        };
        let general = core::array::from_fn(|_| next());
        let vectors =
            core::array::from_fn(|index| if has_avx || index % 4 < 2 { next() } else { 0 });
        Self {
            general,
            flags: FLAGS,
            mxcsr: MXCSR,
            x87_control: X87_CONTROL,
            x87_top: 1.0,
            vectors,
        }
    }

    fn difference(&self, wanted: &Self) -> Option<&'static str> {
        let changed =
            (0..GENERAL_COUNT).find(|&index| self.general[index] != wanted.general[index]);
        if let Some(index) = changed {
            return Some(GENERAL_NAMES[index]);
        }
        let parts = [
            ("a vector register", self.vectors == wanted.vectors),
            ("DF or AC", self.flags & FLAGS == wanted.flags),
            ("MXCSR", self.mxcsr & !0x3f == wanted.mxcsr),
            (
                "the x87 control word",
                self.x87_control == wanted.x87_control,
            ),
            ("the x87 stack", self.x87_top == wanted.x87_top),
        ];
        parts.iter().find(|(_, same)| !same).map(|(name, _)| *name)
    }
}

global_asm!(
    r#"
.text
.globl kpio_witness
.type kpio_witness, @function
kpio_witness:
  push rbp
  push rbx
  push r12
  push r13
  push r14
  push r15
  sub rsp, 40
  stmxcsr [rsp + 24]
  fnstcw [rsp + 28]
  mov [rsp], rsi
  mov [rsp + 8], rdi
  mov [rsp + 16], rdx
  fninit
  fldcw [rdi + 132]
  fld1
  ldmxcsr [rdi + 128]
  test rdx, rdx
  jz 2f
  .irp r, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
  vmovdqu ymm\r, [rdi + 144 + 32 * \r]
  .endr
  jmp 3f
2:
  .irp r, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
  movdqu xmm\r, [rdi + 144 + 32 * \r]
  .endr
3:
  pushfq
  mov rax, [rdi + 120]
  or [rsp], rax
  popfq
  mov rax, [rdi]
  mov rbx, [rdi + 8]
  mov rcx, [rdi + 16]
  mov rdx, [rdi + 24]
  mov rsi, [rdi + 32]
  mov rbp, [rdi + 48]
  mov r8, [rdi + 56]
  mov r9, [rdi + 64]
  mov r10, [rdi + 72]
  mov r11, [rdi + 80]
  mov r12, [rdi + 88]
  mov r13, [rdi + 96]
  mov r14, [rdi + 104]
  mov r15, [rdi + 112]
  mov rdi, [rdi + 40]
4:
  dec qword ptr [rsp]
  jnz 4b
  push rdi
  mov rdi, [rsp + 16]
  mov [rdi], rax
  mov [rdi + 8], rbx
  mov [rdi + 16], rcx
  mov [rdi + 24], rdx
  mov [rdi + 32], rsi
  mov [rdi + 48], rbp
  mov [rdi + 56], r8
  mov [rdi + 64], r9
  mov [rdi + 72], r10
  mov [rdi + 80], r11
  mov [rdi + 88], r12
  mov [rdi + 96], r13
  mov [rdi + 104], r14
  mov [rdi + 112], r15
  pop rax
  mov [rdi + 40], rax
  pushfq
  mov rax, [rsp]
  mov [rdi + 120], rax
  and qword ptr [rsp], 0xfffffffffffbfbff
  popfq
  stmxcsr [rdi + 128]
  mov dword ptr [rdi + 132], 0
  fnstcw [rdi + 132]
  fstp qword ptr [rdi + 136]
  cmp qword ptr [rsp + 16], 0
  jz 5f
  .irp r, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
  vmovdqu [rdi + 144 + 32 * \r], ymm\r
  .endr
  vzeroupper
  jmp 6f
5:
  .irp r, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
  movdqu [rdi + 144 + 32 * \r], xmm\r
  .endr
6:
  fninit
  ldmxcsr [rsp + 24]
  fldcw [rsp + 28]
  add rsp, 40
  pop r15
  pop r14
  pop r13
  pop r12
  pop rbx
  pop rbp
  ret
"#
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_changes_where_nothing_interrupts() {
        for seed in 0..100 {
            assert_eq!(watch(seed, 100), None);
        }
    }

    #[test]
    fn every_change_is_seen() {
        let wanted = State::of(1, true);
        let changed = |change: fn(&mut State)| {
            let mut found = wanted;
            change(&mut found);
            found.difference(&wanted)
        };
        assert_eq!(changed(|_| ()), None);
        assert_eq!(changed(|state| state.general[14] += 1), Some("r15"));
        assert_eq!(
            changed(|state| state.vectors[63] += 1),
            Some("a vector register")
        );
        assert_eq!(changed(|state| state.flags ^= 1 << 10), Some("DF or AC"));
        assert_eq!(changed(|state| state.mxcsr = 0x1f80), Some("MXCSR"));
        assert_eq!(
            changed(|state| state.x87_control = 0x37f),
            Some("the x87 control word")
        );
        assert_eq!(changed(|state| state.x87_top = 0.0), Some("the x87 stack"));
    }
}
