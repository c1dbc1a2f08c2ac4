//! `wasi:filesystem`: descriptors, paths and folders.

use std::hint::black_box;

use bench_sampling::Meter;
use wasip2::filesystem::preopens;
use wasip2::filesystem::types::{
    Advice, Descriptor, DescriptorFlags, ErrorCode, NewTimestamp, OpenFlags,
};

use crate::{PAGE_BYTES, READ, STAY, WRITE, file};

/// Files in the folder that is listed.
const ENTRIES: u32 = 100;
const FILE: &str = "calls-file";
const FOLDER: &str = "calls-folder";
const LINK: &str = "calls-link";
const OTHER: &str = "calls-other";

/// Takes the figures.
pub fn run(meter: &mut Meter<'_>, folder: &Descriptor) -> Result<(), ErrorCode> {
    meter.each("preopens.get_directories", || {
        black_box(preopens::get_directories());
    });
    let file = file(folder, FILE, PAGE_BYTES)?;
    descriptors(meter, &file);
    contents(meter, &file);
    streams(meter, &file);
    paths(meter, folder)?;
    changes(meter, folder);
    listing(meter, folder)?;
    folder.unlink_file_at(FILE)
}

/// What is asked of an open file.
fn descriptors(meter: &mut Meter<'_>, file: &Descriptor) {
    meter.try_each("filesystem.get_flags", || {
        file.get_flags().map(black_box).map(drop)
    });
    meter.try_each("filesystem.get_type", || {
        file.get_type().map(black_box).map(drop)
    });
    meter.try_each("filesystem.stat", || file.stat().map(black_box).map(drop));
    meter.each("filesystem.is_same_object", || {
        black_box(file.is_same_object(file));
    });
    meter.try_each("filesystem.metadata_hash", || {
        file.metadata_hash().map(black_box).map(drop)
    });
}

/// What changes it, or its bytes.
fn contents(meter: &mut Meter<'_>, file: &Descriptor) {
    let page = [7; PAGE_BYTES as usize];
    meter.try_each("filesystem.read_4k", || {
        file.read(PAGE_BYTES, 0).map(black_box).map(drop)
    });
    meter.try_each("filesystem.write_4k", || file.write(&page, 0).map(drop));
    meter.try_each("filesystem.set_size", || file.set_size(PAGE_BYTES));
    meter.try_each("filesystem.set_times", || {
        file.set_times(NewTimestamp::Now, NewTimestamp::NoChange)
    });
    meter.try_each("filesystem.advise", || {
        file.advise(0, PAGE_BYTES, Advice::WillNeed)
    });
    meter.try_each("filesystem.sync_data", || file.sync_data());
    meter.try_each("filesystem.sync", || file.sync());
}

/// Streams over it, opened and closed.
fn streams(meter: &mut Meter<'_>, file: &Descriptor) {
    meter.try_each("filesystem.read_via_stream_drop", || {
        file.read_via_stream(0).map(drop)
    });
    meter.try_each("filesystem.write_via_stream_drop", || {
        file.write_via_stream(0).map(drop)
    });
    meter.try_each("filesystem.append_via_stream_drop", || {
        file.append_via_stream().map(drop)
    });
}

/// What looks a path up.
fn paths(meter: &mut Meter<'_>, folder: &Descriptor) -> Result<(), ErrorCode> {
    folder.symlink_at(FILE, LINK)?;
    meter.try_each("filesystem.open_at_drop", || {
        let opened = folder.open_at(STAY, FILE, OpenFlags::empty(), READ);
        opened.map(drop)
    });
    meter.try_each("filesystem.stat_at", || {
        folder.stat_at(STAY, FILE).map(black_box).map(drop)
    });
    meter.try_each("filesystem.metadata_hash_at", || {
        folder.metadata_hash_at(STAY, FILE).map(black_box).map(drop)
    });
    meter.try_each("filesystem.set_times_at", || {
        folder.set_times_at(STAY, FILE, NewTimestamp::Now, NewTimestamp::NoChange)
    });
    meter.try_each("filesystem.readlink_at", || {
        folder.readlink_at(LINK).map(black_box).map(drop)
    });
    folder.unlink_file_at(LINK)
}

/// What changes a folder, and changes it back.
fn changes(meter: &mut Meter<'_>, folder: &Descriptor) {
    meter.try_each("filesystem.open_at_create_unlink", || {
        let created = folder.open_at(STAY, OTHER, OpenFlags::CREATE, WRITE);
        drop(created?);
        folder.unlink_file_at(OTHER)
    });
    meter.try_each("filesystem.create_directory_at_remove", || {
        folder.create_directory_at(OTHER)?;
        folder.remove_directory_at(OTHER)
    });
    meter.try_each("filesystem.rename_at_and_back", || {
        folder.rename_at(FILE, folder, OTHER)?;
        folder.rename_at(OTHER, folder, FILE)
    });
    meter.try_each("filesystem.link_at_unlink", || {
        folder.link_at(STAY, FILE, folder, OTHER)?;
        folder.unlink_file_at(OTHER)
    });
    meter.try_each("filesystem.symlink_at_unlink", || {
        folder.symlink_at(FILE, OTHER)?;
        folder.unlink_file_at(OTHER)
    });
}

/// All entries of a folder.
fn listing(meter: &mut Meter<'_>, folder: &Descriptor) -> Result<(), ErrorCode> {
    folder.create_directory_at(FOLDER)?;
    let flags = READ | DescriptorFlags::MUTATE_DIRECTORY;
    let full = folder.open_at(STAY, FOLDER, OpenFlags::DIRECTORY, flags)?;
    for number in 0..ENTRIES {
        drop(file(&full, &format!("entry-{number}"), 0)?);
    }
    meter.try_each("filesystem.read_directory_100", || {
        let entries = full.read_directory()?;
        while let Some(entry) = entries.read_directory_entry()? {
            black_box(entry);
        }
        Ok::<(), ErrorCode>(())
    });
    for number in 0..ENTRIES {
        full.unlink_file_at(&format!("entry-{number}"))?;
    }
    folder.remove_directory_at(FOLDER)
}
