//! What the tiers hold, whatever it is to those who store it: an answer, or one input's vector.

use std::time::Duration;

use tokio::time::Instant;

use crate::request::key::CacheKey;
use crate::request::plan::CachePlan;
use crate::response::packed::{Packer, Unpacker};

/// Something stored under a key, fresh for a time, purged by what it is.
pub trait Stored: Send + Sync + 'static {
    /// What it belongs to: finds it and proves it.
    fn key(&self) -> CacheKey;

    /// Bytes in memory.
    fn weight(&self) -> u64;

    /// When it was stored.
    fn since(&self) -> Instant;

    /// How long it is fresh.
    fn ttl(&self) -> Duration;

    /// What purges go by.
    fn marks(&self) -> Marks<'_>;

    /// Whether its bytes are worth compressing.
    fn compresses(&self) -> bool;

    /// Writes all but its key and when it was stored.
    fn pack(&self, out: &mut Packer);

    /// Reads what [`Stored::pack`] wrote; `None` where that is not there.
    fn unpack(key: CacheKey, since: Instant, from: &mut Unpacker) -> Option<Self>
    where
        Self: Sized;

    /// How long ago it was stored.
    fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since())
    }

    /// Seconds it stays fresh; negative once it is stale.
    fn seconds_left(&self, now: Instant) -> i64 {
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        seconds(self.ttl()).saturating_sub(seconds(self.age(now)))
    }

    /// Whether it is past its lifetime, if only by a moment that whole seconds do not show.
    fn is_stale(&self, now: Instant) -> bool {
        self.age(now) > self.ttl()
    }

    /// What it is worth to a request with this plan (RFC 9111 section 5.2.1, RFC 5861).
    fn freshness(&self, plan: &CachePlan, now: Instant) -> Freshness {
        let (age, ttl) = (self.age(now), self.ttl());
        let lifetime = ttl.saturating_sub(plan.min_fresh);
        let past = age.saturating_sub(lifetime);
        let young = plan.max_age.is_none_or(|most| age <= most.saturating_add(plan.max_stale));
        let expired = age > lifetime;
        let acceptable = plan.max_age.map_or(ttl, |most| most.min(ttl));
        if young && (!expired || past <= plan.max_stale) {
            Freshness::Fresh
        } else if young && plan.min_fresh.is_zero() && past <= plan.while_revalidate {
            Freshness::Revalidate
        } else if !plan.if_error.is_zero() && age.saturating_sub(acceptable) <= plan.if_error {
            Freshness::IfError
        } else {
            Freshness::Unusable
        }
    }
}

/// What purges go by.
#[derive(Clone, Copy, Debug)]
pub struct Marks<'s> {
    /// For whom it was fetched.
    pub tenant: &'s str,
    /// The model asked for.
    pub model: Option<&'s str>,
    /// What else it may be purged by.
    pub tags: &'s [Box<str>],
    /// The latest purge known when its call began (see [`super::purges`]).
    pub generation: u64,
}

/// What something stored is worth to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Serve it.
    Fresh,
    /// Serve it, and fetch a new one.
    Revalidate,
    /// Keep it at hand in case the provider fails.
    IfError,
    /// Not for this request.
    Unusable,
}
