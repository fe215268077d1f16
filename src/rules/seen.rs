//! What searches of vector stores have found, as the keys of its vectors: what a store is about, so far.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use parking_lot::Mutex;
use quick_cache::sync::Cache;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::request::identity::Credential;
use crate::request::key::CacheKey;

/// How long results are remembered, from the first on. What is new in a store is known to no earlier
/// search of it: were they remembered for ever, questions about it would never be let through.
pub const HOLDS: Duration = Duration::from_secs(3600);
/// Results remembered of one store.
pub const MOST_RESULTS: usize = 64;
/// Stores remembered; of more, the least used are learned anew.
const MOST_STORES: usize = 10_000;
/// Answers whose results are being embedded at one time; those of more are not learned from.
const MOST_LEARNING: usize = 16;

/// One store as one caller sees it through one embedding model.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SeenKey {
    /// Who searches.
    pub tenant: Box<str>,
    /// The credential, where callers of one tenant share no answers.
    pub credential: Option<Credential>,
    /// The provider account.
    pub account: Box<str>,
    /// The store's id.
    pub store: Box<str>,
    /// The model that embeds.
    pub model: Box<str>,
}

/// What was found in stores.
pub struct Seen {
    stores: Cache<SeenKey, Arc<Results>>,
    /// Writes seen so far: results of before one are not learned after it.
    writes: AtomicU64,
    learning: Arc<Semaphore>,
}

struct Results {
    since: Instant,
    vectors: Mutex<Vec<CacheKey>>,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            stores: Cache::new(MOST_STORES),
            writes: AtomicU64::new(0),
            learning: Arc::new(Semaphore::new(MOST_LEARNING)),
        }
    }
}

impl Seen {
    /// The keys of the vectors of what was found in a store.
    pub fn found(&self, key: &SeenKey, now: Instant) -> Vec<CacheKey> {
        let results = self.stores.get(key).filter(|results| results.is_fresh(now));
        results.map_or_else(Vec::new, |results| results.vectors.lock().clone())
    }

    /// Lets somebody learn from an answer; `None` where enough is known of the store, or too many
    /// learn already.
    pub fn learn(&self, key: &SeenKey, now: Instant) -> Option<Lesson> {
        if self.found(key, now).len() >= MOST_RESULTS {
            return None;
        }
        let place = self.learning.clone().try_acquire_owned().ok()?;
        Some(Lesson { writes: self.writes.load(SeqCst), _place: place })
    }

    /// Remembers what a lesson has brought, unless a write was seen since it began.
    pub fn learned(
        &self,
        key: SeenKey,
        lesson: &Lesson,
        vectors: impl Iterator<Item = CacheKey>,
        now: Instant,
    ) {
        if self.writes.load(SeqCst) != lesson.writes {
            return;
        }
        let known = self.stores.get(&key).filter(|results| results.is_fresh(now));
        let results = known.unwrap_or_else(|| {
            let results = Arc::new(Results { since: now, vectors: Mutex::default() });
            self.stores.insert(key, results.clone());
            results
        });
        let mut known = results.vectors.lock();
        for vector in vectors {
            if known.len() < MOST_RESULTS && !known.contains(&vector) {
                known.push(vector);
            }
        }
    }

    /// A write to this store, or to files of any (`None`), was seen to pass.
    pub fn wrote(&self, store: Option<&str>) {
        self.writes.fetch_add(1, SeqCst);
        self.stores.retain(|key, _| store.is_some_and(|store| *key.store != *store));
    }
}

impl Results {
    fn is_fresh(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) < HOLDS
    }
}

/// One answer being learned from.
pub struct Lesson {
    writes: u64,
    _place: OwnedSemaphorePermit,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(tenant: &str, store: &str) -> SeenKey {
        let (tenant, store) = (tenant.into(), store.into());
        SeenKey { tenant, credential: None, account: "a".into(), store, model: "m".into() }
    }

    fn vector(number: u8) -> CacheKey {
        CacheKey::from_bytes([number; 32])
    }

    fn learn(seen: &Seen, key: &SeenKey, numbers: std::ops::Range<u8>, now: Instant) {
        let lesson = seen.learn(key, now).unwrap();
        seen.learned(key.clone(), &lesson, numbers.map(vector), now);
    }

    #[test]
    fn each_tenants_results_are_its_own_and_each_is_there_once() {
        let (seen, now) = (Seen::default(), Instant::now());
        learn(&seen, &key("a", "s"), 0..3, now);
        learn(&seen, &key("a", "s"), 2..4, now);
        assert_eq!(seen.found(&key("a", "s"), now), (0..4).map(vector).collect::<Vec<_>>());
        assert_eq!(seen.found(&key("b", "s"), now), []);
        assert_eq!(seen.found(&SeenKey { model: "n".into(), ..key("a", "s") }, now), []);
    }

    #[test]
    fn so_many_are_remembered_and_for_so_long() {
        let (seen, now) = (Seen::default(), Instant::now());
        learn(&seen, &key("a", "s"), 0..200, now);
        assert_eq!(seen.found(&key("a", "s"), now).len(), MOST_RESULTS);
        assert!(seen.learn(&key("a", "s"), now).is_none(), "enough is known");
        let later = now + HOLDS;
        assert_eq!(seen.found(&key("a", "s"), later), []);
        learn(&seen, &key("a", "s"), 7..8, later);
        assert_eq!(seen.found(&key("a", "s"), later), [vector(7)]);
        let lessons: Vec<_> = (0..MOST_LEARNING).map(|_| seen.learn(&key("b", "s"), now)).collect();
        assert!(lessons.iter().all(Option::is_some) && seen.learn(&key("c", "s"), now).is_none());
    }

    #[test]
    fn a_write_makes_what_was_found_before_it_void() {
        let (seen, now) = (Seen::default(), Instant::now());
        learn(&seen, &key("a", "s"), 0..1, now);
        learn(&seen, &key("a", "t"), 0..1, now);
        let lesson = seen.learn(&key("a", "s"), now).unwrap();
        seen.wrote(Some("s"));
        assert_eq!((seen.found(&key("a", "s"), now).len(), seen.found(&key("a", "t"), now).len()), (0, 1));
        seen.learned(key("a", "s"), &lesson, [vector(1)].into_iter(), now);
        assert_eq!(seen.found(&key("a", "s"), now), []);
        seen.wrote(None);
        assert_eq!(seen.found(&key("a", "t"), now), []);
    }
}
