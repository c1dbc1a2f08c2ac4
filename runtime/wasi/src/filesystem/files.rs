//! What a process finds as its file system: folders that it was granted, and where its relative paths begin.
//!
//! The C library of WASI programs has no current folder of its own: its paths begin at `/`, and it strips leading slashes,
//! so that the host cannot tell a relative path from an absolute one. It looks for the granted folder with the longest
//! matching name, and `.` matches what nothing else does. So a process whose current folder is not `/` is shown the
//! folders at the top under their absolute names, and its current folder as `.`, from which `..` leads up as far as to the
//! granted folder that it lies in. What that cannot give: a file that lies at the top itself, and a path
//! whose first part is the name of a folder at the top, are not found relative to the current folder.

use runtime_host::{FileTree, tmpfs};
use tmpfs::{Follow, Kind, NodeId};

use super::{Descriptor, Rights};

/// A granted folder. Nothing above it can be reached, but for what `ceiling` says.
#[derive(Clone)]
pub struct Folder {
    pub(crate) tree: FileTree,
    pub(crate) node: NodeId,
    pub(crate) path: String,
    pub(crate) rights: Rights,
    /// How far `..` leads above it.
    pub(crate) ceiling: Option<NodeId>,
}

/// A process's file system. What it was granted is what its children can be given.
#[derive(Clone)]
pub struct Files {
    granted: Vec<Folder>,
    /// Absolute, without `.`, `..` and a slash at the end; the root's is empty.
    current: String,
}

impl Folder {
    /// The directory `node` of `tree` under the name `path`.
    pub fn new(tree: FileTree, node: NodeId, path: impl Into<String>, rights: Rights) -> Folder {
        Folder {
            tree,
            node,
            path: path.into(),
            rights,
            ceiling: None,
        }
    }

    /// A descriptor of the folder, for the guest.
    pub(crate) fn open(&self) -> Result<Descriptor, tmpfs::Error> {
        Descriptor::preopened(self.tree.pin(self.node)?, self.rights, self.ceiling)
    }

    /// The folder `path` of `tree` under `name`.
    fn below(&self, node: NodeId, path: String, ceiling: Option<NodeId>) -> Folder {
        Folder {
            tree: self.tree.clone(),
            node,
            path,
            rights: self.rights,
            ceiling,
        }
    }

    /// The folders in this one, under their absolute names.
    fn children(&self) -> Result<Vec<Folder>, tmpfs::Error> {
        let tree = self.tree.read();
        let mut folders = Vec::new();
        let mut last = None;
        while let Some(entry) = tree.entry_after(self.node, last)? {
            if entry.kind == Kind::Directory {
                folders.push(self.below(entry.node, format!("/{}", entry.name), None));
            }
            last = Some(entry.name);
        }
        Ok(folders)
    }
}

impl Files {
    /// No files.
    pub fn none() -> Files {
        Files::folders(Vec::new())
    }

    /// All of `tree`.
    pub fn whole(tree: FileTree, rights: Rights) -> Files {
        let node = tree.read().root();
        Files::folders(vec![Folder::new(tree, node, "/", rights)])
    }

    /// These folders.
    pub fn folders(granted: Vec<Folder>) -> Files {
        Files {
            granted,
            current: String::new(),
        }
    }

    pub(crate) fn grant(&mut self, folder: Folder) {
        self.granted.push(folder);
    }

    /// The names of the granted folders, and what may be done with each.
    pub fn granted(&self) -> impl Iterator<Item = (&str, Rights)> {
        let folders = self.granted.iter();
        folders.map(|folder| (folder.path.as_str(), folder.rights))
    }

    /// The same files with relative paths that begin at the folder `path`; nothing where that is no folder.
    pub fn at(&self, path: &str) -> Option<Files> {
        let files = Files {
            granted: self.granted.clone(),
            current: self.absolute(path),
        };
        (files.current.is_empty() || files.current_folder().is_some()).then_some(files)
    }

    /// Where relative paths begin.
    pub fn current(&self) -> &str {
        match self.current.as_str() {
            "" => "/",
            path => path,
        }
    }

    /// The file or folder at `path`, through links.
    pub fn find(&self, path: &str) -> Option<(FileTree, NodeId)> {
        let (folder, node) = self.locate(&self.absolute(path))?;
        Some((folder.tree.clone(), node))
    }

    /// What the names take that the process is told, in bytes.
    pub(crate) fn strings_bytes(&self) -> u64 {
        let names = self.granted.iter().map(|folder| folder.path.len() as u64);
        names.sum::<u64>() + self.current.len() as u64
    }

    /// What the process sees, as its C library wants it.
    pub(crate) fn preopens(&self) -> Result<Vec<Folder>, tmpfs::Error> {
        let Some(current) = self.current_folder() else {
            return Ok(self.granted.clone());
        };
        let mut folders = Vec::new();
        for folder in &self.granted {
            match folder.path.as_str() {
                "/" => folders.extend(folder.children()?),
                _ => folders.push(folder.clone()),
            }
        }
        folders.push(current);
        Ok(folders)
    }

    /// The current folder as `.`; nothing at the root, or where it is gone.
    fn current_folder(&self) -> Option<Folder> {
        if self.current.is_empty() {
            return None;
        }
        let (granted, node) = self.locate(&self.current)?;
        let kind = granted.tree.read().stat(node).ok()?.kind;
        let is_folder = kind == Kind::Directory;
        is_folder.then(|| granted.below(node, ".".to_owned(), Some(granted.node)))
    }

    /// The granted folder in which an absolute path lies, and what is there.
    fn locate(&self, absolute: &str) -> Option<(&Folder, NodeId)> {
        let fitting = self.granted.iter().filter_map(|folder| {
            let name = folder.path.trim_end_matches('/');
            let rest = absolute.strip_prefix(name)?;
            (rest.is_empty() || rest.starts_with('/')).then_some((folder, rest))
        });
        let (folder, rest) = fitting.min_by_key(|(_, rest)| rest.len())?;
        let tree = folder.tree.read();
        let node = match rest.trim_start_matches('/') {
            "" => folder.node,
            path => {
                let resolved = tree.resolve(folder.node, path, Follow::Last);
                resolved.ok()?.node().ok()?
            }
        };
        Some((folder, node))
    }

    fn absolute(&self, path: &str) -> String {
        let base = if path.starts_with('/') {
            ""
        } else {
            &self.current
        };
        let mut parts = Vec::new();
        for part in base.split('/').chain(path.split('/')) {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                name => parts.push(name),
            }
        }
        parts
            .iter()
            .fold(String::new(), |path, part| path + "/" + part)
    }
}
