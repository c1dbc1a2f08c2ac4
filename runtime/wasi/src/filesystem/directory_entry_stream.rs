//! The state behind a `directory-entry-stream`: a directory and the last name given.
//!
//! Entries come in byte order of their names. Going on from a name, not from a count, means that what is
//! added or removed meanwhile neither repeats nor hides anything else.

use runtime_host::{PinnedNode, tmpfs};

use super::types::descriptor_type;
use crate::bindings::wasi::filesystem::types::DirectoryEntry;

/// A walk over a directory's entries.
pub struct DirectoryEntryStream {
    directory: PinnedNode,
    last_name: Option<String>,
}

impl DirectoryEntryStream {
    pub(super) fn new(directory: PinnedNode) -> Self {
        Self {
            directory,
            last_name: None,
        }
    }

    pub(super) fn next(&mut self) -> Result<Option<DirectoryEntry>, tmpfs::Error> {
        let tree = self.directory.tree().read();
        let entry = tree.entry_after(self.directory.id(), self.last_name.as_deref())?;
        let Some(entry) = entry else {
            return Ok(None);
        };
        let name = entry.name.to_owned();
        self.last_name = Some(name.clone());
        Ok(Some(DirectoryEntry {
            type_: descriptor_type(entry.kind),
            name,
        }))
    }
}
