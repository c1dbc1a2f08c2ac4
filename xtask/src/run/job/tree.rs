//! The tree as the program left it, written to a folder of the host.
//!
//! Law: what comes is the program's word and may be hostile. Paths are normalised (`lib_host_link` sees to that), files
//! are only created, never opened, and links are made after everything else, so nothing is ever written
//! through one and nothing outside the folder changes.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use lib_host_link::{TreeEntry, TreeKind};

use crate::failure::{Failure, Result};
use crate::paths;

/// A tree in the making.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
    /// The file whose contents are coming.
    open: Option<OpenFile>,
    /// Links, and what they lead to.
    links: Vec<(PathBuf, String)>,
    /// Folders, and when they were changed: what is put into them changes that.
    folders: Vec<(PathBuf, SystemTime)>,
    entries: u32,
}

#[derive(Debug)]
struct OpenFile {
    path: PathBuf,
    file: File,
    left_bytes: u64,
    modified: SystemTime,
}

/// Refuses a folder that holds something: whoever asks for a tree wants that tree and no mixture.
pub fn check_free(root: &Path) -> Result<()> {
    match fs::read_dir(root).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::Usage(format!(
            "--out {}: the folder is not empty",
            root.display()
        ))),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(Failure::io("use as --out", root, e)),
    }
}

impl Tree {
    /// Makes the folder.
    pub fn new(root: &Path) -> Result<Self> {
        paths::make_folder(root)?;
        Ok(Self {
            root: root.into(),
            open: None,
            links: Vec::new(),
            folders: Vec::new(),
            entries: 0,
        })
    }

    /// The next entry.
    pub fn entry(&mut self, entry: &TreeEntry<'_>) -> Result<()> {
        self.close()?;
        self.entries = self.entries.saturating_add(1);
        let path = self.root.join(entry.path.trim_start_matches('/'));
        let modified = SystemTime::UNIX_EPOCH + Duration::from_nanos(entry.modified_ns);
        match entry.kind {
            TreeKind::Directory => self.folder(path, modified),
            TreeKind::SymbolicLink { target } => {
                self.links.push((path, target.to_owned()));
                Ok(())
            }
            TreeKind::File {
                len_bytes,
                executable,
            } => self.file(path, len_bytes, executable, modified),
        }
    }

    /// Bytes of the file whose entry came last.
    pub fn data(&mut self, bytes: &[u8]) -> Result<()> {
        let open = self
            .open
            .as_mut()
            .ok_or_else(|| wrong("contents without a file"))?;
        let left = open
            .left_bytes
            .checked_sub(bytes.len() as u64)
            .ok_or_else(|| wrong("more contents than announced"))?;
        open.left_bytes = left;
        open.file
            .write_all(bytes)
            .map_err(|e| Failure::io("write", &open.path, e))
    }

    /// Nothing more comes.
    pub fn end(&mut self, entries: u32) -> Result<()> {
        self.close()?;
        if entries != self.entries {
            return Err(wrong(&format!(
                "{} entries, and {entries} were announced",
                self.entries
            )));
        }
        for (path, target) in &self.links {
            symlink(target, path).map_err(|e| Failure::io("make the link", path, e))?;
        }
        // From the deepest up, so that each keeps its time.
        for (path, modified) in self.folders.iter().rev() {
            set_modified(path, *modified)?;
        }
        Ok(())
    }

    fn folder(&mut self, path: PathBuf, modified: SystemTime) -> Result<()> {
        if path != self.root {
            match fs::create_dir(&path) {
                Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
                    return Err(Failure::io("make the folder", path, e));
                }
                _ => {}
            }
        }
        self.folders.push((path, modified));
        Ok(())
    }

    fn file(
        &mut self,
        path: PathBuf,
        left_bytes: u64,
        executable: bool,
        modified: SystemTime,
    ) -> Result<()> {
        let file = File::create_new(&path).map_err(|e| Failure::io("create", &path, e))?;
        if executable {
            let rights = fs::Permissions::from_mode(0o755);
            file.set_permissions(rights)
                .map_err(|e| Failure::io("make executable", &path, e))?;
        }
        self.open = Some(OpenFile {
            path,
            file,
            left_bytes,
            modified,
        });
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        if open.left_bytes > 0 {
            return Err(wrong(&format!(
                "{} lacks {} bytes",
                open.path.display(),
                open.left_bytes
            )));
        }
        open.file
            .set_modified(open.modified)
            .map_err(|e| Failure::io("set the time of", open.path, e))
    }
}

fn set_modified(path: &Path, modified: SystemTime) -> Result<()> {
    let folder = File::open(path).map_err(|e| Failure::io("open", path, e))?;
    folder
        .set_modified(modified)
        .map_err(|e| Failure::io("set the time of", path, e))
}

fn wrong(what: &str) -> Failure {
    Failure::Guest(format!("the guest sent a malformed tree: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let folder =
            std::env::temp_dir().join(format!("kpio-tree-test-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        folder
    }

    fn file(path: &str, len_bytes: u64) -> TreeEntry<'_> {
        TreeEntry {
            path,
            modified_ns: 7_000_000_000,
            kind: TreeKind::File {
                len_bytes,
                executable: true,
            },
        }
    }

    #[test]
    fn a_tree_is_written_with_times_and_rights() {
        let root = scratch("whole");
        let mut tree = Tree::new(&root).unwrap();
        tree.entry(&TreeEntry {
            path: "/d",
            modified_ns: 5_000_000_000,
            kind: TreeKind::Directory,
        })
        .unwrap();
        tree.entry(&file("/d/f", 3)).unwrap();
        tree.data(b"ab").unwrap();
        tree.data(b"c").unwrap();
        tree.end(2).unwrap();
        assert_eq!(fs::read(root.join("d/f")).unwrap(), b"abc");
        let modified = |path: &str| fs::metadata(root.join(path)).unwrap().modified().unwrap();
        assert_eq!(
            modified("d"),
            SystemTime::UNIX_EPOCH + Duration::from_secs(5)
        );
        assert_eq!(
            modified("d/f"),
            SystemTime::UNIX_EPOCH + Duration::from_secs(7)
        );
        assert!(check_free(&root).is_err());
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn nothing_is_written_through_a_link() {
        let (root, outside) = (scratch("link"), scratch("outside"));
        fs::create_dir(&outside).unwrap();
        let target = outside.to_str().unwrap();
        let mut tree = Tree::new(&root).unwrap();
        tree.entry(&TreeEntry {
            path: "/l",
            modified_ns: 0,
            kind: TreeKind::SymbolicLink { target },
        })
        .unwrap();
        assert!(tree.entry(&file("/l/f", 0)).is_err());
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
        fs::remove_dir_all(root).unwrap();
        fs::remove_dir(outside).unwrap();
    }

    #[test]
    fn too_much_and_too_little_are_refused() {
        let root = scratch("lengths");
        let mut tree = Tree::new(&root).unwrap();
        assert!(tree.data(b"x").is_err());
        tree.entry(&file("/f", 1)).unwrap();
        assert!(tree.data(b"xy").is_err());
        assert!(tree.end(1).is_err());
        fs::remove_dir_all(root).unwrap();
    }
}
