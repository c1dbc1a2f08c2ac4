//! A tree of files: as a case begins with it, and as its program leaves it.
//!
//! Law: an entry's path is relative, without `.` and `..`. What a case begins with was changed at times of which each entry has
//! its own, long ago, so that programs that sort by time or show it give the same on both sides.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use lib_bundle::{BuildError, BundleBuilder};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use serde::Deserialize;

use crate::failure::{Failure, Result};
use crate::paths;

const NS_PER_S: u64 = 1_000_000_000;
/// When the first entry of a case's tree was changed: 14 November 2023.
const FIRST_CHANGE_NS: u64 = 1_700_000_000 * NS_PER_S;
/// The next entry's time is so much later.
const NEXT_CHANGE_NS: u64 = 3_600 * NS_PER_S + 1_234_567;

/// Entries by path; parents come before what is in them.
pub type Entries = BTreeMap<String, Entry>;

/// One entry of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// When it was changed last, in nanoseconds since 1970.
    pub modified_ns: u64,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A file with these contents.
    File(Vec<u8>),
    /// A symbolic link that leads there.
    Link(String),
}

/// What a case begins with.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tree {
    directories: Vec<String>,
    text: BTreeMap<String, String>,
    bytes: BTreeMap<String, Vec<u8>>,
    /// Files of so many numbered lines.
    lines: BTreeMap<String, u32>,
    links: BTreeMap<String, String>,
}

impl Tree {
    /// Its entries, with the directories above them.
    pub fn entries(&self) -> Entries {
        let mut kinds = BTreeMap::new();
        let directories = self.directories.iter();
        kinds.extend(directories.map(|path| (path.clone(), Kind::Directory)));
        let text = self.text.iter();
        kinds.extend(text.map(|(path, text)| (path.clone(), Kind::File(text.clone().into()))));
        let bytes = self.bytes.iter();
        kinds.extend(bytes.map(|(path, bytes)| (path.clone(), Kind::File(bytes.clone()))));
        let lines = self.lines.iter();
        kinds.extend(lines.map(|(path, count)| (path.clone(), Kind::File(numbered(*count)))));
        let links = self.links.iter();
        kinds.extend(links.map(|(path, target)| (path.clone(), Kind::Link(target.clone()))));
        for path in kinds.keys().cloned().collect::<Vec<_>>() {
            for parent in parents(&path) {
                kinds.entry(parent.to_owned()).or_insert(Kind::Directory);
            }
        }
        let times = (0..).map(|number| FIRST_CHANGE_NS + number * NEXT_CHANGE_NS);
        kinds
            .into_iter()
            .zip(times)
            .map(|((path, kind), modified_ns)| (path, Entry { kind, modified_ns }))
            .collect()
    }

    /// Makes it in a folder of the host, which must not be there.
    pub fn write(&self, root: &Path) -> Result<()> {
        let entries = self.entries();
        paths::make_folder(root)?;
        for (path, entry) in &entries {
            let path = root.join(path);
            let made = match &entry.kind {
                Kind::Directory => fs::create_dir(&path),
                Kind::File(contents) => fs::write(&path, contents),
                Kind::Link(target) => symlink(target, &path),
            };
            made.map_err(|e| Failure::io("make", &path, e))?;
        }
        // From the deepest up: what is put into a directory changes its time.
        entries
            .iter()
            .rev()
            .try_for_each(|(path, entry)| set_modified(&root.join(path), entry.modified_ns))
    }

    /// Adds it to a bundle.
    pub fn bundle(
        &self,
        builder: &mut BundleBuilder<'_>,
        root: &str,
    ) -> std::result::Result<(), BuildError> {
        builder.directory(root, FIRST_CHANGE_NS)?;
        for (path, Entry { kind, modified_ns }) in self.entries() {
            let path = format!("{root}/{path}");
            match kind {
                Kind::Directory => builder.directory(&path, modified_ns),
                Kind::File(contents) => builder.file(&path, contents, modified_ns, false),
                Kind::Link(target) => builder.symlink(&path, &target, modified_ns),
            }?;
        }
        Ok(())
    }
}

/// The directories above a path, from the nearest up.
fn parents(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(parent(path), |path| parent(path))
}

fn parent(path: &str) -> Option<&str> {
    path.rsplit_once('/').map(|(parent, _)| parent)
}

fn numbered(count: u32) -> Vec<u8> {
    let words = ["alpha", "beta", "gamma", "delta", "epsilon"];
    let line = |number: u32| {
        let word = words[number as usize * 7 % words.len()];
        format!(
            "{number} {word} {}\n",
            number.wrapping_mul(2_654_435_761) % 1000
        )
    };
    (1..=count).map(line).collect::<String>().into_bytes()
}

fn set_modified(path: &Path, modified_ns: u64) -> Result<()> {
    let time = Timespec {
        tv_sec: (modified_ns / NS_PER_S) as i64,
        tv_nsec: (modified_ns % NS_PER_S) as i64,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|e| Failure::io("set the time of", path, e.into()))
}

/// What is in a folder of the host.
pub fn read(root: &Path) -> Result<Entries> {
    let mut entries = Entries::new();
    gather(root, "", &mut entries)?;
    Ok(entries)
}

fn gather(folder: &Path, below: &str, entries: &mut Entries) -> Result<()> {
    let children = fs::read_dir(folder).map_err(|e| Failure::io("read", folder, e))?;
    for child in children {
        let path = child.map_err(|e| Failure::io("read", folder, e))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let relative = format!("{below}{name}");
        let entry = entry(&path)?;
        if entry.kind == Kind::Directory {
            gather(&path, &format!("{relative}/"), entries)?;
        }
        entries.insert(relative, entry);
    }
    Ok(())
}

fn entry(path: &Path) -> Result<Entry> {
    let metadata = fs::symlink_metadata(path).map_err(|e| Failure::io("read", path, e))?;
    let kind = if metadata.is_symlink() {
        let target = fs::read_link(path).map_err(|e| Failure::io("read the link", path, e))?;
        Kind::Link(target.to_string_lossy().into_owned())
    } else if metadata.is_dir() {
        Kind::Directory
    } else {
        Kind::File(paths::read(path)?)
    };
    let seconds = u64::try_from(metadata.mtime()).unwrap_or(0);
    let nanoseconds = u64::try_from(metadata.mtime_nsec()).unwrap_or(0);
    Ok(Entry {
        kind,
        modified_ns: seconds.saturating_mul(NS_PER_S).saturating_add(nanoseconds),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        let tree: Tree = toml::from_str(
            "directories=['e/f']\n[text]\n'a/b'='x'\n[bytes]\nc=[0, 255]\n[links]\nd='a/b'\n[lines]\ng=2",
        )
        .unwrap();
        let entries = tree.entries();
        let names: Vec<&str> = entries.keys().map(String::as_str).collect();
        assert_eq!(names, ["a", "a/b", "c", "d", "e", "e/f", "g"]);
        let root = std::env::temp_dir().join(format!("kpio-oracle-tree-{}", std::process::id()));
        tree.write(&root).unwrap();
        assert_eq!(read(&root).unwrap(), entries);
        fs::remove_dir_all(root).unwrap();
    }
}
