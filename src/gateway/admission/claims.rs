//! What a request claims of a limit: whom it is counted with, and the most it may take.

use std::borrow::{Borrow, Cow};

use bytes::Bytes;

use super::Admission;
use crate::config::limit::{Limit, Measure};
use crate::config::quota::Dimension;
use crate::error::ApiError;
use crate::gateway::Gateway;
use crate::gateway::decide::Decision;
use crate::json::member_span;
use crate::limits::estimate::Estimate;
use crate::limits::ledger::{Amounts, Subject};
use crate::request::ApiRequest;
use crate::response::price::{Cost, PriceTable};
use crate::response::usage::{ServiceTier, Usage};

/// Bodies above this many bytes are estimated on a thread of their own: the tokenizer takes about a
/// millisecond for so much text.
const ESTIMATED_ASIDE: usize = 32 * 1024;

/// Longer values of a dimension are counted by a digest of them.
const LONGEST_VALUE: usize = 128;

/// Who a request is counted with at a limit; `seed` is that of the subjects' digests.
pub(super) fn subject<'r>(
    limit: &Limit,
    request: &'r ApiRequest,
    decision: &'r Decision,
    seed: u64,
) -> Subject<'r> {
    let name = match limit.per.as_slice() {
        [] => Cow::Borrowed(""),
        [one] => value(one, request, decision),
        many => {
            let values: Vec<_> = many.iter().map(|one| value(one, request, decision)).collect();
            Cow::Owned(joined(&values))
        }
    };
    Subject::of(name, seed)
}

/// The values of several dimensions as one name.
pub(super) fn joined<S: Borrow<str>>(values: &[S]) -> String {
    values.join(Subject::BETWEEN.encode_utf8(&mut [0; 4]))
}

/// The value of one dimension for a request; the provider is the one that its route names first.
pub(super) fn value<'r>(
    dimension: &Dimension,
    request: &'r ApiRequest,
    decision: &'r Decision,
) -> Cow<'r, str> {
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

/// What a request may consume, as far as its body tells.
#[derive(Clone, Copy)]
pub(in crate::gateway) struct Demand {
    /// `None` where no limit wants to know.
    pub(in crate::gateway) estimate: Option<Estimate>,
    /// Its answer has output tokens.
    generates: bool,
    tier: ServiceTier,
}

impl Gateway {
    /// What `request` may consume, where one of the limits at `places` wants to know.
    pub(super) async fn demand(
        &self,
        admission: &Admission,
        places: &[u32],
        request: &ApiRequest<'_>,
    ) -> Demand {
        let metered = admission.at(places).any(|(_, limit)| is_metered(limit));
        let tier = member_span(&request.body, "service_tier")
            .filter(|_| metered)
            .and_then(|span| serde_json::from_slice::<&str>(&request.body[span.value]).ok())
            .map_or(ServiceTier::Default, ServiceTier::named);
        Demand {
            estimate: if metered { estimate(request).await } else { None },
            generates: request.endpoint.generates(),
            tier: if tier == ServiceTier::Priority { tier } else { ServiceTier::Default },
        }
    }
}

pub(super) fn is_metered(limit: &Limit) -> bool {
    limit.quotas.iter().any(|quota| quota.measure.is_metered())
}

async fn estimate(request: &ApiRequest<'_>) -> Option<Estimate> {
    let model: Box<str> = request.model().unwrap_or_default().into();
    if request.body.len() <= ESTIMATED_ASIDE {
        return Some(Estimate::of(&model, &request.body));
    }
    let body: Bytes = request.body.clone();
    tokio::task::spawn_blocking(move || Estimate::of(&model, &body)).await.ok()
}

impl Demand {
    /// What a part of it with so many input tokens may consume.
    pub(super) fn part(mut self, input: u64) -> Self {
        self.estimate = self.estimate.map(|estimate| Estimate { input, ..estimate });
        self
    }

    /// The most that a call to `model` may take of a limit.
    ///
    /// # Errors
    /// The limit counts money, and nobody knows the model's price.
    pub(in crate::gateway) fn worst_case(
        &self,
        limit: &Limit,
        model: Option<&str>,
        prices: &PriceTable,
    ) -> Result<Amounts, ApiError> {
        let one = Amounts::NONE.with(Measure::Requests, 1).with(Measure::Concurrent, 1);
        let (Some(estimate), Some(model)) = (&self.estimate, model) else { return Ok(one) };
        if !is_metered(limit) {
            return Ok(one);
        }
        let output = if self.generates { estimate.most_output(model, limit.max_output) } else { 0 };
        let usage = Usage {
            input: estimate.input,
            // Written for an hour is the dearest that an input token can be.
            cache_write_1h: if estimate.caches { estimate.input } else { 0 },
            output,
            tier: self.tier,
            ..Usage::default()
        };
        let priced = limit.quotas.iter().any(|quota| quota.measure == Measure::Usd);
        let cost = match prices.cost(model, &usage) {
            None if priced => return Err(ApiError::unpriced(&limit.name, model)),
            cost => cost.map_or(0, Cost::pico_usd),
        };
        Ok(Amounts::consumed(estimate.input, output, cost)
            .with(Measure::Requests, 1)
            .with(Measure::Concurrent, 1))
    }
}
