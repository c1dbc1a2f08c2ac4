//! The contents of a regular file: sparse chunks, or somebody else's bytes until the first change.
//!
//! Owned contents are chunks of 256 KiB by chunk number; a missing chunk reads as zeros, and so does the
//! part of a chunk that was never written. A chunk's memory grows by doubling up to that, so small
//! files stay small and a big file never moves; whole chunks are so large that allocators give each pages of its
//! own, which go back when the file goes. Bytes at or beyond the file's length are not stored:
//! shrinking cuts them off, so growing again shows zeros.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::{Backing, Charge, Error, FILE_MAX_BYTES};

const CHUNK_BYTES: u64 = 256 * 1024;
const CHUNK_MIN_BYTES: usize = 64;
/// What a chunk's place in the map is charged with, besides its bytes, and the allocator's own record of a block.
const CHUNK_RECORD_BYTES: u64 = 128;
/// One more byte per so many is charged: an allocator that gives pages to large blocks rounds a chunk and its
/// record up to one page more.
const BYTES_PER_ROUNDING_BYTE: u64 = 64;

/// A regular file's contents.
pub(crate) enum Content {
    Backed(Arc<dyn Backing>),
    Owned(Sparse),
}

/// Bytes by chunk, and the file's length.
#[derive(Default)]
pub(crate) struct Sparse {
    chunks: BTreeMap<u64, Chunk>,
    len_bytes: u64,
}

struct Chunk {
    /// The chunk's first bytes; what follows them reads as zeros.
    bytes: Vec<u8>,
    charged_bytes: u64,
}

impl Content {
    pub(crate) fn empty() -> Self {
        Self::Owned(Sparse::default())
    }

    pub(crate) fn len_bytes(&self) -> u64 {
        match self {
            Self::Backed(backing) => backing.len_bytes(),
            Self::Owned(sparse) => sparse.len_bytes,
        }
    }

    /// Copies what lies at `offset` to the buffer's start, and says how much; 0 at or after the end.
    pub(crate) fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, Error> {
        match self {
            Self::Backed(backing) => {
                let bytes = backing.bytes().map_err(|_| Error::Corrupt)?;
                let rest = usize::try_from(offset)
                    .ok()
                    .and_then(|start| bytes.get(start..))
                    .unwrap_or_default();
                let count = rest.len().min(buffer.len());
                buffer[..count].copy_from_slice(&rest[..count]);
                Ok(count)
            }
            Self::Owned(sparse) => Ok(sparse.read(offset, buffer)),
        }
    }

    /// Writes at `offset`, and says how many bytes were taken: fewer than given when the budget or the
    /// allocator ran out midway, an error when not even the first could be taken.
    pub(crate) fn write(
        &mut self,
        charge: &dyn Charge,
        offset: u64,
        bytes: &[u8],
    ) -> Result<usize, Error> {
        let end = offset
            .checked_add(bytes.len() as u64)
            .ok_or(Error::FileTooLarge)?;
        if end > FILE_MAX_BYTES {
            return Err(Error::FileTooLarge);
        }
        self.owned(charge, u64::MAX)?.write(charge, offset, bytes)
    }

    /// Cuts the file off at `len_bytes`, or extends it with zeros.
    pub(crate) fn set_len(&mut self, charge: &dyn Charge, len_bytes: u64) -> Result<(), Error> {
        if len_bytes > FILE_MAX_BYTES {
            return Err(Error::FileTooLarge);
        }
        self.owned(charge, len_bytes)?.set_len(charge, len_bytes);
        Ok(())
    }

    /// Gives back all that was reserved.
    pub(crate) fn release(&mut self, charge: &dyn Charge) {
        if let Self::Owned(sparse) = self {
            sparse.set_len(charge, 0);
        }
    }

    /// The contents as bytes of this tree's own: of a backing, the first `keep_bytes` are copied.
    fn owned(&mut self, charge: &dyn Charge, keep_bytes: u64) -> Result<&mut Sparse, Error> {
        if let Self::Backed(backing) = self {
            let copy = Sparse::copy_of(backing.as_ref(), charge, keep_bytes)?;
            *self = Self::Owned(copy);
        }
        match self {
            Self::Owned(sparse) => Ok(sparse),
            // Replaced above.
            Self::Backed(_) => Err(Error::Corrupt),
        }
    }
}

