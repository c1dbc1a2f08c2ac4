//! Compiled programs by content: the same bytes under the same settings are compiled once by each compiler.
//!
//! The key is SHA-256 of the settings' hash and the program's bytes as they were given, before WASI 0.1 is adapted, so
//! a name or a path never decides which code runs. Optimized code takes the place of the baseline compiler's. The cache is bounded in bytes of compiled image; the program that was
//! not used for the longest time goes first, and one larger than the whole cache is not kept. A
//! component that still runs keeps its memory when it leaves the cache.
//!
//! Its bytes belong to no process: whoever makes the engine sets them aside, and
//! `Engine::clear_cache` gives them back.

use crate::settings::SettingsHash;
use crate::{Program, Tier};
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// Which program under which settings.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CacheKey([u8; 32]);

impl CacheKey {
    pub(crate) fn of(settings: &SettingsHash, wasm: &[u8]) -> CacheKey {
        CacheKey(
            Sha256::new()
                .chain_update(settings.0)
                .chain_update(wasm)
                .finalize()
                .into(),
        )
    }
}

/// A bounded map from programs to their code.
pub(crate) struct CompileCache {
    capacity_bytes: u64,
    used_bytes: u64,
    /// Counts uses; an entry's stamp says when it was used last.
    clock: u64,
    entries: HashMap<CacheKey, Entry>,
}

struct Entry {
    program: Program,
    image_bytes: u64,
    last_use: u64,
}

impl CompileCache {
    pub fn new(capacity_bytes: u64) -> CompileCache {
        CompileCache {
            capacity_bytes,
            used_bytes: 0,
            clock: 0,
            entries: HashMap::new(),
        }
    }

    pub fn used_bytes(&self) -> u64 {
        self.used_bytes
    }

    /// The program, if it was compiled by that compiler, or by any.
    pub fn get(&mut self, key: &CacheKey, tier: Option<Tier>) -> Option<Program> {
        self.clock += 1;
        let entry = self.entries.get_mut(key)?;
        if tier.is_some_and(|tier| tier != entry.program.tier) {
            return None;
        }
        entry.last_use = self.clock;
        Some(entry.program.clone())
    }

    /// Keeps `program`, and answers those that had to go: to be dropped after the cache's lock.
    #[must_use]
    pub fn insert(&mut self, key: CacheKey, program: Program) -> Vec<Program> {
        let image_bytes = program.image_bytes();
        if image_bytes > self.capacity_bytes || !self.is_better(&key, program.tier) {
            return Vec::new();
        }
        let mut evicted: Vec<Program> = self.remove(&key).into_iter().collect();
        while self.used_bytes + image_bytes > self.capacity_bytes {
            evicted.extend(self.evict_oldest());
        }
        self.clock += 1;
        self.used_bytes += image_bytes;
        self.entries.insert(
            key,
            Entry {
                program,
                image_bytes,
                last_use: self.clock,
            },
        );
        evicted
    }

    /// Empties the cache and answers what was in it: to be dropped after the cache's lock.
    #[must_use]
    pub fn take_all(&mut self) -> Vec<Program> {
        self.used_bytes = 0;
        self.entries
            .drain()
            .map(|(_, entry)| entry.program)
            .collect()
    }

    /// Whether code of `tier` is better than what is there.
    fn is_better(&self, key: &CacheKey, tier: Tier) -> bool {
        match self.entries.get(key) {
            None => true,
            Some(kept) => kept.program.tier == Tier::Baseline && tier == Tier::Optimized,
        }
    }

    fn evict_oldest(&mut self) -> Option<Program> {
        let (oldest, _) = self
            .entries
            .iter()
            .min_by_key(|(_, entry)| entry.last_use)?;
        let key = *oldest;
        self.remove(&key)
    }

    fn remove(&mut self, key: &CacheKey) -> Option<Program> {
        let entry = self.entries.remove(key)?;
        self.used_bytes -= entry.image_bytes;
        Some(entry.program)
    }
}
