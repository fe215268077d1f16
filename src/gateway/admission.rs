//! Admission: which limits a request falls under, what it may take of each, and what becomes of it
//! where one has no room.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::Gateway;
use super::decide::Decision;
use super::metering::Fare;
use crate::config::Mode;
use crate::config::limit::{Limit, Measure, OnExhausted};
use crate::config::quota::Dimension;
use crate::error::ApiError;
use crate::exchange::Exchange;
use crate::json::member_span;
use crate::limits::estimate::Estimate;
use crate::limits::fair::Urgency;
use crate::limits::ledger::{Amounts, Claim, Held, LimitId, Refused, Short, Subject};
use crate::limits::{Ask, Limits};
use crate::request::ApiRequest;
use crate::request::endpoint::Endpoint;
use crate::response::usage::{ServiceTier, Usage};

/// Bodies above this many bytes are estimated on a thread of their own: the tokenizer takes about a
/// millisecond for so much text.
const ESTIMATED_ASIDE: usize = 32 * 1024;

/// Longer values of a dimension are counted by a digest of them.
const LONGEST_VALUE: usize = 128;

/// The limits of one generation.
pub(super) struct Admission {
    rules: Vec<(LimitId, Arc<Limit>)>,
    /// Some limit counts tokens or money, so that requests are estimated.
    metered: bool,
    /// Some limit counts answers that cost nothing.
    hits: bool,
    /// Seeds the digests by which counts are found.
    seed: u64,
}

/// A request that a limit has no room for.
pub(super) enum Turned {
    /// It is refused.
    Away(ApiError),
    /// It may still be answered by what is stored; else it is refused so.
    ToCache(ApiError),
    /// It is sent to this model instead, if that is another.
    ToModel(Box<str>, ApiError),
}

impl Admission {
    /// Puts the limits of a configuration in force; `None` where there are none.
    pub(super) fn new(limits: &[Limit], kept: &Limits, seed: u64) -> Option<Self> {
        let rules = kept.adopt(limits);
        let measures = || limits.iter().flat_map(|limit| &limit.quotas).map(|quota| quota.measure);
        let metered = measures().any(Measure::is_metered);
        let hits = limits.iter().any(|limit| limit.hits_count);
        (!rules.is_empty()).then_some(Self { rules, metered, hits, seed })
    }

    /// What makes up the subject of a limit.
    fn subject<'r>(&self, limit: &Limit, request: &'r ApiRequest, decision: &'r Decision) -> Subject<'r> {
        let name = match limit.per.as_slice() {
            [] => Cow::Borrowed(""),
            [one] => value(one, request, decision),
            many => {
                let values: Vec<_> = many.iter().map(|one| value(one, request, decision)).collect();
                Cow::Owned(values.join(Subject::BETWEEN.encode_utf8(&mut [0; 4])))
            }
        };
        Subject::of(name, self.seed)
    }
}

/// The value of one dimension for a request.
fn value<'r>(dimension: &Dimension, request: &'r ApiRequest, decision: &'r Decision) -> Cow<'r, str> {
    let found = match dimension {
        Dimension::Tenant => return Cow::Borrowed(&request.identity.tenant),
        Dimension::Credential => return Cow::Owned(request.credential().full_name()),
        Dimension::Provider => return Cow::Borrowed(&decision.route.targets[0].account.name),
        Dimension::Endpoint => return Cow::Borrowed(request.endpoint.name()),
        Dimension::Model => Cow::Borrowed(request.model().unwrap_or_default()),
        Dimension::Header(name) => {
            let header = request.head.headers.get(name).and_then(|value| value.to_str().ok());
            Cow::Borrowed(header.map(str::trim).unwrap_or_default())
        }
        Dimension::User => {
            let span = member_span(&request.body, "user");
            let user = span.and_then(|span| serde_json::from_slice::<String>(&request.body[span.value]).ok());
            Cow::Owned(user.unwrap_or_default())
        }
    };
    if found.len() > LONGEST_VALUE {
        return Cow::Owned(format!("long-{}", &blake3::hash(found.as_bytes()).to_hex()[..32]));
    }
    if found.contains(Subject::BETWEEN) {
        return Cow::Owned(found.replace(Subject::BETWEEN, " "));
    }
    found
}

/// `u` of RFC 9218's `Priority`.
fn urgency(request: &ApiRequest) -> Urgency {
    let header = request.head.headers.get("priority").and_then(|value| value.to_str().ok());
    let members = header.into_iter().flat_map(|value| value.split(','));
    let u = members.filter_map(|member| member.trim().strip_prefix("u=")?.trim().parse().ok()).next_back();
    u.filter(|u| *u <= 7).map_or_else(Urgency::default, Urgency)
}

/// Whether an endpoint's answers have output tokens.
fn generates(endpoint: Endpoint) -> bool {
    use Endpoint::{Chat, Completions, Generate, Messages, Responses};
    matches!(endpoint, Chat | Completions | Responses | Messages | Generate)
}

