//! What a call consumed: as the provider says, or as much as can be told where it did not.

use super::Gateway;
use super::fare::Fare;
use crate::exchange::Flown;
use crate::limits::estimate::Estimate;
use crate::limits::ledger::Amounts;
use crate::limits::tokens::Tokenizer;
use crate::response::price::Cost;
use crate::response::recording::Frame;
use crate::response::usage::Usage;
use crate::response::view::pieces;

/// How it is known what a call consumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Basis {
    /// The provider said.
    Measured,
    /// The provider did not say, as where it broke off before that or sent what nobody can read: the
    /// input and what came of the output, by the tokenizer.
    Estimated,
    /// It was refused, never reached the provider, or is of a kind that nobody counts tokens of.
    Unbilled,
}

impl Basis {
    /// Its name in metrics.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::Estimated => "estimated",
            Self::Unbilled => "unbilled",
        }
    }
}

impl Gateway {
    /// Notes what an attempt consumed. Where the provider did not say, as with a stream that was cut off,
    /// that is estimated, and `flown` says so. `answer` tells what came of it, unless that was too much.
    pub(super) fn meter(
        &self,
        fare: &Fare,
        flown: &mut Flown,
        answer: impl FnOnce() -> Option<Vec<Frame>>,
    ) -> Used {
        let metrics = &self.kept.telemetry.metrics;
        let basis = basis(flown);
        if let (Basis::Estimated, None, Some(estimate)) = (basis, flown.usage, fare.estimate()) {
            let model = flown.model.as_deref().unwrap_or_default();
            let output = if flown.endpoint.generates() { output(&estimate, model, answer()) } else { 0 };
            let usage = Usage { input: estimate.input, output, estimated: true, ..Usage::default() };
            flown.usage = Some(usage);
            flown.cost = self.prices.cost(model, &usage);
        } else if let (Basis::Measured, Some(estimate), Some(usage)) = (basis, fare.estimate(), flown.usage)
            && estimate.input > 0
        {
            let error = metrics.token_estimate.with_label_values(&[estimate.tokenizer.name()]);
            error.observe(usage.input as f64 / estimate.input as f64);
        }
        metrics.limit_settlements.with_label_values(&[basis.name()]).inc();
        let usage = flown.usage.unwrap_or_default();
        Used { input: usage.input, output: usage.output, cost: flown.cost.map_or(0, Cost::pico_usd) }
    }
}

/// Input and output tokens, and pico-USD.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Used {
    pub(super) input: u64,
    pub(super) output: u64,
    pub(super) cost: u64,
}

impl Used {
    /// Adds what another call consumed.
    pub(super) fn add(&mut self, other: &Self) {
        self.input = self.input.saturating_add(other.input);
        self.output = self.output.saturating_add(other.output);
        self.cost = self.cost.saturating_add(other.cost);
    }

    /// As limits count it.
    pub(super) fn amounts(&self) -> Amounts {
        Amounts::consumed(self.input, self.output, self.cost)
    }
}

fn basis(flown: &Flown) -> Basis {
    let refused = flown.status.is_some_and(|status| !status.is_success());
    let consumes = flown.endpoint.generates() || flown.endpoint.embeds();
    match flown.usage {
        Some(usage) if !usage.estimated => Basis::Measured,
        _ if refused || !flown.billed || (flown.result == "ok" && !consumes) => Basis::Unbilled,
        _ => Basis::Estimated,
    }
}

/// The output tokens of what has come so far, by the text in it; of what cannot be read as many as its
/// bytes come to. Where that is not known, the most that `model` may have said.
fn output(estimate: &Estimate, model: &str, answer: Option<Vec<Frame>>) -> u64 {
    let most = || estimate.most_output(model, None);
    let Some(frames) = answer else { return most() };
    let mut text = String::new();
    for event in frames.iter().filter_map(Frame::event) {
        if let Ok(event) = serde_json::from_slice(event.data()) {
            said("", &event, &mut text);
        }
    }
    let whole = pieces(&frames);
    match serde_json::from_slice(&whole) {
        Ok(body) => said("", &body, &mut text),
        Err(_) if whole.is_empty() => {}
        Err(_) => return Tokenizer::Bytes.count(&String::from_utf8_lossy(&whole)).min(most()),
    }
    estimate.tokenizer.count(&text)
}

/// Gathers what an event or a body of any API adds to the answer's text: thoughts, refusals and the arguments of
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
