//! What one answer says about itself: how it came about, what it cost and saved.

use std::time::Duration;

use http::HeaderMap;
use serde_json::Value;

use crate::request::endpoint::Endpoint;

/// How an answer came about, by its `Cache-Status` (RFC 9211).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// From the cache.
    Hit,
    /// Shared with another call under way.
    Collapsed,
    /// Some of it from the cache, the rest from the provider.
    Partial,
    /// From the provider, or without a word about it.
    Miss,
    /// No proper answer.
    Failed,
}

/// One answer of the workload.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// The endpoint called.
    pub endpoint: Endpoint,
    /// How it came about.
    pub outcome: Outcome,
    /// From sending to its last byte.
    pub took: Duration,
    /// Tokens it stands for, whoever paid for them.
    pub tokens: u64,
    /// What it cost, in billionths of a dollar; 0 where the head does not say.
    pub cost: u64,
    /// What it would have cost, had it not been saved; in billionths of a dollar.
    pub saved: u64,
}

impl Answer {
    /// Reads an answer.
    pub fn read(endpoint: Endpoint, status: u16, headers: &HeaderMap, body: &[u8], took: Duration) -> Self {
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let outcome = if status == 200 { outcome(header("cache-status")) } else { Outcome::Failed };
        Self {
            endpoint,
            outcome,
            took,
            tokens: tokens(body),
            cost: nanodollars(header("x-pareto-cost-usd")),
            saved: nanodollars(header("x-pareto-saved-usd")),
        }
    }
}

fn outcome(cache_status: &str) -> Outcome {
    // The member of the cache nearest to us is the last.
    let ours = cache_status.rsplit(',').next().unwrap_or_default();
    let has = |parameter| ours.split(';').skip(1).any(|part| part.trim() == parameter);
    match () {
        () if has("hit") => Outcome::Hit,
        () if has("collapsed") => Outcome::Collapsed,
        () if has("fwd=partial") => Outcome::Partial,
        () => Outcome::Miss,
    }
}

/// `usage.total_tokens` of a JSON body, or of the last event of a stream that has it.
fn tokens(body: &[u8]) -> u64 {
    let total = |json: &[u8]| serde_json::from_slice::<Value>(json).ok()?["usage"]["total_tokens"].as_u64();
    let events = || {
        let lines = body.rsplit(|byte| *byte == b'\n');
        lines.filter_map(|line| line.strip_prefix(b"data: ")).find_map(total)
    };
    total(body).or_else(events).unwrap_or(0)
}

/// A decimal number of dollars as billionths, digits beyond dropped.
fn nanodollars(decimal: &str) -> u64 {
    let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
    let fraction: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let number = |digits: &str| digits.parse::<u64>().unwrap_or(0);
    number(whole).saturating_mul(1_000_000_000).saturating_add(number(&fraction))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[(&'static str, &'static str)], body: &str) -> Answer {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        Answer::read(Endpoint::Chat, 200, &headers.collect(), body.as_bytes(), Duration::ZERO)
    }

    #[test]
    fn outcomes_are_told_by_cache_status() {
        for (status, outcome) in [
            ("pareto; hit; ttl=3541; detail=memory", Outcome::Hit),
            ("pareto; fwd=miss; stored", Outcome::Miss),
            ("pareto; fwd=miss; collapsed", Outcome::Collapsed),
            ("pareto; fwd=partial; detail=\"7/8\"", Outcome::Partial),
            ("origin; hit, pareto; fwd=bypass", Outcome::Miss),
        ] {
            assert_eq!(read(&[("cache-status", status)], "").outcome, outcome, "{status}");
        }
        assert_eq!(read(&[], "").outcome, Outcome::Miss);
    }

    #[test]
    fn money_and_tokens_are_read() {
        let headers = [("x-pareto-cost-usd", "0.000123"), ("x-pareto-saved-usd", "1.5")];
        let answer = read(&headers, r#"{"usage": {"total_tokens": 12}}"#);
        assert_eq!((answer.cost, answer.saved, answer.tokens), (123_000, 1_500_000_000, 12));
        let stream = "data: {\"usage\":null}\n\ndata: {\"usage\":{\"total_tokens\":7}}\n\ndata: [DONE]\n\n";
        assert_eq!(read(&[], stream).tokens, 7);
        assert_eq!(read(&[("x-pareto-cost-usd", "?")], "no").cost, 0);
    }
}
