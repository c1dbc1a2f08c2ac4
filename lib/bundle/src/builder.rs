//! Making a bundle: for the tool that builds images, and for tests.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use crate::digest::sha256;
use crate::format::{
    FLAG_EXECUTABLE, HEADER_HASHED_LEN, HEADER_LEN, Header, KIND_DIRECTORY, KIND_FILE,
    KIND_SYMLINK, MAGIC, RECORD_LEN, Record, VERSION, contents_align,
};
use crate::path::{self, PathError};

/// Why a bundle cannot be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuildError {
    /// A path or target is malformed.
    WrongPath {
        /// The path of the entry.
        path: String,
        /// What is wrong with it or its target.
        reason: PathError,
    },
    /// Two entries have this path.
    Duplicate {
        /// The path.
        path: String,
    },
    /// Something is to be inside a file or a symbolic link.
    ParentNotDirectory {
        /// The path of the file or link.
        path: String,
    },
    /// Records and names are longer than the format's 4 GiB.
    IndexTooLong,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongPath { path, reason } => {
                write!(f, "{path:?} cannot be in a bundle: {reason}")
            }
            Self::Duplicate { path } => write!(f, "{path:?} is in the bundle twice"),
            Self::ParentNotDirectory { path } => {
                write!(
                    f,
                    "{path:?} is not a directory, yet something is to be inside it"
                )
            }
            Self::IndexTooLong => {
                write!(
                    f,
                    "the bundle has too many entries: its index would pass 4 GiB"
                )
            }
        }
    }
}

impl core::error::Error for BuildError {}

/// Collects entries in any order and writes the bundle's bytes.
#[derive(Clone, Debug, Default)]
pub struct BundleBuilder<'a> {
    /// By parent and name: the order of the index.
    entries: BTreeMap<(String, String), Pending<'a>>,
}

#[derive(Clone, Debug)]
struct Pending<'a> {
    path: String,
    mtime_ns: u64,
    what: What<'a>,
}

#[derive(Clone, Debug)]
enum What<'a> {
    File {
        contents: Cow<'a, [u8]>,
        executable: bool,
    },
    Directory,
    Symlink {
        target: String,
    },
}

impl<'a> BundleBuilder<'a> {
    /// A builder of an empty bundle.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a directory. Only needed for its time or if nothing is in it: [`Self::build`] adds missing
    /// parents with time 0.
    ///
    /// # Errors
    /// A malformed path, or one that is there already.
    pub fn directory(&mut self, path: &str, mtime_ns: u64) -> Result<&mut Self, BuildError> {
        self.add(path, mtime_ns, What::Directory)
    }

    /// Adds a file.
    ///
    /// # Errors
    /// A malformed path, or one that is there already.
    pub fn file(
        &mut self,
        path: &str,
        contents: impl Into<Cow<'a, [u8]>>,
        mtime_ns: u64,
        executable: bool,
    ) -> Result<&mut Self, BuildError> {
        self.add(
            path,
            mtime_ns,
            What::File {
                contents: contents.into(),
                executable,
            },
        )
    }

    /// Adds a symbolic link to `target`, which is kept as it is.
    ///
    /// # Errors
    /// A malformed path or target, or a path that is there already.
    pub fn symlink(
        &mut self,
        path: &str,
        target: &str,
        mtime_ns: u64,
    ) -> Result<&mut Self, BuildError> {
        path::parse_target(target.as_bytes()).map_err(|reason| wrong_path(path, reason))?;
        self.add(
            path,
            mtime_ns,
            What::Symlink {
                target: target.to_string(),
            },
        )
    }

    /// The bundle's bytes: the same for the same entries, in whatever order they were added.
    ///
    /// # Errors
    /// Something is inside what is no directory, or the index is too long.
    pub fn build(mut self) -> Result<Vec<u8>, BuildError> {
        self.add_parents()?;
        let mut layout = Layout::new(&self)?;
        for pending in self.entries.values() {
            layout.place(pending);
        }
        Ok(layout.write(self.entries.values()))
    }

    fn add(&mut self, path: &str, mtime_ns: u64, what: What<'a>) -> Result<&mut Self, BuildError> {
        path::parse_path(path.as_bytes()).map_err(|reason| wrong_path(path, reason))?;
        let pending = Pending {
            path: path.to_string(),
            mtime_ns,
            what,
        };
        if self.entries.insert(key(path), pending).is_some() {
            return Err(BuildError::Duplicate {
                path: path.to_string(),
            });
        }
        Ok(self)
    }

