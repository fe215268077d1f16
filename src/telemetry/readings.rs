//! What is read off its owner when metrics are asked for, instead of being counted as it happens.

use std::sync::Arc;

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
