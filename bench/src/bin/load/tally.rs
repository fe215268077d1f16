//! What a run adds up to.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

/// Counts and times of one run, collected as it goes.
#[derive(Debug, Default)]
pub struct Tally {
    latencies: Vec<u64>,
    first_bytes: Vec<u64>,
    errors: BTreeMap<String, u64>,
    body_bytes: u64,
    events: u64,
    reads: u64,
    open: u64,
    max_open: u64,
}

/// One answer, complete and right.
pub struct Answer {
    pub latency: Duration,
    pub first_byte: Duration,
    pub bytes: u64,
    pub events: u64,
    /// How many reads of the socket it took.
    pub reads: u64,
}

/// The run as it is printed: one JSON object.
#[derive(Debug, Serialize)]
pub struct Report {
    pub requests: u64,
    pub errors: BTreeMap<String, u64>,
    pub seconds: f64,
    pub requests_per_second: f64,
    pub body_bytes: u64,
    /// Request sent to answer complete.
    pub latency_us: Quantiles,
    /// Request sent to first byte of the body.
    pub first_byte_us: Quantiles,
    /// Socket reads per answer: how finely a stream arrived.
    pub reads_per_request: f64,
    pub events_per_request: f64,
    /// Most answers that were under way (body begun, not ended) at one time.
    pub max_open: u64,
}

/// Exact quantiles, microseconds.
#[derive(Debug, Serialize)]
pub struct Quantiles {
    p50: f64,
    p90: f64,
    p99: f64,
    max: f64,
}

impl Tally {
    pub fn answered(&mut self, answer: &Answer) {
        self.latencies.push(nanoseconds(answer.latency));
        self.first_bytes.push(nanoseconds(answer.first_byte));
        self.body_bytes += answer.bytes;
        self.events += answer.events;
        self.reads += answer.reads;
    }

    pub fn failed(&mut self, what: &str) {
        *self.errors.entry(what.to_owned()).or_default() += 1;
    }

    pub fn failures(&self) -> u64 {
        self.errors.values().sum()
    }

    pub fn opened(&mut self) {
        self.open += 1;
        self.max_open = self.max_open.max(self.open);
    }

    pub fn closed(&mut self) {
        self.open -= 1;
    }

    pub fn report(self, elapsed: Duration) -> Report {
        let requests = self.latencies.len() as u64;
        let seconds = elapsed.as_secs_f64();
        let per_request = |count: u64| if requests == 0 { 0.0 } else { count as f64 / requests as f64 };
        Report {
            requests,
            errors: self.errors,
            seconds,
            requests_per_second: requests as f64 / seconds,
            body_bytes: self.body_bytes,
            latency_us: Quantiles::of(self.latencies),
            first_byte_us: Quantiles::of(self.first_bytes),
            reads_per_request: per_request(self.reads),
            events_per_request: per_request(self.events),
            max_open: self.max_open,
        }
    }
}

impl Quantiles {
    /// Nearest rank over all values, nanoseconds.
    fn of(mut values: Vec<u64>) -> Self {
        values.sort_unstable();
        let at = |share: f64| {
            let rank = (share * values.len() as f64).ceil() as usize;
            values.get(rank.max(1) - 1).map_or(0.0, |&value| value as f64 / 1000.0)
        };
        Self { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1.0) }
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_the_nearest_rank() {
        let quantiles = Quantiles::of((1..=1000).rev().map(|us| us * 1000).collect());
        assert_eq!(
            (quantiles.p50, quantiles.p90, quantiles.p99, quantiles.max),
            (500.0, 900.0, 990.0, 1000.0)
        );
        assert_eq!(Quantiles::of(Vec::new()).max, 0.0);
    }
}
