//! What a flight consumed in all its attempts, settled once with the limits that let it through.

use parking_lot::Mutex;

use super::Gateway;
use crate::exchange::Flown;
use crate::limits::estimate::Estimate;
use crate::limits::ledger::Amounts;
use crate::limits::{Attempt, Permit};
use crate::response::price::Cost;
use crate::response::recording::{Frame, Recording};
use crate::response::usage::Usage;

/// What a flight holds of the limits that let it through.
pub(super) struct Fare {
    permit: Permit,
    attempt: Option<Attempt>,
    estimate: Option<Estimate>,
    /// What the attempts that have ended consumed. One flight holds room for one attempt; what a second
    /// one consumes beyond it counts all the same.
    used: Mutex<Used>,
}

/// Input and output tokens, and pico-USD.
#[derive(Clone, Copy, Default)]
struct Used {
    input: u64,
    output: u64,
    cost: u64,
}

/// How it is known what a call consumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Basis {
    /// The provider said.
    Measured,
    /// It broke off before the provider said: the input and what was streamed, by the tokenizer.
    Estimated,
    /// It was refused or never reached the provider.
    Unbilled,
}

impl Basis {
    const fn name(self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::Estimated => "estimated",
            Self::Unbilled => "unbilled",
        }
    }
}

impl Fare {
    /// The fare of a request that was let through.
    pub(super) fn new(permit: Permit, estimate: Option<Estimate>) -> Self {
        Self { permit, attempt: None, estimate, used: Mutex::default() }
    }

    /// The call goes out: from now on it counts.
    pub(super) fn depart(&mut self) {
        self.permit.depart();
        let mut attempt = self.permit.attempt();
        attempt.sent();
        self.attempt = Some(attempt);
    }

    /// Counts what all attempts consumed.
    pub(super) fn settle(mut self) {
        let Used { input, output, cost } = *self.used.get_mut();
        if let Some(attempt) = self.attempt.take() {
            attempt.settle(&Amounts::consumed(input, output, cost));
        }
    }

    /// Settles what this request's part of one or several calls consumed, and says how that is known.
    /// `None` where there was no call, or it is settled already.
    pub(super) fn settle_part(&mut self, used: &Usage, cost: Cost) -> Option<&'static str> {
        let attempt = self.attempt.take()?;
        let basis = match used.input {
            _ if used.estimated => Basis::Estimated,
            0 => Basis::Unbilled,
            _ => Basis::Measured,
        };
        attempt.settle(&Amounts::consumed(used.input, used.output, cost.pico_usd()));
        Some(basis.name())
    }
}

impl Gateway {
    /// Notes what an attempt consumed. Where the provider did not say, as with a stream that was cut off,
    /// that is estimated, and `flown` says so.
    pub(super) fn meter(&self, fare: &Fare, flown: &mut Flown, recording: &Recording) {
        let metrics = &self.kept.telemetry.metrics;
        let basis = basis(flown);
        if let (Basis::Estimated, Some(estimate)) = (basis, &fare.estimate) {
            let output = streamed(estimate, recording);
            let usage = Usage { input: estimate.input, output, estimated: true, ..Usage::default() };
            flown.usage = Some(usage);
            flown.cost = self.prices.cost(flown.model.as_deref().unwrap_or_default(), &usage);
        } else if let (Basis::Measured, Some(estimate), Some(usage)) = (basis, &fare.estimate, flown.usage)
            && estimate.input > 0
        {
            let error = metrics.token_estimate.with_label_values(&[estimate.tokenizer.name()]);
            error.observe(usage.input as f64 / estimate.input as f64);
        }
        metrics.limit_settlements.with_label_values(&[basis.name()]).inc();
        let usage = flown.usage.unwrap_or_default();
        let mut used = fare.used.lock();
        used.input += usage.input;
        used.output += usage.output;
        used.cost += flown.cost.map_or(0, Cost::pico_usd);
    }
}

fn basis(flown: &Flown) -> Basis {
    let refused = flown.status.is_some_and(|status| !status.is_success());
    match flown.usage {
        Some(usage) if !usage.estimated => Basis::Measured,
        _ if refused || !flown.billed || flown.result == "ok" => Basis::Unbilled,
        _ => Basis::Estimated,
    }
}

/// The output tokens of what has been streamed so far.
fn streamed(estimate: &Estimate, recording: &Recording) -> u64 {
    let mut text = String::new();
    for frame in recording.frames().unwrap_or_default() {
        if let Frame::Event(event) = frame
            && let Ok(event) = serde_json::from_slice(event.data())
        {
            said("", &event, &mut text);
        }
    }
    estimate.tokenizer.count(&text)
}

/// Gathers what an event of any API adds to the answer's text: thoughts, refusals and the arguments of
/// tool calls are output as well.
fn said(name: &str, value: &serde_json::Value, text: &mut String) {
    use serde_json::Value;
    const OUTPUT: [&str; 8] =
        ["content", "text", "delta", "arguments", "partial_json", "thinking", "reasoning_content", "refusal"];
    match value {
        Value::String(piece) if OUTPUT.contains(&name) => text.push_str(piece),
        Value::Array(items) => items.iter().for_each(|item| said(name, item, text)),
        Value::Object(members) => {
            for (name, value) in members.iter().filter(|(name, _)| *name != "response" && *name != "part") {
                said(name, value, text);
            }
        }
        _ => {}
    }
}
