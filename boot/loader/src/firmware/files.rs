//! Reading the system's files from the boot volume, and checking them.
//!
//! Law: a file is used only if the hash list names it and it has the listed length and digest. What the
//! list does not name is not read. Files are read in large pieces straight into the pages in which
//! the kernel will find them: firmware's FAT drivers are slow per call, and nothing is copied.

use alloc::format;

use boot_loader::LoadError;
use contract_boot::PhysRange;
use lib_bundle::manifest::{MANIFEST_LEN_MAX_BYTES, Manifest, ManifestEntry};
use lib_bundle::{Bundle, Digest, sha256};
use uefi::proto::media::file::{Directory, File, FileAttribute, FileMode, RegularFile};
use uefi::{CString16, Status, boot};

use super::console;
use super::memory::Pages;

const MANIFEST: &str = "manifest";
/// Most that is read by one call.
const PIECE_LEN_BYTES: usize = 16 << 20;

/// The files that make a system, checked.
pub(super) struct SystemFiles {
    pub(super) kernel: LoadedFile,
    pub(super) bundle: LoadedFile,
    pub(super) job: Option<LoadedFile>,
    pub(super) symbols: Option<LoadedFile>,
    pub(super) command_line: Option<LoadedFile>,
    /// SHA-256 of the kernel's file.
    pub(super) build_id: Digest,
}

impl SystemFiles {
    /// Reads and checks them all.
    pub(super) fn read() -> Result<Self, LoadError> {
        let mut volume = Volume::open()?;
        let bytes = volume.read_whole(MANIFEST, None)?;
        let manifest = Manifest::parse(bytes.bytes())?;
        let (kernel, build_id) = volume.read_required(&manifest, "kernel.elf", check_file)?;
        let (bundle, _) = volume.read_required(&manifest, "bundle", check_bundle)?;
        let mut optional = |name, check| volume.read_listed(&manifest, name, check);
        let files = Self {
            kernel,
            bundle,
            job: optional("job", check_bundle)?,
            symbols: optional("kernel.sym", check_file)?,
            command_line: optional("cmdline", check_file)?,
            build_id,
        };
        files.check_command_line()?;
        Ok(files)
    }

    /// Where the command line's words are: without a final line feed.
    pub(super) fn command_line_words(&self) -> PhysRange {
        let Some(file) = &self.command_line else {
            return PhysRange::default();
        };
        PhysRange {
            len_bytes: file.bytes().trim_ascii_end().len() as u64,
            ..file.range()
        }
    }

    fn check_command_line(&self) -> Result<(), LoadError> {
        let bytes = self
            .command_line
            .as_ref()
            .map_or(&[][..], LoadedFile::bytes);
        core::str::from_utf8(bytes)
            .map(|_| ())
            .map_err(|_| LoadError::CommandLineNotText)
    }
}

/// A file in memory, from the start of a page on.
pub(super) struct LoadedFile {
    pages: Pages,
    len_bytes: usize,
}

impl LoadedFile {
    /// Its contents.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.pages.bytes()[..self.len_bytes]
    }

    /// Where it is, with its exact length.
    pub(super) fn range(&self) -> PhysRange {
        PhysRange {
            start: self.pages.range().start,
            len_bytes: self.len_bytes as u64,
        }
    }
}

/// Where an optional file is.
pub(super) fn range_of(file: &Option<LoadedFile>) -> PhysRange {
    file.as_ref()
        .map_or(PhysRange::default(), LoadedFile::range)
}

