//! A file tree that processes share.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use lib_tmpfs::{Charge, Refused, Tmpfs};

use crate::Budget;

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
