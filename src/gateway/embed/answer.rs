//! The answer to an embedding request, and what is noted of it.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderMap};
use http::{HeaderValue, StatusCode};

use super::call::Reply;
use super::seats::{Found, Source};
use crate::cache::{Stored, Tier};
use crate::config::Mode;
use crate::embedding::answer::write;
use crate::embedding::input::Asked;
use crate::embedding::stored::Vector;
use crate::embedding::vector::Floats;
use crate::error::ApiError;
use crate::exchange::{Embedded, Exchange, Outcome};
use crate::gateway::Gateway;
use crate::gateway::decide::Decision;
use crate::gateway::head::{Note, Served, put};
use crate::response::Body;
use crate::response::headers::{self, JSON, repeatable};
use crate::response::price::Cost;
use crate::response::usage::Usage;

/// Answers with more numbers than this are written on a thread of their own: a number takes some
/// 30 ns, and other requests should not wait for milliseconds of that.
const WRITE_ASIDE: usize = 1 << 15;

impl Gateway {
    /// The answer with these vectors.
    pub(super) async fn answer(
        &self,
        asked: &Asked<'_>,
        decision: &Decision,
        found: Found,
        exchange: &mut Exchange,
    ) -> Result<Served, ApiError> {
        let embedded = noted(&found, exchange);
        let model = found.vectors.iter().find_map(|(vector, _)| vector.origin.answered.clone());
        let model = model.or_else(|| exchange.model.clone()).unwrap_or_default();
        let served = self.headed(decision, &found, &embedded, &model, exchange);
        exchange.embedded = Some(embedded);
        let tokens = exchange.usage.map(|usage| usage.input);
        let in_order: Vec<Floats> =
            found.places.iter().map(|place| found.vectors[*place].0.floats.clone()).collect();
        let numbers = in_order.iter().map(Floats::dimensions).sum::<usize>();
        let (api, base64) = (asked.api, asked.base64);
        let written = move || write(api, base64, in_order.iter(), &model, tokens);
        let body = if numbers > WRITE_ASIDE {
            let broken = |_| ApiError::unavailable("The answer could not be written. Try again.");
            tokio::task::spawn_blocking(written).await.map_err(broken)?
        } else {
            written()
        };
        Ok(Served { body: Body::Whole(body.into()), ..served })
    }

