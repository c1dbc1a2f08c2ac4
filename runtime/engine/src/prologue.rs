//! Where a function's frame pointer leads nowhere.
//!
//! Law: whoever leaves a function of wasm between two instructions relies on the frame pointer, which is the function's own or
//! its caller's, except here: a function that makes a tail call with more arguments on the stack than it got itself makes
//! room for them first, under its frame, and moves the frame there. Cranelift (`gen_clobber_save` of its x64 backend) sets the frame pointer
//! to the new place and then copies the two words that belong there, by four instructions and a register that is free then:
//!
//! ```text
//!     mov rbp, rsp
//!     mov r11, [rsp + grown]       <- from before this one
//!     mov [rsp], r11
//!     mov r11, [rsp + grown + 8]
//!     mov [rsp + 8], r11           <- to before this one
//! ```
//!
//! What is taken for such a copy and is none costs nothing: a thread there is found elsewhere by the next attempt.

use std::ops::Range;

/// A prologue has reached its end by then: frame pointer, stack limit and probes come before.
const PROLOGUE_BYTES_MAX: usize = 256;

/// `mov [rsp], r11`.
const STORE_FRAME_POINTER: [u8; 4] = [0x4c, 0x89, 0x1c, 0x24];
/// `mov [rsp + 8], r11`.
const STORE_RETURN_ADDRESS: [u8; 5] = [0x4c, 0x89, 0x5c, 0x24, 8];
/// `mov r11, [rsp + …]`, with a displacement of one byte or of four.
const LOAD_NEAR: [u8; 4] = [0x4c, 0x8b, 0x5c, 0x24];
const LOAD_FAR: [u8; 4] = [0x4c, 0x8b, 0x9c, 0x24];

/// The offsets in a function's code, if there are any, at which its frame pointer leads nowhere. `code` begins with the function.
pub(crate) fn without_a_frame(code: &[u8]) -> Option<Range<usize>> {
    let prologue = &code[..code.len().min(PROLOGUE_BYTES_MAX)];
    (0..prologue.len()).find_map(|start| {
        let copy = &prologue[start..];
        copy_len(copy).map(|len| start..start + len)
    })
}

/// The length of the copy that `code` begins with, up to and with the first byte of its last instruction.
fn copy_len(code: &[u8]) -> Option<usize> {
    let (grown, rest) = load(code)?;
    let rest = rest.strip_prefix(&STORE_FRAME_POINTER)?;
    let (from, rest) = load(rest)?;
    let is_copy = from == grown.checked_add(8)? && rest.starts_with(&STORE_RETURN_ADDRESS);
    is_copy.then(|| code.len() - rest.len() + 1)
}

/// The displacement of the load that `code` begins with, and what follows.
fn load(code: &[u8]) -> Option<(i32, &[u8])> {
    if let Some(rest) = code.strip_prefix(&LOAD_NEAR) {
        let (displacement, rest) = rest.split_first()?;
        return Some((i32::from(displacement.cast_signed()), rest));
    }
    let (displacement, rest) = code.strip_prefix(&LOAD_FAR)?.split_first_chunk()?;
    Some((i32::from_le_bytes(*displacement), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEAR: &[u8] = b"\x48\x89\xe5\x4c\x8b\x5c\x24\x30\x4c\x89\x1c\x24\x4c\x8b\x5c\x24\x38\x4c\x89\x5c\x24\x08\xc3";
    /// The second displacement does not fit into a byte any more.
    const BETWEEN: &[u8] =
        b"\x4c\x8b\x5c\x24\x78\x4c\x89\x1c\x24\x4c\x8b\x9c\x24\x80\0\0\0\x4c\x89\x5c\x24\x08";
    const FAR: &[u8] = b"\x4c\x8b\x9c\x24\0\x10\0\0\x4c\x89\x1c\x24\x4c\x8b\x9c\x24\x08\x10\0\0\x4c\x89\x5c\x24\x08";

    #[test]
    fn the_copy_is_found_up_to_its_last_instruction() {
        assert_eq!(without_a_frame(NEAR), Some(3..18));
        assert_eq!(without_a_frame(BETWEEN), Some(0..18));
        assert_eq!(without_a_frame(FAR), Some(0..21));
    }

    #[test]
    fn what_is_cut_off_or_different_is_none() {
        for code in [NEAR, BETWEEN, FAR] {
            let end = code.len() - usize::from(code == NEAR);
            for cut in 0..end {
                assert_eq!(without_a_frame(&code[..cut]), None);
            }
        }
        let elsewhere = |at: usize| {
            let mut code = NEAR.to_vec();
            code[at] ^= 0x10;
            code
        };
        for at in [7, 16, 21] {
            assert_eq!(without_a_frame(&elsewhere(at)), None, "{at}");
        }
    }
}
