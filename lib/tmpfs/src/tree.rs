//! The tree: names, nodes, and what can be done with them.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::ops::Bound;

use crate::content::Content;
use crate::node::{Body, Directory, Node};
use crate::table::Table;
use crate::{
    Backing, Charge, Error, Kind, NAME_MAX_BYTES, NodeId, PATH_MAX_BYTES, Stat, Times, Timestamp,
};

/// What a node is charged with, besides its contents.
const NODE_BYTES: u64 = 256;
/// What a directory entry is charged with, besides its name.
const ENTRY_BYTES: u64 = 64;

/// A file tree. See the crate's head for its invariants.
pub struct Tmpfs {
    table: Table,
    root: NodeId,
    charge: Arc<dyn Charge>,
    read_only: bool,
}

/// One name in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectoryEntry<'a> {
    /// The name.
    pub name: &'a str,
    /// What it names.
    pub node: NodeId,
    /// What kind of node that is.
    pub kind: Kind,
}

impl Tmpfs {
    /// A tree with an empty root directory, made at `now`, which pays from `charge`.
    pub fn new(charge: Arc<dyn Charge>, now: Timestamp) -> Result<Self, Error> {
        charge.reserve(NODE_BYTES).map_err(|_| Error::NoSpace)?;
        let mut table = Table::default();
        let root = table.insert(Node {
            links: 1,
            pins: 0,
            times: Times::at(now),
            body: Body::File(Content::empty()),
        })?;
        // A root is its own parent, and its id is known only now.
        table.get_mut(root)?.body = empty_directory(root);
        Ok(Self {
            table,
            root,
            charge,
            read_only: false,
        })
    }

    /// The root directory.
    pub fn root(&self) -> NodeId {
        self.root
    }

    /// From now on every change fails with [`Error::ReadOnly`].
    pub fn set_read_only(&mut self) {
        self.read_only = true;
    }

    // ---- looking ----

    /// What `name` names in `directory`.
    pub fn lookup(&self, directory: NodeId, name: &str) -> Result<NodeId, Error> {
        check_name(name)?;
        let directory = self.directory(directory)?;
        directory.entries.get(name).copied().ok_or(Error::NotFound)
    }

