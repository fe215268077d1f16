//! The notes of one request, from its arrival until they are settled, exactly once.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode};
use tokio::time::Instant;

use crate::config::rule::Tags;
use crate::error::ApiError;
use crate::io::upstream::UpstreamError;
use crate::request::ApiRequest;
use crate::request::endpoint::Endpoint;
use crate::request::key::CacheKey;
use crate::response::Body;
use crate::response::headers::{RATE_LIMIT, RATE_LIMIT_POLICY};
use crate::response::price::Cost;
use crate::response::unresumed::Unresumed;
use crate::response::usage::Usage;

/// How a request was served: the `outcome` label of `pareto_requests_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// From the cache, fresh.
    Hit,
    /// From the cache, past its lifetime.
    Stale,
    /// By a call that another request had under way.
    Collapsed,
    /// In part from stored or shared vectors, the rest by a call of its own.
    Partial,
    /// By a call of its own.
    Miss,
    /// By a call of its own, past the cache: the client or the request's nature asked for it.
    Bypass,
    /// Not: a limit or a budget had no room.
    Limited,
    /// By a rule, without the provider.
    Rule,
    /// Not: pareto or the provider failed.
    Error,
}

impl Outcome {
    /// Every outcome, in the order of the variants: `ALL[o as usize] == o`.
    pub const ALL: [Self; 9] = [
        Self::Hit,
        Self::Stale,
        Self::Collapsed,
        Self::Partial,
        Self::Miss,
        Self::Bypass,
        Self::Limited,
        Self::Rule,
        Self::Error,
    ];

    /// The name used in metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Stale => "stale",
            Self::Collapsed => "collapsed",
            Self::Partial => "partial",
            Self::Miss => "miss",
            Self::Bypass => "bypass",
            Self::Limited => "limited",
            Self::Rule => "rule",
            Self::Error => "error",
        }
    }
}

/// A feature that would have saved this call, had it not only been observing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observed {
    /// The cache held the answer.
    Cache,
    /// A flight was under way.
    Coalesce,
    /// A rule had the answer.
    Rules,
    /// Its inputs would have gone in another's call.
    Batch,
}

/// Where the vectors of an embedding request came from, counted over its inputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Embedded {
    /// From the store.
    pub stored: Share,
    /// By calls that other requests had under way.
    pub shared: Share,
    /// By calls that carried this request's own inputs.
    pub sent: Share,
    /// All of its own inputs went in calls that other requests made.
    pub merged: bool,
}

/// Some inputs of an embedding request and what they consumed, once or now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// How many.
    pub inputs: u64,
    /// Their tokens, where known.
    pub tokens: u64,
    /// Their price, where known.
    pub cost: Cost,
}

impl Embedded {
    /// All inputs.
    pub fn inputs(&self) -> u64 {
        self.known() + self.sent.inputs
    }

    /// The inputs that this request did not send.
    pub fn known(&self) -> u64 {
        self.stored.inputs + self.shared.inputs
    }
}

/// What a response says of the limits its request fell under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitFields {
    /// `RateLimit-Policy`
    pub policy: HeaderValue,
    /// `RateLimit`
    pub limit: HeaderValue,
}

/// The same of the limits that count an attempt, once it is known which that is; its flight says so.
pub type Told = Arc<OnceLock<LimitFields>>;

impl LimitFields {
    /// Both as one: the fields are lists.
    fn and(self, other: &Self) -> Self {
        let list = |one: &HeaderValue, other: &HeaderValue| {
            HeaderValue::from_bytes(&[one.as_bytes(), b", ", other.as_bytes()].concat()).ok()
        };
        let policy = list(&self.policy, &other.policy).unwrap_or(self.policy);
        Self { limit: list(&self.limit, &other.limit).unwrap_or(self.limit), policy }
    }
}

/// What is noted as the status where the client left before there was one (nginx's convention).
const LEFT: StatusCode = match StatusCode::from_u16(499) {
    Ok(status) => status,
    Err(_) => StatusCode::REQUEST_TIMEOUT,
};

/// What is noted of one request to an understood endpoint.
#[derive(Debug)]
pub struct Exchange {
    /// When its body had been read.
    pub started: Instant,
    /// Which call it is.
    pub endpoint: Endpoint,
    /// Who asked.
    pub tenant: Box<str>,
    /// The model asked for.
    pub model: Option<Box<str>>,
    /// The provider that answers, or answered when the answer was stored.
    pub provider: Option<Arc<str>>,
    /// The client wants events.
    pub stream: bool,
    /// The client's own count of earlier tries.
    pub retries: u32,
    /// How it was served.
    pub outcome: Outcome,
    /// The status sent.
    pub status: StatusCode,
    /// From `started` until there was something to send.
    pub first_byte: Duration,
    /// The part of it spent waiting for the provider.
    pub upstream: Duration,
    /// What the answer consumed, once or now.
    pub usage: Option<Usage>,
    /// What the answer cost to fetch; for a hit or a shared call, what was saved.
    pub cost: Option<Cost>,
    /// How often the answer broke off and went on elsewhere.
    pub resumed: u32,
    /// Why a stream that broke off did not go on elsewhere.
    pub unresumed: Option<Unresumed>,
    /// What a feature that only observes would have done.
    pub observed: Option<Observed>,
    /// Where the vectors came from, for an embedding request answered input by input.
    pub embedded: Option<Embedded>,
    /// What finds the answer.
    pub key: Option<CacheKey>,
    /// What is said of the limits it fell under.
    pub limits: Option<Box<LimitFields>>,
    /// The same of those that count the attempt which answers.
    pub told: Option<Told>,
    /// The rule that decided.
    pub rule: Option<Arc<str>>,
    /// What it marked this request with.
    pub tags: Option<Tags>,
    /// The client hung up, or was cut off, before the end.
    pub cut: bool,
}

