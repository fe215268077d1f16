//! Bytes seen before need no second reading: the facts of recent bodies, found by their bytes.
//!
//! Repeated requests are byte-identical (no SDK varies its spelling), so a hit costs one fast
//! hash and one comparison instead of a parse. This is a memory of a pure function: it knows
//! nothing of who asked, and its answers are the same with it or without.

use std::sync::Arc;

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use xxhash_rust::xxh3::xxh3_128_with_seed;

use super::endpoint::Endpoint;
use super::facts::Facts;

/// Larger bodies are read each time: they repeat less and would crowd out many small ones.
const LARGEST: usize = 64 * 1024;
/// What an entry costs beside its body, in bytes.
const OVERHEAD: u64 = 512;

/// Remembers the facts of bodies, bounded in bytes.
pub struct Memo {
    seen: Cache<u128, Arc<Seen>, Weight>,
    seed: u64,
}

struct Seen {
    endpoint: Endpoint,
    body: Bytes,
    facts: Arc<Facts>,
}

#[derive(Clone)]
struct Weight;

impl Weighter<u128, Arc<Seen>> for Weight {
    fn weight(&self, _: &u128, seen: &Arc<Seen>) -> u64 {
        seen.body.len() as u64 + OVERHEAD
    }
}

impl Memo {
    /// A memo of about `capacity` bytes. `seed` keeps others from choosing bodies that collide.
    pub fn new(capacity: u64, seed: u64) -> Self {
        let estimated = usize::try_from(capacity / 2048).unwrap_or(usize::MAX).max(16);
        Self { seen: Cache::with_weighter(estimated, capacity, Weight), seed }
    }

    /// The facts of `body`, read now or remembered.
    pub fn facts(&self, endpoint: Endpoint, body: &Bytes) -> Arc<Facts> {
        if body.len() > LARGEST {
            return Arc::new(Facts::read(endpoint, body));
        }
        let hash = xxh3_128_with_seed(body, self.seed);
        if let Some(seen) = self.seen.get(&hash)
            && seen.endpoint == endpoint
            && seen.body == *body
        {
            return seen.facts.clone();
        }
        let facts = Arc::new(Facts::read(endpoint, body));
        // A copy: the body may be a slice of a connection's larger buffer.
        self.seen.insert(
            hash,
            Arc::new(Seen { endpoint, body: Bytes::copy_from_slice(body), facts: facts.clone() }),
        );
        facts
    }
}
