//! One log line per exchange: numbers and names, no prompt text, no credential.
//!
//! Written past the general log's machinery, which takes as long as half a cache hit; both go to
//! the same spool.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::spool::Spool;
use crate::config::LogFormat;
use crate::exchange::Exchange;
use crate::response::unresumed::Unresumed;

/// Where exchange lines go.
pub struct Lines {
    spool: Spool,
    format: LogFormat,
}

/// The fields of a line, in their order.
#[derive(Serialize)]
struct Line<'e> {
    timestamp: String,
    level: &'static str,
    message: &'static str,
    endpoint: &'static str,
    outcome: &'static str,
    status: u16,
    tenant: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<&'e str>,
    stream: bool,
    duration_ms: f64,
    first_byte_ms: f64,
    upstream_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_usd: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'e str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tags: &'e [Box<str>],
    #[serde(skip_serializing_if = "is_zero")]
    resumed: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    unresumed: Option<&'static str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cut: bool,
}

impl Lines {
    /// Lines in this format to this spool.
    pub fn new(spool: Spool, format: LogFormat) -> Self {
        Self { spool, format }
    }

    /// Writes the line of an exchange that took `took` and ended at `unix` (since 1970).
    pub fn write(&self, exchange: &Exchange, took: Duration, unix: Duration) {
        let line = Line {
            timestamp: timestamp(unix),
            level: "INFO",
            message: "exchange",
            endpoint: exchange.endpoint.name(),
            outcome: exchange.outcome.name(),
            status: exchange.status.as_u16(),
            tenant: &exchange.tenant,
            model: exchange.model.as_deref(),
            provider: exchange.provider.as_deref(),
            stream: exchange.stream,
            duration_ms: millis(took),
            first_byte_ms: millis(exchange.first_byte),
            upstream_ms: millis(exchange.upstream),
            input_tokens: exchange.usage.map(|usage| usage.input),
            output_tokens: exchange.usage.map(|usage| usage.output),
            cost_usd: exchange.cost.map(|cost| cost.to_string()),
            key: exchange.key.map(|key| key.short()),
            rule: exchange.rule.as_deref(),
            tags: exchange.tags.as_deref().unwrap_or_default(),
            resumed: exchange.resumed,
            unresumed: exchange.unresumed.map(Unresumed::name),
            cut: exchange.cut,
        };
        let mut text = match self.format {
            LogFormat::Json => serde_json::to_vec(&line).unwrap_or_default(),
            LogFormat::Text => line.text().into_bytes(),
        };
        text.push(b'\n');
        self.spool.take(&text);
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl Line<'_> {
    fn text(&self) -> String {
        let mut text = format!(
            "{} INFO exchange endpoint={} outcome={} status={} tenant={:?} duration_ms={} first_byte_ms={} upstream_ms={}",
            self.timestamp,
            self.endpoint,
            self.outcome,
            self.status,
            self.tenant,
            self.duration_ms,
            self.first_byte_ms,
            self.upstream_ms,
        );
        let mut add = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                let _ = write!(text, " {name}={value:?}");
            }
        };
        add("model", self.model);
        add("provider", self.provider);
        add("cost_usd", self.cost_usd.as_deref());
        add("key", self.key.as_deref());
        add("rule", self.rule);
        add("unresumed", self.unresumed);
        self.tags.iter().for_each(|tag| add("tag", Some(tag)));
        if let (Some(input), Some(output)) = (self.input_tokens, self.output_tokens) {
            let _ = write!(text, " input_tokens={input} output_tokens={output}");
        }
        if self.stream {
            text.push_str(" stream");
        }
        if self.resumed > 0 {
            let _ = write!(text, " resumed={}", self.resumed);
        }
        if self.cut {
            text.push_str(" cut");
        }
        text
    }
}

fn timestamp(unix: Duration) -> String {
    humantime::format_rfc3339_millis(std::time::UNIX_EPOCH + unix).to_string()
}

/// Milliseconds to the hundredth.
fn millis(duration: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a duration in hundredths of a millisecond fits")]
    let hundredths = (duration.as_micros() / 10) as f64;
    hundredths / 100.0
}