impl Sparse {
    fn copy_of(backing: &dyn Backing, charge: &dyn Charge, keep_bytes: u64) -> Result<Self, Error> {
        let mut copy = Self::default();
        if keep_bytes == 0 {
            return Ok(copy);
        }
        let bytes = backing.bytes().map_err(|_| Error::Corrupt)?;
        let keep = bytes
            .len()
            .min(usize::try_from(keep_bytes).unwrap_or(usize::MAX));
        let copied = copy.write(charge, 0, &bytes[..keep]);
        if copied == Ok(keep) {
            return Ok(copy);
        }
        copy.set_len(charge, 0);
        Err(copied.err().unwrap_or(Error::NoSpace))
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> usize {
        let left = self.len_bytes.saturating_sub(offset);
        let count = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        let mut done = 0;
        while done < count {
            let (number, within, span) = piece(offset + done as u64, count - done);
            let target = &mut buffer[done..done + span];
            match self.chunks.get(&number) {
                Some(chunk) => chunk.read(within, target),
                None => target.fill(0),
            }
            done += span;
        }
        count
    }

    /// `offset + bytes.len()` does not overflow: the caller checked it against the largest file.
    fn write(&mut self, charge: &dyn Charge, offset: u64, bytes: &[u8]) -> Result<usize, Error> {
        let mut done = 0;
        while done < bytes.len() {
            let (number, within, span) = piece(offset + done as u64, bytes.len() - done);
            match self.write_piece(charge, number, within, &bytes[done..done + span]) {
                Ok(()) => done += span,
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
            self.len_bytes = self.len_bytes.max(offset + done as u64);
        }
        Ok(done)
    }

    fn write_piece(
        &mut self,
        charge: &dyn Charge,
        number: u64,
        within: usize,
        bytes: &[u8],
    ) -> Result<(), Error> {
        if let Some(chunk) = self.chunks.get_mut(&number) {
            return chunk.write(charge, within, bytes);
        }
        let mut chunk = Chunk::new(charge)?;
        if let Err(error) = chunk.write(charge, within, bytes) {
            charge.release(chunk.charged_bytes);
            return Err(error);
        }
        self.chunks.insert(number, chunk);
        Ok(())
    }

    fn set_len(&mut self, charge: &dyn Charge, len_bytes: u64) {
        let kept_chunks = len_bytes.div_ceil(CHUNK_BYTES);
        for chunk in self.chunks.split_off(&kept_chunks).into_values() {
            charge.release(chunk.charged_bytes);
        }
        let (number, within) = (len_bytes / CHUNK_BYTES, (len_bytes % CHUNK_BYTES) as usize);
        if let Some(chunk) = self.chunks.get_mut(&number) {
            chunk.bytes.truncate(within);
        }
        self.len_bytes = len_bytes;
    }
}

impl Chunk {
    fn new(charge: &dyn Charge) -> Result<Self, Error> {
        charge
            .reserve(CHUNK_RECORD_BYTES)
            .map_err(|_| Error::NoSpace)?;
        Ok(Self {
            bytes: Vec::new(),
            charged_bytes: CHUNK_RECORD_BYTES,
        })
    }

    fn read(&self, within: usize, target: &mut [u8]) {
        let stored = self.bytes.get(within..).unwrap_or_default();
        let count = stored.len().min(target.len());
        target[..count].copy_from_slice(&stored[..count]);
        target[count..].fill(0);
    }

    fn write(&mut self, charge: &dyn Charge, within: usize, bytes: &[u8]) -> Result<(), Error> {
        let end = within + bytes.len();
        if end > self.bytes.len() {
            self.grow(charge, end)?;
            self.bytes.resize(end, 0);
        }
        self.bytes[within..end].copy_from_slice(bytes);
        Ok(())
    }

    /// Makes room for `needed` bytes, at most a chunk's worth.
    fn grow(&mut self, charge: &dyn Charge, needed: usize) -> Result<(), Error> {
        let old = self.bytes.capacity();
        if needed <= old {
            return Ok(());
        }
        let new = needed.next_power_of_two().max(CHUNK_MIN_BYTES);
        let added = cost_bytes(new) - cost_bytes(old);
        charge.reserve(added).map_err(|_| Error::NoSpace)?;
        if self
            .bytes
            .try_reserve_exact(new - self.bytes.len())
            .is_err()
        {
            charge.release(added);
            return Err(Error::OutOfMemory);
        }
        self.charged_bytes += added;
        Ok(())
    }
}

/// What a chunk's memory of that capacity takes.
fn cost_bytes(capacity: usize) -> u64 {
    capacity as u64 + capacity as u64 / BYTES_PER_ROUNDING_BYTE
}

/// The first piece of `[position, position + want)` that lies within one chunk: the chunk's number,
/// where in it the piece starts, and its length.
fn piece(position: u64, want: usize) -> (u64, usize, usize) {
    let within = (position % CHUNK_BYTES) as usize;
    let span = want.min(CHUNK_BYTES as usize - within);
    (position / CHUNK_BYTES, within, span)
}
