//! The state behind a `descriptor`: a node of a tree and what may be done with it.

use runtime_host::{PinnedNode, tmpfs};
use tmpfs::{Follow, Kind, NodeId, Resolved, Tmpfs};

use crate::bindings::wasi::filesystem::types::{DescriptorFlags, ErrorCode, OpenFlags, PathFlags};
use crate::filesystem::{FilesystemError, Folder};

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
    /// How far `..` leads above this directory; not at all without it.
    pub(super) ceiling: Option<NodeId>,
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
    pub(crate) fn preopened(
        node: PinnedNode,
        rights: Rights,
        ceiling: Option<NodeId>,
    ) -> Result<Self, tmpfs::Error> {
        let kind = node.tree().read().stat(node.id())?.kind;
        let flags = match rights {
            Rights::ReadOnly => DescriptorFlags::READ,
            Rights::ReadWrite => DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY,
        };
        Ok(Self {
            node,
            kind,
            flags,
            ceiling,
        })
    }

    /// The directory as it can be granted to another process, under the name `path`; nothing where it is a file.
    pub fn as_folder(&self, path: String) -> Option<Folder> {
        let is_directory = self.kind == Kind::Directory;
        let rights = if self.flags.contains(DescriptorFlags::MUTATE_DIRECTORY) {
            Rights::ReadWrite
        } else {
            Rights::ReadOnly
        };
        let tree = self.node.tree().clone();
        is_directory.then(|| Folder::new(tree, self.node.id(), path, rights))
    }

    fn resolve(&self, tree: &Tmpfs, path: &str, follow: Follow) -> Result<Resolved, tmpfs::Error> {
        tree.resolve_below(self.ceiling, self.node.id(), path, follow)
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
        let changes = DescriptorFlags::WRITE | DescriptorFlags::MUTATE_DIRECTORY;
        if flags.intersects(changes) || open.intersects(OpenFlags::CREATE | OpenFlags::TRUNCATE) {
            self.check_mutable()?;
        }
        let exclusive = open.contains(OpenFlags::CREATE | OpenFlags::EXCLUSIVE);
        let follow = follow(path_flags, exclusive);
        let mut tree = self.node.tree().write();
        let resolved = self.resolve(&tree, path, follow)?;
        let node = match resolved.node() {
            Ok(_) if exclusive => return Err(ErrorCode::Exist.into()),
            Ok(node) => node,
            Err(_) if open.contains(OpenFlags::CREATE) => {
                create_file(&mut tree, resolved, open, now)?
            }
            Err(error) => return Err(error.into()),
        };
        let kind = tree.stat(node)?.kind;
        check_openable(kind, open, flags)?;
        if open.contains(OpenFlags::TRUNCATE) {
            tree.set_len(node, 0, now)?;
        }
        Ok(Self {
            node: self.node.tree().pin_within(&mut tree, node)?,
            kind,
            flags: self.flags_of_opened(kind, flags),
            ceiling: None,
        })
    }

    /// Only directories carry `mutate-directory`, and they do whenever this one does.
    fn flags_of_opened(&self, kind: Kind, asked: DescriptorFlags) -> DescriptorFlags {
        let of_file = DescriptorFlags::READ | DescriptorFlags::WRITE | sync_flags();
        match kind {
            Kind::Directory => {
                let inherited = self.flags & DescriptorFlags::MUTATE_DIRECTORY;
                (asked & (DescriptorFlags::READ | sync_flags())) | inherited
            }
            Kind::File | Kind::Symlink => asked & of_file,
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

    /// This is a file opened for reading.
    pub(super) fn check_readable_file(&self) -> Result<(), FilesystemError> {
        self.check_file(DescriptorFlags::READ)
    }

    /// This is a file opened for writing.
    pub(super) fn check_writable_file(&self) -> Result<(), FilesystemError> {
        self.check_file(DescriptorFlags::WRITE)
    }

    fn check_file(&self, needed: DescriptorFlags) -> Result<(), FilesystemError> {
        if self.kind == Kind::Directory {
            return Err(ErrorCode::IsDirectory.into());
        }
        if self.flags.contains(needed) {
            return Ok(());
        }
        Err(ErrorCode::BadDescriptor.into())
    }

    /// What describes this node may be changed through this descriptor.
    pub(super) fn check_metadata_mutable(&self) -> Result<(), FilesystemError> {
        let change = DescriptorFlags::WRITE | DescriptorFlags::MUTATE_DIRECTORY;
        if self.flags.intersects(change) {
            return Ok(());
        }
        Err(ErrorCode::ReadOnly.into())
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
        Ok(self.resolve(tree, path, follow)?.node()?)
    }

    /// The entry that `path` names; a link at its end is the entry itself.
    pub(super) fn find_entry(&self, tree: &Tmpfs, path: &str) -> Result<Named, FilesystemError> {
        self.check_directory()?;
        named(self.resolve(tree, path, Follow::AllButLast)?)
    }

    /// Where a new entry called `path` would go; a slash at its end is for directories only.
    pub(super) fn find_vacant(
        &self,
        tree: &Tmpfs,
        path: &str,
        kind: Kind,
    ) -> Result<Named, FilesystemError> {
        self.check_directory()?;
        let resolved = self.resolve(tree, path, Follow::AllButLast)?;
        if resolved.node().is_ok() {
            return Err(ErrorCode::Exist.into());
        }
        let entry = named(resolved)?;
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

fn named(resolved: Resolved) -> Result<Named, FilesystemError> {
    match resolved {
        Resolved::Unnamed(_) => Err(ErrorCode::Invalid.into()),
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

fn create_file(
    tree: &mut Tmpfs,
    resolved: Resolved,
    open: OpenFlags,
    now: tmpfs::Timestamp,
) -> Result<NodeId, FilesystemError> {
    let entry = named(resolved)?;
    if open.contains(OpenFlags::DIRECTORY) {
        return Err(ErrorCode::Invalid.into());
    }
    if entry.directory_required {
        return Err(ErrorCode::IsDirectory.into());
    }
    Ok(tree.create_file(entry.parent, &entry.name, now)?)
}

fn check_openable(
    kind: Kind,
    open: OpenFlags,
    flags: DescriptorFlags,
) -> Result<(), FilesystemError> {
    let changes = open.intersects(OpenFlags::CREATE | OpenFlags::TRUNCATE)
        || flags.contains(DescriptorFlags::WRITE);
    match kind {
        Kind::Directory if changes => Err(ErrorCode::IsDirectory.into()),
        Kind::Directory => Ok(()),
        _ if open.contains(OpenFlags::DIRECTORY) => Err(ErrorCode::NotDirectory.into()),
        Kind::File => Ok(()),
        // Reached only when links are not followed.
        Kind::Symlink => Err(ErrorCode::Loop.into()),
    }
}
