//! A tree of files, sent to the host as it is.

use lib_host_link::{Message, TreeEntry, TreeKind};
use lib_tmpfs::{Kind, NodeId};
use runtime_host::FileTree;

use crate::Link;

/// Sends a tree, parents before children.
pub struct TreeSender<'a> {
    link: &'a Link,
    tree: &'a FileTree,
    entries: u32,
}

impl<'a> TreeSender<'a> {
    /// Sends over `link` what is in `tree`.
    pub fn new(link: &'a Link, tree: &'a FileTree) -> Self {
        Self {
            link,
            tree,
            entries: 0,
        }
    }

    /// Sends every entry, and at the end how many there were. A tree that cannot be read whole is said to be so.
    pub fn send(mut self) {
        let root = self.tree.read().root();
        if let Err(error) = self.send_children(root, "") {
            self.link
                .send_text(&format!("the tree is not complete: {error}"));
        }
        self.link.send(&Message::TreeEnd {
            entries: self.entries,
        });
    }

    fn send_children(&mut self, directory: NodeId, path: &str) -> Result<(), lib_tmpfs::Error> {
        let mut last: Option<String> = None;
        loop {
            let next = self
                .tree
                .read()
                .entry_after(directory, last.as_deref())?
                .map(|entry| (entry.name.to_owned(), entry.node, entry.kind));
            let Some((name, node, kind)) = next else {
                return Ok(());
            };
            let child = format!("{path}/{name}");
            self.send_entry(node, kind, &child)?;
            if kind == Kind::Directory {
                self.send_children(node, &child)?;
            }
            last = Some(name);
        }
    }

    fn send_entry(&mut self, node: NodeId, kind: Kind, path: &str) -> Result<(), lib_tmpfs::Error> {
        let stat = self.tree.read().stat(node)?;
        let target = match kind {
            Kind::Symlink => self.tree.read().read_link(node)?.to_owned(),
            Kind::Directory | Kind::File => String::new(),
        };
        let modified = stat.times.modified;
        self.entries += 1;
        self.link.send(&Message::TreeEntry(TreeEntry {
            path,
            modified_ns: modified.seconds * 1_000_000_000 + u64::from(modified.nanoseconds),
            kind: match kind {
                Kind::Directory => TreeKind::Directory,
                Kind::Symlink => TreeKind::SymbolicLink { target: &target },
                Kind::File => TreeKind::File {
                    len_bytes: stat.len_bytes,
                    executable: false,
                },
            },
        }));
        if kind == Kind::File {
            self.send_contents(node)
        } else {
            Ok(())
        }
    }

    fn send_contents(&self, file: NodeId) -> Result<(), lib_tmpfs::Error> {
        let mut buffer = vec![0; contract_host_link::PAYLOAD_LEN_BYTES_MAX];
        let mut offset = 0;
        loop {
            let count = self.tree.read().read(file, offset, &mut buffer)?;
            if count == 0 {
                return Ok(());
            }
            self.link.send(&Message::TreeData(&buffer[..count]));
            offset += count as u64;
        }
    }
}
