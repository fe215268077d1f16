//! The pipeline: what happens to one understood request. Open this first.

mod admission;
pub mod alerts;
mod allowance;
mod attempt;
pub mod build;
mod decide;
mod embed;
mod events;
pub mod explain;
mod fare;
mod fly;
mod head;
mod hedge;
mod instead;
mod leg;
mod lookup;
mod metering;
mod opening;
mod passengers;
mod record;
mod respond;
mod resume;
mod ruling;
mod sharing;
pub mod storage;
mod translate;
mod travel;

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::request::Parts;
use parking_lot::Mutex;
use tokio::sync::mpsc::Receiver;
use tokio::time::Instant;

use crate::cache::Cache;
use crate::cache::tiers::Tiers;
use crate::coalesce::Flights;
use crate::coalesce::shared::SharedFlights;
use crate::config::Config;
use crate::embedding::stored::Vector;
use crate::error::ApiError;
use crate::exchange::{ApiResponse, Exchange, Settle, Settling};
use crate::io::Io;
use crate::limits::Limits;
use crate::limits::alert::Alarm;
use crate::request::cache_control::CacheControl;
use crate::request::endpoint::Endpoint;
use crate::request::identity::{Identity, Secret};
use crate::request::memo::Memo;
use crate::request::{ApiRequest, facts::Facts};
use crate::response::price::{Cost, PriceTable};
use crate::response::usage::Usage;
use crate::route::health::Healths;
use crate::route::sticky::Makers;
use crate::route::{Account, Router, family};
use crate::rules::Rules;
use crate::rules::burst::Bursts;
use crate::rules::seen::Seen;
use crate::rules::stores::Stores;
use crate::telemetry::Telemetry;
use admission::Admission;
use head::Served;
use ruling::{Overrides, Ruled, Waiter};

pub use passengers::Terms;
pub use ruling::{Refusal, Waiter as BurstWaiter};

/// Bodies above this many bytes are read on a thread of their own: a megabyte takes about half a
/// millisecond, which other streams should not wait for.
const READ_ASIDE: usize = 256 * 1024;

/// The media types whose parts are files rather than JSON.
const MULTIPART: &[u8] = b"multipart/";

/// What outlives a reload: stored answers, flights, counts and the secret that keys them.
pub struct Kept {
    /// The stored answers.
    pub cache: Cache,
    /// The stored vectors.
    pub vectors: Cache<Vector>,
    /// What holds both, and what is below them.
    pub tiers: Arc<Tiers>,
    /// The calls under way.
    pub flights: Arc<Flights<Terms>>,
    /// The inputs being embedded.
    fetching: embed::Fetching,
    /// The inputs being looked for below the memory.
    looking: embed::Looking,
    /// The facts of recent bodies.
    pub memo: Memo,
    /// What is counted of limits, and who waits for them.
    pub limits: Arc<Limits>,
    /// What is to be told of budgets, until somebody takes it.
    pub alarms: Mutex<Option<Receiver<Alarm>>>,
    /// What is known of the targets of routes.
    pub healths: Healths,
    /// The requests that wait for a later one of their conversation.
    pub bursts: Bursts<Waiter>,
    /// How many files vector stores have.
    pub stores: Arc<Stores>,
    /// What searches of them have found.
    pub seen: Arc<Seen>,
    /// Until when nothing is embedded for rules: it took too long.
    embedding_rests: Mutex<Option<Instant>>,
    /// Which provider made what requests refer to.
    pub makers: Makers,
    /// The counts.
    pub telemetry: Arc<Telemetry>,
    /// The calls shared with other sidecars, where there is a Redis.
    pub shared: Option<Arc<SharedFlights>>,
    /// Keys every digest of this installation.
    pub secret: Arc<ArcSwap<Secret>>,
    /// Keys the names that limits count by: as the secret was at the start, for counts go on under one.
    subjects: u64,
}

/// One generation of the configuration, at work.
pub struct Gateway {
    /// The settings it was built from.
    pub config: Config,
    io: Io,
    router: Router,
    prices: PriceTable,
    /// `None` where nothing is limited.
    admission: Option<Admission>,
    groups: embed::Groups,
    rules: Option<Arc<Rules>>,
    kept: Arc<Kept>,
}

