//! The tier in memory: bounded in bytes, scan-resistant (quick_cache's Clock-PRO keeps what is
//! asked for again through a flood of what is not).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, Weighter};

use super::stored::Stored;
use crate::request::key::CacheKey;

/// What an answer or a vector weighs on average, for sizing the index. A guess: the index grows as
/// needed.
const TYPICAL: u64 = 8192;

/// What is stored in memory.
pub struct Memory<T> {
    entries: Cache<u128, Arc<T>, Weight, DefaultHashBuilder, Evictions>,
    evictions: Arc<AtomicU64>,
}

/// A memory that can be swept, whatever it holds.
pub trait Sweep: Send + Sync {
    /// Drops what `covered` says and counts that.
    fn sweep(&self, covered: &dyn Fn(&dyn Stored) -> bool) -> usize;
}

#[derive(Clone)]
struct Weight;

impl<T: Stored> Weighter<u128, Arc<T>> for Weight {
    fn weight(&self, _: &u128, entry: &Arc<T>) -> u64 {
        entry.weight()
    }
}

#[derive(Clone)]
struct Evictions(Arc<AtomicU64>);

impl<T> Lifecycle<u128, Arc<T>> for Evictions {
    type RequestState = ();

    fn on_evict(&self, (): &mut (), _: u128, _: Arc<T>) {
        self.0.fetch_add(1, Relaxed);
    }
}

impl<T: Stored> Memory<T> {
    /// An empty tier of `capacity` bytes.
    pub fn new(capacity: u64) -> Self {
        let evictions = Arc::new(AtomicU64::new(0));
        let estimated = usize::try_from(capacity / TYPICAL).unwrap_or(usize::MAX).max(16);
        let entries = Cache::with(
            estimated,
            capacity,
            Weight,
            DefaultHashBuilder::default(),
            Evictions(evictions.clone()),
        );
        Self { entries, evictions }
    }

    /// The entry under a key, proved to be of that key.
    pub fn get(&self, key: &CacheKey) -> Option<Arc<T>> {
        self.entries.get(&key.id()).filter(|entry| entry.key() == *key)
    }

    /// Puts an entry in; false where it alone would fill a good part of the tier.
    pub fn insert(&self, entry: Arc<T>) -> bool {
        if entry.weight() > self.entries.shard_capacity() {
            return false;
        }
        self.entries.insert(entry.key().id(), entry);
        true
    }

    /// How many entries there are.
    pub fn entries(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Their bytes.
    pub fn bytes(&self) -> u64 {
        self.entries.weight()
    }

    /// How many were dropped for room.
    pub fn evictions(&self) -> u64 {
        self.evictions.load(Relaxed)
    }
}

impl<T: Stored> Sweep for Memory<T> {
    fn sweep(&self, covered: &dyn Fn(&dyn Stored) -> bool) -> usize {
        let removed = AtomicU64::new(0);
        self.entries.retain(|_, entry| {
            let goes = covered(&**entry);
            removed.fetch_add(u64::from(goes), Relaxed);
            !goes
        });
        usize::try_from(removed.into_inner()).unwrap_or(usize::MAX)
    }
}
