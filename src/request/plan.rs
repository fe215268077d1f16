//! What applies to one request, decided once and carried as plain values.

use std::time::Duration;

use super::key::CacheKey;
use crate::config::Mode;
use crate::text::Folding;

/// What is done with one request.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The key that finds this request's answer and flight; `None` where it shares neither.
    pub key: Option<CacheKey>,
    /// What the cache does.
    pub cache: CachePlan,
    /// Whether this request joins and opens shared flights.
    pub coalesce: Mode,
    /// Whether inputs of this request and others go in one call, and many of its own in several.
    pub batch: Mode,
    /// Why this request goes past the cache, where it does: the `detail` of `Cache-Status`.
    pub bypass: Option<&'static str>,
    /// Whether a failed attempt is followed by another.
    pub failover: Mode,
    /// Whether a slow attempt gets a second one beside it.
    pub hedge: Mode,
    /// By what the text of the user's last message is folded in the key.
    pub folding: Folding,
}

/// What the cache does for one request. Off is all false.
#[derive(Clone, Copy, Debug)]
pub struct CachePlan {
    /// Look for a stored answer.
    pub lookup: bool,
    /// Store the answer.
    pub store: bool,
    /// Serve what is found; otherwise only count it.
    pub mode: Mode,
    /// How long the answer stays fresh once stored.
    pub ttl: Duration,
    /// The oldest answer the client accepts.
    pub max_age: Option<Duration>,
    /// How long the answer must still stay fresh.
    pub min_fresh: Duration,
    /// How long past its lifetime an answer is served at once: asked for by the client.
    pub max_stale: Duration,
    /// How long past its lifetime an answer is served while a new one is fetched.
    pub while_revalidate: Duration,
    /// How long past its lifetime an answer stands in for a failed provider.
    pub if_error: Duration,
    /// Never ask the provider.
    pub only_if_cached: bool,
}

impl CachePlan {
    /// For what pareto remembers for its own use, so long.
    pub fn own(ttl: Duration) -> Self {
        Self {
            lookup: true,
            store: true,
            mode: Mode::Act,
            ttl,
            max_age: None,
            min_fresh: Duration::ZERO,
            max_stale: Duration::ZERO,
            while_revalidate: Duration::ZERO,
            if_error: Duration::ZERO,
            only_if_cached: false,
        }
    }
}

impl std::fmt::Debug for CacheKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.short())
    }
}