    /// Status, headers and notes of the answer.
    fn headed(
        &self,
        decision: &Decision,
        found: &Found,
        embedded: &Embedded,
        model: &str,
        exchange: &mut Exchange,
    ) -> Served {
        let now = self.io.clock.now();
        let stored = found.vectors.iter().filter_map(|(vector, source)| match source {
            Source::Stored(tier) => Some((vector, *tier)),
            Source::Shared | Source::Sent => None,
        });
        let farthest = stored.clone().map(|(_, tier)| tier).max().unwrap_or(Tier::Memory);
        let oldest: Option<&Arc<Vector>> =
            stored.map(|(vector, _)| vector).min_by_key(|vector| vector.origin.stored);
        let stale = oldest.is_some_and(|oldest| oldest.is_stale(now));
        let known = embedded.known();
        let all_stored = embedded.sent.inputs + embedded.shared.inputs == 0;
        exchange.outcome = match () {
            () if all_stored && stale => Outcome::Stale,
            () if all_stored => Outcome::Hit,
            () if embedded.sent.inputs == 0 => Outcome::Collapsed,
            () if known > 0 => Outcome::Partial,
            () => Outcome::Miss,
        };
        exchange.upstream = found.upstream;
        if let Some((vector, _)) = found.vectors.first() {
            exchange.provider = Some(vector.origin.provider.clone());
        }
        exchange.observed = found.observed;
        exchange.usage = usage(found);
        // For a hit or a shared call this is what was saved, else what was spent.
        let saved = embedded.stored.cost + embedded.shared.cost;
        let nothing_sent = embedded.sent.inputs == 0;
        let priced = found.vectors.iter().any(|(vector, _)| vector.cost.is_some());
        exchange.cost = priced.then_some(if nothing_sent { saved } else { embedded.sent.cost });
        let mut headers = match &found.led {
            Some(reply) => {
                exchange.told.clone_from(&reply.told);
                reply.head.headers.clone()
            }
            None => HeaderMap::with_capacity(12),
        };
        for name in [header::CONTENT_LENGTH, header::CONTENT_ENCODING] {
            headers.remove(name);
        }
        headers.insert(header::CONTENT_TYPE, JSON);
        let kept = !found.calls.is_empty() && found.calls.iter().all(|reply| reply.stored);
        let text = |text: &str| HeaderValue::from_str(text).ok();
        let note = match (exchange.outcome, oldest) {
            (Outcome::Hit | Outcome::Stale, Some(oldest)) => {
                headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private"));
                put(&mut headers, headers::PROVIDER, text(&oldest.origin.provider));
                put(&mut headers, headers::MODEL, text(model));
                let detail = if stale { "stale" } else { farthest.name() };
                Note::Hit { ttl: oldest.seconds_left(now), detail }
            }
            (Outcome::Collapsed, _) => Note::Collapsed,
            (Outcome::Partial, _) => Note::Partial { known, of: embedded.inputs() },
            _ if decision.plan.cache.mode != Mode::Skip
                && !decision.plan.cache.lookup
                && decision.plan.cache.store =>
            {
                Note::NoCache { stored: kept }
            }
            _ => Note::Miss { stored: kept },
        };
        if priced && matches!(exchange.outcome, Outcome::Hit | Outcome::Stale | Outcome::Partial) {
            put(&mut headers, headers::SAVED, headers::text(saved.to_string()));
        }
        let hit = matches!(exchange.outcome, Outcome::Hit | Outcome::Stale);
        Served {
            status: StatusCode::OK,
            headers,
            body: Body::Whole(Bytes::new()),
            note,
            age: oldest.filter(|_| hit).map(|oldest| oldest.age(now)),
            model: Some(model.into()),
            attempts: found.calls.iter().map(|reply| reply.head.attempts).sum(),
        }
    }

    /// The provider's own answer, for the client to hear as it is.
    pub(super) fn as_is(&self, decision: &Decision, reply: &Reply, exchange: &mut Exchange) -> Served {
        exchange.outcome = Outcome::Miss;
        exchange.upstream = reply.upstream();
        exchange.provider = Some(reply.head.provider.clone());
        exchange.usage = reply.done.usage;
        exchange.cost = reply.done.cost;
        exchange.told.clone_from(&reply.told);
        let mut served = self.live(&decision.plan, &reply.head, reply.legs > 1);
        served.headers = if reply.legs > 1 { repeatable(&reply.head.headers) } else { served.headers };
        served.body = Body::Whole(reply.body.clone());
        served
    }
}

/// What came from where, counted over the inputs as asked, equal ones included.
fn noted(found: &Found, exchange: &Exchange) -> Embedded {
    let mut embedded = Embedded {
        // Whoever made the call paid its price; the others saved a call by it.
        merged: !found.calls.is_empty() && found.led.is_none(),
        ..Embedded::default()
    };
    debug_assert!(exchange.embedded.is_none(), "a request is answered once");
    let mut counted = vec![false; found.vectors.len()];
    for place in &found.places {
        let (vector, source) = &found.vectors[*place];
        let again = std::mem::replace(&mut counted[*place], true);
        let share = match source {
            Source::Stored(_) => &mut embedded.stored,
            Source::Shared => &mut embedded.shared,
            Source::Sent => &mut embedded.sent,
        };
        share.inputs += 1;
        // An equal input beside it in the request was sent once.
        if !(again && *source == Source::Sent) {
            share.tokens += vector.tokens.unwrap_or(0);
            share.cost += vector.cost.unwrap_or(Cost::ZERO);
        }
    }
    embedded
}

/// What the whole request would have consumed; `None` where that of an input is not known.
fn usage(found: &Found) -> Option<Usage> {
    let tokens = |place: &usize| found.vectors[*place].0.tokens;
    let input = found.places.iter().map(tokens).sum::<Option<u64>>()?;
    Some(Usage { input, ..Usage::default() })
}
