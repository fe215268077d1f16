//! The response headers that are ours, and which of the provider's may be repeated.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{self, HeaderName, HeaderValue};

use crate::error::ApiError;

/// RFC 9211.
pub const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
/// W3C Server Timing.
pub const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
/// Obeyed by the OpenAI and Anthropic SDKs.
pub const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
/// Shown by the SDKs as the request's id.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// What limits there are (IETF draft).
pub const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// What is left of them (IETF draft).
pub const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// In milliseconds; the OpenAI SDKs prefer it.
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
/// Which rule decided.
pub const RULE: HeaderName = HeaderName::from_static("x-pareto-rule");
/// Which provider answered.
pub const PROVIDER: HeaderName = HeaderName::from_static("x-pareto-provider");
/// Which model answered.
pub const MODEL: HeaderName = HeaderName::from_static("x-pareto-model");
/// How many tries it took.
pub const ATTEMPTS: HeaderName = HeaderName::from_static("x-pareto-attempts");
/// What this answer cost, USD.
pub const COST: HeaderName = HeaderName::from_static("x-pareto-cost-usd");
/// What this answer would have cost, USD.
pub const SAVED: HeaderName = HeaderName::from_static("x-pareto-saved-usd");

/// `application/json`
pub const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// `text/event-stream`, with the charset OpenAI names.
pub const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream; charset=utf-8");

/// Provider headers that say something of the answer rather than of the one call that fetched it.
/// All others (rate limits, request ids, cookies, timings) belong to that call: they are passed to
/// the client that made it and to nobody else.
const REPEATABLE: [HeaderName; 2] = [header::CONTENT_TYPE, HeaderName::from_static("openai-version")];

/// The headers of an answer that another caller, now or later, may see. Copied: a value as it was read
/// is a slice of its connection's buffer and would keep all 4 KiB of that.
pub fn repeatable(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::with_capacity(12);
    for name in &REPEATABLE {
        if let Some(value) =
            headers.get(name).and_then(|value| HeaderValue::from_bytes(value.as_bytes()).ok())
        {
            kept.insert(name.clone(), value);
        }
    }
    kept
}

/// The headers of an error of ours, whoever sends it.
pub fn of_error(error: &ApiError) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(6);
    headers.insert(header::CONTENT_TYPE, JSON);
    if let Some(retry) = error.should_retry {
        headers.insert(SHOULD_RETRY, boolean(retry));
    }
    if let Some(wait) = error.retry_after {
        let milliseconds = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
        headers.insert(header::RETRY_AFTER, number(milliseconds.div_ceil(1000)));
        headers.insert(RETRY_AFTER_MS, number(milliseconds));
    }
    if error.attempts > 0 {
        headers.insert(ATTEMPTS, number(u64::from(error.attempts)));
    }
    headers
}

/// `true` or `false`.
pub const fn boolean(value: bool) -> HeaderValue {
    if value { HeaderValue::from_static("true") } else { HeaderValue::from_static("false") }
}

/// A number.
pub fn number(value: u64) -> HeaderValue {
    HeaderValue::from(value)
}

/// Text made by pareto itself; what no header can hold is left out.
pub fn text(value: String) -> Option<HeaderValue> {
    HeaderValue::from_maybe_shared(Bytes::from(value)).ok()
}

/// `pareto;dur=0.11, upstream;dur=812` (ms): what pareto added, and what it waited for.
pub fn server_timing(added: Duration, upstream: Option<Duration>) -> Option<HeaderValue> {
    let mut value = String::with_capacity(40);
    value.push_str("pareto;dur=");
    push_millis(&mut value, added);
    if let Some(upstream) = upstream {
        value.push_str(", upstream;dur=");
        push_millis(&mut value, upstream);
    }
    text(value)
}

/// Milliseconds with two decimals below 100 ms and none above. By hand: this is written on every
/// answer, and the general formatter takes longer than finding the answer.
fn push_millis(value: &mut String, duration: Duration) {
    let hundredths = duration.as_micros() / 10;
    let (whole, part) = (hundredths / 100, hundredths % 100);
    value.push_str(itoa::Buffer::new().format(whole));
    if whole < 100 && part != 0 {
        value.push_str(if part < 10 { ".0" } else { "." });
        value.push_str(itoa::Buffer::new().format(part));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timing_is_in_milliseconds_as_the_contract_shows() {
        let value = server_timing(Duration::from_micros(110), Some(Duration::from_millis(812)));
        assert_eq!(value.unwrap(), "pareto;dur=0.11, upstream;dur=812");
        assert_eq!(server_timing(Duration::from_micros(4), None).unwrap(), "pareto;dur=0");
    }

    #[test]
    fn what_belongs_to_one_call_is_not_repeated() {
        let mut headers = HeaderMap::new();
        for name in [
            "content-type",
            "x-request-id",
            "x-ratelimit-remaining-tokens",
            "set-cookie",
            "openai-version",
            "openai-organization",
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static("v"));
        }
        let kept = repeatable(&headers);
        assert_eq!(
            kept.keys().map(HeaderName::as_str).collect::<Vec<_>>(),
            ["content-type", "openai-version"]
        );
    }
}
