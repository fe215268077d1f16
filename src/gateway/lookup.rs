//! What is stored for a request, and what that means for it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;

use super::Gateway;
use super::head::{Note, Served};
use crate::cache;
use crate::cache::entry::Entry;
use crate::cache::stored::{Freshness, Stored};
use crate::config::Mode;
use crate::exchange::{Exchange, Observed, Outcome};
use crate::request::ApiRequest;
use crate::request::key::CacheKey;
use crate::request::plan::Plan;
use crate::response::Body;
use crate::response::headers::{EVENT_STREAM, JSON};
use crate::response::recording::Form;

/// What a stored answer means for a request.
pub(super) enum Found {
    /// Serve it.
    Now(Served),
    /// Serve it, and fetch a new one meanwhile.
    Revalidate(Served),
    /// Keep it for the case that the provider fails.
    Spare(Bytes, Arc<Entry>),
    Nothing,
}

impl Gateway {
    /// Looks in the cache: in memory, and where that has nothing fresh, in the tiers below it.
    pub(super) async fn look_up(
        &self,
        request: &ApiRequest<'_>,
        plan: &Plan,
        exchange: &mut Exchange,
    ) -> Found {
        let Some(key) = plan.key.filter(|_| plan.cache.lookup) else { return Found::Nothing };
        let mut found = self.kept.cache.find(&key);
        if self.kept.cache.has_lower() && !self.is_fresh(plan, found.as_ref()) {
            let below = self.kept.cache.fetch(key, found.as_ref()).await;
            found = below.filter(|below| found.as_ref().is_none_or(|here| below.is_newer(here))).or(found);
        }
        self.judged(request, plan, exchange, found)
    }

    /// What is in memory by now.
    pub(super) fn stored(&self, request: &ApiRequest, plan: &Plan, exchange: &mut Exchange) -> Found {
        let Some(key) = plan.key.filter(|_| plan.cache.lookup) else { return Found::Nothing };
        self.judged(request, plan, exchange, self.kept.cache.find(&key))
    }

    /// What an entry means for a request.
    fn judged(
        &self,
        request: &ApiRequest,
        plan: &Plan,
        exchange: &mut Exchange,
        found: Option<cache::Found>,
    ) -> Found {
        let Some(cache::Found { entry, tier }) = found else { return Found::Nothing };
        let now = self.io.clock.now();
        let freshness = entry.freshness(&plan.cache, now);
        if freshness == Freshness::Unusable {
            return Found::Nothing;
        }
        let Ok(body) = entry.body(self.view(request)) else { return Found::Nothing };
        if plan.cache.mode == Mode::Observe {
            if freshness != Freshness::IfError {
                exchange.observed = Some(Observed::Cache);
            }
            return Found::Nothing;
        }
        if freshness == Freshness::IfError {
            return Found::Spare(body, entry);
        }
        let outcome = if entry.is_stale(now) { Outcome::Stale } else { Outcome::Hit };
        let served = self.replayed(request, &entry, body, now, tier);
        self.note_replay(exchange, &entry, outcome);
        if freshness == Freshness::Fresh { Found::Now(served) } else { Found::Revalidate(served) }
    }

    pub(super) fn note_replay(&self, exchange: &mut Exchange, entry: &Entry, outcome: Outcome) {
        exchange.outcome = outcome;
        exchange.upstream = Duration::ZERO;
        exchange.provider = Some(entry.provider.clone());
        exchange.usage = entry.usage;
        exchange.cost = entry.cost;
    }

    pub(super) fn replayed(
        &self,
        request: &ApiRequest,
        entry: &Entry,
        body: Bytes,
        now: tokio::time::Instant,
        tier: cache::Tier,
    ) -> Served {
        let mut headers = entry.headers.clone();
        if request.wants_stream() != (entry.form == Form::Events) {
            headers.insert(CONTENT_TYPE, if request.wants_stream() { EVENT_STREAM } else { JSON });
        }
        let ttl = entry.seconds_left(now);
        Served {
            status: entry.status,
            headers,
            body: Body::Whole(body),
            note: Note::Hit { ttl, detail: if entry.is_stale(now) { "stale" } else { tier.name() } },
            age: Some(entry.age(now)),
            model: None,
            attempts: 0,
        }
    }

    /// Whether a fresh answer is stored.
    pub(super) fn has_fresh(&self, plan: &Plan, key: &CacheKey) -> bool {
        let serves = plan.cache.lookup && plan.cache.mode == Mode::Act;
        serves && self.is_fresh(plan, self.kept.cache.find(key).as_ref())
    }

    fn is_fresh(&self, plan: &Plan, found: Option<&cache::Found>) -> bool {
        let now = self.io.clock.now();
        found.is_some_and(|found| found.entry.freshness(&plan.cache, now) == Freshness::Fresh)
    }
}