impl Gateway {
    /// Lets `request` through its limits, after waiting where they say so. `None` where none applies,
    /// or limits are only observed.
    ///
    /// # Errors
    /// What becomes of it instead.
    pub(super) async fn admit(
        &self,
        request: &ApiRequest<'_>,
        decision: &Decision,
        exchange: &mut Exchange,
    ) -> Result<Option<Fare>, Turned> {
        let Some((admission, mode)) = self.admission(request) else { return Ok(None) };
        let estimate = self.estimate(admission, request).await;
        let ask = self.ask(admission, request, decision, estimate.as_ref())?;
        let admitted = match mode {
            Mode::Act => self.kept.limits.admit(&ask).await,
            _ => self.kept.limits.admit_now(&ask).await,
        };
        match admitted {
            Ok(permit) => {
                exchange.limits = super::allowance::fields(&permit.standings());
                Ok(Some(Fare::new(permit, estimate)))
            }
            Err(refused) if mode == Mode::Act => Err(self.turned(admission, &ask, &refused, exchange)),
            Err(Refused::Short(short)) => {
                self.kept.telemetry.metrics.limit_observed.with_label_values(&[&*short.name]).inc();
                Ok(None)
            }
            Err(Refused::Lost) => Ok(None),
        }
    }

    /// As [`Gateway::admit`] for a call that nobody waits for: now or not at all.
    pub(super) async fn admit_unasked(
        &self,
        request: &ApiRequest<'_>,
        decision: &Decision,
    ) -> Result<Option<Fare>, ()> {
        let Some((admission, mode)) = self.admission(request) else { return Ok(None) };
        let estimate = self.estimate(admission, request).await;
        let Ok(ask) = self.ask(admission, request, decision, estimate.as_ref()) else { return Err(()) };
        match self.kept.limits.admit_now(&ask).await {
            Ok(permit) => Ok(Some(Fare::new(permit, estimate))),
            Err(_) if mode == Mode::Act => Err(()),
            Err(_) => Ok(None),
        }
    }

    /// Counts an answer that causes no call with the limits that count those.
    ///
    /// # Errors
    /// One of them has no room for another request.
    pub(super) async fn admit_hit(
        &self,
        request: &ApiRequest<'_>,
        decision: &Decision,
        usage: Option<Usage>,
        exchange: &mut Exchange,
    ) -> Result<(), ApiError> {
        let Some((admission, mode)) = self.admission(request).filter(|(admission, _)| admission.hits) else {
            return Ok(());
        };
        let one = Amounts::NONE.with(Measure::Requests, 1);
        let counting = admission.rules.iter().filter(|(_, limit)| limit.hits_count);
        let claims = counting.map(|(id, limit)| {
            let subject = admission.subject(limit, request, decision);
            Claim { limit: *id, subject, amounts: one }
        });
        let ask =
            Ask { claims: claims.collect(), tenant: &request.identity.tenant, urgency: urgency(request) };
        match self.kept.limits.admit_now(&ask).await {
            Ok(permit) => {
                exchange.limits = super::allowance::fields(&permit.standings());
                let usage = usage.unwrap_or_default();
                permit.count_hit(usage.input, usage.output);
                Ok(())
            }
            Err(refused) if mode == Mode::Act => match self.turned(admission, &ask, &refused, exchange) {
                Turned::Away(error) | Turned::ToCache(error) | Turned::ToModel(_, error) => Err(error),
            },
            Err(_) => Ok(()),
        }
    }

    /// Whether calls need admission.
    pub(super) fn is_limited(&self) -> bool {
        self.admission.is_some()
    }

    fn admission(&self, request: &ApiRequest) -> Option<(&Admission, Mode)> {
        let admission = self.admission.as_ref()?;
        let tenant = xxhash_rust::xxh3::xxh3_64(request.identity.tenant.as_bytes());
        let mode = self.config.features.limits.mode(tenant);
        (mode != Mode::Skip).then_some((admission, mode))
    }

    /// What the body says it may consume, where a limit wants to know.
    async fn estimate(&self, admission: &Admission, request: &ApiRequest<'_>) -> Option<Estimate> {
        if !admission.metered {
            return None;
        }
        let model: Box<str> = request.model().unwrap_or_default().into();
        if request.body.len() <= ESTIMATED_ASIDE {
            return Some(Estimate::of(&model, &request.body));
        }
        let body: Bytes = request.body.clone();
        tokio::task::spawn_blocking(move || Estimate::of(&model, &body)).await.ok()
    }

