//! The state behind a `descriptor`: a node of a tree and what may be done with it.

use runtime_host::{PinnedNode, tmpfs};
use tmpfs::{Follow, Kind, NodeId, Resolved, Tmpfs};

use crate::bindings::wasi::filesystem::types::{DescriptorFlags, ErrorCode, OpenFlags, PathFlags};
use crate::filesystem::FilesystemError;

/// What a process may do with a granted directory and all below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// Look.
    ReadOnly,
    /// Look and change.
    ReadWrite,
}

/// An open file or directory. The node stays alive as long as this does.
pub struct Descriptor {
    pub(super) node: PinnedNode,
    pub(super) kind: Kind,
    pub(super) flags: DescriptorFlags,
    /// Those of the preopen that this was reached from.
    rights: Rights,
}

/// The end of a path that must name an entry: where it is, what it is called, what is there.
pub(super) struct Named {
    pub(super) parent: NodeId,
    pub(super) name: Box<str>,
    pub(super) node: Option<NodeId>,
    /// A slash followed the name.
    pub(super) directory_required: bool,
}

/// The flags that ask for synchronized writes. They hold at all times in memory, so they are kept for
/// `get-flags` and mean nothing.
fn sync_flags() -> DescriptorFlags {
    DescriptorFlags::FILE_INTEGRITY_SYNC
        | DescriptorFlags::DATA_INTEGRITY_SYNC
        | DescriptorFlags::REQUESTED_WRITE_SYNC
}

impl Descriptor {
    pub(crate) fn preopened(node: PinnedNode, rights: Rights) -> Result<Self, tmpfs::Error> {
        let kind = node.tree().read().stat(node.id())?.kind;
        let flags = match rights {
            Rights::ReadOnly => DescriptorFlags::READ,
            Rights::ReadWrite => DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY,
        };
        Ok(Self {
            node,
            kind,
            flags,
            rights,
        })
    }

    /// `open-at`.
    pub(super) fn open_at(
        &self,
        path_flags: PathFlags,
        path: &str,
        open: OpenFlags,
        flags: DescriptorFlags,
        now: tmpfs::Timestamp,
    ) -> Result<Self, FilesystemError> {
        self.check_directory()?;
        check_open_flags(open)?;
        let access = access(open, flags);
        if access.contains(DescriptorFlags::WRITE)
            || flags.contains(DescriptorFlags::MUTATE_DIRECTORY)
        {
            self.check_mutable()?;
        }
        let exclusive = open.contains(OpenFlags::CREATE | OpenFlags::EXCLUSIVE);
        let follow = follow(path_flags, exclusive);
        let mut tree = self.node.tree().write();
        let resolved = tree.resolve(self.node.id(), path, follow)?;
        if open.contains(OpenFlags::CREATE) && ends_in_slash(&resolved) {
            return Err(ErrorCode::IsDirectory.into());
        }
        let node = match resolved.node() {
            Ok(_) if exclusive => return Err(ErrorCode::Exist.into()),
            Ok(node) => node,
            Err(_) if open.contains(OpenFlags::CREATE) => create_file(&mut tree, resolved, now)?,
            Err(error) => return Err(error.into()),
        };
        let kind = tree.stat(node)?.kind;
        check_openable(kind, open, access)?;
        if open.contains(OpenFlags::TRUNCATE) {
            tree.set_len(node, 0, now)?;
        }
        Ok(Self {
            node: self.node.tree().pin_within(&mut tree, node)?,
            kind,
            flags: self.flags_of_opened(kind, access),
            rights: self.rights,
        })
    }

    /// Only directories carry `mutate-directory`, and they do whenever this one does.
    fn flags_of_opened(&self, kind: Kind, access: DescriptorFlags) -> DescriptorFlags {
        match kind {
            Kind::Directory => access | (self.flags & DescriptorFlags::MUTATE_DIRECTORY),
            Kind::File | Kind::Symlink => access,
        }
    }

    /// This is a directory.
    pub(super) fn check_directory(&self) -> Result<(), FilesystemError> {
        match self.kind {
            Kind::Directory => Ok(()),
            _ => Err(ErrorCode::NotDirectory.into()),
        }
    }

    /// This is a directory below which things may be changed.
    pub(super) fn check_mutable(&self) -> Result<(), FilesystemError> {
        self.check_directory()?;
        if self.flags.contains(DescriptorFlags::MUTATE_DIRECTORY) {
            return Ok(());
        }
        Err(ErrorCode::ReadOnly.into())
    }

    /// This is a file.
    pub(super) fn check_file(&self) -> Result<(), FilesystemError> {
        match self.kind {
            Kind::Directory => Err(ErrorCode::BadDescriptor.into()),
            Kind::File | Kind::Symlink => Ok(()),
        }
    }

    /// This is a file opened for reading.
    pub(super) fn check_readable_file(&self) -> Result<(), FilesystemError> {
        self.check_file()?;
        self.check_opened_for(DescriptorFlags::READ)
    }

    /// This is a file opened for writing.
    pub(super) fn check_writable_file(&self) -> Result<(), FilesystemError> {
        self.check_file()?;
        self.check_opened_for(DescriptorFlags::WRITE)
    }

    fn check_opened_for(&self, needed: DescriptorFlags) -> Result<(), FilesystemError> {
        if self.flags.contains(needed) {
            return Ok(());
        }
        Err(ErrorCode::BadDescriptor.into())
    }

