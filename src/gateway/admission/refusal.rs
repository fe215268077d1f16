//! What a request is told that a limit has no room for, and what becomes of it.

use std::time::Duration;

use super::{Admission, Turned};
use crate::config::limit::{Measure, OnExhausted};
use crate::error::ApiError;
use crate::exchange::Exchange;
use crate::gateway::{Gateway, allowance};
use crate::limits::Ask;
use crate::limits::ledger::{Amounts, Held, Refused};
use crate::response::price::Cost;

impl Gateway {
    /// What becomes of a request that a limit has no room for, and what its answer says of the limits.
    pub(super) fn turned(
        &self,
        admission: &Admission,
        ask: &Ask,
        refused: &Refused,
        exchange: &mut Exchange,
    ) -> Turned {
        let error = refusal(refused);
        let Refused::Short(short) = refused else { return Turned::Away(error) };
        self.kept.telemetry.metrics.limit_rejections.with_label_values(&[&*short.name]).inc();
        exchange.limits = allowance::fields(&self.kept.limits.standings(&nothing_of(ask)));
        let limit = ask.claims.get(short.claim).map(|claim| claim.limit);
        let rule = admission.rules.iter().find(|(id, _)| Some(*id) == limit).map(|(_, rule)| rule);
        match rule.filter(|_| short.budget).map(|rule| &rule.on_exhausted) {
            Some(OnExhausted::CacheOnly) => Turned::ToCache(error),
            Some(OnExhausted::Model(model)) => Turned::ToModel(model.as_str().into(), error),
            Some(OnExhausted::Refuse) | None => Turned::Away(error),
        }
    }
}

/// Where an ask would be counted, with nothing held there.
pub(in crate::gateway) fn nothing_of(ask: &Ask) -> Vec<Held> {
    let held = |claim: &crate::limits::ledger::Claim| Held {
        limit: claim.limit,
        subject: claim.subject.key,
        amounts: Amounts::NONE,
        reservation: 0,
    };
    ask.claims.iter().map(held).collect()
}

/// What is counted, as people call it.
pub(super) fn unit(measure: Measure) -> &'static str {
    match measure {
        Measure::Requests | Measure::Concurrent => "requests",
        Measure::Tokens => "tokens",
        Measure::InputTokens => "input tokens",
        Measure::OutputTokens => "output tokens",
        Measure::Usd => "USD",
    }
}

/// An amount in its [`unit`].
pub(super) fn shown(measure: Measure, amount: u64) -> String {
    match measure {
        Measure::Usd => Cost::from_pico_usd(amount).to_string(),
        _ => amount.to_string(),
    }
}

/// The refusal of a request that a limit has no room for.
pub(in crate::gateway) fn refusal(refused: &Refused) -> ApiError {
    let Refused::Short(short) = refused else {
        return ApiError::unavailable(
            "What limits count cannot be reached, and `on_ledger_loss: refuse` lets nothing pass without it. Try again.",
        );
    };
    let (unit, quota) = (unit(short.measure), shown(short.measure, short.quota));
    if short.soonest.is_none() {
        let message = format!(
            "This request may take {} {unit}, and the limit `{}` never has more than {quota} at once. Ask for less output (`max_tokens`), send less, or raise the limit.",
            shown(short.measure, short.asked),
            short.name,
        );
        return ApiError::limited(short.budget, message, None);
    }
    let wait = short.likely.max(Duration::from_millis(1));
    let seconds = wait.as_millis().div_ceil(1000);
    let what = if short.measure == Measure::Concurrent { " at the same time" } else { "" };
    let message = format!(
        "The limit `{}` of {quota} {unit}{what} has no room for this request. Try again in {seconds} s.",
        short.name,
    );
    ApiError::limited(short.budget, message, Some(wait))
}
