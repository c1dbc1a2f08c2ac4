//! The manifest of services: who runs, what each may reach, with which limits, and what happens when it ends.
//!
//! Law: the text is TOML, one table `[[service]]` for each service; `docs/services.md` describes every key. It comes from
//! an image or from a person, so anything may stand in it: whatever is wrong is a [`ManifestError`], a sentence that names
//! the service, the key and the value, and says what to write instead. The first one found is told.
//!
//! A [`Manifest`] exists only if all of it is right:
//! - names are different, and possible ([`NAME_LEN_BYTES_MAX`]);
//! - who is imported from, or waited for, exists; who is imported from provides that interface;
//! - nobody depends on itself, however far the way around;
//! - numbers and lists are within their bounds, so that what is made from a manifest is bounded too.
//!
//! Unknown keys are errors, so that a misspelt limit is never no limit. What lost: deriving all of it. The messages of
//! derived readers name types of Rust and not the service.
#![no_std]

extern crate alloc;

mod error;
mod keys;
mod read;
mod service;
mod whole;

pub use error::ManifestError;
pub use service::{
    Folder, FolderRights, Health, Import, Limits, Ready, Restart, RestartPolicy, Service, Start,
    WhileDown,
};
pub use whole::Manifest;

/// Longest manifest, in bytes.
pub const TEXT_LEN_BYTES_MAX: usize = 256 << 10;
/// Services of one manifest, at most.
pub const SERVICES_MAX: usize = 256;
/// Entries of one list or table of a service, at most.
pub const ENTRIES_MAX: usize = 64;
/// Longest name of a service or program, in bytes.
pub const NAME_LEN_BYTES_MAX: usize = 48;
/// Longest other text, in bytes.
pub const WORD_LEN_BYTES_MAX: usize = 1024;

/// The restricted interfaces of the host that a service can be granted.
pub const GRANTS: [&str; 5] = [
    "kpio:process/processes",
    CONTROL,
    CONSOLE,
    "kpio:log/source",
    "kpio:time/hardware",
];
/// The one that lets a service control services and the machine.
pub const CONTROL: &str = "kpio:service/control";
/// The one that makes a service the console.
pub const CONSOLE: &str = "kpio:console/devices";
/// Terminals that a service can be put on.
pub const TERMINALS: u8 = 4;
