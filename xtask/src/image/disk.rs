//! The disk: a GUID partition table with one partition, the EFI system partition.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

use gpt::disk::LogicalBlockSize;
use gpt::mbr::ProtectiveMBR;
use gpt::{GptConfig, partition_types};

use crate::failure::{Failure, Result};
use crate::paths;

const SECTOR_LEN_BYTES: u64 = 512;
/// Partitions begin on a MiB, as every tool aligns them.
const ALIGNMENT_SECTORS: u64 = 2048;
/// What is left free behind the partition: the table's second copy needs 33 sectors.
const TAIL_LEN_BYTES: u64 = 1 << 20;

/// Writes a disk whose one partition holds `volume`. Runs of zeros become holes in the file.
pub fn write(path: &Path, volume: &[u8]) -> Result<()> {
    let partial = paths::partial(path)?;
    write_disk(&partial, volume).map_err(|problem| failed(path, problem))?;
    paths::put_in_place(&partial, path)
}

/// What a failure to write a disk is called.
pub fn failed(path: &Path, problem: io::Error) -> Failure {
    Failure::io("write the disk image", path, problem)
}

fn write_disk(path: &Path, volume: &[u8]) -> io::Result<()> {
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)?;
    let start = ALIGNMENT_SECTORS * SECTOR_LEN_BYTES;
    let len_bytes = start + volume.len() as u64 + TAIL_LEN_BYTES;
    file.set_len(len_bytes)?;
    write_table(&mut file, len_bytes, volume.len() as u64)?;
    write_sparsely(&mut file, start, volume)
}

fn write_table(file: &mut File, len_bytes: u64, volume_len_bytes: u64) -> io::Result<()> {
    let last_sector = u32::try_from(len_bytes / SECTOR_LEN_BYTES - 1).unwrap_or(u32::MAX);
    ProtectiveMBR::with_lb_size(last_sector)
        .overwrite_lba0(file)
        .map_err(io::Error::other)?;
    let config = GptConfig::new()
        .writable(true)
        .logical_block_size(LogicalBlockSize::Lb512);
    let mut table = config
        .create_from_device(file, None)
        .map_err(io::Error::other)?;
    table
        .add_partition(
            "EFI system partition",
            volume_len_bytes,
            partition_types::EFI,
            0,
            Some(ALIGNMENT_SECTORS),
        )
        .map_err(io::Error::other)?;
    table.write().map(drop).map_err(io::Error::other)
}

/// The file is all zeros where nothing is written.
fn write_sparsely(file: &mut File, start: u64, volume: &[u8]) -> io::Result<()> {
    const CHUNK: usize = 64 << 10;
    for (number, chunk) in volume.chunks(CHUNK).enumerate() {
        if chunk.iter().any(|&byte| byte != 0) {
            file.seek(SeekFrom::Start(start + (number * CHUNK) as u64))?;
            file.write_all(chunk)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_partition_is_where_the_volume_was_written() {
        let path = std::env::temp_dir().join(format!("kpio-disk-test-{}.img", std::process::id()));
        let volume: Vec<u8> = (0..3_u32 << 18).flat_map(u32::to_le_bytes).collect();
        write(&path, &volume).unwrap();
        let table = GptConfig::new().open(&path).unwrap();
        let partition = table.partitions().values().next().unwrap();
        assert_eq!(partition.part_type_guid, partition_types::EFI);
        let disk = fs::read(&path).unwrap();
        let start = (partition.first_lba * SECTOR_LEN_BYTES) as usize;
        assert!(disk[start..start + volume.len()] == volume);
        assert_eq!(
            partition.last_lba,
            partition.first_lba + volume.len() as u64 / SECTOR_LEN_BYTES - 1
        );
        fs::remove_file(path).unwrap();
    }
}