    fn add_parents(&mut self) -> Result<(), BuildError> {
        let paths: Vec<String> = self
            .entries
            .values()
            .map(|entry| entry.path.clone())
            .collect();
        self.ensure_directory("/")?;
        for path in paths {
            let mut parent = path::split(&path).0;
            while !parent.is_empty() {
                self.ensure_directory(parent)?;
                parent = path::split(parent).0;
            }
        }
        Ok(())
    }

    fn ensure_directory(&mut self, path: &str) -> Result<(), BuildError> {
        match self.entries.get(&key(path)).map(|entry| &entry.what) {
            Some(What::Directory) => Ok(()),
            Some(_) => Err(BuildError::ParentNotDirectory {
                path: path.to_string(),
            }),
            None => self.directory(path, 0).map(|_| ()),
        }
    }
}

fn key(path: &str) -> (String, String) {
    let (parent, name) = path::split(path);
    (parent.to_string(), name.to_string())
}

fn wrong_path(path: &str, reason: PathError) -> BuildError {
    BuildError::WrongPath {
        path: path.to_string(),
        reason,
    }
}

/// Where everything goes. Lengths fit: the index is below 4 GiB by the check in [`Layout::new`], paths
/// below 4097 bytes by the check of paths.
struct Layout {
    records: Vec<Record>,
    names: Vec<u8>,
    names_offset: usize,
    /// Where the next contents may begin.
    contents_end: u64,
}

impl Layout {
    fn new(builder: &BundleBuilder<'_>) -> Result<Self, BuildError> {
        let records_len = builder.entries.len() * RECORD_LEN;
        let names_len: usize = builder.entries.values().map(Pending::names_len).sum();
        let index_len = HEADER_LEN + records_len + names_len;
        let contents_end = u32::try_from(index_len)
            .map_err(|_| BuildError::IndexTooLong)?
            .into();
        let (records, names) = (Vec::new(), Vec::new());
        Ok(Self {
            records,
            names,
            names_offset: HEADER_LEN + records_len,
            contents_end,
        })
    }

    fn place(&mut self, pending: &Pending<'_>) {
        let path_offset = self.push_name(&pending.path);
        let mut record = Record {
            kind: KIND_DIRECTORY,
            flags: 0,
            path_len: pending.path.len() as u16,
            path_offset: path_offset as u32,
            contents_offset: 0,
            contents_len: 0,
            mtime_ns: pending.mtime_ns,
            digest: [0; 32],
        };
        match &pending.what {
            What::Directory => {}
            What::Symlink { target } => {
                record.kind = KIND_SYMLINK;
                record.contents_offset = self.push_name(target);
                record.contents_len = target.len() as u64;
            }
            What::File {
                contents,
                executable,
            } => {
                record.kind = KIND_FILE;
                record.flags = if *executable { FLAG_EXECUTABLE } else { 0 };
                record.contents_len = contents.len() as u64;
                record.contents_offset = self.reserve_contents(record.contents_len);
                record.digest = sha256(&[contents]);
            }
        }
        self.records.push(record);
    }

    fn push_name(&mut self, name: &str) -> u64 {
        let offset = self.names_offset + self.names.len();
        self.names.extend_from_slice(name.as_bytes());
        offset as u64
    }

    fn reserve_contents(&mut self, len: u64) -> u64 {
        let offset = self.contents_end.next_multiple_of(contents_align(len));
        self.contents_end = offset + len;
        offset
    }

    fn write<'p>(self, entries: impl Iterator<Item = &'p Pending<'p>>) -> Vec<u8> {
        let mut bytes = self.index();
        for (record, pending) in self.records.iter().zip(entries) {
            if let What::File { contents, .. } = &pending.what {
                bytes.resize(record.contents_offset as usize, 0);
                bytes.extend_from_slice(contents);
            }
        }
        bytes
    }

    /// Header, records and names.
    fn index(&self) -> Vec<u8> {
        let mut tables: Vec<u8> = self.records.iter().flat_map(Record::encode).collect();
        tables.extend_from_slice(&self.names);
        let mut header = Header {
            magic: MAGIC,
            version: VERSION,
            entry_count: self.records.len() as u32,
            total_len: self.contents_end,
            tables_len: tables.len() as u64,
            digest: [0; 32],
        };
        header.digest = sha256(&[&header.encode()[..HEADER_HASHED_LEN], &tables]);
        let mut bytes = header.encode().to_vec();
        bytes.append(&mut tables);
        bytes
    }
}

impl Pending<'_> {
    fn names_len(&self) -> usize {
        let target_len = match &self.what {
            What::Symlink { target } => target.len(),
            _ => 0,
        };
        self.path.len() + target_len
    }
}
