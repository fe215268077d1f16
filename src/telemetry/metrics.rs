//! Every metric: its name, help and labels in one table (Prometheus naming, base units).

use prometheus::core::{AtomicF64, AtomicU64, Collector, GenericCounterVec};
use prometheus::{
    CounterVec, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry,
};

use crate::exchange::Outcome;
use crate::request::endpoint::Endpoint;

/// Seconds, from a memory hit to a long generation.
const DURATIONS: [f64; 16] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 120.0];
/// Seconds that pareto itself adds.
const OVERHEADS: [f64; 10] = [0.000_02, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.0025, 0.01, 0.1, 1.0];

/// Measured over estimated.
const RATIOS: [f64; 11] = [0.5, 0.7, 0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.25, 1.5, 2.0];
/// Cosine similarity: thresholds are chosen among these.
const SCORES: [f64; 20] = [
    0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9,
    0.95,
];
/// Inputs of one embedding call, up to what a provider takes.
const INPUTS: [f64; 12] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0];

/// The metrics of this process.
pub struct Metrics {
    pub(super) registry: Registry,
    pub(super) requests: Vec<[IntCounter; Outcome::ALL.len()]>,
    pub(super) durations: Vec<Histogram>,
    pub(super) first_bytes: Vec<Histogram>,
    /// What pareto adds.
    pub overhead: Histogram,
    /// Calls to providers by status.
    pub upstream_requests: IntCounterVec,
    /// Their durations.
    pub upstream_duration: HistogramVec,
    /// How they ended.
    pub attempts: IntCounterVec,
    /// Streams that broke off and went on, by who went on.
    pub resumed: IntCounterVec,
    /// Tokens consumed.
    pub tokens: IntCounterVec,
    /// Money spent.
    pub cost: CounterVec,
    /// Money not spent.
    pub saved_usd: CounterVec,
    /// Calls not made.
    pub saved_calls: IntCounterVec,
    /// Tokens not consumed.
    pub saved_tokens: IntCounterVec,
    /// Embedding inputs not sent.
    pub saved_inputs: IntCounterVec,
    /// Inputs of each embedding call.
    pub batch_inputs: Histogram,
    /// Calls that an observing feature would have saved.
    pub observed_calls: IntCounterVec,
    /// Requests that a rule decided about.
    pub rules: IntCounterVec,
    /// How relevant rules found questions.
    pub rule_score: HistogramVec,
    /// Questions of which a rule could not tell.
    pub rule_unscored: IntCounterVec,
    /// Requests that a client's SDK has sent before.
    pub client_retries: IntCounter,
    /// Requests that a limit refused.
    pub limit_rejections: IntCounterVec,
    /// Requests that a limit would have refused, had it not only been observing.
    pub limit_observed: IntCounterVec,
    /// Calls settled with their limits, by how it was known what they consumed.
    pub limit_settlements: IntCounterVec,
    /// Input tokens measured over input tokens estimated.
    pub token_estimate: HistogramVec,
    /// What was told of budgets, by how it went out.
    pub limit_alerts: IntCounterVec,
    pub(super) budget_used: GaugeVec,
    pub(super) limit_waiters: IntGauge,
    pub(super) ledger_sidecars: IntGauge,
    pub(super) ledger_losses: IntCounter,
    /// Requests under way.
    pub active: IntGauge,
    /// Requests and responses that passed through unread.
    pub passed: IntCounterVec,
    /// Reloads by result.
    pub reloads: IntCounterVec,
    /// The generation in force.
    pub generation: IntGauge,
    pub(super) cache_entries: IntGauge,
    pub(super) cache_bytes: IntGaugeVec,
    pub(super) cache_evictions: IntCounter,
    pub(super) tier_up: IntGaugeVec,
    pub(super) tier_errors: IntCounterVec,
    pub(super) cache_refused: IntCounterVec,
    pub(super) cache_skipped: IntCounter,
    pub(super) redis_errors: IntCounter,
    pub(super) lock_attempts: IntCounter,
    pub(super) lock_failures: IntCounter,
    pub(super) flight_waiters: IntGauge,
    pub(super) batch_waiting: IntGauge,
    pub(super) burst_waiters: IntGauge,
    pub(super) breaker_state: IntGaugeVec,
    pub(super) breakers_shared: IntCounterVec,
    pub(super) connections: IntGaugeVec,
    pub(super) connections_opened: IntCounter,
    pub(super) connections_reused: IntCounter,
}

/// Makes and registers metrics; a name that clashes is a mistake in this file, found by its test.
struct Maker(Registry);

impl Maker {
    fn add<M: Collector + Clone + 'static>(&self, made: prometheus::Result<M>) -> prometheus::Result<M> {
        let metric = made?;
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> prometheus::Result<GenericCounterVec<AtomicU64>> {
        self.add(IntCounterVec::new(Opts::new(name, help), labels))
    }

