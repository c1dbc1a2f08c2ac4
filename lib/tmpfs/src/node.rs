//! One node of a tree: what it is, its times, and who keeps it alive.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;

use crate::NodeId;
use crate::content::Content;

/// A point in time: seconds since 1970-01-01T00:00:00Z and nanoseconds below 1 000 000 000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    /// Whole seconds since the epoch.
    pub seconds: u64,
    /// Nanoseconds within the second.
    pub nanoseconds: u32,
}

/// A node's times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// The first reading since the last change, or what was set.
    pub accessed: Timestamp,
    /// Last change of the contents.
    pub modified: Timestamp,
    /// Last change of contents or of what describes them.
    pub changed: Timestamp,
}

impl Times {
    pub(crate) fn at(now: Timestamp) -> Self {
        Self {
            accessed: now,
            modified: now,
            changed: now,
        }
    }
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link.
    Symlink,
}

/// A node's description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: Kind,
    /// How many names it has; a directory has one, and a removed node none.
    pub links: u32,
    /// A file's length, a symbolic link's target's length, 0 for a directory.
    pub len_bytes: u64,
    /// Its times.
    pub times: Times,
}

/// A node. It is freed when it has neither a name (`links`) nor a pin (`pins`) left.
pub(crate) struct Node {
    pub(crate) links: u32,
    pub(crate) pins: u32,
    pub(crate) times: Times,
    pub(crate) body: Body,
}

pub(crate) enum Body {
    Directory(Directory),
    File(Content),
    Symlink(Box<str>),
}

pub(crate) struct Directory {
    /// The directory that names this one; the root is its own parent.
    pub(crate) parent: NodeId,
    pub(crate) entries: BTreeMap<Box<str>, NodeId>,
}

impl Node {
    pub(crate) fn kind(&self) -> Kind {
        match self.body {
            Body::Directory(_) => Kind::Directory,
            Body::File(_) => Kind::File,
            Body::Symlink(_) => Kind::Symlink,
        }
    }

    pub(crate) fn stat(&self) -> Stat {
        Stat {
            kind: self.kind(),
            links: self.links,
            len_bytes: match &self.body {
                Body::Directory(_) => 0,
                Body::File(content) => content.len_bytes(),
                Body::Symlink(target) => target.len() as u64,
            },
            times: self.times,
        }
    }

    /// Whether a reading now would be the first since the last change.
    pub(crate) fn access_is_due(&self) -> bool {
        self.times.accessed <= self.times.modified.max(self.times.changed)
    }

    /// Notes a change of the contents.
    pub(crate) fn modified(&mut self, now: Timestamp) {
        self.times.modified = now;
        self.times.changed = now;
    }
}
