//! What a response says of itself: `Cache-Status`, timings, cost, and the shape of our own errors.

use std::time::Duration;

use http::StatusCode;
use http::header::{AGE, DATE, HeaderMap, HeaderValue};

use super::Gateway;
use crate::error::ApiError;
use crate::exchange::{ApiResponse, Exchange, Outcome, Settling};
use crate::response::Body;
use crate::response::headers;

/// An answer found, before pareto's own headers.
pub(super) struct Served {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
    pub(super) note: Note,
    /// Since it was stored, for an answer that was.
    pub(super) age: Option<Duration>,
    /// The model that answered.
    pub(super) model: Option<Box<str>>,
    /// Calls made for this request.
    pub(super) attempts: u32,
}

impl Served {
    /// The same answer for another client of the same caller that asked in the same form. `None` where
    /// it can no longer be read from its start.
    pub(super) fn share(&self) -> Option<Self> {
        let body = match &self.body {
            Body::Whole(body) => Body::Whole(body.clone()),
            Body::Live(live) => Body::Live(live.share()?),
        };
        Some(Self {
            status: self.status,
            headers: headers::repeatable(&self.headers),
            body,
            note: Note::Collapsed,
            age: None,
            model: self.model.clone(),
            attempts: 0,
        })
    }
}

/// What `Cache-Status` says (RFC 9211).
pub(super) enum Note {
    Hit {
        ttl: i64,
        detail: &'static str,
    },
    Miss {
        stored: bool,
    },
    Collapsed,
    /// Of so many inputs, so many were stored or shared.
    Partial {
        known: u64,
        of: u64,
    },
    NoCache {
        stored: bool,
    },
    Bypass(&'static str),
    Rule,
}

impl Gateway {
    /// Adds pareto's own headers.
    pub(super) fn finish(&self, served: Served, mut settling: Settling) -> ApiResponse {
        let Served { status, mut headers, body, note, age, model, attempts } = served;
        let exchange = &mut settling.exchange;
        exchange.status = status;
        if status.is_server_error() {
            exchange.outcome = Outcome::Error;
        }
        exchange.first_byte = self.io.clock.now().saturating_duration_since(exchange.started);
        if let Some(value) = note.value() {
            headers.insert(headers::CACHE_STATUS, value);
        }
        exchange.tell_limits(&mut headers);
        let upstream = (age.is_none() && exchange.outcome != Outcome::Rule).then_some(exchange.upstream);
        put_rule(&mut headers, exchange);
        put(&mut headers, headers::SERVER_TIMING, headers::server_timing(exchange.added(), upstream));
        if let Some(age) = age {
            // The rest was written down when the answer was stored.
            headers.insert(AGE, headers::number(age.as_secs()));
            headers.insert(headers::REQUEST_ID, self.kept.telemetry.request_id());
            return ApiResponse { status, headers, body, exchange: settling };
        }
        if !headers.contains_key(headers::REQUEST_ID) && !headers.contains_key("request-id") {
            headers.insert(headers::REQUEST_ID, self.kept.telemetry.request_id());
        }
        put(
            &mut headers,
            headers::PROVIDER,
            exchange.provider.as_deref().and_then(|name| HeaderValue::from_str(name).ok()),
        );
        let answered = model.or_else(|| exchange.model.clone());
        put(&mut headers, headers::MODEL, answered.and_then(|name| HeaderValue::from_str(&name).ok()));
        if attempts > 0 {
            headers.insert(headers::ATTEMPTS, headers::number(u64::from(attempts)));
        }
        if let Some(cost) = exchange.cost.filter(|_| matches!(body, Body::Whole(_))) {
            let saved = exchange.outcome == Outcome::Collapsed;
            let name = if saved { headers::SAVED } else { headers::COST };
            put(&mut headers, name, headers::text(cost.to_string()));
        }
        headers.remove(DATE);
        ApiResponse { status, headers, body, exchange: settling }
    }

    /// An error of ours in OpenAI's shape.
    pub(super) fn refuse(&self, error: &ApiError, mut settling: Settling) -> ApiResponse {
        let exchange = &mut settling.exchange;
        exchange.status = error.status;
        let (outcome, status) = match error.code {
            // That nothing is stored is an answer to who asked for nothing else.
            ApiError::NOT_CACHED => (Outcome::Miss, "pareto; detail=not-cached"),
            ApiError::DENIED | ApiError::SUPERSEDED => (Outcome::Rule, "pareto; detail=rule"),
            _ if error.is_limit() => (Outcome::Limited, "pareto; detail=limited"),
            _ => (Outcome::Error, "pareto; fwd=miss"),
        };
        exchange.outcome = outcome;
        exchange.first_byte = self.io.clock.now().saturating_duration_since(exchange.started);
        let mut headers = headers::of_error(error);
        exchange.tell_limits(&mut headers);
        put_rule(&mut headers, exchange);
        headers.insert(headers::CACHE_STATUS, HeaderValue::from_static(status));
        headers.insert(headers::REQUEST_ID, self.kept.telemetry.request_id());
        put(&mut headers, headers::SERVER_TIMING, headers::server_timing(exchange.added(), None));
        ApiResponse { status: error.status, headers, body: Body::Whole(error.body()), exchange: settling }
    }
}

impl Note {
    /// The same, now that it is known whether the answer was stored.
    pub(super) fn stored(self, stored: bool) -> Self {
        match self {
            Self::Miss { .. } => Self::Miss { stored },
            Self::NoCache { .. } => Self::NoCache { stored },
            other => other,
        }
    }

    fn value(&self) -> Option<HeaderValue> {
        let fixed = match self {
            Self::Hit { ttl, detail } => {
                let mut digits = itoa::Buffer::new();
                return headers::text(
                    ["pareto; hit; ttl=", digits.format(*ttl), "; detail=", detail].concat(),
                );
            }
            Self::Partial { known, of } => {
                return headers::text(format!("pareto; fwd=partial; detail=\"{known}/{of}\""));
            }
            Self::Bypass(reason) => return headers::text(format!("pareto; fwd=bypass; detail={reason}")),
            Self::Miss { stored: true } => "pareto; fwd=miss; stored",
            Self::Miss { stored: false } => "pareto; fwd=miss",
            Self::Collapsed => "pareto; fwd=miss; collapsed",
            Self::NoCache { stored: true } => "pareto; fwd=request; stored",
            Self::NoCache { stored: false } => "pareto; fwd=request",
            Self::Rule => "pareto; detail=rule",
        };
        Some(HeaderValue::from_static(fixed))
    }
}

/// Names the rule that decided.
fn put_rule(headers: &mut HeaderMap, exchange: &Exchange) {
    let name = exchange.rule.as_deref().and_then(|name| HeaderValue::from_str(name).ok());
    put(headers, headers::RULE, name);
}

/// Inserts a header that has a value.
pub(super) fn put(headers: &mut HeaderMap, name: http::HeaderName, value: Option<HeaderValue>) {
    if let Some(value) = value {
        headers.insert(name, value);
    }
}
