//! Where a request goes: the route of its model, the targets of the route in the order they are asked,
//! the path and the headers it is sent with.

pub mod allowance;
pub mod balance;
pub mod breaker;
pub mod capability;
pub mod condition;
pub mod course;
pub mod health;
pub mod latency;
pub mod needs;
pub mod outbound;
pub mod shared;
pub mod sticky;
pub mod target;
pub mod verdict;
pub mod word;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::glob::Glob;
use crate::config::route::{Balance, Hedge, Retries, Route as Written};
use crate::config::{Config, Dialect, Provider};
use crate::request::endpoint::{Endpoint, Family};
use balance::Balancer;
use course::Course;
use health::Healths;
use needs::Needs;
pub use target::{Account, Asking, Target};

/// Attempts that several keys of one provider are worth where no route says.
const KEY_ATTEMPTS: u32 = 3;

/// The providers and routes of one generation.
pub struct Router {
    accounts: Vec<Arc<Account>>,
    /// For each of `accounts`, the route that leads to it alone.
    plain: Vec<Arc<Route>>,
    routes: Vec<Arc<Route>>,
    mixed: bool,
}

/// One route: who can be asked, and how often.
pub struct Route {
    /// Its name; of a route that the file does not have, the provider's.
    pub name: Arc<str>,
    /// What tells its answers from those of every other route.
    pub id: Box<str>,
    /// Who can be asked: first those that share the requests, then the fallbacks in order.
    pub targets: Vec<Arc<Target>>,
    /// When a failed attempt is followed by another.
    pub retries: Retries,
    /// When a second attempt is sent beside the first.
    pub hedge: Option<Hedge>,
    /// Whether a stream that breaks off goes on at a target that can.
    pub resume: bool,
    /// For all attempts together.
    pub total: Duration,
    /// It stands in the file: failures are judged, answers held back until they are proved.
    pub written: bool,
    models: Vec<Glob>,
    /// How many of `targets` share the requests.
    sharing: usize,
    balancer: Balancer,
}

/// Why no target of a route can serve a request as asked: each target and what it lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unservable(pub Vec<(Box<str>, Cow<'static, str>)>);

/// Who of a route's targets can serve a request, by their places in it.
#[derive(Debug, PartialEq, Eq)]
pub struct Order {
    /// Those that can, in the order in which they are asked.
    pub able: Vec<usize>,
    /// Those that cannot, and what each lacks.
    pub skipped: Vec<(usize, Cow<'static, str>)>,
}

impl Router {
    /// The providers and routes of the file. What is known of their targets is in `healths`.
    pub fn new(config: &Config, healths: &Healths, now: Instant) -> Self {
        let accounts: Vec<_> = config.providers.iter().map(Account::new).map(Arc::new).collect();
        let plain = accounts.iter().map(|account| Arc::new(Route::plain(account, healths, now))).collect();
        let route = |written| Arc::new(Route::new(written, &config.providers, healths, now));
        let first = config.providers.first().map(|provider| provider.dialect);
        let other = |provider: &Provider| {
            Some(provider.dialect) != first || provider.translate || !provider.responses
        };
        let mixed = config.providers.iter().any(other);
        let router = Self { plain, routes: config.routes.iter().map(route).collect(), accounts, mixed };
        healths.sweep();
        router
    }

    /// The provider of what passes through unread: the first that speaks the path's language, else the
    /// first.
    pub fn account(&self, family: Family) -> Option<&Arc<Account>> {
        self.accounts.get(self.place(family))
    }

    /// The route of a request: the first of the file that is for its model, else the one to the
    /// provider of its language. `None` where there is no provider.
    pub fn route(&self, family: Family, model: Option<&str>) -> Option<&Arc<Route>> {
        let fits = |route: &&Arc<Route>| {
            model.is_some_and(|model| route.models.iter().any(|glob| glob.matches_any_case(model)))
        };
        self.routes.iter().find(fits).or_else(|| self.plain.get(self.place(family)))
    }

    /// Whether some providers speak other APIs than others: then an answer of one may come to another with
    /// the conversation it became a part of.
    pub fn is_mixed(&self) -> bool {
        self.mixed
    }