impl Gateway {
    /// Which understood endpoint a request is for, told before its body is touched; `None` passes
    /// it through as it is. A body we could not read anyway (not JSON by its type, or compressed)
    /// is not ours either.
    pub fn understands(&self, head: &Parts) -> Option<Endpoint> {
        let endpoint = Endpoint::of(&head.method, head.uri.path())?;
        let header = |name| head.headers.get(name).map(http::HeaderValue::as_bytes);
        let plain = header(http::header::CONTENT_ENCODING)
            .is_none_or(|coding| coding.eq_ignore_ascii_case(b"identity"));
        let json = header(http::header::CONTENT_TYPE).is_none_or(|kind| {
            !kind.get(..MULTIPART.len()).is_some_and(|start| start.eq_ignore_ascii_case(MULTIPART))
        });
        // Without `alt=sse` Gemini streams one JSON array, which is neither a body nor events.
        let array = head.uri.path().ends_with(":streamGenerateContent")
            && !head.uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "alt=sse"));
        (plain && json && !array).then_some(endpoint)
    }

    /// An understood request, its body read.
    pub async fn request<'h>(&self, endpoint: Endpoint, head: &'h Parts, body: Bytes) -> ApiRequest<'h> {
        let facts = self.facts(endpoint, &body).await;
        let retries = head.headers.get("x-stainless-retry-count");
        ApiRequest {
            endpoint,
            head,
            facts,
            body,
            identity: Identity::of(head, &self.config.tenants.identify, &self.kept.secret.load()),
            control: CacheControl::of(&head.headers),
            retries: retries.and_then(|count| count.to_str().ok()?.parse().ok()).unwrap_or(0),
        }
    }

    async fn facts(&self, endpoint: Endpoint, body: &Bytes) -> Arc<Facts> {
        if body.len() <= READ_ASIDE {
            return self.kept.memo.facts(endpoint, body);
        }
        let body = body.clone();
        let read = tokio::task::spawn_blocking(move || Arc::new(Facts::read(endpoint, &body))).await;
        read.unwrap_or_else(|_| Arc::new(Facts::read(endpoint, b"")))
    }

    /// Serves one understood request. Every feature is a step here; read this first.
    pub async fn serve(self: &Arc<Self>, request: ApiRequest<'_>) -> ApiResponse {
        let exchange = Exchange::open(&request, self.io.clock.now());
        let mut settling = Settling::new(exchange, self.books());
        let exchange = &mut settling.exchange;
        let ruled = match &self.rules {
            Some(rules) => self.rule(rules, &request, exchange).await,
            None => Ruled::default(),
        };
        let rewritten = ruled.rewritten.as_ref().map(|rewritten| rewritten.of(&request));
        let request = rewritten.as_ref().unwrap_or(&request);
        let served = match (&ruled.verdict, &ruled.burst) {
            (Some(verdict), _) => self.pronounce(verdict, request, exchange),
            (None, Some(bursting)) => {
                Box::pin(self.merged(bursting, request, ruled.overrides.clone(), exchange)).await
            }
            (None, None) => self.go(request, ruled.overrides.clone(), exchange).await,
        };
        if let (Ok(served), Some(model)) = (&served, &ruled.learns) {
            self.learn(model, request, served);
        }
        let served = match (served, ruled.min_score) {
            (Ok(served), Some(least)) => Box::pin(self.floored(served, least)).await,
            (served, _) => served,
        };
        match served {
            Ok(served) => self.finish(served, settling),
            Err(error) => self.refuse(&error, settling),
        }
    }

    /// Decides about a request that the rules let go on, and answers it.
    async fn go(
        self: &Arc<Self>,
        request: &ApiRequest<'_>,
        overrides: Overrides,
        exchange: &mut Exchange,
    ) -> Result<Served, ApiError> {
        let decision = self.decide(request, overrides)?;
        match self.embed(request, &decision, exchange).await {
            Some(embedded) => embedded,
            None => self.respond(request, &decision, exchange).await,
        }
    }

    /// What an answer cost: by the model that answered, else by the one asked for.
    fn price(&self, asked: Option<&str>, answered: Option<&str>, usage: Option<Usage>) -> Option<Cost> {
        let usage = usage?;
        let by = |model: Option<&str>| self.prices.cost(model?, &usage);
        by(answered).or_else(|| by(asked))
    }

    /// Who keeps the books.
    fn books(&self) -> Arc<dyn Settle> {
        self.kept.telemetry.clone()
    }

    /// The provider of a request that passes through unread: who made what its path is about, else the
    /// one of its language.
    pub fn passes_to(&self, path: &str) -> Option<&Arc<Account>> {
        let maker = if self.router.chooses() { self.kept.makers.of_path(path) } else { None };
        maker.and_then(|maker| self.router.named(&maker)).or_else(|| self.router.account(family(path)))
    }

    /// Where requests go.
    pub fn router(&self) -> &Router {
        &self.router
    }

    /// How many embedding requests wait for a call to take off.
    pub fn gathering(&self) -> usize {
        self.groups.waiting()
    }

    /// What outlives this generation.
    pub fn kept(&self) -> &Arc<Kept> {
        &self.kept
    }
}
