//! Each exception, in the kernel's own code and in published code, with interrupts on and off.
//!
//! Law: where an instruction can raise the exception, published code raises it by that instruction; else it is
//! raised as the processor does it. The error code is one that the report must repeat.

use std::sync::OnceLock;

use kernel_core::crash::Licence;
use kernel_core::mishap::{self, Act, Exception, Outcome};

/// No selector of the kernel's, and no bits that a page fault has.
const ERROR: u32 = 0x5a50;
const RETURN: u8 = 0xc3;
/// Room for the code of one vector.
const CODE_BYTES: usize = 32;

/// Tells every cell.
pub fn tell(licence: &Licence) -> Result<(), String> {
    let code = publish(licence)?;
    for vector in 0..32 {
        for interrupts_on in [true, false] {
            let kernel = Act::Raise(exception(vector, None));
            tell_one(licence, (vector, "kernel"), kernel, interrupts_on);
            let at = code + usize::from(vector) * CODE_BYTES;
            let published = match instruction(vector) {
                Some(_) => Act::Execute(at),
                None => Act::Raise(exception(vector, Some(at as u64))),
            };
            tell_one(licence, (vector, "code"), published, interrupts_on);
        }
    }
    Ok(())
}

/// The exception of `vector`, with an error code where it has one.
pub fn exception(vector: u8, place: Option<u64>) -> Exception {
    let error = if mishap::has_error_code(vector) {
        ERROR
    } else {
        0
    };
    Exception {
        vector,
        error,
        place,
    }
}

fn tell_one(licence: &Licence, (vector, place): (u8, &str), act: Act, interrupts_on: bool) {
    let outcome = mishap::rehearse(licence, act, interrupts_on);
    let switch = if interrupts_on { "on" } else { "off" };
    let is_there = |found: u64| match act {
        Act::Execute(at) => (found as usize).wrapping_sub(at) < CODE_BYTES,
        Act::Raise(exception) | Act::RaiseOnBusyPad(exception) => {
            found == exception.place.unwrap_or_else(mishap::kernel_place)
        }
    };
    let outcome = match outcome {
        Outcome::Returned => "ignored".to_owned(),
        Outcome::Delivered(signal, found) if is_there(found) => format!("signal {signal}"),
        Outcome::Stopped(stop) if is_there(stop.place) => format!("stop {}", stop.sentence()),
        Outcome::Delivered(_, found) => format!("signal about {found:#x}, which is elsewhere"),
        Outcome::Stopped(stop) => format!("stop at {:#x}, which is elsewhere", stop.place),
    };
    println!("interrupts: cell {vector} {place} {switch} {outcome}");
}

/// Publishes the code of all vectors once, [`CODE_BYTES`] apart; a `ret` where there is no instruction.
pub fn publish(licence: &Licence) -> Result<usize, String> {
    static PUBLISHED: OnceLock<Result<usize, String>> = OnceLock::new();
    let publish = || mishap::publish(licence, &code()).map_err(|error| error.to_string());
    PUBLISHED.get_or_init(publish).clone()
}

fn code() -> Vec<u8> {
    let mut code = vec![RETURN; 32 * CODE_BYTES];
    for vector in 0..32 {
        if let Some(instruction) = instruction(vector) {
            let start = usize::from(vector) * CODE_BYTES;
            code[start..start + instruction.len()].copy_from_slice(&instruction);
        }
    }
    code
}

/// What raises the exception in ring 0.
fn instruction(vector: u8) -> Option<Vec<u8>> {
    match vector {
        // xor ecx, ecx; mov eax, 1; xor edx, edx; div ecx
        0 => Some(vec![0x31, 0xc9, 0xb8, 1, 0, 0, 0, 0x31, 0xd2, 0xf7, 0xf1]),
        // int3, ud2. QEMU's translator does not know int1.
        3 => Some(vec![0xcc]),
        6 => Some(vec![0x0f, 0x0b]),
        // mov rax, 0x8000_dead_beef_0000; mov rax, [rax]
        13 => Some(vec![
            0x48, 0xb8, 0, 0, 0xef, 0xbe, 0xad, 0xde, 0, 0x80, 0x48, 0x8b, 0,
        ]),
        // mov eax, 8; mov rax, [rax]
        14 => Some(vec![0xb8, 8, 0, 0, 0, 0x48, 0x8b, 0]),
        _ if mishap::has_error_code(vector) => None,
        // int VECTOR
        _ => Some(vec![0xcd, vector]),
    }
}