    /// The provider of this name.
    pub fn named(&self, provider: &str) -> Option<&Arc<Account>> {
        self.accounts.iter().find(|account| *account.name == *provider)
    }

    /// The route to this provider alone.
    pub fn only(&self, provider: &str) -> Option<&Arc<Route>> {
        self.plain.iter().find(|route| *route.name == *provider)
    }

    /// Whether there is more than one provider to choose from.
    pub fn chooses(&self) -> bool {
        !self.routes.is_empty() && self.accounts.len() > 1
    }

    /// The routes of the file, in order.
    pub fn routes(&self) -> &[Arc<Route>] {
        &self.routes
    }

    /// The routes to each provider alone, in order.
    pub fn direct(&self) -> &[Arc<Route>] {
        &self.plain
    }

    /// The worst breaker of each provider that has any: 0 closed, 1 half-open, 2 open.
    pub fn breakers(&self, now: Instant) -> Vec<(String, i64)> {
        let mut worst: Vec<(String, i64)> = Vec::new();
        for target in self.routes.iter().chain(&self.plain).flat_map(|route| &route.targets) {
            for slot in target.slots() {
                let state = slot.shown(now).state.value();
                match worst.iter_mut().find(|(provider, _)| **provider == *target.account.name) {
                    Some((_, shown)) => *shown = state.max(*shown),
                    None => worst.push((target.account.name.to_string(), state)),
                }
            }
        }
        worst
    }

    fn place(&self, family: Family) -> usize {
        let dialect = dialect(family);
        self.accounts.iter().position(|account| account.provider.dialect == dialect).unwrap_or(0)
    }
}

/// What tells which targets of a route serve a request, and which of them is asked first.
pub struct Criteria<'r> {
    /// Why a target cannot be asked in its dialect, where it cannot.
    pub obstacle: &'r dyn Fn(&Target) -> Option<Cow<'static, str>>,
    /// What a target would charge, in picodollars, where that is known.
    pub price: &'r dyn Fn(&Target) -> Option<u64>,
    /// When it is asked.
    pub now: Instant,
}

impl Route {
    /// The route to one provider.
    fn plain(account: &Arc<Account>, healths: &Healths, now: Instant) -> Self {
        let keys = u32::try_from(account.provider.keys.len()).unwrap_or(u32::MAX);
        let no_wait = Duration::ZERO;
        Self {
            name: account.name.clone(),
            id: account.id.clone(),
            targets: vec![Arc::new(Target::plain(account.clone(), healths, now))],
            retries: Retries { attempts: keys.clamp(1, KEY_ATTEMPTS), base: no_wait, max: no_wait },
            hedge: None,
            resume: false,
            total: account.provider.timeouts.total,
            written: false,
            models: Vec::new(),
            sharing: 1,
            balancer: Balancer::new(Balance::Weighted, 1),
        }
    }

    /// A route of the file.
    fn new(written: &Written, providers: &[Provider], healths: &Healths, now: Instant) -> Self {
        let all = written.targets.iter().chain(&written.fallbacks);
        let targets: Vec<_> = all
            .filter_map(|target| Some((target, providers.get(target.provider)?)))
            .map(|(target, provider)| Arc::new(Target::new(target, provider, healths, now)))
            .collect();
        let ids: Vec<_> = targets.iter().map(|target| target.id()).collect();
        Self {
            name: written.name.as_str().into(),
            id: format!("route {}", ids.join(" | ")).into_boxed_str(),
            retries: written.retries,
            hedge: written.hedge,
            resume: written.resume,
            total: targets
                .iter()
                .map(|target| target.account.provider.timeouts.total)
                .max()
                .unwrap_or_default(),
            written: true,
            models: written.models.clone(),
            sharing: written.targets.len(),
            balancer: Balancer::new(written.balance, written.targets.len()),
            targets,
        }
    }

    /// Whether the target at this place is asked only once those that share the requests have failed.
    pub fn is_fallback(&self, place: usize) -> bool {
        place >= self.sharing
    }

    /// How one of the targets that share the requests is chosen.
    pub fn balance(&self) -> Balance {
        self.balancer.balance()
    }

