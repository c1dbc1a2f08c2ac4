//! Reading a bundle in place.
//!
//! Law: [`Bundle::open`] checks every record once; what a [`Bundle`] then hands out rests on that. Code
//! after `open` still slices with checks, so that a wrong argument here ends as "absent" and not as a
//! panic.

use core::cmp::Ordering;

use crate::digest::{Digest, sha256};
use crate::error::BundleError;
use crate::format::{
    FLAG_EXECUTABLE, HEADER_HASHED_LEN, HEADER_LEN, Header, KIND_DIRECTORY, KIND_FILE,
    KIND_SYMLINK, MAGIC, RECORD_LEN, Record, VERSION, contents_align,
};
use crate::path;

/// An opened bundle: header and index are verified, contents are not.
#[derive(Clone, Copy, Debug)]
pub struct Bundle<'a> {
    bytes: &'a [u8],
    index_len: usize,
    entry_count: u32,
    digest: Digest,
}

impl<'a> Bundle<'a> {
    /// Opens a bundle that is exactly `bytes`. Work: one SHA-256 and one pass over the index.
    ///
    /// That the digest in the header matches says that the index is whole, not where it comes from:
    /// compare [`Self::digest`] with one that is trusted.
    ///
    /// # Errors
    /// The first thing found wrong, in the order of the layout.
    pub fn open(bytes: &'a [u8]) -> Result<Self, BundleError> {
        let header = checked_header(bytes.first_chunk(), bytes.len() as u64)?;
        let index_len = checked_index_len(&header)?;
        let bundle = Self {
            bytes,
            index_len,
            entry_count: header.entry_count,
            digest: header.digest,
        };
        bundle.check_digest()?;
        bundle.check_entries()?;
        Ok(bundle)
    }

    /// Length in bytes of header and index: what [`Self::digest`] covers, and where contents may begin.
    pub fn index_len(&self) -> usize {
        self.index_len
    }

