//! A file tree that processes share.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use lib_tmpfs::{Charge, Error, NodeId, Refused, Timestamp, Tmpfs};

use crate::{Budget, Clock};

/// A tree behind its lock; cloning shares it. Readers run side by side. The lock is held for one
/// operation on memory, never while waiting.
#[derive(Clone)]
pub struct FileTree(Arc<RwLock<Tmpfs>>);

impl FileTree {
    /// Shares `tree`.
    pub fn new(tree: Tmpfs) -> Self {
        Self(Arc::new(RwLock::new(tree)))
    }

    /// Looks at the tree.
    pub fn read(&self) -> RwLockReadGuard<'_, Tmpfs> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the tree.
    pub fn write(&self) -> RwLockWriteGuard<'_, Tmpfs> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether both are the same tree.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// A number that no other living tree has.
    pub fn identity(&self) -> u64 {
        Arc::as_ptr(&self.0).addr() as u64
    }
}

/// The wall clock's time as files carry it.
pub fn file_time(clock: &dyn Clock) -> Timestamp {
    let wall = clock.wall();
    Timestamp {
        seconds: wall.as_secs(),
        nanoseconds: wall.subsec_nanos(),
    }
}

/// A node that stays alive, with or without a name, as long as this is held.
pub struct PinnedNode {
    tree: FileTree,
    node: NodeId,
}

impl FileTree {
    /// Keeps `node` alive.
    pub fn pin(&self, node: NodeId) -> Result<PinnedNode, Error> {
        self.pin_within(&mut self.write(), node)
    }

    /// As [`FileTree::pin`], for one who has locked the tree: the answer must be dropped without the lock.
    pub fn pin_within(&self, locked: &mut Tmpfs, node: NodeId) -> Result<PinnedNode, Error> {
        locked.pin(node)?;
        Ok(PinnedNode {
            tree: self.clone(),
            node,
        })
    }
}

impl PinnedNode {
    /// The tree in which the node is.
    pub fn tree(&self) -> &FileTree {
        &self.tree
    }

    /// The node's name in its tree.
    pub fn id(&self) -> NodeId {
        self.node
    }

    /// Notes that the node was read now. It takes the tree exclusively, so readers ask first whether that is
    /// due ([`Tmpfs::access_is_due`]), which it is at most once for each change.
    pub fn note_access(&self, clock: &dyn Clock) -> Result<(), Error> {
        let now = file_time(clock);
        self.tree.write().accessed(self.node, now)
    }

    /// One more pin on the same node.
    pub fn again(&self) -> Result<Self, Error> {
        self.tree.pin(self.node)
    }

    /// Whether both are the same node of the same tree.
    pub fn is_same(&self, other: &Self) -> bool {
        self.node == other.node && self.tree.is_same(&other.tree)
    }
}

impl Drop for PinnedNode {
    fn drop(&mut self) {
        self.tree.write().unpin(self.node);
    }
}

/// Charges a tree to a budget. A tree outlives the processes that fill it, so it has a budget of its own.
pub struct BudgetCharge(pub Budget);

impl Charge for BudgetCharge {
    fn reserve(&self, bytes: u64) -> Result<(), Refused> {
        self.0.charge(bytes).map_err(|_| Refused)
    }

    fn release(&self, bytes: u64) {
        self.0.release(bytes);
    }
}
