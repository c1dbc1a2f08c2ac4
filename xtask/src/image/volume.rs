//! The boot volume: a FAT file system with loader, kernel and bundles.
//!
//! FAT12 as long as the files fit: UEFI 2.10 (section 13.3) asks firmware to read all three kinds, and EDK II keeps a cache of
//! 4 MiB for FAT16 and FAT32 but of 512 KiB for FAT12, which decides whether a machine of 96 MiB can boot.
//!
//! Layout: `\EFI\BOOT\BOOTX64.EFI`, where firmware looks; everything else in `\kpio`, with the hash list `manifest`
//! (`lib_bundle::manifest` says its format) that the loader checks all the others by.

use std::borrow::Cow;
use std::io::{self, Cursor, Write};

use lamfat::{
    Dir, FatType, FileSystem, FormatVolumeOptions, FsOptions, NullTimeProvider, StdIoWrapper,
};
use lib_bundle::manifest::{Manifest, ManifestEntry};
use lib_bundle::{Bundle, Digest, sha256};

use super::Parts;

const MIB: usize = 1 << 20;
/// FAT12 has at most this many clusters, FAT32 at least [`FAT32_CLUSTERS_MIN`] (Microsoft's FAT specification 1.03, page 14); some
/// distance is kept to both, because implementations differ by a few.
const FAT12_CLUSTERS_MAX: usize = 4084 - 16;
const FAT32_CLUSTERS_MIN: usize = 65_525 + 16;
/// Lengths of clusters that every implementation reads.
const CLUSTER_LENS_BYTES: [usize; 4] = [4 << 10, 8 << 10, 16 << 10, 32 << 10];
/// What FAT32 needs where a volume is too long for FAT12 and short for FAT32.
const FAT32_CLUSTER_LEN_SMALL_BYTES: usize = 1024;
/// Room for tables and folders.
const OVERHEAD_BYTES: usize = 8 * MIB;
/// Any number; it only has to be the same every time.
const VOLUME_ID: u32 = 0x4b50_494f;

/// The files of the volume.
#[derive(Clone, Debug)]
pub struct Volume<'a> {
    /// Firmware starts this.
    loader: &'a [u8],
    /// What is in `\kpio`, the hash list aside.
    files: Vec<File<'a>>,
    /// The text of the hash list.
    pub manifest: String,
}

#[derive(Clone, Debug)]
struct File<'a> {
    name: &'static str,
    contents: Cow<'a, [u8]>,
}

impl<'a> From<&'a Parts> for Volume<'a> {
    fn from(parts: &'a Parts) -> Self {
        let mut files = Files::default();
        files.whole("kernel.elf", &parts.kernel);
        files.whole("kernel.sym", &parts.symbols);
        files.whole("cmdline", parts.command_line.as_bytes());
        files.bundle("bundle", &parts.bundle);
        if let Some(job) = &parts.job {
            files.bundle("job", job);
        }
        let manifest = Manifest::new(files.entries).to_string();
        Self {
            loader: &parts.loader,
            files: files.files,
            manifest,
        }
    }
}

/// Files and what the hash list says about them.
#[derive(Default)]
struct Files<'a> {
    files: Vec<File<'a>>,
    entries: Vec<ManifestEntry>,
}

impl<'a> Files<'a> {
    /// A file of which the loader checks every byte.
    fn whole(&mut self, name: &'static str, contents: &'a [u8]) {
        self.push(name, contents, sha256(&[contents]));
    }

    /// A bundle, of which the loader checks the index. What is no bundle gets a digest that never
    /// fits, so that the loader says so.
    fn bundle(&mut self, name: &'static str, contents: &'a [u8]) {
        let digest = Bundle::open(contents).map_or([0; 32], |bundle| bundle.digest());
        self.push(name, contents, digest);
    }

    fn push(&mut self, name: &'static str, contents: &'a [u8], digest: Digest) {
        self.entries.push(ManifestEntry {
            name: name.to_owned(),
            len_bytes: contents.len() as u64,
            digest,
        });
        self.files.push(File {
            name,
            contents: contents.into(),
        });
    }
}

impl Volume<'_> {
    /// Changes a file behind the hash list's back, as a failing disk would.
    pub fn damage(&mut self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        if let Some(file) = self.files.iter_mut().find(|file| file.name == name) {
            change(file.contents.to_mut());
        }
    }

    /// Makes a file longer by zeros, and lists it so.
    pub fn enlarge(&mut self, name: &str, len_bytes: usize) {
        let Some(file) = self.files.iter_mut().find(|file| file.name == name) else {
            return;
        };
        let before = format!(" {} {name}\n", file.contents.len());
        self.manifest = self
            .manifest
            .replace(&before, &format!(" {len_bytes} {name}\n"));
        file.contents.to_mut().resize(len_bytes, 0);
    }

    /// Loses a file.
    pub fn remove(&mut self, name: &str) {
        self.files.retain(|file| file.name != name);
    }

    /// The bytes of the volume.
    pub fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.len_bytes()];
        format(&mut bytes)?;
        fill(&mut bytes, self)?;
        Ok(bytes)
    }

    /// How long the volume must be, in bytes: a whole number of MiB.
    fn len_bytes(&self) -> usize {
        let contents: usize = self.files.iter().map(|file| file.contents.len()).sum();
        let needed = contents + self.loader.len() + OVERHEAD_BYTES + contents / 64;
        needed.next_multiple_of(MIB)
    }
}