    /// The verified SHA-256 of header (without the digest itself) and index. Through the digests in the
    /// index it covers all contents, so it identifies the bundle.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// All entries: parents before their children, children of one directory together and by name.
    pub fn entries(&self) -> Entries<'a> {
        Entries {
            bundle: *self,
            next: 0,
            end: self.entry_count,
        }
    }

    /// The entry at exactly `path`; symbolic links are not followed. A path that no bundle can hold is
    /// absent like any other.
    pub fn get(&self, path: &str) -> Option<Entry<'a>> {
        let number = self.lower_bound(path::split(path));
        self.entry(number).filter(|entry| entry.path == path)
    }

    /// The entries directly in the directory `path`, by name; none if it is empty, absent or no
    /// directory.
    pub fn children(&self, path: &str) -> Children<'a> {
        let next = if path.is_empty() {
            self.entry_count
        } else {
            self.lower_bound((path, ""))
        };
        // The parent is compared with each entry's, so the borrowed argument need not outlive this call.
        let parent = match self.entry(next).map(|entry| path::split(entry.path).0) {
            Some(parent) if parent == path => parent,
            _ => {
                return Children {
                    entries: Entries {
                        bundle: *self,
                        next: 0,
                        end: 0,
                    },
                    parent: "",
                };
            }
        };
        Children {
            entries: Entries {
                bundle: *self,
                next,
                end: self.entry_count,
            },
            parent,
        }
    }

    /// The number of the first entry whose (parent, name) is not before `key`.
    fn lower_bound(&self, key: (&str, &str)) -> u32 {
        let (mut low, mut high) = (0, self.entry_count);
        while low < high {
            let middle = low + (high - low) / 2;
            match self
                .entry(middle)
                .map(|entry| path::split(entry.path).cmp(&key))
            {
                Some(Ordering::Less) => low = middle + 1,
                _ => high = middle,
            }
        }
        low
    }

    fn entry(&self, number: u32) -> Option<Entry<'a>> {
        let record = self.record(number)?;
        let path = slice(
            self.bytes,
            record.path_offset.into(),
            record.path_len.into(),
        )?;
        let kind = match record.kind {
            KIND_FILE => EntryKind::File,
            KIND_DIRECTORY => EntryKind::Directory,
            KIND_SYMLINK => EntryKind::Symlink,
            _ => return None,
        };
        Some(Entry {
            number,
            kind,
            // Checked when the bundle was opened; this is a second, cheap check of short text.
            path: core::str::from_utf8(path).ok()?,
            contents: slice(self.bytes, record.contents_offset, record.contents_len)?,
            contents_offset: record.contents_offset,
            mtime_ns: record.mtime_ns,
            executable: record.flags & FLAG_EXECUTABLE != 0,
            digest: record.digest,
        })
    }

    fn record(&self, number: u32) -> Option<Record> {
        if number >= self.entry_count {
            return None;
        }
        let start = HEADER_LEN + usize::try_from(number).ok()? * RECORD_LEN;
        self.bytes.get(start..)?.first_chunk().map(Record::decode)
    }

    fn check_digest(&self) -> Result<(), BundleError> {
        let head = &self.bytes[..HEADER_HASHED_LEN];
        let index = &self.bytes[HEADER_LEN..self.index_len];
        if sha256(&[head, index]) == self.digest {
            Ok(())
        } else {
            Err(BundleError::WrongIndexDigest)
        }
    }

    /// Checks every record: its names are packed one after the other, which bounds the work by the
    /// length of the index even where records lie.
    fn check_entries(&self) -> Result<(), BundleError> {
        let mut name_offset = HEADER_LEN + self.entry_count as usize * RECORD_LEN;
        let mut previous: Option<&str> = None;
        for number in 0..self.entry_count {
            let record = self
                .record(number)
                .ok_or(BundleError::WrongNamePlace { entry: number })?;
            let path = self.check_names(number, &record, &mut name_offset)?;
            check_place(number, &record, self)?;
            self.check_order(number, path, previous)?;
            previous = Some(path);
        }
        match self.index_len - name_offset {
            0 => Ok(()),
            rest => Err(BundleError::TrailingNames {
                len_bytes: rest as u64,
            }),
        }
    }

    /// Checks path and target of a record, and moves `name_offset` behind them.
    fn check_names(
        &self,
        entry: u32,
        record: &Record,
        name_offset: &mut usize,
    ) -> Result<&'a str, BundleError> {
        let malformed = |reason| BundleError::WrongName { entry, reason };
        let path = self.packed_name(
            entry,
            record.path_offset.into(),
            record.path_len.into(),
            name_offset,
        )?;
        if record.kind == KIND_SYMLINK {
            let (offset, len) = (record.contents_offset, record.contents_len);
            let target = self.packed_name(entry, offset, len, name_offset)?;
            path::parse_target(target).map_err(malformed)?;
        }
        path::parse_path(path).map_err(malformed)
    }

    fn packed_name(
        &self,
        entry: u32,
        offset: u64,
        len: u64,
        name_offset: &mut usize,
    ) -> Result<&'a [u8], BundleError> {
        let index = &self.bytes[..self.index_len];
        let name = slice(index, offset, len)
            .filter(|_| offset == *name_offset as u64)
            .ok_or(BundleError::WrongNamePlace { entry })?;
        *name_offset += name.len();
        Ok(name)
    }

    /// Checks that `path` comes after `previous` and that its parent, which comes earlier by that order,
    /// is a directory. The parent is looked up once per directory, not once per child.
    fn check_order(
        &self,
        entry: u32,
        path: &str,
        previous: Option<&str>,
    ) -> Result<(), BundleError> {
        let parent = path::split(path).0;
        let Some(previous) = previous else {
            return if path == "/" {
                Ok(())
            } else {
                Err(BundleError::WrongOrder { entry })
            };
        };
        if path::order(previous, path) != Ordering::Less {
            return Err(BundleError::WrongOrder { entry });
        }
        if path::split(previous).0 == parent || self.is_directory_before(entry, parent) {
            Ok(())
        } else {
            Err(BundleError::NoParent { entry })
        }
    }

    /// Whether `path` is a directory among the entries before `end`, which are checked already.
    fn is_directory_before(&self, end: u32, path: &str) -> bool {
        let checked = Self {
            entry_count: end,
            ..*self
        };
        // `record` finds records by number alone, so a shorter count does not move them.
        checked
            .get(path)
            .is_some_and(|entry| entry.kind == EntryKind::Directory)
    }
}

/// The header of a bundle of `found_bytes` bytes; `None` if that is too short to have one.
pub(crate) fn checked_header(
    bytes: Option<&[u8; HEADER_LEN]>,
    found_bytes: u64,
) -> Result<Header, BundleError> {
    let header = bytes.map(Header::decode).ok_or(BundleError::NoHeader {
        len_bytes: found_bytes,
    })?;
    if header.magic != MAGIC {
        return Err(BundleError::WrongMagic);
    }
    if header.version != VERSION {
        return Err(BundleError::UnknownVersion {
            found: header.version,
        });
    }
    if header.total_len != found_bytes {
        return Err(BundleError::WrongLength {
            stated_bytes: header.total_len,
            found_bytes,
        });
    }
    Ok(header)
}

/// The length of header, records and names, if it is one that fits the bundle and its records.
pub(crate) fn checked_index_len(header: &Header) -> Result<usize, BundleError> {
    let records_len = u64::from(header.entry_count) * RECORD_LEN as u64;
    let index_len = header.tables_len.checked_add(HEADER_LEN as u64);
    index_len
        .filter(|len| {
            *len <= header.total_len.min(u32::MAX.into()) && header.tables_len >= records_len
        })
        .and_then(|len| usize::try_from(len).ok())
        .ok_or(BundleError::WrongIndexLength {
            stated_bytes: header.tables_len,
        })
}

