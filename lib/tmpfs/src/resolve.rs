//! From a path to a node, without ever leaving the directory that the path starts from.
//!
//! A path is relative to a base directory. `..` goes up, but not above the base; an absolute path, or a
//! symbolic link whose target is absolute, would leave it and fails with [`Error::Escapes`]. The walk
//! takes place under one borrow of the tree, so nothing moves meanwhile: counting how deep below the
//! base it stands is enough. Who was granted more than the base may be let climb above it, up to a ceiling and no
//! further; where the base lies is looked up then, since it may have been moved. At most [`SYMLINKS_MAX`] links are followed.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::node::Body;
use crate::{Error, Kind, NodeId, PATH_MAX_BYTES, Tmpfs};

/// How many symbolic links one path may lead through.
pub const SYMLINKS_MAX: u32 = 40;

/// Whether a symbolic link at the end of the path is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// The answer is what the link leads to.
    Last,
    /// The answer is the link itself, unless a slash follows it.
    AllButLast,
}

/// Where a path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// To a directory, by a path that ends in no name (`.`, `a/..`).
    Unnamed(NodeId),
    /// To a name in a directory.
    Entry {
        /// The directory.
        parent: NodeId,
        /// The name, valid for an entry.
        name: Box<str>,
        /// What is there, if anything.
        node: Option<NodeId>,
        /// The path ended in a slash: only a directory will do.
        directory_required: bool,
    },
}

impl Resolved {
    /// The node that the path leads to.
    pub fn node(&self) -> Result<NodeId, Error> {
        match self {
            Self::Unnamed(node) => Ok(*node),
            Self::Entry { node, .. } => node.ok_or(Error::NotFound),
        }
    }
}

impl Tmpfs {
    /// Follows `path` from the directory `base`. A last name that does not exist is no error here;
    /// everything before it must exist.
    pub fn resolve(&self, base: NodeId, path: &str, follow: Follow) -> Result<Resolved, Error> {
        self.resolve_below(None, base, path, follow)
    }

    /// [`resolve`](Self::resolve), with `..` going up from the base as far as to the directory `ceiling`. A base that
    /// was moved out from below its ceiling cannot be climbed from at all.
    pub fn resolve_below(
        &self,
        ceiling: Option<NodeId>,
        base: NodeId,
        path: &str,
        follow: Follow,
    ) -> Result<Resolved, Error> {
        check_path(path)?;
        let mut walk = Walk {
            tree: self,
            directory: base,
            depth: 0,
            ceiling,
            is_below_ceiling: false,
            links_followed: 0,
            pending: Vec::from([path]),
            follow,
        };
        self.directory(base)?;
        loop {
            if let Some(resolved) = walk.step()? {
                return Ok(resolved);
            }
        }
    }
}

fn check_path(path: &str) -> Result<(), Error> {
    if path.is_empty() {
        return Err(Error::NotFound);
    }
    if path.len() > PATH_MAX_BYTES {
        return Err(Error::NameTooLong);
    }
    if path.starts_with('/') {
        return Err(Error::Escapes);
    }
    Ok(())
}

struct Walk<'a> {
    tree: &'a Tmpfs,
    directory: NodeId,
    /// How many directories below the base `directory` lies.
    depth: u32,
    /// How far `..` may lead above the base.
    ceiling: Option<NodeId>,
    /// The ceiling was found among the directories above `directory`, or is that.
    is_below_ceiling: bool,
    links_followed: u32,
    /// What is still to be walked, the nearest text last. Never more than one text per followed link.
    pending: Vec<&'a str>,
    follow: Follow,
}

impl<'a> Walk<'a> {
    /// Takes one component; answers when it was the last.
    fn step(&mut self) -> Result<Option<Resolved>, Error> {
        let Some(component) = self.next_component() else {
            return Ok(Some(Resolved::Unnamed(self.directory)));
        };
        match component {
            "." => Ok(None),
            ".." => self.ascend().map(|()| None),
            name => self.enter(name),
        }
    }

    fn next_component(&mut self) -> Option<&'a str> {
        while let Some(text) = self.pending.pop() {
            let text = text.trim_start_matches('/');
            if text.is_empty() {
                continue;
            }
            let end = text.find('/').unwrap_or(text.len());
            let (component, rest) = text.split_at(end);
            if !rest.is_empty() {
                self.pending.push(rest);
            }
            return Some(component);
        }
        None
    }

    fn ascend(&mut self) -> Result<(), Error> {
        match self.depth.checked_sub(1) {
            Some(depth) => self.depth = depth,
            None => self.check_ceiling()?,
        }
        self.directory = self.tree.directory(self.directory)?.parent;
        Ok(())
    }

    /// The directory is the base, or one above it: may the walk leave it upwards?
    fn check_ceiling(&mut self) -> Result<(), Error> {
        let ceiling = self.ceiling.ok_or(Error::Escapes)?;
        let mut above = self.directory;
        while !self.is_below_ceiling && above != ceiling {
            let parent = self.tree.directory(above)?.parent;
            if parent == above {
                return Err(Error::Escapes);
            }
            above = parent;
        }
        self.is_below_ceiling = true;
        if self.directory == ceiling {
            return Err(Error::Escapes);
        }
        Ok(())
    }

    fn enter(&mut self, name: &'a str) -> Result<Option<Resolved>, Error> {
        let last = self
            .pending
            .iter()
            .all(|text| text.bytes().all(|byte| byte == b'/'));
        let directory_required = last && !self.pending.is_empty();
        let node = match self.tree.lookup(self.directory, name) {
            Ok(node) => Some(node),
            Err(Error::NotFound) if last => None,
            Err(error) => return Err(error),
        };
        let followed = !last || directory_required || self.follow == Follow::Last;
        if let Some(node) = node {
            match &self.tree.node(node)?.body {
                Body::Symlink(target) if followed => return self.expand(target).map(|()| None),
                Body::Directory(_) if !last => {
                    self.directory = node;
                    self.depth += 1;
                    return Ok(None);
                }
                _ if !last => return Err(Error::NotADirectory),
                _ => {}
            }
        }
        self.arrive(name, node, directory_required).map(Some)
    }

    fn arrive(
        &self,
        name: &str,
        node: Option<NodeId>,
        directory_required: bool,
    ) -> Result<Resolved, Error> {
        if let Some(node) = node
            && directory_required
            && self.tree.stat(node)?.kind != Kind::Directory
        {
            return Err(Error::NotADirectory);
        }
        Ok(Resolved::Entry {
            parent: self.directory,
            name: name.into(),
            node,
            directory_required,
        })
    }

    fn expand(&mut self, target: &'a str) -> Result<(), Error> {
        self.links_followed += 1;
        if self.links_followed > SYMLINKS_MAX {
            return Err(Error::SymlinkLoop);
        }
        check_path(target)?;
        self.pending.push(target);
        Ok(())
    }
}