    fn amounts(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> prometheus::Result<GenericCounterVec<AtomicF64>> {
        self.add(CounterVec::new(Opts::new(name, help), labels))
    }

    fn counter(&self, name: &str, help: &str) -> prometheus::Result<IntCounter> {
        self.add(IntCounter::new(name, help))
    }

    fn gauge(&self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        self.add(IntGauge::new(name, help))
    }

    fn histograms(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<HistogramVec> {
        self.add(HistogramVec::new(HistogramOpts::new(name, help).buckets(DURATIONS.to_vec()), labels))
    }
}

impl Metrics {
    /// The table.
    ///
    /// # Errors
    /// Two metrics of one name.
    pub fn new() -> prometheus::Result<Self> {
        let make = Maker(Registry::new_custom(Some("pareto".to_owned()), None)?);
        let requests = make.counters(
            "requests_total",
            "Requests to understood endpoints by how they were served.",
            &["endpoint", "outcome"],
        )?;
        let durations = make.histograms(
            "request_duration_seconds",
            "From the end of a request's body to the end of its response.",
            &["endpoint"],
        )?;
        let first_bytes = make.histograms(
            "first_byte_seconds",
            "From the end of a request's body to the first byte of its response.",
            &["endpoint"],
        )?;
        let overhead =
            HistogramOpts::new("overhead_seconds", "The part of first_byte_seconds that pareto adds.")
                .buckets(OVERHEADS.to_vec());
        let each = |histograms: &HistogramVec| {
            Endpoint::ALL.iter().map(|endpoint| histograms.with_label_values(&[endpoint.name()])).collect()
        };
        Ok(Self {
            requests: Endpoint::ALL
                .iter()
                .map(|endpoint| {
                    Outcome::ALL.map(|outcome| requests.with_label_values(&[endpoint.name(), outcome.name()]))
                })
                .collect(),
            durations: each(&durations),
            first_bytes: each(&first_bytes),
            overhead: make.add(Histogram::with_opts(overhead))?,
            upstream_requests: make.counters(
                "upstream_requests_total",
                "Calls to providers by status; 0 where none came.",
                &["provider", "status"],
            )?,
            upstream_duration: make.histograms(
                "upstream_duration_seconds",
                "From a call's sending to the end of its answer.",
                &["provider"],
            )?,
            attempts: make.counters(
                "attempts_total",
                "Calls to providers by how they ended.",
                &["provider", "result"],
            )?,
            resumed: make.counters(
                "resumed_total",
                "Streams that broke off and went on, by the provider that went on.",
                &["provider"],
            )?,
            tokens: make.counters(
                "tokens_total",
                "Tokens consumed at providers.",
                &["provider", "model", "kind"],
            )?,
            cost: make.amounts(
                "cost_usd_total",
                "List price of all calls made, USD.",
                &["provider", "model", "tenant"],
            )?,
            saved_usd: make.amounts(
                "saved_usd_total",
                "List price of the calls saved, USD.",
                &["by", "tenant"],
            )?,
            saved_calls: make.counters(
                "saved_calls_total",
                "Calls to providers that were not made.",
                &["by", "tenant"],
            )?,
            saved_tokens: make.counters(
                "saved_tokens_total",
                "Tokens that were not consumed.",
                &["by", "tenant"],
            )?,
            saved_inputs: make.counters(
                "saved_inputs_total",
                "Embedding inputs that were not sent.",
                &["by", "tenant"],
            )?,
            batch_inputs: make.add(Histogram::with_opts(
                HistogramOpts::new("batch_inputs", "Inputs in one embedding call.").buckets(INPUTS.to_vec()),
            ))?,
            observed_calls: make.counters(
                "observed_calls_total",
                "Calls that a feature set to observe would have saved.",
                &["by"],
            )?,
            rules: make.counters(
                "rules_matched_total",
                "Requests a rule decided about, by what it did; observed: would have done.",
                &["rule", "action"],
            )?,
            rule_score: make.add(HistogramVec::new(
                HistogramOpts::new("rule_score", "How relevant a rule found what was asked: cosine similarity.")
                    .buckets(SCORES.to_vec()),
                &["rule"],
            ))?,
            rule_unscored: make.counters(
                "rule_unscored_total",
                "Questions whose relevance a rule could not tell, by why.",
                &["rule", "reason"],
            )?,
            client_retries: make
                .counter("client_retries_total", "Requests that the client's SDK says it has sent before.")?,
            limit_rejections: make.counters(
                "limit_rejections_total",
                "Requests that a limit refused.",
                &["limit"],
            )?,
            limit_observed: make.counters(
                "limit_observed_rejections_total",
                "Requests that a limit would have refused, were limits not set to observe.",
                &["limit"],
            )?,
            limit_settlements: make.counters(
                "limit_settlements_total",
                "Calls settled with limits, by how it was known what they consumed.",
                &["basis"],
            )?,
            token_estimate: make.add(HistogramVec::new(
                HistogramOpts::new(
                    "token_estimate_ratio",
                    "Input tokens as the provider counted them, over those estimated before the call.",
                )
                .buckets(RATIOS.to_vec()),
                &["tokenizer"],
            ))?,
            limit_alerts: make.counters(
                "limit_alerts_total",
                "Alerts of budgets by how they went out.",
                &["limit", "result"],
            )?,
            budget_used: make.add(GaugeVec::new(
                Opts::new("budget_used_ratio", "The share of a budget that is used, where it is most."),
                &["limit"],
            ))?,
            limit_waiters: make.gauge("limit_waiters", "Requests waiting to be let through by a limit.")?,
            ledger_sidecars: make.gauge(
                "limit_ledger_sidecars",
                "Sidecars that count limits together; 0 while their Redis is away, and where there is none.",
            )?,
            ledger_losses: make.counter(
                "limit_ledger_losses_total",
                "Requests decided without the counts that sidecars share.",
            )?,
            active: make.gauge("active_requests", "Requests under way, understood or not.")?,
            passed: make.counters(
                "passed_total",
                "Requests passed through unread, by status; 0 where the provider failed.",
                &["provider", "status"],
            )?,
            reloads: make.counters("config_reloads_total", "Reloads of the configuration.", &["result"])?,
            generation: make.gauge(
                "config_generation",
                "The generation of the configuration in force; 1 is the first.",
            )?,
            cache_entries: make.gauge("cache_entries", "Answers and vectors stored.")?,
            cache_bytes: make.add(IntGaugeVec::new(Opts::new("cache_bytes", "Bytes stored."), &["tier"]))?,
            cache_evictions: make.counter("cache_evictions_total", "Answers dropped for room.")?,
            tier_up: make.add(IntGaugeVec::new(
                Opts::new("cache_tier_up", "Whether a tier below the memory works: 1, or 0 while it is left alone."),
                &["tier"],
            ))?,
            tier_errors: make.counters("cache_tier_errors_total", "Failures of a tier.", &["tier"])?,
            cache_refused: make.counters(
                "cache_refused_total",
                "Entries found that were not served: of another version, sealed with a key not known here, damaged.",
                &["tier", "reason"],
            )?,
            cache_skipped: make.counter(
                "cache_writes_skipped_total",
                "Answers not written to a lower tier, which was slower than they came.",
            )?,
            redis_errors: make.counter(
                "redis_errors_total",
                "Calls to Redis that failed, and connections that could not be made.",
            )?,
            lock_attempts: make.counter("lock_attempts_total", "Leases of flights across sidecars asked for.")?,
            lock_failures: make.counter(
                "lock_failures_total",
                "Leases of flights across sidecars that could not be asked for or were lost.",
            )?,
            flight_waiters: make.gauge("flight_waiters", "Requests waiting for another's call.")?,
            batch_waiting: make
                .gauge("batch_waiting", "Embedding requests that wait for a call to take off.")?,
            burst_waiters: make
                .gauge("burst_waiters", "Requests waiting for a later one of their conversation.")?,
            breaker_state: make.add(IntGaugeVec::new(
                Opts::new("breaker_state", "The worst breaker of a provider: 0 closed, 1 half-open, 2 open."),
                &["provider"],
            ))?,
            breakers_shared: make.counters(
                "breakers_shared_total",
                "Findings on providers and keys that sidecars share: told, learned, ignored as not understood, probes left to another.",
                &["event"],
            )?,
            connections: make.add(IntGaugeVec::new(
                Opts::new("upstream_connections", "Connections to providers."),
                &["provider", "state"],
            ))?,
            connections_opened: make.counter("connections_opened_total", "Connections to providers made.")?,
            connections_reused: make
                .counter("connections_reused_total", "Calls that found a connection in the pool.")?,
            registry: make.0,
        })
    }

    /// The counter of requests.
    pub fn requests(&self, endpoint: Endpoint, outcome: Outcome) -> &IntCounter {
        &self.requests[endpoint as usize][outcome as usize]
    }

    /// The histogram of whole durations.
    pub fn duration(&self, endpoint: Endpoint) -> &Histogram {
        &self.durations[endpoint as usize]
    }

    /// The histogram of waits for the first byte.
    pub fn first_byte(&self, endpoint: Endpoint) -> &Histogram {
        &self.first_bytes[endpoint as usize]
    }
}
