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
const KERNEL: &str = "kernel.elf";
/// Most that is read by one call.
const PIECE_LEN_BYTES: usize = 16 << 20;

/// The files that the kernel finds in memory, checked.
pub(super) struct SystemFiles {
    pub(super) bundle: LoadedFile,
    pub(super) job: Option<LoadedFile>,
    pub(super) symbols: Option<LoadedFile>,
    pub(super) command_line: Option<LoadedFile>,
}

impl SystemFiles {
    /// Reads and checks them all.
    pub(super) fn read(volume: &mut Volume) -> Result<Self, LoadError> {
        let files = Self {
            bundle: volume.read_required("bundle", check_bundle)?,
            job: volume.read_listed("job", check_bundle)?,
            symbols: volume.read_listed("kernel.sym", check_file)?,
            command_line: volume.read_listed("cmdline", check_file)?,
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

    /// Gives its memory back to the firmware.
    pub(super) fn release(self) {
        self.pages.release();
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

/// The volume that the loader came from, and what may be read from it.
pub(super) struct Volume {
    root: Directory,
    manifest: Manifest,
}

impl Volume {
    /// Opens it and reads the hash list.
    pub(super) fn open() -> Result<Self, LoadError> {
        let opened = boot::get_image_file_system(boot::image_handle())
            .and_then(|mut file_system| file_system.open_volume());
        let root = opened.map_err(|error| LoadError::NoVolume {
            efi_status: number(error.status()),
        })?;
        let mut volume = Self {
            root,
            manifest: Manifest::default(),
        };
        let list = volume.read_manifest()?;
        volume.manifest = Manifest::parse(list.bytes())?;
        list.release();
        Ok(volume)
    }

    /// Reads and checks the kernel's file. Its SHA-256 is the build's id.
    pub(super) fn read_kernel(&mut self) -> Result<(LoadedFile, Digest), LoadError> {
        let file = self.read_required(KERNEL, check_file)?;
        let digest = self.manifest.get(KERNEL).map(|listed| listed.digest);
        Ok((
            file,
            digest.ok_or(LoadError::FileNotListed { name: KERNEL })?,
        ))
    }

    fn read_required(&mut self, name: &'static str, check: Check) -> Result<LoadedFile, LoadError> {
        self.read_listed(name, check)?
            .ok_or(LoadError::FileNotListed { name })
    }

    /// Reads and checks the file `name` if the hash list has it.
    fn read_listed(
        &mut self,
        name: &'static str,
        check: Check,
    ) -> Result<Option<LoadedFile>, LoadError> {
        let Some(listed) = self.manifest.get(name).cloned() else {
            return Ok(None);
        };
        console::progress(format_args!(
            "reading {name}, {} KiB",
            listed.len_bytes.div_ceil(1024)
        ));
        let (mut file, found_bytes) = self.open_file(name)?;
        let listed_bytes = listed.len_bytes;
        if found_bytes != listed_bytes {
            return Err(LoadError::WrongLength {
                name,
                listed_bytes,
                found_bytes,
            });
        }
        let loaded = read_whole(name, &mut file, listed_bytes)?;
        check(name, loaded.bytes(), &listed)?;
        Ok(Some(loaded))
    }

    fn read_manifest(&mut self) -> Result<LoadedFile, LoadError> {
        let (mut file, found_bytes) = self.open_file(MANIFEST)?;
        if found_bytes > MANIFEST_LEN_MAX_BYTES as u64 {
            return Err(LoadError::ManifestTooLong { found_bytes });
        }
        read_whole(MANIFEST, &mut file, found_bytes)
    }

    /// Opens a file and finds out its length in bytes.
    fn open_file(&mut self, name: &'static str) -> Result<(RegularFile, u64), LoadError> {
        let missing = LoadError::FileMissing { name };
        let path = CString16::try_from(format!("\\kpio\\{name}").as_str());
        let path = path.map_err(|_| missing.clone())?;
        let opened = self
            .root
            .open(&path, FileMode::Read, FileAttribute::empty());
        let mut file = match opened {
            Ok(file) => file.into_regular_file().ok_or(missing)?,
            Err(error) if error.status() == Status::NOT_FOUND => return Err(missing),
            Err(error) => return Err(read_failed(name, &error)),
        };
        let len_bytes = file_len(&mut file).map_err(|error| read_failed(name, &error))?;
        Ok((file, len_bytes))
    }
}

/// Reads the first `len_bytes` of a file, which are all of it.
fn read_whole(
    name: &'static str,
    file: &mut RegularFile,
    len_bytes: u64,
) -> Result<LoadedFile, LoadError> {
    let mut pages = Pages::allocate(name, len_bytes)?;
    let found = fill(file, &mut pages.bytes_mut()[..len_bytes as usize]);
    match found.map_err(|error| read_failed(name, &error))? as u64 {
        found if found == len_bytes => Ok(LoadedFile {
            pages,
            len_bytes: len_bytes as usize,
        }),
        found_bytes => Err(LoadError::WrongLength {
            name,
            listed_bytes: len_bytes,
            found_bytes,
        }),
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