/// Checks kind, flags and the place of the contents.
fn check_place(entry: u32, record: &Record, bundle: &Bundle<'_>) -> Result<(), BundleError> {
    let flags_known = match record.kind {
        KIND_FILE => FLAG_EXECUTABLE,
        KIND_DIRECTORY | KIND_SYMLINK => 0,
        kind => return Err(BundleError::UnknownKind { entry, kind }),
    };
    if record.flags & !flags_known != 0 {
        return Err(BundleError::WrongFlags {
            entry,
            flags: record.flags,
        });
    }
    let possible = match record.kind {
        KIND_FILE => is_contents_place(record, bundle),
        KIND_DIRECTORY => record.contents_offset == 0 && record.contents_len == 0,
        // A target is a name: its place is checked with the names.
        _ => true,
    };
    if possible {
        Ok(())
    } else {
        Err(BundleError::WrongContentsPlace { entry })
    }
}

fn is_contents_place(record: &Record, bundle: &Bundle<'_>) -> bool {
    let (offset, len) = (record.contents_offset, record.contents_len);
    offset >= bundle.index_len as u64
        && offset % contents_align(len) == 0
        && slice(bundle.bytes, offset, len).is_some()
}

/// `len` bytes at `offset`, if they are there.
fn slice(bytes: &[u8], offset: u64, len: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    let end = usize::try_from(offset.checked_add(len)?).ok()?;
    bytes.get(start..end)
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
}

/// One entry of a bundle.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    number: u32,
    kind: EntryKind,
    path: &'a str,
    contents: &'a [u8],
    contents_offset: u64,
    mtime_ns: u64,
    executable: bool,
    digest: Digest,
}

impl<'a> Entry<'a> {
    /// The entry's number in the index, from 0: parents before children. Stable for one bundle.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// What it is.
    pub fn kind(&self) -> EntryKind {
        self.kind
    }

    /// Its absolute, normalised path.
    pub fn path(&self) -> &'a str {
        self.path
    }

    /// The last component of its path; empty for the root.
    pub fn name(&self) -> &'a str {
        path::split(self.path).1
    }

    /// Where a symbolic link leads, as it was stored; `None` for others.
    pub fn target(&self) -> Option<&'a str> {
        let target = core::str::from_utf8(self.contents).ok();
        target.filter(|_| self.kind == EntryKind::Symlink)
    }

    /// Modification time in nanoseconds since 1970-01-01 00:00 UTC.
    pub fn mtime_ns(&self) -> u64 {
        self.mtime_ns
    }

    /// Length of a file's contents or of a link's target, in bytes; 0 for a directory.
    pub fn len_bytes(&self) -> u64 {
        self.contents.len() as u64
    }

    /// Whether a file is a program.
    pub fn is_executable(&self) -> bool {
        self.executable
    }

    /// The SHA-256 that a file's contents should have; zero for others.
    pub fn sha256(&self) -> Digest {
        self.digest
    }

    /// Offset of a file's contents from the bundle's first byte: a multiple of 4096 for contents of at
    /// least 4096 bytes.
    pub fn contents_offset(&self) -> u64 {
        self.contents_offset
    }

    /// A file's contents as they lie there, unverified; empty for others.
    pub fn contents(&self) -> &'a [u8] {
        if self.kind == EntryKind::File {
            self.contents
        } else {
            &[]
        }
    }

    /// A file's contents, after comparing their SHA-256 with the index. Work: one hash over all of
    /// them at each call, so keep the answer. Others have nothing to verify and give no bytes.
    ///
    /// # Errors
    /// [`BundleError::WrongContentsDigest`].
    pub fn verify(&self) -> Result<&'a [u8], BundleError> {
        let contents = self.contents();
        if self.kind != EntryKind::File || sha256(&[contents]) == self.digest {
            return Ok(contents);
        }
        Err(BundleError::WrongContentsDigest { entry: self.number })
    }
}

/// Iterator of [`Bundle::entries`].
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    bundle: Bundle<'a>,
    next: u32,
    end: u32,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        let number = Some(self.next).filter(|number| *number < self.end)?;
        self.next += 1;
        self.bundle.entry(number)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = (self.end - self.next) as usize;
        (len, Some(len))
    }
}

impl ExactSizeIterator for Entries<'_> {}

/// Iterator of [`Bundle::children`].
#[derive(Clone, Debug)]
pub struct Children<'a> {
    entries: Entries<'a>,
    parent: &'a str,
}

impl<'a> Iterator for Children<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        let entry = self.entries.next()?;
        if path::split(entry.path).0 == self.parent {
            return Some(entry);
        }
        self.entries.next = self.entries.end;
        None
    }
}
