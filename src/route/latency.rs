//! How soon a target begins to answer: a peak-sensitive average for balance, a quantile for hedging.
//!
//! Pure: `now` is passed in.

use std::time::Duration;

use tokio::time::Instant;

/// The time in which what was observed loses all but 1/e of its weight (as in Finagle's peak EWMA).
const DECAY: Duration = Duration::from_secs(10);
/// Samples from which the quantile is taken.
const SAMPLES: usize = 128;
/// Fewer samples than this tell no quantile.
const FEWEST: usize = 20;

/// The first-byte times of one target.
#[derive(Clone, Debug)]
pub struct Latency {
    /// Seconds; 0 before the first sample.
    average: f64,
    at: Instant,
    recent: Vec<f32>,
    next: usize,
}

impl Latency {
    /// Nothing is known yet.
    pub const fn new(now: Instant) -> Self {
        Self { average: 0.0, at: now, recent: Vec::new(), next: 0 }
    }

    /// Takes note of a first byte. A peak counts at once and in full; it is forgotten slowly.
    pub fn observe(&mut self, took: Duration, now: Instant) {
        let took = took.as_secs_f64();
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        let weight = (-passed / DECAY.as_secs_f64()).exp();
        self.average = if took > self.average { took } else { self.average * weight + took * (1.0 - weight) };
        self.at = now;
        if self.recent.len() < SAMPLES {
            self.recent.push(took as f32);
        } else {
            self.recent[self.next] = took as f32;
        }
        self.next = (self.next + 1) % SAMPLES;
    }

    /// Seconds that a first byte is expected to take now: without news the average fades, so that a
    /// target that was slow is tried again.
    pub fn expected(&self, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.average * (-passed / DECAY.as_secs_f64()).exp()
    }

    /// The time within which 95 of 100 first bytes came lately; `None` while too few are known.
    pub fn p95(&self) -> Option<Duration> {
        if self.recent.len() < FEWEST {
            return None;
        }
        let mut sorted = self.recent.clone();
        let at = sorted.len() * 95 / 100;
        let (_, quantile, _) = sorted.select_nth_unstable_by(at.min(SAMPLES - 1), f32::total_cmp);
        Some(Duration::from_secs_f32(*quantile))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    #[test]
    fn a_peak_counts_at_once_and_fades_slowly() {
        let start = Instant::now();
        let mut latency = Latency::new(start);
        latency.observe(ms(100), start);
        latency.observe(ms(900), start + ms(10));
        assert!((latency.expected(start + ms(10)) - 0.9).abs() < 1e-9);
        latency.observe(ms(100), start + ms(1010));
        let eased = latency.expected(start + ms(1010));
        assert!((0.8..0.9).contains(&eased), "{eased}");
        assert!(latency.expected(start + Duration::from_secs(60)) < 0.01);
    }

    #[test]
    fn the_quantile_is_that_of_the_latest_samples() {
        let now = Instant::now();
        let mut latency = Latency::new(now);
        for number in 1..20 {
            latency.observe(ms(number), now);
        }
        assert_eq!(latency.p95(), None);
        for number in 1..=1000 {
            latency.observe(ms(number), now);
        }
        let quantile = latency.p95().unwrap().as_millis();
        assert!((990..=997).contains(&quantile), "{quantile}");
    }
}
