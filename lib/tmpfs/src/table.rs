//! Nodes by number, with generations so that an old number never names a new node.

use alloc::vec::Vec;

use crate::Error;
use crate::node::Node;

/// The name of a node in one tree. After the node is freed it names nothing, for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId {
    index: u32,
    generation: u32,
}

impl NodeId {
    /// A number that no other node of the tree ever has.
    pub fn as_u64(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }
}

struct Slot {
    generation: u32,
    node: Option<Node>,
}

/// The nodes of one tree.
#[derive(Default)]
pub(crate) struct Table {
    slots: Vec<Slot>,
    /// Empty slots whose generation can still be raised.
    free: Vec<u32>,
}

impl Table {
    pub(crate) fn insert(&mut self, node: Node) -> Result<NodeId, Error> {
        if let Some(index) = self.free.pop() {
            let slot = &mut self.slots[index as usize];
            slot.node = Some(node);
            return Ok(NodeId {
                index,
                generation: slot.generation,
            });
        }
        self.append(node)
    }

    fn append(&mut self, node: Node) -> Result<NodeId, Error> {
        let index = u32::try_from(self.slots.len()).map_err(|_| Error::NoSpace)?;
        self.slots.try_reserve(1).map_err(|_| Error::OutOfMemory)?;
        // Freeing must not fail, so the list of free slots can always take every slot.
        let room = self.slots.len() + 1 - self.free.len();
        self.free
            .try_reserve(room)
            .map_err(|_| Error::OutOfMemory)?;
        self.slots.push(Slot {
            generation: 0,
            node: Some(node),
        });
        Ok(NodeId {
            index,
            generation: 0,
        })
    }

    pub(crate) fn get(&self, id: NodeId) -> Result<&Node, Error> {
        self.slots
            .get(id.index as usize)
            .filter(|slot| slot.generation == id.generation)
            .and_then(|slot| slot.node.as_ref())
            .ok_or(Error::NotFound)
    }

    pub(crate) fn get_mut(&mut self, id: NodeId) -> Result<&mut Node, Error> {
        self.slots
            .get_mut(id.index as usize)
            .filter(|slot| slot.generation == id.generation)
            .and_then(|slot| slot.node.as_mut())
            .ok_or(Error::NotFound)
    }

    /// Takes a node out. A slot whose generations are used up is never filled again.
    pub(crate) fn remove(&mut self, id: NodeId) -> Option<Node> {
        let slot = self.slots.get_mut(id.index as usize)?;
        if slot.generation != id.generation {
            return None;
        }
        let node = slot.node.take()?;
        if let Some(next) = slot.generation.checked_add(1) {
            slot.generation = next;
            self.free.push(id.index);
        }
        Some(node)
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut Node> {
        self.slots.iter_mut().filter_map(|slot| slot.node.as_mut())
    }
}