/// The kind of file system for a volume of this length, and the length of its clusters in bytes.
fn layout(len_bytes: usize) -> (FatType, usize) {
    let clusters = |len: &usize| len_bytes.div_ceil(*len);
    if let Some(len) = CLUSTER_LENS_BYTES
        .into_iter()
        .find(|len| clusters(len) <= FAT12_CLUSTERS_MAX)
    {
        return (FatType::Fat12, len);
    }
    // Tables and folders take part of the volume, which is not clusters.
    let enough = |len: &usize| clusters(len) > FAT32_CLUSTERS_MIN + OVERHEAD_BYTES / len;
    let fewest = CLUSTER_LENS_BYTES.into_iter().rev().find(enough);
    (
        FatType::Fat32,
        fewest.unwrap_or(FAT32_CLUSTER_LEN_SMALL_BYTES),
    )
}

fn format(bytes: &mut [u8]) -> io::Result<()> {
    let (fat_type, cluster_len_bytes) = layout(bytes.len());
    let options = FormatVolumeOptions::new()
        .fat_type(fat_type)
        .bytes_per_cluster(cluster_len_bytes as u32);
    let options = options.volume_id(VOLUME_ID).volume_label(*b"KPIO       ");
    lamfat::format_volume(&mut StdIoWrapper::from(Cursor::new(bytes)), options)
        .map_err(io::Error::from)
}

fn fill(bytes: &mut [u8], volume: &Volume<'_>) -> io::Result<()> {
    let options = FsOptions::new().time_provider(NullTimeProvider::new());
    let system = FileSystem::new(StdIoWrapper::from(Cursor::new(bytes)), options)?;
    {
        let root = system.root_dir();
        let boot = root.create_dir("EFI")?.create_dir("BOOT")?;
        put(&boot, "BOOTX64.EFI", volume.loader)?;
        let kpio = root.create_dir("kpio")?;
        put(&kpio, "manifest", volume.manifest.as_bytes())?;
        volume
            .files
            .iter()
            .try_for_each(|file| put(&kpio, file.name, &file.contents))?;
    }
    system.unmount().map_err(io::Error::from)
}

type Storage<'a> = StdIoWrapper<Cursor<&'a mut [u8]>>;

fn put<O: lamfat::OemCpConverter>(
    folder: &Dir<'_, Storage<'_>, NullTimeProvider, O>,
    name: &str,
    contents: &[u8],
) -> io::Result<()> {
    let mut file = folder.create_file(name)?;
    Write::write_all(&mut file, contents)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn parts() -> Parts {
        let mut builder = lib_bundle::BundleBuilder::new();
        builder
            .file("/share/text", b"TODO".as_slice(), 0, false)
            .unwrap();
        Parts {
            loader: vec![1; 5000],
            kernel: (0..300_000_u32).flat_map(u32::to_le_bytes).collect(),
            symbols: vec![2; 100],
            bundle: builder.build().unwrap(),
            command_line: "log=info".into(),
            job: None,
        }
    }

    fn read(bytes: &mut [u8], path: &str) -> Vec<u8> {
        let system =
            FileSystem::new(StdIoWrapper::from(Cursor::new(bytes)), FsOptions::new()).unwrap();
        let mut contents = Vec::new();
        let mut file = system.root_dir().open_file(path).unwrap();
        Read::read_to_end(&mut file, &mut contents).unwrap();
        contents
    }

    #[test]
    fn a_volume_holds_what_was_put_in_and_a_list_that_fits() {
        let parts = parts();
        let mut bytes = Volume::from(&parts).to_bytes().unwrap();
        assert_eq!(read(&mut bytes, "EFI/BOOT/BOOTX64.EFI"), parts.loader);
        assert_eq!(read(&mut bytes, "kpio/kernel.elf"), parts.kernel);
        let list = Manifest::parse(&read(&mut bytes, "kpio/manifest")).unwrap();
        assert_eq!(
            list.get("kernel.elf").unwrap().digest,
            sha256(&[&parts.kernel])
        );
        let bundle = Bundle::open(&parts.bundle).unwrap();
        assert_eq!(list.get("bundle").unwrap().digest, bundle.digest());
        assert!(list.get("job").is_none());
    }

    #[test]
    fn volumes_of_every_length_can_be_formatted_and_read() {
        for len_mib in [9, 16, 17, 60, 126, 128, 140, 300, 600] {
            let mut bytes = vec![0; len_mib * MIB];
            format(&mut bytes).unwrap();
            let (wanted, _) = layout(bytes.len());
            let storage = StdIoWrapper::from(Cursor::new(bytes.as_mut_slice()));
            let system = FileSystem::new(storage, FsOptions::new()).unwrap();
            assert_eq!(system.fat_type(), wanted, "{len_mib} MiB");
        }
    }

    #[test]
    fn what_fits_is_fat12() {
        assert_eq!(layout(51 * MIB), (FatType::Fat12, 16 << 10));
        assert_eq!(layout(126 * MIB), (FatType::Fat12, 32 << 10));
        assert_eq!(layout(128 * MIB), (FatType::Fat32, 1024));
        assert_eq!(layout(600 * MIB), (FatType::Fat32, 8 << 10));
    }

    #[test]
    fn the_same_parts_give_the_same_bytes() {
        let parts = parts();
        assert!(
            Volume::from(&parts).to_bytes().unwrap() == Volume::from(&parts).to_bytes().unwrap()
        );
    }
}
