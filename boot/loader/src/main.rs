//! KPIO's loader: an EFI application that loads the kernel and hands the machine over to it.
//!
//! `firmware` is the program; everything that can be tested without firmware is in the library beside
//! it. Built for another target than UEFI this is a program that says so: then the whole workspace can
//! be checked on the host.
#![cfg_attr(target_os = "uefi", no_std, no_main)]
#![cfg_attr(
    target_os = "uefi",
    expect(
        unsafe_code,
        reason = "firmware memory, ports and the hand-over have no safe interface"
    )
)]

#[cfg(target_os = "uefi")]
extern crate alloc;

#[cfg(target_os = "uefi")]
mod firmware;

#[cfg(not(target_os = "uefi"))]
fn main() -> std::process::ExitCode {
    eprintln!("boot-loader is an EFI application: build it for the target x86_64-unknown-uefi");
    std::process::ExitCode::FAILURE
}
