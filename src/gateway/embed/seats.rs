//! Where each input's vector comes from: the store, a call under way, or a call of this request's own.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::Outcome;
use super::call::Reply;
use super::order::{Order, Piece, body_for};
use super::stored::Known;
use super::toll::Toll;
use crate::cache::Tier;
use crate::config::Mode;
use crate::embedding::input::{Api, Asked, Input};
use crate::embedding::pending::{Duty, Interest, Seat, Ticket};
use crate::embedding::stored::Vector;
use crate::error::ApiError;
use crate::exchange::{Exchange, Observed};
use crate::gateway::Gateway;
use crate::gateway::admission::{Turned, Who};
use crate::gateway::decide::Decision;
use crate::gateway::fare::Fare;
use crate::gateway::respond::{is_failure, judges_caller};
use crate::request::ApiRequest;
use crate::request::key::CacheKey;
use crate::response::usage::Usage;

/// How an input came by its vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// It was stored there.
    Stored(Tier),
    /// Another request was fetching it.
    Shared,
    /// This request fetched it.
    Sent,
}

/// The vectors of a request.
pub(super) struct Found {
    /// For each input asked, where among `vectors` its own is: equal inputs have one.
    pub(super) places: Vec<usize>,
    pub(super) vectors: Vec<(Arc<Vector>, Source)>,
    /// The calls that carried this request's own inputs.
    pub(super) calls: Vec<Arc<Reply>>,
    /// A call of this request's own, whose headers are for it.
    pub(super) led: Option<Arc<Reply>>,
    /// The longest that a provider took for any of them.
    pub(super) upstream: Duration,
    /// What a feature that only observes would have saved.
    pub(super) observed: Option<Observed>,
}

/// Why there are no vectors.
pub(super) enum Unembedded {
    /// What the provider said, for the client to hear.
    AsIs(Arc<Reply>),
    /// An error of ours.
    Failed(ApiError),
}

impl Unembedded {
    /// Whether it is a failure of the provider that an old vector may stand in for.
    fn is_failure(&self) -> bool {
        match self {
            Self::AsIs(reply) => is_failure(reply.head.status),
            Self::Failed(error) => is_failure(error.status),
        }
    }
}

/// A request's inputs, each once.
struct Inputs<'a> {
    places: Vec<usize>,
    distinct: Vec<(CacheKey, &'a Input<'a>)>,
}

/// Those of a request's inputs that are not stored, each with who fetches it.
#[derive(Default)]
struct Seats {
    tickets: Vec<(usize, Ticket<Outcome>, Source)>,
    duties: Vec<(usize, Duty<Outcome>)>,
    /// How many would have been shared.
    unshared: usize,
}

impl<'a> Inputs<'a> {
    fn of(asked: &'a Asked, keys: &[CacheKey]) -> Self {
        let mut known = HashMap::with_capacity(if keys.len() > 1 { keys.len() } else { 0 });
        let (mut places, mut distinct) = (Vec::with_capacity(keys.len()), Vec::with_capacity(keys.len()));
        for (key, input) in keys.iter().zip(&asked.inputs) {
            let place = if keys.len() > 1 { *known.entry(*key).or_insert(distinct.len()) } else { 0 };
            if place == distinct.len() {
                distinct.push((*key, input));
            }
            places.push(place);
        }
        Self { places, distinct }
    }
}

