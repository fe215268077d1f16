//! What is read off its owner when metrics are asked for, instead of being counted as it happens.

use std::sync::Arc;

use prometheus::{IntCounter, TextEncoder};

use super::metrics::Metrics;

/// What is read off its owner when metrics are asked for.
#[derive(Clone, Debug, Default)]
pub struct Readings {
    /// Answers and vectors in memory.
    pub cache_entries: u64,
    /// Their bytes.
    pub cache_bytes: u64,
    /// Bytes of the vectors in memory.
    pub vector_bytes: u64,
    /// Answers dropped for room since the start.
    pub cache_evictions: u64,
    /// Tiers below the memory: name, bytes where it can tell, whether it works, failures.
    pub tiers: Vec<(&'static str, Option<u64>, bool, u64)>,
    /// Entries that were none of ours, by tier and reason.
    pub refused: Vec<(&'static str, &'static str, u64)>,
    /// Answers not written to a lower tier for want of room in the queue.
    pub skipped: u64,
    /// Leases asked for, and those that could not be asked for or were lost.
    pub locks: (u64, u64),
    /// Requests that wait for another's call.
    pub flight_waiters: usize,
    /// The state of the worst breaker of each provider.
    pub breakers: Vec<(String, i64)>,
    /// Findings on providers that sidecars share, by what became of them.
    pub breakers_shared: Vec<(&'static str, u64)>,
    /// Requests that wait for a limit to let them through.
    pub limit_waiters: usize,
    /// Sidecars that count limits together, requests decided without that, failures of its Redis.
    pub ledger: (u64, u64, u64),
    /// The most used budget of each limit, as a share of 1.
    pub budgets: Vec<(Arc<str>, f64)>,
    /// Embedding requests whose inputs gather.
    pub batch_waiting: usize,
    /// Requests that wait for a later one of their conversation.
    pub burst_waiters: usize,
    /// Calls under way by provider.
    pub connections: Vec<(String, i64)>,
    /// Connections made since the start.
    pub connections_opened: u64,
    /// Calls on a pooled connection since the start.
    pub connections_reused: u64,
}

impl Metrics {
    /// All metrics in Prometheus' text format.
    ///
    /// # Errors
    /// The encoder's own.
    pub fn text(&self, readings: &Readings) -> prometheus::Result<String> {
        let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let catch_up = |counter: &IntCounter, total: u64| counter.inc_by(total.saturating_sub(counter.get()));
        self.cache_entries.set(signed(readings.cache_entries));
        self.cache_bytes.with_label_values(&["memory"]).set(signed(readings.cache_bytes));
        self.cache_bytes.with_label_values(&["vectors"]).set(signed(readings.vector_bytes));
        catch_up(&self.cache_evictions, readings.cache_evictions);
        let (sidecars, losses, mut redis_errors) = readings.ledger;
        self.ledger_sidecars.set(signed(sidecars));
        catch_up(&self.ledger_losses, losses);
        for (tier, bytes, up, errors) in &readings.tiers {
            if let Some(bytes) = bytes {
                self.cache_bytes.with_label_values(&[tier]).set(signed(*bytes));
            }
            self.tier_up.with_label_values(&[tier]).set(i64::from(*up));
            if *tier == "redis" {
                redis_errors += *errors;
            }
            catch_up(&self.tier_errors.with_label_values(&[tier]), *errors);
        }
        for (tier, reason, count) in &readings.refused {
            catch_up(&self.cache_refused.with_label_values(&[tier, reason]), *count);
        }
        catch_up(&self.redis_errors, redis_errors);
        catch_up(&self.cache_skipped, readings.skipped);
        catch_up(&self.lock_attempts, readings.locks.0);
        catch_up(&self.lock_failures, readings.locks.1);
        self.flight_waiters.set(signed(readings.flight_waiters as u64));
        self.limit_waiters.set(signed(readings.limit_waiters as u64));
        self.budget_used.reset();
        for (limit, share) in &readings.budgets {
            self.budget_used.with_label_values(&[&**limit]).set(*share);
        }
        self.batch_waiting.set(signed(readings.batch_waiting as u64));
        self.burst_waiters.set(signed(readings.burst_waiters as u64));
        self.breaker_state.reset();
        for (provider, state) in &readings.breakers {
            self.breaker_state.with_label_values(&[provider.as_str()]).set(*state);
        }
        for (event, count) in &readings.breakers_shared {
            catch_up(&self.breakers_shared.with_label_values(&[event]), *count);
        }
        for (provider, count) in &readings.connections {
            self.connections.with_label_values(&[provider.as_str(), "active"]).set(*count);
        }
        catch_up(&self.connections_opened, readings.connections_opened);
        catch_up(&self.connections_reused, readings.connections_reused);
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}
