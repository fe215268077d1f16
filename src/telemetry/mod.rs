//! The books: one settled exchange in; metrics and a log line out.

mod labels;
pub mod line;
pub mod metrics;
pub mod readings;
pub mod spool;

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use http::HeaderValue;
use tokio::time::Instant;

use crate::config::Config;
use crate::exchange::{Embedded, Exchange, Flown, Observed, Outcome, Settle};
use crate::io::clock::Clock;
use crate::response::headers;
use crate::response::price::Cost;
use labels::{Labels, Saved, TenantCounters};
use line::Lines;
use metrics::Metrics;

/// Rules that get a label of their own; what is beyond is counted as `other`.
const MOST_RULES: usize = 1000;

/// What this process counts and tells.
pub struct Telemetry {
    /// The metrics.
    pub metrics: Metrics,
    tenants: Labels<TenantCounters>,
    models: Labels<()>,
    rules: Labels<()>,
    lines: Option<Lines>,
    clock: Clock,
    next_id: AtomicU64,
}

impl Telemetry {
    /// Books that count with the label bounds of `config` and write exchanges to `lines`.
    ///
    /// # Errors
    /// Two metrics of one name.
    pub fn new(config: &Config, clock: Clock, lines: Option<Lines>) -> prometheus::Result<Self> {
        Ok(Self {
            metrics: Metrics::new()?,
            tenants: Labels::new(config.metrics.max_tenants),
            models: Labels::new(config.metrics.max_models),
            rules: Labels::new(MOST_RULES),
            lines,
            clock,
            // Ids of two runs must differ; the time of the start tells them apart.
            next_id: AtomicU64::new(u64::try_from(clock.unix().as_nanos()).unwrap_or(u64::MAX)),
        })
    }

    /// An id for a response that no provider gave one.
    pub fn request_id(&self) -> HeaderValue {
        let id = self.next_id.fetch_add(1, Relaxed);
        let mut text = String::with_capacity(27);
        let _ = write!(text, "req_pareto_{id:016x}");
        headers::text(text).unwrap_or(HeaderValue::from_static("req_pareto"))
    }

    /// Counts a decision of a feature that only observes.
    pub fn observed(&self, by: &str) {
        self.metrics.observed_calls.with_label_values(&[by]).inc();
    }

    /// Counts one upstream call that has ended.
    pub fn flown(&self, flown: &Flown, now: Instant) {
        let provider = &*flown.provider;
        let status = flown.status.map_or(0, |status| status.as_u16());
        let mut digits = itoa::Buffer::new();
        self.metrics.upstream_requests.with_label_values(&[provider, digits.format(status)]).inc();
        self.metrics.attempts.with_label_values(&[provider, flown.result]).inc();
        let took = now.saturating_duration_since(flown.started).as_secs_f64();
        self.metrics.upstream_duration.with_label_values(&[provider]).observe(took);
        let Some(usage) = flown.usage else { return };
        let model = flown.answered.as_deref().or(flown.model.as_deref()).unwrap_or("unknown");
        let (model, ()) = self.models.get(model, |_| ());
        let kinds = [
            ("input", usage.input.saturating_sub(usage.cached_input)),
            ("cached_input", usage.cached_input),
            ("output", usage.output),
        ];
        for (kind, count) in kinds {
            if count > 0 {
                self.metrics.tokens.with_label_values(&[provider, &model, kind]).inc_by(count);
            }
        }
        if let Some(cost) = flown.cost.filter(|_| !flown.shared) {
            self.paid(provider, &model, &flown.tenant, cost);
        }
    }

    /// Counts what a tenant pays for a call, or for its part of one.
    pub fn paid(&self, provider: &str, model: &str, tenant: &str, cost: Cost) {
        let (model, ()) = self.models.get(model, |_| ());
        let (tenant, _) = self.tenant(tenant);
        self.metrics.cost.with_label_values(&[provider, &*model, &*tenant]).inc_by(cost.as_usd_f64());
    }