impl Gateway {
    /// The vectors of everything `asked`, found, shared or fetched.
    pub(super) async fn vectors(
        self: &Arc<Self>,
        request: &ApiRequest<'_>,
        decision: &Decision,
        asked: &Asked<'_>,
        keys: &[CacheKey],
        mut exchange: Option<&mut Exchange>,
    ) -> Result<Found, Unembedded> {
        let plan = &decision.plan;
        let Inputs { places, distinct } = Inputs::of(asked, keys);
        let mut known = self.known(request, decision, &distinct).await;
        let mut found = Found {
            places,
            vectors: Vec::new(),
            calls: Vec::new(),
            led: None,
            upstream: Duration::ZERO,
            observed: None,
        };
        if plan.cache.mode == Mode::Observe && plan.cache.lookup {
            found.observed = known.is_whole().then_some(Observed::Cache);
            known = Known::nothing(distinct.len());
        }
        if plan.cache.only_if_cached && !known.is_whole() {
            return Err(Unembedded::Failed(ApiError::not_cached()));
        }
        if known.is_whole() {
            let tokens = known.vectors.iter().flatten().filter_map(|(vector, _)| vector.tokens).sum();
            let usage = Usage { input: tokens, ..Usage::default() };
            self.admit_known(request, decision, Some(usage), exchange.as_deref_mut()).await?;
        } else {
            // What a shared call could not bring, this request fetches by itself, and that is final.
            for share in [plan.coalesce, Mode::Skip] {
                let round = Round { asked, distinct: &distinct, share };
                let vectors = &mut known.vectors;
                let fare = self.admit_inputs(request, decision, &round, vectors, exchange.as_deref_mut());
                let fare = fare.await?;
                match self.fetch_inputs(request, decision, &round, vectors, fare, &mut found).await {
                    Ok(true) => break,
                    Ok(false) => {}
                    Err(failed) if failed.is_failure() && known.make_do() => break,
                    Err(failed) => return Err(failed),
                }
            }
        }
        found.vectors = known.vectors.into_iter().flatten().collect();
        if found.vectors.len() == distinct.len() {
            Ok(found)
        } else {
            let lost = "The call for these embeddings was broken off inside pareto. Try again.";
            Err(Unembedded::Failed(ApiError::unavailable(lost)))
        }
    }

    /// Lets the request through its limits for what it will send; the truth is settled later.
    async fn admit_inputs(
        &self,
        request: &ApiRequest<'_>,
        decision: &Decision,
        round: &Round<'_>,
        vectors: &[Option<(Arc<Vector>, Source)>],
        exchange: Option<&mut Exchange>,
    ) -> Result<Option<Fare>, Unembedded> {
        if !self.is_limited() {
            return Ok(None);
        }
        let shares = round.share == Mode::Act;
        let sends = |(key, _): &&(CacheKey, &Input)| !(shares && self.kept.fetching.has(key));
        let missing = round.distinct.iter().zip(vectors).filter(|(_, vector)| vector.is_none());
        let sent: Vec<&Input> = missing.map(|(one, _)| one).filter(sends).map(|(_, input)| *input).collect();
        if sent.is_empty() {
            return self.admit_known(request, decision, None, exchange).await.map(|()| None);
        }
        let part = ApiRequest {
            endpoint: request.endpoint,
            head: request.head,
            body: match round.asked.api {
                Api::GeminiOne => request.body.clone(),
                Api::OpenAi | Api::GeminiBatch => body_for(round.asked, sent.into_iter()),
            },
            facts: request.facts.clone(),
            identity: request.identity.clone(),
            control: request.control,
            retries: request.retries,
        };
        let fare = match exchange {
            Some(exchange) => {
                self.admit(&part, decision, Who::Caller, exchange).await.map_err(|turned| match turned {
                    // Another model's vectors are no answer, and no stored one is left out.
                    Turned::Away(error) | Turned::ToCache(error) | Turned::ToModel(_, error) => error,
                })
            }
            None => self.admit_unasked(&part, decision).await.map_err(|()| {
                ApiError::unavailable("A limit has no room for the embedding that a rule needs.")
            }),
        };
        fare.map_err(Unembedded::Failed)
    }

    /// Counts a request that sends nothing with the limits that count those.
    async fn admit_known(
        &self,
        request: &ApiRequest<'_>,
        decision: &Decision,
        usage: Option<Usage>,
        exchange: Option<&mut Exchange>,
    ) -> Result<(), Unembedded> {
        match exchange {
            Some(exchange) => self.admit_hit(request, decision, usage, exchange).await,
            None => Ok(()),
        }
        .map_err(Unembedded::Failed)
    }