impl Exchange {
    /// Opens the notes of a request.
    pub fn open(request: &ApiRequest, now: Instant) -> Self {
        Self {
            started: now,
            endpoint: request.endpoint,
            tenant: request.identity.tenant.clone(),
            model: request.model().map(Box::from),
            provider: None,
            stream: request.wants_stream(),
            retries: request.retries,
            outcome: Outcome::Miss,
            status: LEFT,
            first_byte: Duration::ZERO,
            upstream: Duration::ZERO,
            usage: None,
            cost: None,
            resumed: 0,
            unresumed: None,
            observed: None,
            embedded: None,
            key: None,
            limits: None,
            told: None,
            rule: None,
            tags: None,
            cut: true,
        }
    }

    /// Says in `headers` how the limits stand that the request fell under.
    pub fn tell_limits(&mut self, headers: &mut HeaderMap) {
        let told = self.told.take().and_then(|told| told.get().cloned());
        let fields = match (self.limits.take(), told) {
            (Some(own), Some(told)) => Some(own.and(&told)),
            (own, told) => own.map(|own| *own).or(told),
        };
        if let Some(fields) = fields {
            headers.insert(RATE_LIMIT_POLICY, fields.policy);
            headers.insert(RATE_LIMIT, fields.limit);
        }
    }

    /// What pareto itself added before there was something to send.
    pub fn added(&self) -> Duration {
        self.first_byte.saturating_sub(self.upstream)
    }
}

/// What is noted of one attempt, whoever shares its answer.
#[derive(Debug)]
pub struct Flown {
    /// When it was sent.
    pub started: Instant,
    /// Who was asked.
    pub provider: Arc<str>,
    /// Which call it is.
    pub endpoint: Endpoint,
    /// Whose request made it.
    pub tenant: Box<str>,
    /// The model asked for.
    pub model: Option<Box<str>>,
    /// The model that answered.
    pub answered: Option<Box<str>>,
    /// The provider's status, where it gave one.
    pub status: Option<StatusCode>,
    /// How it ended: `ok`, `refused`, `broken`, `abandoned`, `outrun`, `error_in_answer` or a fault's
    /// name.
    pub result: &'static str,
    /// Whether the provider may charge for it; else it was safe to send again.
    pub billed: bool,
    /// What it consumed.
    pub usage: Option<Usage>,
    /// What that costs.
    pub cost: Option<Cost>,
    /// Its cost is divided among those who share it, and counted when that is done.
    pub shared: bool,
}

impl Flown {
    /// The result of a call that has not ended.
    pub const UNDER_WAY: &'static str = "under_way";

    /// A call that is being sent.
    pub fn new(
        provider: Arc<str>,
        endpoint: Endpoint,
        tenant: Box<str>,
        model: Option<Box<str>>,
        now: Instant,
    ) -> Self {
        Self {
            started: now,
            provider,
            endpoint,
            tenant,
            model,
            answered: None,
            status: None,
            result: Self::UNDER_WAY,
            billed: true,
            usage: None,
            cost: None,
            shared: false,
        }
    }

    /// Notes a failure and says it to the client.
    pub fn failed(&mut self, error: &UpstreamError) -> ApiError {
        self.result = error.fault.name();
        ApiError::upstream(&self.provider, error)
    }
}

/// Whoever keeps the books.
pub trait Settle: Send + Sync {
    /// Takes the notes of a request that has ended.
    fn settle(&self, exchange: &Exchange);
}

/// A response on its way to a client: its head, its body, and what is told of it at its end.
pub struct ApiResponse {
    /// The status.
    pub status: StatusCode,
    /// All headers but the framing ones.
    pub headers: HeaderMap,
    /// The body.
    pub body: Body,
    /// The notes of this request, settled once the response ends or is dropped.
    pub exchange: Settling,
}

/// Notes that settle themselves when the response ends, however it ends.
pub struct Settling {
    /// The notes.
    pub exchange: Exchange,
    books: Arc<dyn Settle>,
}

impl Settling {
    /// Notes that `books` will get.
    pub fn new(exchange: Exchange, books: Arc<dyn Settle>) -> Self {
        Self { exchange, books }
    }
}

impl Drop for Settling {
    fn drop(&mut self) {
        self.books.settle(&self.exchange);
    }
}
