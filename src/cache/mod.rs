//! Stored answers: found by key, proved by key, served while fresh, purged by what they are.

pub mod entry;
pub mod memory;

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::request::key::CacheKey;
use entry::Entry;
use memory::Memory;

/// How many purges are remembered for calls that were under way meanwhile.
const REMEMBERED: usize = 256;

/// The stored answers of this process.
pub struct Cache {
    memory: Memory,
    purges: Mutex<Purges>,
}

/// The latest purges. A call that was under way during one may still hold what it removed.
#[derive(Default)]
struct Purges {
    count: u64,
    latest: VecDeque<Purge>,
}

/// Which entries a purge removes; every field that is set must match.
#[derive(Clone, Debug, Default)]
pub struct Purge {
    /// Fetched for this tenant.
    pub tenant: Option<String>,
    /// Asked of this model.
    pub model: Option<String>,
    /// Stored under this key, in full or its first digits.
    pub key: Option<String>,
    /// Marked with this tag, such as `vector_store:vs_1`.
    pub tag: Option<String>,
}

impl Cache {
    /// An empty cache that holds about `capacity` bytes.
    pub fn new(capacity: u64) -> Self {
        Self { memory: Memory::new(capacity), purges: Mutex::default() }
    }

    /// The entry under a key, fresh or stale. A stale one stays until it is replaced or its room is
    /// needed: a later request may accept it, or the provider fail.
    pub fn find(&self, key: &CacheKey) -> Option<Arc<Entry>> {
        self.memory.get(key)
    }

    /// How many purges there have been: what a call notes when it begins.
    pub fn purges(&self) -> u64 {
        self.purges.lock().count
    }

    /// Stores an answer to a call that was begun after `begun` purges. False where a purge since then
    /// covers it, or where it is larger than the memory takes.
    pub fn store(&self, entry: Arc<Entry>, begun: u64) -> bool {
        let purges = self.purges.lock();
        let since = usize::try_from(purges.count - begun).unwrap_or(usize::MAX);
        let purged = since > purges.latest.len()
            || purges.latest.iter().rev().take(since).any(|purge| purge.covers(&entry));
        !purged && self.memory.insert(entry)
    }

    /// Removes what `purge` describes and says how many entries that were.
    pub fn purge(&self, purge: Purge) -> usize {
        let mut purges = self.purges.lock();
        let removed = self.memory.retain(|entry| !purge.covers(entry));
        if purges.latest.len() == REMEMBERED {
            purges.latest.pop_front();
        }
        purges.latest.push_back(purge);
        purges.count += 1;
        removed
    }

    /// How many answers are held.
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
}

impl Purge {
    fn covers(&self, entry: &Entry) -> bool {
        let is =
            |wanted: &Option<String>, found: Option<&str>| wanted.as_deref().is_none_or(|w| Some(w) == found);
        is(&self.tenant, Some(&entry.tenant))
            && is(&self.model, entry.model.as_deref())
            && is(&self.tag, entry.tag.as_deref())
            && self.key.as_deref().is_none_or(|digits| entry.key.hex().starts_with(digits))
    }
}