    /// What describes this node may be changed, for which POSIX does not ask how it was opened.
    pub(super) fn check_metadata_mutable(&self) -> Result<(), FilesystemError> {
        match self.rights {
            Rights::ReadWrite => Ok(()),
            Rights::ReadOnly => Err(ErrorCode::ReadOnly.into()),
        }
    }

    /// The node that `path` leads to.
    pub(super) fn find(
        &self,
        tree: &Tmpfs,
        path_flags: PathFlags,
        path: &str,
    ) -> Result<NodeId, FilesystemError> {
        self.check_directory()?;
        let follow = follow(path_flags, false);
        Ok(tree.resolve(self.node.id(), path, follow)?.node()?)
    }

    /// The entry that `path` names; a link at its end is the entry itself. `unnamed` is the answer to a path
    /// that ends in no name, such as `.`.
    pub(super) fn find_entry(
        &self,
        tree: &Tmpfs,
        path: &str,
        unnamed: ErrorCode,
    ) -> Result<Named, FilesystemError> {
        self.check_directory()?;
        named(
            tree.resolve(self.node.id(), path, Follow::AllButLast)?,
            unnamed,
        )
    }

    /// As [`Self::find_entry`], for those to whom a slash at the end means a directory of that name, and never what a
    /// link of that name leads to.
    pub(super) fn find_name(
        &self,
        tree: &Tmpfs,
        path: &str,
        unnamed: ErrorCode,
    ) -> Result<Named, FilesystemError> {
        let name = match path.trim_end_matches('/') {
            // It is all slashes, and leads out.
            "" => path,
            name => name,
        };
        let mut entry = self.find_entry(tree, name, unnamed)?;
        entry.directory_required = name != path;
        if let (true, Some(node)) = (entry.directory_required, entry.node)
            && tree.stat(node)?.kind != Kind::Directory
        {
            return Err(ErrorCode::NotDirectory.into());
        }
        Ok(entry)
    }

    /// Where a new entry called `path` would go; a slash at its end is for directories only.
    pub(super) fn find_vacant(
        &self,
        tree: &Tmpfs,
        path: &str,
        kind: Kind,
    ) -> Result<Named, FilesystemError> {
        self.check_directory()?;
        let resolved = tree.resolve(self.node.id(), path, Follow::AllButLast)?;
        if resolved.node().is_ok() {
            return Err(ErrorCode::Exist.into());
        }
        let entry = named(resolved, ErrorCode::Exist)?;
        if entry.directory_required && kind != Kind::Directory {
            return Err(ErrorCode::NoEntry.into());
        }
        Ok(entry)
    }
}

fn follow(path_flags: PathFlags, exclusive: bool) -> Follow {
    if path_flags.contains(PathFlags::SYMLINK_FOLLOW) && !exclusive {
        Follow::Last
    } else {
        Follow::AllButLast
    }
}

fn ends_in_slash(resolved: &Resolved) -> bool {
    matches!(
        resolved,
        Resolved::Entry {
            directory_required: true,
            ..
        }
    )
}

fn named(resolved: Resolved, unnamed: ErrorCode) -> Result<Named, FilesystemError> {
    match resolved {
        Resolved::Unnamed(_) => Err(unnamed.into()),
        Resolved::Entry {
            parent,
            name,
            node,
            directory_required,
        } => Ok(Named {
            parent,
            name,
            node,
            directory_required,
        }),
    }
}

/// A directory can be asked for, but not made or cut off on the way.
fn check_open_flags(open: OpenFlags) -> Result<(), FilesystemError> {
    let of_files = OpenFlags::CREATE | OpenFlags::EXCLUSIVE | OpenFlags::TRUNCATE;
    if open.contains(OpenFlags::DIRECTORY) && open.intersects(of_files) {
        return Err(ErrorCode::Invalid.into());
    }
    Ok(())
}

/// What is opened for: to create and to cut off is to write, and what is not opened for writing is for reading.
fn access(open: OpenFlags, flags: DescriptorFlags) -> DescriptorFlags {
    let kept = DescriptorFlags::READ | DescriptorFlags::WRITE | sync_flags();
    let mut access = flags & kept;
    if !flags.contains(DescriptorFlags::WRITE) {
        access |= DescriptorFlags::READ;
    }
    if open.intersects(OpenFlags::CREATE | OpenFlags::TRUNCATE) {
        access |= DescriptorFlags::WRITE;
    }
    access
}

fn create_file(
    tree: &mut Tmpfs,
    resolved: Resolved,
    now: tmpfs::Timestamp,
) -> Result<NodeId, FilesystemError> {
    let entry = named(resolved, ErrorCode::IsDirectory)?;
    Ok(tree.create_file(entry.parent, &entry.name, now)?)
}

fn check_openable(
    kind: Kind,
    open: OpenFlags,
    access: DescriptorFlags,
) -> Result<(), FilesystemError> {
    match kind {
        Kind::Directory if access.contains(DescriptorFlags::WRITE) => {
            Err(ErrorCode::IsDirectory.into())
        }
        Kind::Directory => Ok(()),
        Kind::File if open.contains(OpenFlags::DIRECTORY) => Err(ErrorCode::NotDirectory.into()),
        Kind::File => Ok(()),
        // Reached only when links are not followed.
        Kind::Symlink => Err(ErrorCode::Loop.into()),
    }
}
