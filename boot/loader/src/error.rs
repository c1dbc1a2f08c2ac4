//! Every reason not to start the kernel, as the sentence that a person reads.

use core::fmt;

use contract_boot::MODULE_PIECES_MAX;
use lib_bundle::BundleError;
use lib_bundle::manifest::ManifestError;
use lib_elf::ElfError;

use crate::memory_map::TooManyRanges;
use crate::page_tables::MapError;

/// Why the system cannot be started. `name` is a file in the folder `\kpio` of the boot volume;
/// `efi_status` is the firmware's error number (UEFI specification, appendix D) without its top bit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// The CPU cannot forbid execution of pages.
    NoExecuteDisable,
    /// The firmware has switched five-level paging on.
    FiveLevelPaging,
    /// The volume that the loader came from cannot be opened.
    NoVolume {
        /// The firmware's answer.
        efi_status: usize,
    },
    /// A file is not there.
    FileMissing {
        /// The file.
        name: &'static str,
    },
    /// The hash list does not name a file that is necessary.
    FileNotListed {
        /// The file.
        name: &'static str,
    },
    /// The hash list is longer than a hash list can be.
    ManifestTooLong {
        /// Length found, in bytes.
        found_bytes: u64,
    },
    /// A file's length is not the listed one.
    WrongLength {
        /// The file.
        name: &'static str,
        /// Length according to the hash list, in bytes.
        listed_bytes: u64,
        /// Length found, in bytes.
        found_bytes: u64,
    },
    /// The firmware could not read a file.
    ReadFailed {
        /// The file.
        name: &'static str,
        /// The firmware's answer.
        efi_status: usize,
    },
    /// A file's SHA-256 is not the listed one.
    WrongHash {
        /// The file.
        name: &'static str,
    },
    /// The hash list is malformed.
    Manifest(ManifestError),
    /// A bundle's index is malformed.
    Bundle {
        /// The file.
        name: &'static str,
        /// What is wrong with it.
        reason: BundleError,
    },
    /// The kernel cannot be loaded.
    Kernel(ElfError),
    /// The command line is not text.
    CommandLineNotText,
    /// The firmware has not enough free memory in one piece.
    NoMemory {
        /// What it is for.
        purpose: &'static str,
        /// How much, in bytes.
        len_bytes: u64,
        /// The largest free piece, in bytes.
        largest_free_bytes: u64,
    },
    /// The firmware has not enough free memory in as many pieces as the kernel accepts.
    NoMemoryForFile {
        /// The file.
        name: &'static str,
        /// Its length in bytes.
        len_bytes: u64,
        /// How much the largest free pieces hold, in bytes.
        found_bytes: u64,
    },
    /// The firmware does not say where it has loaded the loader.
    NoImage {
        /// The firmware's answer.
        efi_status: usize,
    },
    /// The firmware gives no memory map.
    NoMemoryMap {
        /// The firmware's answer.
        efi_status: usize,
    },
    /// The memory map is too fragmented for the contract.
    TooManyRanges,
    /// There is more memory than the loader maps.
    TooMuchMemory {
        /// The end of memory, in bytes.
        ram_end_bytes: u64,
    },
    /// Page tables cannot be made: a bug of the loader.
    PageTables(MapError),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const REWRITE: &str = "write the image to the disk again";
        match self {
            Self::NoExecuteDisable => {
                write!(
                    f,
                    "this CPU cannot protect memory from execution (no NX bit)"
                )
            }
            Self::FiveLevelPaging => write!(
                f,
                "the firmware uses five-level paging, which KPIO cannot take over: switch it off in the firmware's setup"
            ),
            Self::NoVolume { efi_status } => write!(
                f,
                "the volume that the loader came from cannot be opened (EFI error {efi_status})"
            ),
            Self::FileMissing { name } => {
                write!(
                    f,
                    "the file \\kpio\\{name} is missing on the boot volume: {REWRITE}"
                )
            }
            Self::FileNotListed { name } => write!(
                f,
                "the hash list \\kpio\\manifest does not name the file {name}, which is necessary: {REWRITE}"
            ),
            Self::ManifestTooLong { found_bytes } => write!(
                f,
                "the hash list \\kpio\\manifest has {found_bytes} bytes, far too many: {REWRITE}"
            ),
            Self::WrongLength {
                name,
                listed_bytes,
                found_bytes,
            } => write!(
                f,
                "the file \\kpio\\{name} should be {listed_bytes} bytes long but has {found_bytes}: {REWRITE}"
            ),
            Self::ReadFailed { name, efi_status } => write!(
                f,
                "the file \\kpio\\{name} cannot be read (EFI error {efi_status}): check the disk"
            ),
            Self::WrongHash { name } => write!(
                f,
                "the file \\kpio\\{name} is damaged, its SHA-256 differs from the hash list: {REWRITE}"
            ),
            Self::Manifest(reason) => {
                write!(
                    f,
                    "the hash list \\kpio\\manifest cannot be used, {reason}: {REWRITE}"
                )
            }
            Self::Bundle { name, reason } => {
                write!(
                    f,
                    "the file \\kpio\\{name} cannot be used, {reason}: {REWRITE}"
                )
            }
            Self::Kernel(reason) => {
                write!(
                    f,
                    "the file \\kpio\\kernel.elf cannot be loaded, {reason}: {REWRITE}"
                )
            }
            Self::CommandLineNotText => {
                write!(f, "the file \\kpio\\cmdline is not UTF-8 text: {REWRITE}")
            }
            Self::NoMemory {
                purpose,
                len_bytes,
                largest_free_bytes,
            } => write!(
                f,
                "this machine has too little memory: {purpose} needs {} KiB in one piece, the largest free piece has {} KiB",
                len_bytes.div_ceil(1024),
                largest_free_bytes / 1024
            ),
            Self::NoMemoryForFile {
                name,
                len_bytes,
                found_bytes,
            } => write!(
                f,
                "this machine has too little memory: the file \\kpio\\{name} needs {} KiB, the {MODULE_PIECES_MAX} largest free pieces have {} KiB",
                len_bytes.div_ceil(1024),
                found_bytes / 1024
            ),
            Self::NoImage { efi_status } => write!(
                f,
                "the firmware does not say where it has loaded the loader (EFI error {efi_status})"
            ),
            Self::NoMemoryMap { efi_status } => {
                write!(
                    f,
                    "the firmware gives no memory map (EFI error {efi_status})"
                )
            }
            Self::TooManyRanges => {
                write!(
                    f,
                    "the firmware's memory map is in more pieces than the kernel accepts"
                )
            }
            Self::TooMuchMemory { ram_end_bytes } => write!(
                f,
                "memory up to address {ram_end_bytes:#x} is more than the loader can map"
            ),
            Self::PageTables(reason) => write!(
                f,
                "the kernel's page tables cannot be made, {reason}: this is a bug of the loader"
            ),
        }
    }
}

impl core::error::Error for LoadError {}

impl From<ManifestError> for LoadError {
    fn from(reason: ManifestError) -> Self {
        Self::Manifest(reason)
    }
}

impl From<ElfError> for LoadError {
    fn from(reason: ElfError) -> Self {
        Self::Kernel(reason)
    }
}

impl From<TooManyRanges> for LoadError {
    fn from(_: TooManyRanges) -> Self {
        Self::TooManyRanges
    }
}

impl From<MapError> for LoadError {
    fn from(reason: MapError) -> Self {
        Self::PageTables(reason)
    }
}
