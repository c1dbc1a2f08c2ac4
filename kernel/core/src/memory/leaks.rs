//! Who has more memory than before.
//!
//! Law: a [`Mark`] is what every owner had at one moment; comparing it with now names each owner who has more,
//! in frames, and the heap's live bytes. Nothing is stopped meanwhile: a test lets the system come to rest before
//! it marks and before it compares. What is free, in caches and the pool too, is in nobody's hands and no leak.

use core::fmt;

use kernel_machine::heap;
use kernel_machine::memory::frame::{self, FrameOwner, OWNER_COUNT, OWNERS};

/// What every owner had.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    frames: [u64; OWNER_COUNT],
    heap_in_use_bytes: u64,
}

/// What owners have now that they had not at a [`Mark`].
#[derive(Clone, Copy, Debug)]
pub struct Growth {
    frames: [u64; OWNER_COUNT],
    /// Bytes in live blocks of the heap.
    pub heap_in_use_bytes: u64,
}

/// What every owner has now.
pub fn mark() -> Mark {
    Mark {
        frames: frame::counts(),
        heap_in_use_bytes: heap::statistics().0 as u64,
    }
}

/// What has come since `before`.
pub fn compare(before: &Mark) -> Growth {
    let now = mark();
    let grown = |owner: usize| now.frames[owner].saturating_sub(before.frames[owner]);
    Growth {
        frames: core::array::from_fn(grown),
        heap_in_use_bytes: now
            .heap_in_use_bytes
            .saturating_sub(before.heap_in_use_bytes),
    }
}

impl Growth {
    /// Frames that the owner has now and had not.
    pub fn frames(&self, owner: FrameOwner) -> u64 {
        self.frames[owner as usize]
    }
}

impl fmt::Display for Growth {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (owner, name) in OWNERS {
            let frames = self.frames(owner);
            if frames > 0 && owner != FrameOwner::Free {
                writeln!(out, "{name}: {frames} frame(s) more")?;
            }
        }
        write!(
            out,
            "kernel heap: {} bytes more in use",
            self.heap_in_use_bytes
        )
    }
}
