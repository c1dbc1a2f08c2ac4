//! `wasi:filesystem/types`.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use runtime_host::{FilePlace, FileTree, tmpfs};
use tmpfs::{Kind, NodeId, Stat, Timestamp};
use wasmtime::component::Resource;

use super::{Descriptor, DirectoryEntryStream, FilesystemError};
use crate::WasiContext;
use crate::bindings::wasi::clocks::wall_clock::Datetime;
use crate::bindings::wasi::filesystem::types::{
    Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode, Filesize,
    Host, HostDescriptor, HostDirectoryEntryStream, MetadataHashValue, NewTimestamp, OpenFlags,
    PathFlags,
};
use crate::io::{InputStream, IoError, OutputStream, READ_MAX_BYTES, read_file};

type Answer<T> = Result<T, FilesystemError>;

impl Host for WasiContext {
    fn filesystem_error_code(
        &mut self,
        error: Resource<IoError>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        Ok(self.get(&error)?.code)
    }

    fn convert_error_code(&mut self, error: FilesystemError) -> wasmtime::Result<ErrorCode> {
        match error {
            FilesystemError::Code(code) => Ok(code),
            FilesystemError::Trap(error) => Err(error),
        }
    }
}

impl HostDescriptor for WasiContext {
    // ---- contents ----

    fn read_via_stream(
        &mut self,
        this: Resource<Descriptor>,
        offset: Filesize,
    ) -> Answer<Resource<InputStream>> {
        let file = self.get(&this)?;
        file.check_readable_file()?;
        let stream = InputStream::from_file(file.node.again()?, offset);
        Ok(self.push(stream)?)
    }

    fn write_via_stream(
        &mut self,
        this: Resource<Descriptor>,
        offset: Filesize,
    ) -> Answer<Resource<OutputStream>> {
        self.output_stream(&this, FilePlace::Offset(offset))
    }

    fn append_via_stream(&mut self, this: Resource<Descriptor>) -> Answer<Resource<OutputStream>> {
        self.output_stream(&this, FilePlace::End)
    }

    fn read(
        &mut self,
        this: Resource<Descriptor>,
        length: Filesize,
        offset: Filesize,
    ) -> Answer<(Vec<u8>, bool)> {
        let file = self.get(&this)?;
        file.check_readable_file()?;
        let want = length.min(READ_MAX_BYTES as u64) as usize;
        let bytes = read_file(&file.node, offset, want)?;
        let len_bytes = file.node.tree().read().stat(file.node.id())?.len_bytes;
        let ended = offset.saturating_add(bytes.len() as u64) >= len_bytes;
        Ok((bytes, ended))
    }

    fn write(
        &mut self,
        this: Resource<Descriptor>,
        buffer: Vec<u8>,
        offset: Filesize,
    ) -> Answer<Filesize> {
        let now = self.file_time();
        let file = self.get(&this)?;
        file.check_writable_file()?;
        let mut tree = file.node.tree().write();
        Ok(tree.write(file.node.id(), offset, &buffer, now)? as u64)
    }

    fn set_size(&mut self, this: Resource<Descriptor>, size: Filesize) -> Answer<()> {
        let now = self.file_time();
        let file = self.get(&this)?;
        file.check_writable_file()?;
        Ok(file
            .node
            .tree()
            .write()
            .set_len(file.node.id(), size, now)?)
    }

    /// Advice changes nothing for files in memory.
    fn advise(
        &mut self,
        this: Resource<Descriptor>,
        _offset: Filesize,
        _length: Filesize,
        _advice: Advice,
    ) -> Answer<()> {
        match self.get(&this)?.kind {
            Kind::Directory => Err(ErrorCode::BadDescriptor.into()),
            Kind::File | Kind::Symlink => Ok(()),
        }
    }

    /// Files in memory are as synchronized as they can be at all times.
    fn sync_data(&mut self, this: Resource<Descriptor>) -> Answer<()> {
        self.get(&this)?;
        Ok(())
    }

    fn sync(&mut self, this: Resource<Descriptor>) -> Answer<()> {
        self.get(&this)?;
        Ok(())
    }

    // ---- descriptions ----

    fn get_flags(&mut self, this: Resource<Descriptor>) -> Answer<DescriptorFlags> {
        Ok(self.get(&this)?.flags)
    }

    fn get_type(&mut self, this: Resource<Descriptor>) -> Answer<DescriptorType> {
        Ok(descriptor_type(self.get(&this)?.kind))
    }

    fn stat(&mut self, this: Resource<Descriptor>) -> Answer<DescriptorStat> {
        let node = &self.get(&this)?.node;
        Ok(descriptor_stat(node.tree().read().stat(node.id())?))
    }

    fn stat_at(
        &mut self,
        this: Resource<Descriptor>,
        path_flags: PathFlags,
        path: String,
    ) -> Answer<DescriptorStat> {
        let base = self.get(&this)?;
        let tree = base.node.tree().read();
        let node = base.find(&tree, path_flags, &path)?;
        Ok(descriptor_stat(tree.stat(node)?))
    }

