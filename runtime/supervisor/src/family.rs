//! Who started whom.
//!
//! Laws:
//! - A process is in the table from before its thread starts until its thread holds nothing any more. Numbers grow, so a
//!   parent comes before its children.
//! - *A child ends when its parent does*, unless it was disowned: then the system is its parent. The parent's thread waits
//!   for its children before it leaves, so a whole family is gone when its oldest is.
//! - *An order to a process is one to all that it started.* It is given under the table's lock, and whoever was told to end
//!   starts nothing any more: nobody slips through by starting somebody else meanwhile.
//! - A process stands still as long as it, or one of those it descends from, was told to: each has its own order.
//!
//! Lock order: the table, then a process's state, or the subscribers of its orders. Nothing waits under the table's lock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use runtime_host::Reservation;

use crate::process::Shared;
use crate::{LaunchError, ProcessId, ProcessStatus};

/// All processes that exist.
pub(crate) struct Family {
    members: Mutex<BTreeMap<ProcessId, Member>>,
}

struct Member {
    shared: Arc<Shared>,
    parent: Option<ProcessId>,
    orders: Still,
    /// CPU time of those of its descendants that have ended.
    ended_cpu_time: Duration,
    /// Its place among the processes that those it descends from may have.
    _place: Reservation,
}

/// Why a process itself was told to stand still.
#[derive(Clone, Copy, Default)]
struct Still {
    suspended: bool,
    throttled: bool,
}

/// Which order to stand still is given or taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Somebody wants it.
    Suspension,
    /// It has had its share of CPU time.
    Throttling,
}

impl Family {
    pub fn new() -> Family {
        Family {
            members: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ProcessId, Member>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a process in that is about to start.
    pub fn enlist(
        &self,
        shared: &Arc<Shared>,
        parent: Option<ProcessId>,
        place: Reservation,
    ) -> Result<(), LaunchError> {
        let mut members = self.lock();
        if let Some(parent) = parent {
            let parent = members.get(&parent).ok_or(LaunchError::ParentEnds)?;
            let orders = &parent.shared.cancellation;
            if orders.is_cancelled() {
                return Err(LaunchError::ParentEnds);
            }
            shared.cancellation.set_still(orders.is_still());
        }
        let member = Member {
            shared: Arc::clone(shared),
            parent,
            orders: Still::default(),
            ended_cpu_time: Duration::ZERO,
            _place: place,
        };
        members.insert(shared.id, member);
        Ok(())
    }

    /// Strikes a process off. Children that still wind up become the system's.
    pub fn leave(&self, id: ProcessId) {
        let mut members = self.lock();
        let Some(gone) = members.remove(&id) else {
            return;
        };
        let used = gone.ended_cpu_time + gone.shared.cpu_time().unwrap_or_default();
        for member in members.values_mut() {
            if member.parent == Some(id) {
                member.parent = None;
            }
        }
        if let Some(parent) = gone.parent.and_then(|parent| members.get_mut(&parent)) {
            parent.ended_cpu_time += used;
        }
        drop(members);
        // Its place is given back without the lock.
        drop(gone);
    }

    pub fn find(&self, id: ProcessId) -> Option<Arc<Shared>> {
        self.lock()
            .get(&id)
            .map(|member| Arc::clone(&member.shared))
    }

    /// Everybody's state, by age.
    pub fn list(&self) -> Vec<ProcessStatus> {
        let members = self.lock();
        members.values().map(Member::status).collect()
    }

    /// The state of the process and all that it started, parents first.
    pub fn descendants(&self, id: ProcessId) -> Vec<ProcessStatus> {
        let members = self.lock();
        let subtree = subtree(&members, id);
        subtree.iter().map(|id| members[id].status()).collect()
    }

    /// Makes the process a child of the system.
    pub fn disown(&self, id: ProcessId) {
        let mut members = self.lock();
        if let Some(member) = members.get_mut(&id) {
            member.parent = None;
        }
        apply_orders(&members);
    }

    /// Tells the process and all that it started to end.
    pub fn kill(&self, id: ProcessId) {
        let told: Vec<Arc<Shared>> = {
            let members = self.lock();
            let subtree = subtree(&members, id);
            let shared = subtree.iter().map(|id| Arc::clone(&members[id].shared));
            shared
                .inspect(|shared| shared.cancellation.cancel())
                .collect()
        };
        told.iter().for_each(|shared| shared.wake_to_end());
    }

    /// Ends everything that the process has started, and waits until it is gone.
    pub fn end_children(&self, parent: ProcessId) {
        let children: Vec<Arc<Shared>> = {
            let members = self.lock();
            let children = members
                .values()
                .filter(|member| member.parent == Some(parent));
            children.map(|member| Arc::clone(&member.shared)).collect()
        };
        children.iter().for_each(|child| self.kill(child.id));
        children.iter().for_each(|child| drop(child.wait()));
    }

    /// Tells the process and all that it started to stand still, or to go on.
    pub fn set_still(&self, id: ProcessId, reason: Reason, is_still: bool) {
        let mut members = self.lock();
        let Some(member) = members.get_mut(&id) else {
            return;
        };
        match reason {
            Reason::Suspension => member.orders.suspended = is_still,
            Reason::Throttling => member.orders.throttled = is_still,
        }
        apply_orders(&members);
    }

    /// CPU time of the process and all that it started, the ended ones included.
    pub fn cpu_time(&self, id: ProcessId) -> Duration {
        let members = self.lock();
        let subtree = subtree(&members, id);
        subtree.iter().map(|id| members[id].cpu_time()).sum()
    }
}

impl Member {
    fn cpu_time(&self) -> Duration {
        self.ended_cpu_time + self.shared.cpu_time().unwrap_or_default()
    }

    fn status(&self) -> ProcessStatus {
        ProcessStatus {
            parent: self.parent,
            is_suspended: self.orders.suspended,
            ..self.shared.status()
        }
    }
}

/// The process and all that descend from it, parents first.
fn subtree(members: &BTreeMap<ProcessId, Member>, root: ProcessId) -> BTreeSet<ProcessId> {
    let mut found = BTreeSet::new();
    for (&id, member) in members.range(root..) {
        if id == root || member.parent.is_some_and(|parent| found.contains(&parent)) {
            found.insert(id);
        }
    }
    found
}

/// Tells everybody whose order has changed.
fn apply_orders(members: &BTreeMap<ProcessId, Member>) {
    let mut still = BTreeSet::new();
    for (&id, member) in members {
        let inherited = member.parent.is_some_and(|parent| still.contains(&parent));
        let is_still = inherited || member.orders.suspended || member.orders.throttled;
        if is_still {
            still.insert(id);
        }
        if member.shared.cancellation.is_still() != is_still {
            member.shared.set_still(is_still);
        }
    }
}
