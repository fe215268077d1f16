//! A request's plan: what applies to it, decided once.

use std::sync::Arc;
use std::time::Duration;

use super::Gateway;
use crate::config::Mode;
use crate::error::ApiError;
use crate::request::ApiRequest;
use crate::request::endpoint::Endpoint;
use crate::request::key::CacheKey;
use crate::request::plan::{CachePlan, Plan};
use crate::route::Route;
use crate::text::Folding;

/// What is done with one request, and who is asked.
#[derive(Clone)]
pub(super) struct Decision {
    pub(super) plan: Plan,
    /// A spent budget has already sent this request to another model than it asked for.
    pub(super) instead: bool,
    pub(super) route: Arc<Route>,
}

impl Gateway {
    /// What is done with `request`.
    ///
    /// # Errors
    /// There is nobody to ask.
    pub(super) fn decide(&self, request: &ApiRequest) -> Result<Decision, ApiError> {
        let route = self
            .router
            .route(request.endpoint.family(), request.model())
            .ok_or_else(|| ApiError::unavailable("No provider is configured. Add one under `providers`."))?
            .clone();
        let tenant = xxhash_rust::xxh3::xxh3_64(request.identity.tenant.as_bytes());
        let (cache_mode, coalesce) =
            (self.config.features.cache.mode(tenant), self.config.features.coalesce.mode(tenant));
        let control = request.control;
        let bypass = request.facts.private.or(control.no_store.then_some("no-store"));
        let wanted = bypass.is_none() && (cache_mode != Mode::Skip || coalesce != Mode::Skip);
        let share = self.config.cache.share;
        let folding = self.folding(cache_mode, coalesce);
        let plan = Plan {
            key: wanted.then(|| CacheKey::of(request, &route.id, share, folding, &self.kept.secret)),
            cache: self.cache_plan(request, if bypass.is_some() { Mode::Skip } else { cache_mode }),
            // A client that wants a new answer does not want one that was begun before it asked.
            coalesce: if bypass.is_some() || control.no_cache { Mode::Skip } else { coalesce },
            batch: if request.endpoint.embeds() {
                self.config.features.batch.mode(tenant)
            } else {
                Mode::Skip
            },
            bypass,
            failover: self.config.features.failover.mode(tenant),
            hedge: self.config.features.hedge.mode(tenant),
        };
        Ok(Decision { plan, route, instead: false })
    }

    /// By what the user's last message is folded in the key.
    pub(super) fn folding(&self, cache: Mode, coalesce: Mode) -> Folding {
        // A cache that only observes must not make others share the calls of other spellings.
        let folds = cache == Mode::Act || coalesce != Mode::Act;
        if folds { self.config.cache.exact_normalize } else { Folding::default() }
    }

    fn cache_plan(&self, request: &ApiRequest, mode: Mode) -> CachePlan {
        let (control, settings) = (request.control, &self.config.cache);
        let seconds = |value: Option<u64>| value.map(Duration::from_secs);
        let ttl = match request.endpoint {
            Endpoint::VectorStoreSearch => settings.search_ttl,
            endpoint if endpoint.embeds() => settings.embeddings_ttl,
            _ => settings.exact_ttl,
        };
        let on = mode != Mode::Skip && !ttl.is_zero();
        CachePlan {
            mode,
            lookup: on && !control.no_cache,
            store: on,
            ttl,
            max_age: seconds(control.max_age),
            min_fresh: seconds(control.min_fresh).unwrap_or_default(),
            max_stale: seconds(control.max_stale).unwrap_or_default(),
            while_revalidate: settings.stale_while_revalidate,
            if_error: seconds(control.stale_if_error).unwrap_or_default().max(settings.stale_if_error),
            only_if_cached: control.only_if_cached && !control.no_store,
        }
    }
}
