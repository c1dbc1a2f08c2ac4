//! Reading the system's files from the boot volume, and checking them.
//!
//! Law: a file is used only if the hash list names it and it has the listed length and digest. What the
//! list does not name is not read. Files are read by large calls straight into the pages in which
//! the kernel will find them: firmware's FAT drivers are slow per call, and nothing is copied. A bundle may
//! lie in several pieces of memory, where no single one is large enough; any other file lies in one.

use alloc::format;
use alloc::vec::Vec;

use boot_loader::{LoadError, video};
use contract_boot::{Module, PhysRange};
use lib_bundle::manifest::{MANIFEST_LEN_MAX_BYTES, Manifest, ManifestEntry};
use lib_bundle::{Digest, index_digest, sha256};
use uefi::proto::media::file::{Directory, File, FileAttribute, FileMode, RegularFile};
use uefi::{CString16, Status, boot};

use super::console;
use super::memory::Pages;

const MANIFEST: &str = "manifest";
const KERNEL: &str = "kernel.elf";
/// Memory behind the kernel's file for what it does not hold: variables that begin as zero.
const KERNEL_ROOM_BYTES: u64 = 1 << 20;
/// Most that is read by one call.
const READ_LEN_MAX_BYTES: usize = 16 << 20;

/// The files that the kernel finds in memory, checked.
pub(super) struct SystemFiles {
    pub(super) bundle: LoadedBundle,
    job: Option<LoadedBundle>,
    pub(super) symbols: Option<LoadedFile>,
    pub(super) command_line: Option<LoadedFile>,
}

impl SystemFiles {
    /// Reads and checks them all.
    pub(super) fn read(volume: &mut Volume) -> Result<Self, LoadError> {
        let files = Self {
            symbols: volume.read_file("kernel.sym")?,
            command_line: volume.read_file("cmdline")?,
            bundle: required("bundle", volume.read_bundle("bundle")?)?,
            job: volume.read_bundle("job")?,
        };
        files.check_command_line()?;
        Ok(files)
    }