    fn set_times(
        &mut self,
        this: Resource<Descriptor>,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> Answer<()> {
        let now = self.file_time();
        let (accessed, modified) = (new_time(accessed, now)?, new_time(modified, now)?);
        let target = self.get(&this)?;
        target.check_metadata_mutable()?;
        let mut tree = target.node.tree().write();
        Ok(tree.set_times(target.node.id(), accessed, modified, now)?)
    }

    fn set_times_at(
        &mut self,
        this: Resource<Descriptor>,
        path_flags: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> Answer<()> {
        let now = self.file_time();
        let (accessed, modified) = (new_time(accessed, now)?, new_time(modified, now)?);
        let base = self.get(&this)?;
        base.check_mutable()?;
        let mut tree = base.node.tree().write();
        let node = base.find(&tree, path_flags, &path)?;
        Ok(tree.set_times(node, accessed, modified, now)?)
    }

    fn is_same_object(
        &mut self,
        this: Resource<Descriptor>,
        other: Resource<Descriptor>,
    ) -> wasmtime::Result<bool> {
        Ok(self.get(&this)?.node.is_same(&self.get(&other)?.node))
    }

    fn metadata_hash(&mut self, this: Resource<Descriptor>) -> Answer<MetadataHashValue> {
        let node = &self.get(&this)?.node;
        let stat = node.tree().read().stat(node.id())?;
        Ok(metadata_hash(node.tree(), node.id(), stat))
    }

    fn metadata_hash_at(
        &mut self,
        this: Resource<Descriptor>,
        path_flags: PathFlags,
        path: String,
    ) -> Answer<MetadataHashValue> {
        let base = self.get(&this)?;
        let tree = base.node.tree().read();
        let node = base.find(&tree, path_flags, &path)?;
        Ok(metadata_hash(base.node.tree(), node, tree.stat(node)?))
    }

    // ---- names ----

    fn open_at(
        &mut self,
        this: Resource<Descriptor>,
        path_flags: PathFlags,
        path: String,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> Answer<Resource<Descriptor>> {
        let now = self.file_time();
        let base = self.get(&this)?;
        let opened = base.open_at(path_flags, &path, open_flags, flags, now)?;
        Ok(self.push(opened)?)
    }

    fn read_directory(
        &mut self,
        this: Resource<Descriptor>,
    ) -> Answer<Resource<DirectoryEntryStream>> {
        let directory = self.get(&this)?;
        directory.check_directory()?;
        let stream = DirectoryEntryStream::new(directory.node.again()?);
        Ok(self.push(stream)?)
    }

    fn create_directory_at(&mut self, this: Resource<Descriptor>, path: String) -> Answer<()> {
        let now = self.file_time();
        let base = self.get(&this)?;
        let mut tree = base.node.tree().write();
        let entry = base.find_vacant(&tree, &path, Kind::Directory)?;
        base.check_mutable()?;
        tree.create_directory(entry.parent, &entry.name, now)?;
        Ok(())
    }

    fn symlink_at(
        &mut self,
        this: Resource<Descriptor>,
        old_path: String,
        new_path: String,
    ) -> Answer<()> {
        if old_path.starts_with('/') {
            return Err(ErrorCode::NotPermitted.into());
        }
        let now = self.file_time();
        let base = self.get(&this)?;
        let mut tree = base.node.tree().write();
        let entry = base.find_vacant(&tree, &new_path, Kind::Symlink)?;
        base.check_mutable()?;
        tree.create_symlink(entry.parent, &entry.name, &old_path, now)?;
        Ok(())
    }

    fn readlink_at(&mut self, this: Resource<Descriptor>, path: String) -> Answer<String> {
        let base = self.get(&this)?;
        let tree = base.node.tree().read();
        let node = base.find(&tree, PathFlags::empty(), &path)?;
        let target = tree.read_link(node)?;
        if target.starts_with('/') {
            return Err(ErrorCode::NotPermitted.into());
        }
        Ok(target.to_owned())
    }

    fn link_at(
        &mut self,
        this: Resource<Descriptor>,
        old_path_flags: PathFlags,
        old_path: String,
        new_descriptor: Resource<Descriptor>,
        new_path: String,
    ) -> Answer<()> {
        let now = self.file_time();
        let (old_base, new_base) = self.same_tree(&this, &new_descriptor)?;
        let mut tree = old_base.node.tree().write();
        let node = old_base.find(&tree, old_path_flags, &old_path)?;
        if tree.stat(node)?.kind != Kind::File {
            return Err(ErrorCode::NotPermitted.into());
        }
        let entry = new_base.find_vacant(&tree, &new_path, Kind::File)?;
        // A further name is a way to change the file, so both sides must allow changes.
        old_base.check_mutable()?;
        new_base.check_mutable()?;
        Ok(tree.link(node, entry.parent, &entry.name, now)?)
    }

    fn unlink_file_at(&mut self, this: Resource<Descriptor>, path: String) -> Answer<()> {
        let now = self.file_time();
        let base = self.get(&this)?;
        let mut tree = base.node.tree().write();
        let entry = base.find_entry(&tree, &path)?;
        base.check_mutable()?;
        Ok(tree.unlink(entry.parent, &entry.name, now)?)
    }

    fn remove_directory_at(&mut self, this: Resource<Descriptor>, path: String) -> Answer<()> {
        let now = self.file_time();
        let base = self.get(&this)?;
        let mut tree = base.node.tree().write();
        let entry = base.find_entry(&tree, &path)?;
        base.check_mutable()?;
        Ok(tree.remove_directory(entry.parent, &entry.name, now)?)
    }

    fn rename_at(
        &mut self,
        this: Resource<Descriptor>,
        old_path: String,
        new_descriptor: Resource<Descriptor>,
        new_path: String,
    ) -> Answer<()> {
        let now = self.file_time();
        let (old_base, new_base) = self.same_tree(&this, &new_descriptor)?;
        let mut tree = old_base.node.tree().write();
        let old = old_base.find_entry(&tree, &old_path)?;
        let new = new_base.find_entry(&tree, &new_path)?;
        old_base.check_mutable()?;
        new_base.check_mutable()?;
        let moved = old.node.ok_or(ErrorCode::NoEntry)?;
        if new.directory_required && tree.stat(moved)?.kind != Kind::Directory {
            return Err(ErrorCode::NotDirectory.into());
        }
        Ok(tree.rename(old.parent, &old.name, new.parent, &new.name, now)?)
    }

    fn drop(&mut self, this: Resource<Descriptor>) -> wasmtime::Result<()> {
        self.delete(this)?;
        Ok(())
    }
}

impl HostDirectoryEntryStream for WasiContext {
    fn read_directory_entry(
        &mut self,
        this: Resource<DirectoryEntryStream>,
    ) -> Answer<Option<DirectoryEntry>> {
        Ok(self.get_mut(&this)?.next()?)
    }

    fn drop(&mut self, this: Resource<DirectoryEntryStream>) -> wasmtime::Result<()> {
        self.delete(this)?;
        Ok(())
    }
}

impl WasiContext {
    fn output_stream(
        &mut self,
        this: &Resource<Descriptor>,
        place: FilePlace,
    ) -> Answer<Resource<OutputStream>> {
        let file = self.get(this)?;
        file.check_writable_file()?;
        let stream = OutputStream::to_file(file.node.again()?, place);
        Ok(self.push(stream)?)
    }

    /// Two descriptors between which names can be moved.
    fn same_tree(
        &self,
        one: &Resource<Descriptor>,
        other: &Resource<Descriptor>,
    ) -> Answer<(&Descriptor, &Descriptor)> {
        let (one, other) = (self.get(one)?, self.get(other)?);
        if !one.node.tree().is_same(other.node.tree()) {
            return Err(ErrorCode::CrossDevice.into());
        }
        Ok((one, other))
    }
}

pub(super) fn descriptor_type(kind: Kind) -> DescriptorType {
    match kind {
        Kind::Directory => DescriptorType::Directory,
        Kind::File => DescriptorType::RegularFile,
        Kind::Symlink => DescriptorType::SymbolicLink,
    }
}

fn descriptor_stat(stat: Stat) -> DescriptorStat {
    DescriptorStat {
        type_: descriptor_type(stat.kind),
        link_count: u64::from(stat.links),
        size: stat.len_bytes,
        data_access_timestamp: Some(datetime(stat.times.accessed)),
        data_modification_timestamp: Some(datetime(stat.times.modified)),
        status_change_timestamp: Some(datetime(stat.times.changed)),
    }
}

fn datetime(time: Timestamp) -> Datetime {
    Datetime {
        seconds: time.seconds,
        nanoseconds: time.nanoseconds,
    }
}

/// The time to set, or none to leave it; more nanoseconds than a second has are refused.
fn new_time(new: NewTimestamp, now: Timestamp) -> Answer<Option<Timestamp>> {
    match new {
        NewTimestamp::NoChange => Ok(None),
        NewTimestamp::Now => Ok(Some(now)),
        NewTimestamp::Timestamp(time) if time.nanoseconds >= 1_000_000_000 => {
            Err(ErrorCode::Invalid.into())
        }
        NewTimestamp::Timestamp(time) => Ok(Some(Timestamp {
            seconds: time.seconds,
            nanoseconds: time.nanoseconds,
        })),
    }
}

/// Keyed anew at each start, so that a hash tells nothing about what it was made from.
static METADATA_HASH_KEYS: LazyLock<[RandomState; 2]> =
    LazyLock::new(|| [RandomState::new(), RandomState::new()]);

fn metadata_hash(tree: &FileTree, node: NodeId, stat: Stat) -> MetadataHashValue {
    let modified = (stat.times.modified.seconds, stat.times.modified.nanoseconds);
    let identity = (tree.identity(), node.as_u64(), stat.len_bytes, modified);
    let [lower, upper] = &*METADATA_HASH_KEYS;
    MetadataHashValue {
        lower: lower.hash_one(identity),
        upper: upper.hash_one(identity),
    }
}