    /// Fetches what is missing. False where some of it was another's to fetch and did not come.
    async fn fetch_inputs(
        self: &Arc<Self>,
        request: &ApiRequest<'_>,
        decision: &Decision,
        round: &Round<'_>,
        vectors: &mut [Option<(Arc<Vector>, Source)>],
        fare: Option<Fare>,
        found: &mut Found,
    ) -> Result<bool, Unembedded> {
        let begun = self.kept.vectors.generation();
        let interest = Arc::new(Interest::default());
        let seats = self.seats(request, decision, round, &interest, vectors);
        if seats.unshared > 0 && seats.unshared == seats.duties.len() {
            found.observed.get_or_insert(Observed::Coalesce);
        }
        let pieces: Vec<Piece> = seats
            .duties
            .into_iter()
            .map(|(at, duty)| Piece::new(round.distinct[at].0, round.distinct[at].1, duty))
            .collect();
        if !pieces.is_empty() {
            let weight = pieces.iter().map(|piece| piece.weight).sum();
            let toll = fare.map(|fare| Arc::new(Toll::new(fare, weight, self.kept.telemetry.clone())));
            let whole = pieces.len() == round.asked.inputs.len();
            let order = Arc::new(Order::new(request, decision, round.asked, interest.clone(), toll, begun));
            if self.send(&order, pieces, whole) {
                found.observed.get_or_insert(Observed::Batch);
            }
        }
        let mut came = true;
        for (at, ticket, source) in seats.tickets {
            let outcome = ticket.wait().await;
            let theirs = source == Source::Shared;
            match outcome {
                Some(Outcome::Vector(vector, reply)) => {
                    vectors[at] = Some((vector, source));
                    found.note(&reply, source, &interest);
                }
                None if theirs => came = false,
                None => {}
                Some(Outcome::AsIs(reply)) if theirs && !reply.is_for(request, &ticket) => came = false,
                Some(Outcome::AsIs(reply)) => return Err(Unembedded::AsIs(reply)),
                Some(Outcome::Failed(error)) => return Err(Unembedded::Failed(error)),
            }
        }
        Ok(came)
    }

    /// Takes a seat for everything that is missing.
    fn seats(
        &self,
        request: &ApiRequest,
        decision: &Decision,
        round: &Round,
        interest: &Arc<Interest>,
        vectors: &mut [Option<(Arc<Vector>, Source)>],
    ) -> Seats {
        let (plan, credential) = (&decision.plan.cache, request.credential());
        let (pending, most) = (&self.kept.fetching, self.config.coalesce.max_waiters);
        let mut seats = Seats::default();
        for (at, (key, _)) in round.distinct.iter().enumerate() {
            if vectors[at].is_some() {
                continue;
            }
            let landed = || self.fresh_vector(key, plan);
            let (duty, ticket) = match round.share {
                Mode::Act => match pending.join(*key, credential, interest, most, landed) {
                    Seat::Owner(duty, ticket) => (duty, ticket),
                    Seat::Shared(ticket) => {
                        seats.tickets.push((at, ticket, Source::Shared));
                        continue;
                    }
                    Seat::Landed(vector) => {
                        vectors[at] = Some((vector, Source::Stored(Tier::Memory)));
                        continue;
                    }
                },
                Mode::Observe => {
                    let (duty, ticket, shared) = pending.lead(*key, credential, interest);
                    seats.unshared += usize::from(shared);
                    (duty, ticket)
                }
                Mode::Skip => Duty::new(credential, interest),
            };
            seats.duties.push((at, duty));
            seats.tickets.push((at, ticket, Source::Sent));
        }
        seats
    }
}

/// One try at what is missing.
struct Round<'a> {
    asked: &'a Asked<'a>,
    distinct: &'a [(CacheKey, &'a Input<'a>)],
    share: Mode,
}

impl Found {
    fn note(&mut self, reply: &Arc<Reply>, source: Source, interest: &Arc<Interest>) {
        self.upstream = self.upstream.max(reply.upstream());
        if source != Source::Sent || self.calls.iter().any(|known| Arc::ptr_eq(known, reply)) {
            return;
        }
        self.calls.push(reply.clone());
        if Arc::ptr_eq(&reply.lead, interest) {
            self.led.get_or_insert_with(|| reply.clone());
        }
    }
}

impl Reply {
    /// Whether this refusal of another's call holds for a request that waited for it: a failure of the
    /// provider does, and a judgement of the same credential. That an input was bad may have been
    /// about one that only the other asked.
    fn is_for(&self, request: &ApiRequest, ticket: &Ticket<Outcome>) -> bool {
        let status = self.head.status;
        status.is_server_error() || (judges_caller(status) && ticket.credential() == request.credential())
    }
}