    /// Counts the inputs of an embedding call that is being sent.
    pub fn embedded(&self, inputs: usize) {
        #[expect(clippy::cast_precision_loss, reason = "a call has a few thousand inputs at most")]
        self.metrics.batch_inputs.observe(inputs as f64);
    }

    /// Counts that a rule decided, and what it did.
    pub fn ruled(&self, rule: &str, action: &str) {
        let (rule, ()) = self.rules.get(rule, |_| ());
        self.metrics.rules.with_label_values(&[&*rule, action]).inc();
    }

    /// Counts how relevant a rule found a question, or in one word why it could not tell.
    pub fn scored(&self, rule: &str, score: Result<f64, &str>) {
        let (rule, ()) = self.rules.get(rule, |_| ());
        match score {
            Ok(score) => self.metrics.rule_score.with_label_values(&[&*rule]).observe(score),
            Err(reason) => self.metrics.rule_unscored.with_label_values(&[&*rule, reason]).inc(),
        }
    }

    fn tenant(&self, name: &str) -> (std::sync::Arc<str>, TenantCounters) {
        self.tenants.get(name, |label| TenantCounters::new(&self.metrics, label))
    }

    /// Counts what an embedding request was spared, input by input.
    fn count_embedded(&self, embedded: &Embedded, exchange: &Exchange) {
        let (_, counters) = self.tenant(&exchange.tenant);
        for (share, saved) in [(&embedded.stored, &counters.cache), (&embedded.shared, &counters.coalesce)] {
            saved.inputs.inc_by(share.inputs);
            saved.tokens.inc_by(share.tokens);
            saved.usd.inc_by(share.cost.as_usd_f64());
        }
        match exchange.outcome {
            Outcome::Hit | Outcome::Stale => counters.cache.calls.inc(),
            Outcome::Collapsed => counters.coalesce.calls.inc(),
            _ if embedded.merged => counters.batch.calls.inc(),
            _ => {}
        }
    }

    fn count_saved(&self, exchange: &Exchange) {
        if let Some(embedded) = &exchange.embedded {
            return self.count_embedded(embedded, exchange);
        }
        let by: fn(&TenantCounters) -> &Saved = match exchange.outcome {
            Outcome::Hit | Outcome::Stale => |counters| &counters.cache,
            Outcome::Collapsed => |counters| &counters.coalesce,
            // A refusal saves nothing that anybody wanted.
            Outcome::Rule if exchange.status.is_success() => |counters| &counters.rule,
            _ => return,
        };
        let (_, counters) = self.tenant(&exchange.tenant);
        let saved = by(&counters);
        saved.calls.inc();
        saved.usd.inc_by(exchange.cost.map_or(0.0, Cost::as_usd_f64));
        saved.tokens.inc_by(exchange.usage.map_or(0, |usage| usage.input + usage.output));
    }
}

impl Settle for Telemetry {
    fn settle(&self, exchange: &Exchange) {
        let took = exchange.started.elapsed();
        let metrics = &self.metrics;
        metrics.requests(exchange.endpoint, exchange.outcome).inc();
        metrics.duration(exchange.endpoint).observe(took.as_secs_f64());
        metrics.first_byte(exchange.endpoint).observe(exchange.first_byte.as_secs_f64());
        metrics.overhead.observe(exchange.added().as_secs_f64());
        if exchange.retries > 0 {
            metrics.client_retries.inc();
        }
        if let Some(observed) = exchange.observed {
            let by = match observed {
                Observed::Cache => "cache",
                Observed::Coalesce => "coalesce",
                Observed::Batch => "batch",
                Observed::Rules => "rules",
            };
            metrics.observed_calls.with_label_values(&[by]).inc();
        }
        self.count_saved(exchange);
        if let Some(lines) = &self.lines {
            lines.write(exchange, took, self.clock.unix());
        }
    }
}
