//! Stored answers: found by key, proved by key, served while fresh, purged by what they are.
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

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::request::key::CacheKey;
use entry::Entry;
use lookups::Lookups;
use lower::{Lower, LowerReadings};
use memory::Memory;
pub use purges::Purge;
use purges::Purges;

/// The stored answers of this process, and those it shares.
pub struct Cache {
    memory: Arc<Memory>,
    purges: Arc<Mutex<Purges>>,
    lower: Option<Lower>,
    lookups: Lookups,
}

/// Where an answer was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// An entry, and where it was.
#[derive(Clone)]
pub struct Found {
    /// The entry.
    pub entry: Arc<Entry>,
    /// The tier it was in.
    pub tier: Tier,
}

impl Found {
    /// Whether it was stored after `other`.
    pub fn is_newer(&self, other: &Self) -> bool {
        self.entry.stored > other.entry.stored
    }
}

impl Cache {
    /// A cache that holds about `capacity` bytes in memory, over the tiers in `lower` if there are
    /// any; `purges` is what those remember.
    pub fn new(capacity: u64, lower: Option<Lower>, purges: Arc<Mutex<Purges>>) -> Self {
        let memory = Arc::new(Memory::new(capacity));
        if let Some(lower) = &lower {
            lower.agree(&memory, &purges);
        }
        Self { memory, purges, lower, lookups: Lookups::default() }
    }

    /// The entry under a key in memory, fresh or stale. A stale one stays until it is replaced or its
    /// room is needed: a later request may accept it, or the provider fail.
    pub fn find(&self, key: &CacheKey) -> Option<Found> {
        self.memory.get(key).map(|entry| Found { entry, tier: Tier::Memory })
    }

    /// Whether [`Cache::fetch`] may find what [`Cache::find`] does not.
    pub fn has_lower(&self) -> bool {
        self.lower.is_some()
    }

    /// The entry under a key in the tiers below the memory, which has it from then on.
    pub async fn fetch(&self, key: CacheKey) -> Option<Found> {
        let lower = self.lower.as_ref()?;
        let look = async {
            let found = lower.get(key, &self.purges).await?;
            self.remember(&found.entry);
            Some(found)
        };
        self.lookups.share(key, look).await
    }

    /// Resolves once what was stored before has reached the tiers below, or cannot.
    pub async fn written(&self) {
        if let Some(lower) = &self.lower {
            lower.written().await;
        }
    }

    /// Keeps an entry of a lower tier in memory, unless it was purged while it was read.
    fn remember(&self, entry: &Arc<Entry>) {
        let purges = self.purges.lock();
        if !purges.covers(entry) {
            self.memory.insert(entry.clone());
        }
    }

    /// The latest purge: what a call notes when it begins.
    pub fn generation(&self) -> u64 {
        self.purges.lock().latest()
    }

    /// Stores an answer, which is of use for `keep` at most. False where a purge since its call began
    /// covers it, or where it is larger than the memory takes.
    pub fn store(&self, entry: Arc<Entry>, keep: Duration) -> bool {
        let stored = {
            let purges = self.purges.lock();
            !purges.covers(&entry) && self.memory.insert(entry.clone())
        };
        if let Some(lower) = self.lower.as_ref().filter(|_| stored) {
            lower.store(entry, keep);
        }
        stored
    }

    /// Removes what `purge` describes and says how many entries in memory that were.
    pub fn purge(&self, purge: Purge) -> usize {
        let mut purges = self.purges.lock();
        let generation = purges.next();
        if let Some(lower) = &self.lower {
            lower.purged(generation, &purge);
        }
        let removed = self.memory.retain(|entry| !purge.covers(entry));
        purges.add(generation, purge);
        removed
    }

    /// How many answers are held in memory.
    pub fn entries(&self) -> u64 {
        self.memory.entries()
    }

    /// How many bytes they take.
    pub fn bytes(&self) -> u64 {
        self.memory.bytes()
    }

    /// How many answers were dropped for room since the start.
    pub fn evictions(&self) -> u64 {
        self.memory.evictions()
    }

    /// What the tiers below have to tell, where there are any.
    pub fn lower(&self) -> Option<LowerReadings> {
        self.lower.as_ref().map(Lower::readings)
    }
}
