//! What is stored, answers and vectors: found by key, proved by key, served while fresh, purged by
//! what it is.
//!
//! The memory is asked first and without waiting. Where there are tiers below it, a miss asks them,
//! and what they have is kept in memory from then on. A broken tier is an empty one.

pub mod codec;
pub mod disk;
pub mod entry;
mod lookups;
pub mod lower;
pub mod memory;
pub mod purges;
pub mod redis;
pub mod stored;
pub mod tiers;

use std::sync::Arc;
use std::time::Duration;

use crate::request::key::CacheKey;
use entry::Entry;
use lookups::Lookups;
use memory::Memory;
pub use purges::Purge;
pub use stored::Stored;
use tiers::Tiers;

/// What of one kind this process has stored, and shares.
pub struct Cache<T = Entry> {
    memory: Arc<Memory<T>>,
    tiers: Arc<Tiers>,
    lookups: Lookups<T>,
}

/// Where something was found, the nearest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// In this process.
    Memory,
    /// On this machine's disk.
    Disk,
    /// In Redis.
    Redis,
}

impl Tier {
    /// Its name in `Cache-Status` and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Redis => "redis",
        }
    }
}

/// What was found, and where.
pub struct Found<T = Entry> {
    /// What it is.
    pub entry: Arc<T>,
    /// The tier it was in.
    pub tier: Tier,
}

impl<T> Clone for Found<T> {
    fn clone(&self) -> Self {
        Self { entry: self.entry.clone(), tier: self.tier }
    }
}

impl<T: Stored> Found<T> {
    /// Whether it was stored after `other`.
    pub fn is_newer(&self, other: &Self) -> bool {
        self.entry.since() > other.entry.since()
    }
}

impl<T: Stored> Cache<T> {
    /// A cache over `memory`, which is one of those that `tiers` are over.
    pub fn new(memory: Arc<Memory<T>>, tiers: Arc<Tiers>) -> Self {
        Self { memory, tiers, lookups: Lookups::default() }
    }

    /// What is under a key in memory, fresh or stale. What is stale stays until it is replaced or its
    /// room is needed: a later request may accept it, or the provider fail.
    pub fn find(&self, key: &CacheKey) -> Option<Found<T>> {
        self.memory.get(key).map(|entry| Found { entry, tier: Tier::Memory })
    }

    /// Whether [`Cache::fetch`] may find what [`Cache::find`] does not.
    pub fn has_lower(&self) -> bool {
        self.tiers.lower.is_some()
    }

    /// What is under a key in the tiers below the memory, which has it from then on. `known` is what the
    /// caller has found in memory.
    pub async fn fetch(&self, key: CacheKey, known: Option<&Found<T>>) -> Option<Found<T>> {
        let lower = self.tiers.lower.as_ref()?;
        let look = async {
            // A look-up may have ended since, on another thread, that brought it here.
            let newer = |found: &Found<T>| known.is_none_or(|known| found.is_newer(known));
            if let Some(found) = self.find(&key).filter(newer) {
                return Some(found);
            }
            let found = lower.get(key, &self.tiers.purges).await?;
            self.remember(&found.entry);
            Some(found)
        };
        self.lookups.share(key, look).await
    }

    /// What is under each of these keys in the tiers below the memory, which has it from then on.
    /// Looks for as many at a time as one round trip should carry; who else looks for one of them is
    /// the caller's to know.
    pub async fn fetch_many(&self, keys: &[CacheKey]) -> Vec<Option<Found<T>>> {
        let Some(lower) = &self.tiers.lower else { return keys.iter().map(|_| None).collect() };
        let found = lower.get_many(keys, &self.tiers.purges).await;
        for found in found.iter().flatten() {
            self.remember(&found.entry);
        }
        found
    }

    /// Resolves once what was stored before has reached the tiers below, or cannot.
    pub async fn written(&self) {
        if let Some(lower) = &self.tiers.lower {
            lower.written().await;
        }
    }

    /// Keeps an entry of a lower tier in memory, unless it was purged while it was read.
    fn remember(&self, entry: &Arc<T>) {
        let purges = self.tiers.purges.lock();
        if !purges.covers(&**entry) {
            self.memory.insert(entry.clone());
        }
    }

    /// The latest purge: what a call notes when it begins.
    pub fn generation(&self) -> u64 {
        self.tiers.purges.lock().latest()
    }

    /// Stores something that is of use for `keep` at most. False where a purge since its call began
    /// covers it, or where it is larger than the memory takes.
    pub fn store(&self, entry: Arc<T>, keep: Duration) -> bool {
        let stored = {
            let purges = self.tiers.purges.lock();
            !purges.covers(&*entry) && self.memory.insert(entry.clone())
        };
        if let Some(lower) = self.tiers.lower.as_ref().filter(|_| stored) {
            lower.store(entry, keep);
        }
        stored
    }

    /// Stores what came together, as [`Cache::store`] does one; true where all of it is stored.
    pub fn store_many(&self, mut entries: Vec<Arc<T>>, keep: Duration) -> bool {
        let came = entries.len();
        {
            let purges = self.tiers.purges.lock();
            entries.retain(|entry| !purges.covers(&**entry) && self.memory.insert(entry.clone()));
        }
        let all = entries.len() == came;
        if let Some(lower) = self.tiers.lower.as_ref().filter(|_| !entries.is_empty()) {
            lower.store_many(entries, keep);
        }
        all
    }

    /// How much is held in memory.
    pub fn entries(&self) -> u64 {
        self.memory.entries()
    }

    /// How many bytes it takes.
    pub fn bytes(&self) -> u64 {
        self.memory.bytes()
    }

    /// How much was dropped for room since the start.
    pub fn evictions(&self) -> u64 {
        self.memory.evictions()
    }
}
