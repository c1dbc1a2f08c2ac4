//! What the kernel has given out, before a test and after it. For kernels that test themselves.
//!
//! Law: stacks, regions and everything with an owner of its own must be as before, to the frame. The heap keeps the
//! frames that it took, and page tables stay where the heap and long-lived regions have theirs; so of the heap the
//! bytes in use count, with some slack for what is kept on purpose, and page tables have some slack.

use std::thread;
use std::time::Duration;

use kernel_core::memory::frames;
use kernel_core::{heap, thread as kernel_thread};
use kernel_machine::memory::frame::{FrameOwner, OWNERS};

/// Bytes of the heap that a storm may leave in use: names and tables of `std`, growing once.
const HEAP_SLACK_BYTES: usize = 64 << 10;
/// Frames of the system's own threads' stacks, which keep their depth, and of the few ended threads' stacks that the
/// kernel keeps for the next ones. A storm has more threads than that.
const STACKS_SLACK_FRAMES: u64 = 64;
/// Page tables that a storm may leave behind where the heap has grown, and in the memories of the engine's pool, which
/// keep those of their first 8 MiB: sixteen, and those that were in use at the same time.
const TABLES_SLACK_FRAMES: u64 = 160;
/// How often it is looked again: threads that were detached are cleaned up by another.
const LOOKS: u32 = 100;

/// A snapshot.
#[derive(Clone, Debug)]
pub struct Ledger {
    by_owner: Vec<u64>,
    heap_bytes: usize,
    threads: Vec<String>,
}

impl Ledger {
    /// What is given out now.
    pub fn now() -> Self {
        let mut threads = Vec::new();
        kernel_thread::for_each(&mut |row| {
            let name = String::from_utf8_lossy(&row.name[..row.name_len_bytes]);
            threads.push(name.into_owned());
        });
        threads.sort();
        Self {
            by_owner: frames::statistics().by_owner.to_vec(),
            heap_bytes: heap::statistics().0,
            threads,
        }
    }

    /// Waits until everything is given back; a sentence that says what is missing if it never is.
    pub fn settle(&self) -> Result<(), String> {
        let mut complaint = String::new();
        for _ in 0..LOOKS {
            complaint = self.difference(&Self::now());
            if complaint.is_empty() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Err(complaint)
    }

    /// Waits until no other threads exist than then, and no more of their stacks: those that were detached are cleaned
    /// up by another, and until it has done so their slots, each with a block that stays for ever, are in use.
    pub fn await_threads(&self) {
        for _ in 0..LOOKS {
            let now = Self::now();
            if now.threads == self.threads && !self.has_less_than(&now, FrameOwner::Stacks) {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn has_less_than(&self, now: &Self, owner: FrameOwner) -> bool {
        now.by_owner[owner as usize] > self.by_owner[owner as usize] + slack_frames(owner)
    }

    fn difference(&self, now: &Self) -> String {
        let mut complaint = String::new();
        for (owner, name) in OWNERS {
            if self.has_less_than(now, owner) {
                let (before, after) = (self.by_owner[owner as usize], now.by_owner[owner as usize]);
                complaint += &format!("{name}: {before} frames before, {after} now; ");
            }
        }
        if now.heap_bytes > self.heap_bytes + HEAP_SLACK_BYTES {
            let (before, after) = (self.heap_bytes, now.heap_bytes);
            complaint += &format!("heap in use: {before} bytes before, {after} now; ");
        }
        if now.threads != self.threads {
            complaint += &format!(
                "threads: {:?} before, {:?} now; ",
                self.threads, now.threads
            );
        }
        complaint
    }
}

fn slack_frames(owner: FrameOwner) -> u64 {
    match owner {
        // Every frame has an owner: what others have less, this one has more.
        FrameOwner::Free | FrameOwner::Heap => u64::MAX / 2,
        FrameOwner::Stacks => STACKS_SLACK_FRAMES,
        FrameOwner::PageTables => TABLES_SLACK_FRAMES,
        _ => 0,
    }
}
