//! The stored vectors: bounded in bytes, found by key, purged by what they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::RwLock;
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, Weighter};
use tokio::time::Instant;

use super::vector::Floats;
use crate::request::key::CacheKey;
use crate::request::plan::CachePlan;
use crate::response::price::Cost;

/// What a vector takes beside its numbers, in bytes: its facts, its key twice and the index.
const OVERHEAD: u64 = 320;
/// 1536 dimensions, for sizing the index. A guess: the index grows as needed.
const TYPICAL: u64 = 6144 + OVERHEAD;

/// A vector and what is known of it.
#[derive(Debug)]
pub struct Vector {
    /// What it belongs to: finds it and proves it.
    pub key: CacheKey,
    /// Its numbers.
    pub floats: Floats,
    /// The tokens of its input: what the provider counted, or its share of a call's count.
    pub tokens: Option<u64>,
    /// What that costs, where the model's price is known.
    pub cost: Option<Cost>,
    /// Facts it has in common with the others of its call.
    pub origin: Arc<Origin>,
}

/// What the vectors of one request have in common.
#[derive(Debug)]
pub struct Origin {
    /// The model asked for.
    pub model: Option<Box<str>>,
    /// The model that answered, as the provider names it.
    pub answered: Option<Box<str>>,
    /// Who answered.
    pub provider: Arc<str>,
    /// For whom it was fetched.
    pub tenant: Box<str>,
    /// When it came.
    pub stored: Instant,
    /// How long it is fresh.
    pub ttl: Duration,
}

/// The stored vectors of this process. Their bytes are taken from those of stored answers.
pub struct Vectors {
    vectors: Cache<u128, Arc<Vector>, Weight, DefaultHashBuilder, Evictions>,
    evictions: Arc<AtomicU64>,
    /// How many purges there have been. Held while vectors are stored, so that none slips past one.
    purges: RwLock<u64>,
}

#[derive(Clone)]
struct Weight;

impl Weighter<u128, Arc<Vector>> for Weight {
    fn weight(&self, _: &u128, vector: &Arc<Vector>) -> u64 {
        vector.floats.bytes().len() as u64 + OVERHEAD
    }
}

#[derive(Clone)]
struct Evictions(Arc<AtomicU64>);

impl Lifecycle<u128, Arc<Vector>> for Evictions {
    type RequestState = ();

    fn on_evict(&self, (): &mut (), _: u128, _: Arc<Vector>) {
        self.0.fetch_add(1, Relaxed);
    }
}

impl Origin {
    /// How long ago it came.
    pub fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.stored)
    }

    /// Seconds it stays fresh.
    pub fn seconds_left(&self, now: Instant) -> i64 {
        i64::try_from(self.ttl.saturating_sub(self.age(now)).as_secs()).unwrap_or(i64::MAX)
    }

    /// Whether a request with this plan may have it (RFC 9111 section 5.2.1). A vector does not
    /// become wrong with time, but past its time it is fetched anew, as any answer.
    fn is_fresh(&self, plan: &CachePlan, now: Instant) -> bool {
        let age = self.age(now);
        let lifetime = self.ttl.saturating_sub(plan.min_fresh).saturating_add(plan.max_stale);
        age <= lifetime && plan.max_age.is_none_or(|most| age <= most.saturating_add(plan.max_stale))
    }
}

impl Vectors {
    /// An empty store of `capacity` bytes.
    pub fn new(capacity: u64) -> Self {
        let evictions = Arc::new(AtomicU64::new(0));
        let estimated = usize::try_from(capacity / TYPICAL).unwrap_or(usize::MAX).max(16);
        let vectors = Cache::with(
            estimated,
            capacity,
            Weight,
            DefaultHashBuilder::default(),
            Evictions(evictions.clone()),
        );
        Self { vectors, evictions, purges: RwLock::new(0) }
    }

    /// The vector under a key, if a request with this plan may have it.
    pub fn find(&self, key: &CacheKey, plan: &CachePlan, now: Instant) -> Option<Arc<Vector>> {
        let vector = self.vectors.get(&key.id())?;
        (vector.key == *key && vector.origin.is_fresh(plan, now)).then_some(vector)
    }

    /// How many purges there have been: what a call notes when it begins.
    pub fn purges(&self) -> u64 {
        *self.purges.read()
    }

    /// Stores the vectors of a call that was begun after `begun` purges. False where there was one
    /// since then: it may have meant them.
    pub fn store(&self, vectors: impl IntoIterator<Item = Arc<Vector>>, begun: u64) -> bool {
        let purges = self.purges.read();
        if *purges != begun {
            return false;
        }
        for vector in vectors {
            self.vectors.insert(vector.key.id(), vector);
        }
        true
    }

    /// Removes the vectors that `covers` names and says how many those were.
    pub fn purge(&self, covers: impl Fn(&Vector) -> bool) -> usize {
        let mut purges = self.purges.write();
        *purges += 1;
        let removed = AtomicU64::new(0);
        self.vectors.retain(|_, vector| {
            let covered = covers(vector);
            removed.fetch_add(u64::from(covered), Relaxed);
            !covered
        });
        usize::try_from(removed.into_inner()).unwrap_or(usize::MAX)
    }

    /// How many vectors are held.
    pub fn entries(&self) -> u64 {
        self.vectors.len() as u64
    }

    /// How many bytes they take.
    pub fn bytes(&self) -> u64 {
        self.vectors.weight()
    }

    /// How many were dropped for room since the start.
    pub fn evictions(&self) -> u64 {
        self.evictions.load(Relaxed)
    }
}