    /// What a request asks of every limit it falls under.
    fn ask<'r>(
        &self,
        admission: &Admission,
        request: &'r ApiRequest,
        decision: &'r Decision,
        estimate: Option<&Estimate>,
    ) -> Result<Ask<'r>, Turned> {
        let mut claims = Vec::with_capacity(admission.rules.len());
        for (id, limit) in &admission.rules {
            let amounts = self.worst_case(request, limit, estimate).map_err(Turned::Away)?;
            let subject = admission.subject(limit, request, decision);
            claims.push(Claim { limit: *id, subject, amounts });
        }
        Ok(Ask { claims, tenant: &request.identity.tenant, urgency: urgency(request) })
    }

    /// The most a request may take of a limit.
    fn worst_case(
        &self,
        request: &ApiRequest,
        limit: &Limit,
        estimate: Option<&Estimate>,
    ) -> Result<Amounts, ApiError> {
        let one = Amounts::NONE.with(Measure::Requests, 1).with(Measure::Concurrent, 1);
        let (Some(estimate), Some(model)) = (estimate, request.model()) else { return Ok(one) };
        if !limit.quotas.iter().any(|quota| quota.measure.is_metered()) {
            return Ok(one);
        }
        let generates = generates(request.endpoint);
        let output = if generates { estimate.most_output(model, limit.max_output) } else { 0 };
        let priced = limit.quotas.iter().any(|quota| quota.measure == Measure::Usd);
        let tier = member_span(&request.body, "service_tier")
            .and_then(|span| serde_json::from_slice::<&str>(&request.body[span.value]).ok())
            .map_or(ServiceTier::Default, ServiceTier::named);
        let usage = Usage {
            input: estimate.input,
            // Written for an hour is the dearest that an input token can be.
            cache_write_1h: if estimate.caches { estimate.input } else { 0 },
            output,
            tier: if tier == ServiceTier::Priority { tier } else { ServiceTier::Default },
            ..Usage::default()
        };
        let cost = match self.prices.cost(model, &usage) {
            None if priced => return Err(ApiError::unpriced(&limit.name, model)),
            cost => cost.map_or(0, crate::response::price::Cost::pico_usd),
        };
        Ok(Amounts::consumed(estimate.input, output, cost)
            .with(Measure::Requests, 1)
            .with(Measure::Concurrent, 1))
    }

    /// What becomes of a request that a limit has no room for, and what its answer says of the limits.
    fn turned(&self, admission: &Admission, ask: &Ask, refused: &Refused, exchange: &mut Exchange) -> Turned {
        let Refused::Short(short) = refused else {
            return Turned::Away(ApiError::unavailable(
                "What limits count cannot be reached, and `on_ledger_loss: refuse` lets nothing pass without it. Try again.",
            ));
        };
        self.kept.telemetry.metrics.limit_rejections.with_label_values(&[&*short.name]).inc();
        let held: Vec<Held> = ask
            .claims
            .iter()
            .map(|claim| Held {
                limit: claim.limit,
                subject: claim.subject.key,
                amounts: Amounts::NONE,
                reservation: 0,
            })
            .collect();
        exchange.limits = super::allowance::fields(&self.kept.limits.standings(&held));
        let error = refusal(short);
        let limit = ask.claims.get(short.claim).map(|claim| claim.limit);
        let rule = admission.rules.iter().find(|(id, _)| Some(*id) == limit).map(|(_, rule)| rule);
        match rule.filter(|_| short.budget).map(|rule| &rule.on_exhausted) {
            Some(OnExhausted::CacheOnly) => Turned::ToCache(error),
            Some(OnExhausted::Model(model)) => Turned::ToModel(model.as_str().into(), error),
            Some(OnExhausted::Refuse) | None => Turned::Away(error),
        }
    }
}

/// The refusal of a request that a limit has no room for.
fn refusal(short: &Short) -> ApiError {
    let unit = match short.measure {
        Measure::Requests | Measure::Concurrent => "requests",
        Measure::Tokens => "tokens",
        Measure::InputTokens => "input tokens",
        Measure::OutputTokens => "output tokens",
        Measure::Usd => "USD",
    };
    let shown = |amount: u64| match short.measure {
        Measure::Usd => crate::response::price::Cost::from_pico_usd(amount).to_string(),
        _ => amount.to_string(),
    };
    if short.soonest.is_none() {
        let message = format!(
            "This request may take {} {unit}, and the limit `{}` never has more than {} at once. Ask for less output (`max_tokens`), send less, or raise the limit.",
            shown(short.asked),
            short.name,
            shown(short.quota)
        );
        return ApiError::limited(short.budget, message, None);
    }
    let wait = short.likely.max(Duration::from_millis(1));
    let seconds = wait.as_millis().div_ceil(1000);
    let what = if short.measure == Measure::Concurrent { " at the same time" } else { "" };
    let message = format!(
        "The limit `{}` of {} {unit}{what} has no room for this request. Try again in {seconds} s.",
        short.name,
        shown(short.quota)
    );
    ApiError::limited(short.budget, message, Some(wait))
}
