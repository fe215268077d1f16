//! A request's plan: what applies to it, decided once.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::Gateway;
use super::ruling::Overrides;
use crate::config::{Mode, Switch};
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
    /// What a rule said of it.
    pub(super) overrides: Overrides,
    /// The only provider that can be asked: it has made what the request refers to.
    pub(super) pinned: Option<Arc<str>>,
    /// The limits it falls under, by their places, once somebody has asked.
    pub(super) applying: OnceLock<Box<[u32]>>,
}

impl Gateway {
    /// What is done with `request`, where a rule has not said otherwise.
    ///
    /// # Errors
    /// There is nobody to ask.
    pub(super) fn decide(&self, request: &ApiRequest, overrides: Overrides) -> Result<Decision, ApiError> {
        let pinned = self.pinned(request);
        let route = self
            .route(request, overrides.route, pinned.as_deref())
            .ok_or_else(|| ApiError::unavailable("No provider is configured. Add one under `providers`."))?
            .clone();
        let tenant = request.identity.hash();
        let mode = |switch: Switch, off: bool| if off { Mode::Skip } else { switch.mode(tenant) };
        let cache_mode = mode(self.config.features.cache, overrides.cache.off);
        let coalesce = mode(self.config.features.coalesce, overrides.alone);
        let control = request.control;
        let bypass = request.facts.private.or(control.no_store.then_some("no-store"));
        let wanted = bypass.is_none() && (cache_mode != Mode::Skip || coalesce != Mode::Skip);
        let share = self.config.cache.share;
        let folding = self.folding(cache_mode, coalesce, overrides.cache.normalize);
        let plan = Plan {
            key: wanted.then(|| CacheKey::of(request, &route.id, share, folding, &self.kept.secret.load())),
            cache: self.cache_plan(
                request,
                if bypass.is_some() { Mode::Skip } else { cache_mode },
                overrides.cache.ttl,
            ),
            // A client that wants a new answer does not want one that was begun before it asked.
            coalesce: if bypass.is_some() || control.no_cache { Mode::Skip } else { coalesce },
            batch: if request.endpoint.embeds() {
                self.config.features.batch.mode(tenant)
            } else {
                Mode::Skip
            },
            bypass,
            folding,
            failover: self.config.features.failover.mode(tenant),
            hedge: self.config.features.hedge.mode(tenant),
        };
        Ok(Decision { plan, route, pinned, instead: false, overrides, applying: OnceLock::new() })
    }

    fn route(&self, request: &ApiRequest, ruled: Option<usize>, pinned: Option<&str>) -> Option<&Arc<Route>> {
        let ruled = ruled.and_then(|at| self.router.routes().get(at));
        let route = ruled.or_else(|| self.router.route(request.endpoint.family(), request.model()));
        match pinned {
            Some(provider) if !route.is_some_and(|route| route.leads_to(provider)) => {
                self.router.only(provider).or(route)
            }
            _ => route,
        }
    }

    /// The provider that made what `request` refers to. What nobody knows was made by a request that
    /// passed through unread, or before pareto started: by the provider of those.
    fn pinned(&self, request: &ApiRequest) -> Option<Arc<str>> {
        let refers = matches!(request.endpoint, Endpoint::Responses | Endpoint::Chat | Endpoint::Messages);
        if !refers || !self.router.chooses() {
            return None;
        }
        let maker = self.kept.makers.of(&request.body)?;
        let unread = || Some(self.router.account(request.endpoint.family())?.name.clone());
        maker.or_else(unread)
    }

    /// By what the user's last message is folded in the key.
    fn folding(&self, cache: Mode, coalesce: Mode, ruled: Option<Folding>) -> Folding {
        // A cache that only observes must not make others share the calls of other spellings.
        let folds = cache == Mode::Act || coalesce != Mode::Act;
        if folds { ruled.unwrap_or(self.config.cache.exact_normalize) } else { Folding::default() }
    }

    fn cache_plan(&self, request: &ApiRequest, mode: Mode, ruled: Option<Duration>) -> CachePlan {
        let (control, settings) = (request.control, &self.config.cache);
        let seconds = |value: Option<u64>| value.map(Duration::from_secs);
        let ttl = ruled.unwrap_or(match request.endpoint {
            Endpoint::VectorStoreSearch => settings.search_ttl,
            endpoint if endpoint.embeds() => settings.embeddings_ttl,
            _ => settings.exact_ttl,
        });
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