    /// Where the second bundle is.
    pub(super) fn job_module(&self) -> Module {
        self.job
            .as_ref()
            .map_or(Module::default(), LoadedBundle::module)
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

    /// The size of screen that the command line asks for.
    pub(super) fn wanted_screen_size(&self) -> Option<(u32, u32)> {
        video::wanted_size(self.command_line.as_ref()?.bytes())
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

    /// Its memory, with its contents at the start.
    pub(super) fn into_pages(self) -> Pages {
        self.pages
    }

    /// How long its memory is, in bytes.
    pub(super) fn room_bytes(&self) -> u64 {
        self.pages.range().len_bytes
    }

    /// Where it is, with its exact length.
    pub(super) fn range(&self) -> PhysRange {
        PhysRange {
            start: self.pages.range().start,
            len_bytes: self.len_bytes as u64,
        }
    }
}

/// A bundle in memory, in no more pieces than a [`Module`] has.
pub(super) struct LoadedBundle {
    /// Full but for the last.
    pieces: Vec<LoadedFile>,
}

impl LoadedBundle {
    /// Where it is, as the kernel is told.
    pub(super) fn module(&self) -> Module {
        let mut module = Module::default();
        for (place, piece) in module.pieces.iter_mut().zip(&self.pieces) {
            *place = piece.range();
            module.len_bytes += place.len_bytes;
        }
        module
    }

    /// Header and index only: contents are verified by the kernel when they are first used.
    fn check(&self, name: &'static str, listed: &ManifestEntry) -> Result<(), LoadError> {
        let pieces = self.pieces.iter().map(LoadedFile::bytes);
        let digest = index_digest(pieces).map_err(|reason| LoadError::Bundle { name, reason })?;
        compare(name, digest, listed)
    }
}

/// Where an optional file is.
pub(super) fn range_of(file: &Option<LoadedFile>) -> PhysRange {
    file.as_ref()
        .map_or(PhysRange::default(), LoadedFile::range)
}

/// The file, which must be listed.
fn required<T>(name: &'static str, file: Option<T>) -> Result<T, LoadError> {
    file.ok_or(LoadError::FileNotListed { name })
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

    /// Reads and checks the kernel's file, into memory in which it can stay. Its SHA-256 is the build's id.
    pub(super) fn read_kernel(&mut self) -> Result<(LoadedFile, Digest), LoadError> {
        let (listed, mut file) = required(KERNEL, self.open_listed(KERNEL)?)?;
        let pages = Pages::allocate_large(KERNEL, listed.len_bytes + KERNEL_ROOM_BYTES)?;
        let loaded = read_next(KERNEL, &mut file, pages, listed.len_bytes)?;
        compare(KERNEL, sha256(&[loaded.bytes()]), &listed)?;
        Ok((loaded, listed.digest))
    }

    /// Reads and checks the file `name` if the hash list has it.
    fn read_file(&mut self, name: &'static str) -> Result<Option<LoadedFile>, LoadError> {
        let Some((listed, mut file)) = self.open_listed(name)? else {
            return Ok(None);
        };
        let loaded = read_whole(name, &mut file, listed.len_bytes)?;
        compare(name, sha256(&[loaded.bytes()]), &listed)?;
        Ok(Some(loaded))
    }

    /// Reads the bundle `name` and checks its header and index if the hash list has it.
    fn read_bundle(&mut self, name: &'static str) -> Result<Option<LoadedBundle>, LoadError> {
        let Some((listed, mut file)) = self.open_listed(name)? else {
            return Ok(None);
        };
        let pieces = read_in_pieces(name, &mut file, listed.len_bytes)?;
        let loaded = LoadedBundle { pieces };
        loaded.check(name, &listed)?;
        Ok(Some(loaded))
    }

    /// Opens the file `name` if the hash list has it, and compares its length.
    fn open_listed(
        &mut self,
        name: &'static str,
    ) -> Result<Option<(ManifestEntry, RegularFile)>, LoadError> {
        let Some(listed) = self.manifest.get(name).cloned() else {
            return Ok(None);
        };
        console::progress(format_args!(
            "reading {name}, {} KiB",
            listed.len_bytes.div_ceil(1024)
        ));
        let (file, found_bytes) = self.open_file(name)?;
        if found_bytes != listed.len_bytes {
            return Err(LoadError::WrongLength {
                name,
                listed_bytes: listed.len_bytes,
                found_bytes,
            });
        }
        Ok(Some((listed, file)))
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
    let pages = Pages::allocate(name, len_bytes)?;
    read_next(name, file, pages, len_bytes)
}

/// Reads the first `len_bytes` of a file, which are all of it, into as few pieces as memory has.
fn read_in_pieces(
    name: &'static str,
    file: &mut RegularFile,
    len_bytes: u64,
) -> Result<Vec<LoadedFile>, LoadError> {
    let mut rest_bytes = len_bytes;
    let pieces = Pages::allocate_pieces(name, len_bytes)?;
    let read = pieces.into_iter().map(|pages| {
        let piece_bytes = pages.range().len_bytes.min(rest_bytes);
        rest_bytes -= piece_bytes;
        read_next(name, file, pages, piece_bytes)
    });
    read.collect()
}

/// Reads the next `len_bytes` of a file, which has them by its length, into `pages`, which are long enough.
fn read_next(
    name: &'static str,
    file: &mut RegularFile,
    mut pages: Pages,
    len_bytes: u64,
) -> Result<LoadedFile, LoadError> {
    let len_bytes = len_bytes as usize;
    fill(file, &mut pages.bytes_mut()[..len_bytes]).map_err(|error| read_failed(name, &error))?;
    Ok(LoadedFile { pages, len_bytes })
}

/// The firmware moves to a file's end if asked for the last possible position.
fn file_len(file: &mut RegularFile) -> uefi::Result<u64> {
    file.set_position(RegularFile::END_OF_FILE)?;
    let len = file.get_position()?;
    file.set_position(0)?;
    Ok(len)
}

/// Reads until `buffer` is full.
fn fill(file: &mut RegularFile, buffer: &mut [u8]) -> uefi::Result {
    for part in buffer.chunks_mut(READ_LEN_MAX_BYTES) {
        let read = file
            .read(part)
            .map_err(|error| uefi::Error::from(error.status()))?;
        if read < part.len() {
            return Err(Status::END_OF_FILE.into());
        }
    }
    Ok(())
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