    /// The first entry of `directory` whose name comes after `after` in byte order, or the first of
    /// all. Going on from the last name seen visits every entry that stays there exactly once.
    pub fn entry_after(
        &self,
        directory: NodeId,
        after: Option<&str>,
    ) -> Result<Option<DirectoryEntry<'_>>, Error> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let entries = &self.directory(directory)?.entries;
        let Some((name, node)) = entries.range::<str, _>((from, Bound::Unbounded)).next() else {
            return Ok(None);
        };
        Ok(Some(DirectoryEntry {
            name,
            node: *node,
            kind: self.node(*node)?.kind(),
        }))
    }

    /// The description of a node.
    pub fn stat(&self, node: NodeId) -> Result<Stat, Error> {
        Ok(self.node(node)?.stat())
    }

    /// The target of a symbolic link.
    pub fn read_link(&self, node: NodeId) -> Result<&str, Error> {
        match &self.node(node)?.body {
            Body::Symlink(target) => Ok(target),
            _ => Err(Error::NotASymlink),
        }
    }

    /// Copies what lies at `offset` of a file to the buffer's start, and says how many bytes; fewer
    /// than asked for only at the file's end.
    pub fn read(&self, file: NodeId, offset: u64, buffer: &mut [u8]) -> Result<usize, Error> {
        match &self.node(file)?.body {
            Body::File(content) => content.read(offset, buffer),
            Body::Directory(_) => Err(Error::IsADirectory),
            Body::Symlink(_) => Err(Error::NotAFile),
        }
    }

    // ---- making ----

    /// Makes an empty file.
    pub fn create_file(
        &mut self,
        parent: NodeId,
        name: &str,
        now: Timestamp,
    ) -> Result<NodeId, Error> {
        self.create(parent, name, Body::File(Content::empty()), now)
    }

    /// Makes a file that shows `backing` until it is changed.
    pub fn create_backed(
        &mut self,
        parent: NodeId,
        name: &str,
        backing: Arc<dyn Backing>,
        now: Timestamp,
    ) -> Result<NodeId, Error> {
        self.create(parent, name, Body::File(Content::Backed(backing)), now)
    }

    /// Makes an empty directory.
    pub fn create_directory(
        &mut self,
        parent: NodeId,
        name: &str,
        now: Timestamp,
    ) -> Result<NodeId, Error> {
        self.create(parent, name, empty_directory(parent), now)
    }

    /// Makes a symbolic link to `target`, which is not looked at.
    pub fn create_symlink(
        &mut self,
        parent: NodeId,
        name: &str,
        target: &str,
        now: Timestamp,
    ) -> Result<NodeId, Error> {
        if target.is_empty() {
            return Err(Error::NotFound);
        }
        if target.contains('\0') {
            return Err(Error::InvalidName);
        }
        if target.len() > PATH_MAX_BYTES {
            return Err(Error::NameTooLong);
        }
        self.create(parent, name, Body::Symlink(target.into()), now)
    }

    /// Gives a file or symbolic link one more name.
    pub fn link(
        &mut self,
        node: NodeId,
        parent: NodeId,
        name: &str,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.check_writable()?;
        let (kind, links) = self.node(node).map(|node| (node.kind(), node.links))?;
        if kind == Kind::Directory {
            return Err(Error::IsADirectory);
        }
        // A file without a name is on its way out and does not come back.
        if links == 0 {
            return Err(Error::NotFound);
        }
        let links = links.checked_add(1).ok_or(Error::TooManyLinks)?;
        self.check_vacant(parent, name)?;
        self.reserve(entry_bytes(name))?;
        self.add_entry(parent, name, node, now)?;
        let node = self.node_mut(node)?;
        node.links = links;
        node.times.changed = now;
        Ok(())
    }

    fn create(
        &mut self,
        parent: NodeId,
        name: &str,
        body: Body,
        now: Timestamp,
    ) -> Result<NodeId, Error> {
        self.check_writable()?;
        self.check_vacant(parent, name)?;
        let node = Node {
            links: 1,
            pins: 0,
            times: Times::at(now),
            body,
        };
        let cost = node_bytes(&node) + entry_bytes(name);
        self.reserve(cost)?;
        let id = match self.table.insert(node) {
            Ok(id) => id,
            Err(error) => {
                self.charge.release(cost);
                return Err(error);
            }
        };
        self.add_entry(parent, name, id, now)?;
        Ok(id)
    }

    // ---- removing and moving ----

    /// Removes the name of a file or symbolic link.
    pub fn unlink(&mut self, parent: NodeId, name: &str, now: Timestamp) -> Result<(), Error> {
        self.check_writable()?;
        let node = self.lookup(parent, name)?;
        if self.node(node)?.kind() == Kind::Directory {
            return Err(Error::IsADirectory);
        }
        self.remove_entry(parent, name, now)?;
        self.drop_link(node, now)
    }

    /// Removes an empty directory.
    pub fn remove_directory(
        &mut self,
        parent: NodeId,
        name: &str,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.check_writable()?;
        let node = self.lookup(parent, name)?;
        if !self.directory(node)?.entries.is_empty() {
            return Err(Error::NotEmpty);
        }
        self.remove_entry(parent, name, now)?;
        self.drop_link(node, now)
    }

    /// Moves a name. What `to_name` named before is replaced in the same step: a directory only by a
    /// directory and only when it is empty, anything else only by something that is no directory.
    /// Two names of one node are left as they are, as POSIX `rename` does.
    pub fn rename(
        &mut self,
        from: NodeId,
        from_name: &str,
        to: NodeId,
        to_name: &str,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.check_writable()?;
        let moved = self.lookup(from, from_name)?;
        let replaced = match self.lookup(to, to_name) {
            Ok(node) if node == moved => return Ok(()),
            Ok(node) => Some(node),
            Err(Error::NotFound) => None,
            Err(error) => return Err(error),
        };
        self.check_rename(moved, to, replaced)?;
        self.reserve(entry_bytes(to_name))?;
        if let Some(node) = replaced {
            self.remove_entry(to, to_name, now)?;
            self.drop_link(node, now)?;
        }
        self.remove_entry(from, from_name, now)?;
        self.add_entry(to, to_name, moved, now)?;
        let node = self.node_mut(moved)?;
        node.times.changed = now;
        if let Body::Directory(directory) = &mut node.body {
            directory.parent = to;
        }
        Ok(())
    }

    fn check_rename(
        &self,
        moved: NodeId,
        to: NodeId,
        replaced: Option<NodeId>,
    ) -> Result<(), Error> {
        self.check_alive(to)?;
        let moves_directory = self.node(moved)?.kind() == Kind::Directory;
        if moves_directory && self.is_within(to, moved)? {
            return Err(Error::IntoItself);
        }
        let Some(replaced) = replaced else {
            return Ok(());
        };
        match (&self.node(replaced)?.body, moves_directory) {
            (Body::Directory(_), false) => Err(Error::IsADirectory),
            (Body::Directory(old), true) if !old.entries.is_empty() => Err(Error::NotEmpty),
            (Body::Directory(_), true) => Ok(()),
            (_, true) => Err(Error::NotADirectory),
            (_, false) => Ok(()),
        }
    }

    /// Whether `directory` is `ancestor` or lies below it.
    fn is_within(&self, mut directory: NodeId, ancestor: NodeId) -> Result<bool, Error> {
        while directory != ancestor {
            let parent = self.directory(directory)?.parent;
            if parent == directory {
                return Ok(false);
            }
            directory = parent;
        }
        Ok(true)
    }

    // ---- changing ----

    /// Writes to a file at `offset`, and says how many bytes were taken: fewer than given when space
    /// ran out midway.
    pub fn write(
        &mut self,
        file: NodeId,
        offset: u64,
        bytes: &[u8],
        now: Timestamp,
    ) -> Result<usize, Error> {
        self.change(file, now, |content, charge| {
            content.write(charge, offset, bytes)
        })
    }

    /// Writes at a file's end, and says how many bytes were taken.
    pub fn append(&mut self, file: NodeId, bytes: &[u8], now: Timestamp) -> Result<usize, Error> {
        self.change(file, now, |content, charge| {
            content.write(charge, content.len_bytes(), bytes)
        })
    }

    /// Cuts a file off, or extends it with zeros.
    pub fn set_len(&mut self, file: NodeId, len_bytes: u64, now: Timestamp) -> Result<(), Error> {
        self.change(file, now, |content, charge| {
            content.set_len(charge, len_bytes)
        })
    }

    /// Sets the access and modification times that are given.
    pub fn set_times(
        &mut self,
        node: NodeId,
        accessed: Option<Timestamp>,
        modified: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.check_writable()?;
        let times = &mut self.node_mut(node)?.times;
        times.accessed = accessed.unwrap_or(times.accessed);
        times.modified = modified.unwrap_or(times.modified);
        times.changed = now;
        Ok(())
    }

    /// Whether reading the node now should be noted by [`Tmpfs::accessed`].
    pub fn access_is_due(&self, node: NodeId) -> Result<bool, Error> {
        Ok(!self.read_only && self.node(node)?.access_is_due())
    }

    /// Notes that a node was read at `now`, which is no change of it.
    pub fn accessed(&mut self, node: NodeId, now: Timestamp) -> Result<(), Error> {
        self.check_writable()?;
        self.node_mut(node)?.times.accessed = now;
        Ok(())
    }

    fn change<R>(
        &mut self,
        file: NodeId,
        now: Timestamp,
        operation: impl FnOnce(&mut Content, &dyn Charge) -> Result<R, Error>,
    ) -> Result<R, Error> {
        self.check_writable()?;
        let charge = Arc::clone(&self.charge);
        let node = self.node_mut(file)?;
        let answer = match &mut node.body {
            Body::File(content) => operation(content, charge.as_ref())?,
            Body::Directory(_) => return Err(Error::IsADirectory),
            Body::Symlink(_) => return Err(Error::NotAFile),
        };
        node.modified(now);
        Ok(answer)
    }

    // ---- keeping alive ----

    /// Keeps a node alive without a name, until [`Tmpfs::unpin`] was called as often.
    pub fn pin(&mut self, node: NodeId) -> Result<(), Error> {
        let node = self.node_mut(node)?;
        node.pins = node.pins.checked_add(1).ok_or(Error::TooManyLinks)?;
        Ok(())
    }

    /// Undoes one [`Tmpfs::pin`]. A node without a name is freed with its last pin.
    pub fn unpin(&mut self, node: NodeId) {
        if let Ok(held) = self.node_mut(node) {
            held.pins = held.pins.saturating_sub(1);
            self.free_if_unused(node);
        }
    }

    // ---- parts ----

    pub(crate) fn node(&self, id: NodeId) -> Result<&Node, Error> {
        self.table.get(id)
    }

    fn node_mut(&mut self, id: NodeId) -> Result<&mut Node, Error> {
        self.table.get_mut(id)
    }

    pub(crate) fn directory(&self, id: NodeId) -> Result<&Directory, Error> {
        match &self.node(id)?.body {
            Body::Directory(directory) => Ok(directory),
            _ => Err(Error::NotADirectory),
        }
    }

    fn check_writable(&self) -> Result<(), Error> {
        if self.read_only {
            return Err(Error::ReadOnly);
        }
        Ok(())
    }

    /// `directory` still has a name, so that what is put into it can be found.
    fn check_alive(&self, directory: NodeId) -> Result<(), Error> {
        self.directory(directory)?;
        if self.node(directory)?.links == 0 {
            return Err(Error::NotFound);
        }
        Ok(())
    }

    fn check_vacant(&self, parent: NodeId, name: &str) -> Result<(), Error> {
        self.check_alive(parent)?;
        match self.lookup(parent, name) {
            Ok(_) => Err(Error::Exists),
            Err(Error::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn reserve(&self, bytes: u64) -> Result<(), Error> {
        self.charge.reserve(bytes).map_err(|_| Error::NoSpace)
    }

    /// The entry's cost was reserved by the caller.
    fn add_entry(
        &mut self,
        parent: NodeId,
        name: &str,
        node: NodeId,
        now: Timestamp,
    ) -> Result<(), Error> {
        let parent = self.node_mut(parent)?;
        if let Body::Directory(directory) = &mut parent.body {
            directory.entries.insert(name.into(), node);
        }
        parent.modified(now);
        Ok(())
    }

    fn remove_entry(&mut self, parent: NodeId, name: &str, now: Timestamp) -> Result<(), Error> {
        let parent = self.node_mut(parent)?;
        if let Body::Directory(directory) = &mut parent.body {
            directory.entries.remove(name);
        }
        parent.modified(now);
        self.charge.release(entry_bytes(name));
        Ok(())
    }

    fn drop_link(&mut self, id: NodeId, now: Timestamp) -> Result<(), Error> {
        let node = self.node_mut(id)?;
        node.links = node.links.saturating_sub(1);
        node.times.changed = now;
        self.free_if_unused(id);
        Ok(())
    }

    fn free_if_unused(&mut self, id: NodeId) {
        let unused = self
            .node(id)
            .is_ok_and(|node| node.links == 0 && node.pins == 0);
        if unused && let Some(mut node) = self.table.remove(id) {
            release_node(&mut node, self.charge.as_ref());
        }
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        for node in self.table.values_mut() {
            release_node(node, self.charge.as_ref());
            if let Body::Directory(directory) = &node.body {
                let names: u64 = directory.entries.keys().map(|name| entry_bytes(name)).sum();
                self.charge.release(names);
            }
        }
    }
}

/// Gives back a node's cost and its contents'; its entries' cost goes with the entries.
fn release_node(node: &mut Node, charge: &dyn Charge) {
    charge.release(node_bytes(node));
    if let Body::File(content) = &mut node.body {
        content.release(charge);
    }
}

/// What a node costs, besides a file's contents.
fn node_bytes(node: &Node) -> u64 {
    match &node.body {
        Body::Symlink(target) => NODE_BYTES + target.len() as u64,
        Body::Directory(_) | Body::File(_) => NODE_BYTES,
    }
}

fn entry_bytes(name: &str) -> u64 {
    ENTRY_BYTES + name.len() as u64
}

fn empty_directory(parent: NodeId) -> Body {
    Body::Directory(Directory {
        parent,
        entries: BTreeMap::new(),
    })
}

fn check_name(name: &str) -> Result<(), Error> {
    if name.len() > NAME_MAX_BYTES {
        return Err(Error::NameTooLong);
    }
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
        return Err(Error::InvalidName);
    }
    Ok(())
}