    /// Whether more than one attempt may be made for a request.
    pub fn has_choice(&self) -> bool {
        self.retries.attempts > 1 || self.targets.len() > 1
    }

    /// The target by whose model embeddings are answered: the first that is asked in the words of the
    /// endpoint. Of the others only those are asked that have the same one, for vectors of two models
    /// cannot be compared.
    pub fn embedder(&self, endpoint: Endpoint) -> &Target {
        self.targets.iter().find(|target| same_language(endpoint, target)).unwrap_or(&self.targets[0])
    }

    /// Whether it leads to this provider.
    pub fn leads_to(&self, provider: &str) -> bool {
        self.targets.iter().any(|target| *target.account.name == *provider)
    }

    /// Who would be asked for a request now, as [`plot`](Self::plot) would have it. Nobody's turn is taken.
    pub fn preview(&self, needs: &Needs, criteria: &Criteria) -> Order {
        self.order(&self.balancer.copied(), needs, criteria)
    }

    /// The course of one request.
    ///
    /// # Errors
    /// No target can serve the request as asked.
    pub fn plot(
        self: &Arc<Self>,
        needs: impl FnOnce() -> Needs,
        criteria: &Criteria,
    ) -> Result<Course, Unservable> {
        if !self.written {
            return Ok(Course::single(self.clone()));
        }
        let Order { able, skipped } = self.order(&self.balancer, &needs(), criteria);
        if able.is_empty() {
            let named = skipped.into_iter().map(|(at, reason)| (self.targets[at].name.clone(), reason));
            return Err(Unservable(named.collect()));
        }
        Ok(Course::over(self.clone(), able.into_iter()))
    }

    fn order(&self, balancer: &Balancer, needs: &Needs, criteria: &Criteria) -> Order {
        let Criteria { obstacle, price, now } = *criteria;
        let mut skipped = Vec::new();
        let mut able = Vec::with_capacity(self.targets.len());
        for (at, target) in self.targets.iter().enumerate() {
            // What its words lack names the field.
            match obstacle(target).or_else(|| target.takes.lacks(needs).map(Cow::Borrowed)) {
                Some(reason) => skipped.push((at, reason)),
                None => able.push(at),
            }
        }
        let sharing = able.iter().filter(|at| **at < self.sharing).count();
        let (sharing, _) = able.split_at_mut(sharing);
        // What may not be asked now takes no turn from those that may.
        let ready = |at: &usize| self.targets[*at].would_admit(now).is_ok();
        sharing.sort_by_key(|at| !ready(at));
        let open = sharing.iter().filter(|at| ready(at)).count();
        balancer.sort(&mut sharing[..open], &self.targets, now, price);
        Order { able, skipped }
    }
}

/// Whether a target's provider is asked in the words of the endpoint, as it is.
pub fn same_language(endpoint: Endpoint, target: &Target) -> bool {
    dialect(endpoint.family()) == target.account.provider.dialect
}

const fn dialect(family: Family) -> Dialect {
    match family {
        Family::OpenAi => Dialect::Openai,
        Family::Anthropic => Dialect::Anthropic,
        Family::Gemini => Dialect::Gemini,
    }
}

/// The language of any path, understood or not.
pub fn family(path: &str) -> Family {
    let under =
        |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if under("/v1/messages") {
        Family::Anthropic
    } else if under("/v1beta") || Endpoint::is_gemini_path(path) {
        Family::Gemini
    } else {
        Family::OpenAi
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_tells_its_language() {
        assert_eq!(family("/v1/messages"), Family::Anthropic);
        assert_eq!(family("/v1/messages/batches"), Family::Anthropic);
        assert_eq!(family("/v1/messagesque"), Family::OpenAi);
        assert_eq!(family("/v1beta/models"), Family::Gemini);
        assert_eq!(family("/v1/models/gemini-x:countTokens"), Family::Gemini);
        assert_eq!(family("/v1/models/gpt-4o"), Family::OpenAi);
        assert_eq!(family("/v1/models/ft:gpt-4o:org::1"), Family::OpenAi);
    }
}