/// Checks a file's bytes against the hash list.
type Check = fn(&'static str, &[u8], &ManifestEntry) -> Result<(), LoadError>;

fn check_file(name: &'static str, bytes: &[u8], listed: &ManifestEntry) -> Result<(), LoadError> {
    compare(name, sha256(&[bytes]), listed)
}

/// Header and index only: contents are verified by the kernel when they are first used.
fn check_bundle(name: &'static str, bytes: &[u8], listed: &ManifestEntry) -> Result<(), LoadError> {
    let bundle = Bundle::open(bytes).map_err(|reason| LoadError::Bundle { name, reason })?;
    compare(name, bundle.digest(), listed)
}

fn compare(name: &'static str, found: Digest, listed: &ManifestEntry) -> Result<(), LoadError> {
    if found == listed.digest {
        Ok(())
    } else {
        Err(LoadError::WrongHash { name })
    }
}

/// The volume that the loader came from.
struct Volume {
    root: Directory,
}

impl Volume {
    fn open() -> Result<Self, LoadError> {
        let opened = boot::get_image_file_system(boot::image_handle())
            .and_then(|mut file_system| file_system.open_volume());
        let root = opened.map_err(|error| LoadError::NoVolume {
            efi_status: number(error.status()),
        })?;
        Ok(Self { root })
    }

    fn read_required(
        &mut self,
        manifest: &Manifest,
        name: &'static str,
        check: Check,
    ) -> Result<(LoadedFile, Digest), LoadError> {
        let file = self.read_listed(manifest, name, check)?;
        let digest = manifest.get(name).map(|listed| listed.digest);
        file.zip(digest).ok_or(LoadError::FileNotListed { name })
    }

    /// Reads and checks the file `name` if the hash list has it.
    fn read_listed(
        &mut self,
        manifest: &Manifest,
        name: &'static str,
        check: Check,
    ) -> Result<Option<LoadedFile>, LoadError> {
        let Some(listed) = manifest.get(name) else {
            return Ok(None);
        };
        console::progress(format_args!(
            "reading {name}, {} KiB",
            listed.len_bytes.div_ceil(1024)
        ));
        let file = self.read_whole(name, Some(listed.len_bytes))?;
        check(name, file.bytes(), listed)?;
        Ok(Some(file))
    }

    /// Reads a whole file, of the listed length if there is one, or else of at most a hash list's.
    fn read_whole(
        &mut self,
        name: &'static str,
        listed: Option<u64>,
    ) -> Result<LoadedFile, LoadError> {
        let mut file = self.open_file(name)?;
        let found_bytes = file_len(&mut file).map_err(|error| read_failed(name, &error))?;
        let listed_bytes = listed.unwrap_or(found_bytes.min(MANIFEST_LEN_MAX_BYTES as u64));
        if found_bytes != listed_bytes {
            return Err(LoadError::WrongLength {
                name,
                listed_bytes,
                found_bytes,
            });
        }
        let mut pages = Pages::allocate(name, found_bytes)?;
        let len_bytes = found_bytes as usize;
        let read = fill(&mut file, &mut pages.bytes_mut()[..len_bytes]);
        match read.map_err(|error| read_failed(name, &error))? {
            read if read == len_bytes => Ok(LoadedFile { pages, len_bytes }),
            read => Err(LoadError::WrongLength {
                name,
                listed_bytes,
                found_bytes: read as u64,
            }),
        }
    }

    fn open_file(&mut self, name: &'static str) -> Result<RegularFile, LoadError> {
        let missing = LoadError::FileMissing { name };
        let path = CString16::try_from(format!("\\kpio\\{name}").as_str());
        let path = path.map_err(|_| missing.clone())?;
        match self
            .root
            .open(&path, FileMode::Read, FileAttribute::empty())
        {
            Ok(file) => file.into_regular_file().ok_or(missing),
            Err(error) if error.status() == Status::NOT_FOUND => Err(missing),
            Err(error) => Err(read_failed(name, &error)),
        }
    }
}

/// The firmware moves to a file's end if asked for the last possible position.
fn file_len(file: &mut RegularFile) -> uefi::Result<u64> {
    file.set_position(RegularFile::END_OF_FILE)?;
    let len = file.get_position()?;
    file.set_position(0)?;
    Ok(len)
}

/// Reads until `buffer` is full or the file ends, and gives how much it was.
fn fill(file: &mut RegularFile, buffer: &mut [u8]) -> uefi::Result<usize> {
    let mut filled = 0;
    for piece in buffer.chunks_mut(PIECE_LEN_BYTES) {
        let read = file
            .read(piece)
            .map_err(|error| uefi::Error::from(error.status()))?;
        filled += read;
        if read < piece.len() {
            break;
        }
    }
    Ok(filled)
}

fn read_failed(name: &'static str, error: &uefi::Error) -> LoadError {
    LoadError::ReadFailed {
        name,
        efi_status: number(error.status()),
    }
}

/// The status's number in the specification's table of errors.
pub(super) fn number(status: Status) -> usize {
    status.0 & !Status::ERROR_BIT
}
