//! What a provider says is left of its own limits, learned from every answer. Pure: `now` is passed in.
//!
//! OpenAI (API reference, "Rate limits"): `x-ratelimit-remaining-requests`, `-limit-`, `-reset-` with
//! durations as Go writes them (`1s`, `6m0s`, `12ms`). Anthropic (API reference, "Rate limits"):
//! `anthropic-ratelimit-requests-remaining`, `-limit`, `-reset` with a time as RFC 3339 has it.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use tokio::time::Instant;

/// A window longer than this is not believed.
const LONGEST: Duration = Duration::from_secs(86_400);

/// What is left to one key at one provider.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Allowance {
    requests: Option<Left>,
    tokens: Option<Left>,
}

/// What is left of one limit.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Left {
    limit: u64,
    remaining: u64,
    reset: Instant,
}

impl Allowance {
    /// Learns from an answer's headers; what they do not say stays as it was.
    pub fn learn(&mut self, headers: &HeaderMap, now: Instant, wall: SystemTime) {
        self.requests = Left::read(headers, "requests", now, wall).or(self.requests);
        let tokens = ["tokens", "input-tokens", "output-tokens"];
        let least = tokens.iter().filter_map(|what| Left::read(headers, what, now, wall));
        self.tokens = least.min_by(|one, other| one.share(now).total_cmp(&other.share(now))).or(self.tokens);
    }

    /// A call is being sent: it will be one less.
    pub fn spend(&mut self) {
        if let Some(requests) = &mut self.requests {
            requests.remaining = requests.remaining.saturating_sub(1);
        }
    }

    /// Until when there is nothing left; `None` where there is.
    pub fn exhausted(&self, now: Instant) -> Option<Instant> {
        let spent = self.limits().filter(|left| left.remaining == 0 && left.reset > now);
        spent.map(|left| left.reset).max()
    }

    /// The share that is left of the scarcest limit, from 0 to 1; 1 where nothing is known.
    pub fn room(&self, now: Instant) -> f64 {
        self.limits().map(|left| left.share(now)).fold(1.0, f64::min)
    }

    fn limits(&self) -> impl Iterator<Item = &Left> {
        self.requests.iter().chain(&self.tokens)
    }
}

impl Left {
    fn read(headers: &HeaderMap, what: &str, now: Instant, wall: SystemTime) -> Option<Self> {
        let named = |name: String| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let openai = |part: &str| named(format!("x-ratelimit-{part}-{what}"));
        let anthropic = |part: &str| named(format!("anthropic-ratelimit-{what}-{part}"));
        let number = |part: &str| openai(part).or_else(|| anthropic(part))?.parse::<u64>().ok();
        let reset = match (openai("reset"), anthropic("reset")) {
            (Some(text), _) => go_duration(text)?,
            (None, Some(text)) => {
                humantime::parse_rfc3339_weak(text).ok()?.duration_since(wall).unwrap_or_default()
            }
            (None, None) => return None,
        };
        // Azure says -1 where it does not know: no number of ours.
        let (limit, remaining) = (number("limit")?, number("remaining")?);
        (limit > 0 && reset <= LONGEST).then_some(Self { limit, remaining, reset: now + reset })
    }

    /// What is left, as a share of 1; all of it once its time is up.
    fn share(&self, now: Instant) -> f64 {
        if self.reset <= now { 1.0 } else { self.remaining as f64 / self.limit as f64 }
    }
}

/// A duration as Go writes it: `6m0s`, `1.5s`, `12ms`.
fn go_duration(text: &str) -> Option<Duration> {
    let (mut rest, mut sum) = (text, 0.0f64);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let unit = &rest[digits..];
        let end = unit.find(|c: char| c.is_ascii_digit()).unwrap_or(unit.len());
        sum += number
            * match &unit[..end] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" => 1e-6,
                "ns" => 1e-9,
                _ => return None,
            };
        rest = &unit[end..];
    }
    (!text.is_empty()).then(|| Duration::try_from_secs_f64(sum).ok())?
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let field = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        fields.iter().map(field).collect()
    }

    #[test]
    fn openai_says_what_is_left_of_requests_and_tokens() {
        let now = Instant::now();
        let mut allowance = Allowance::default();
        assert_eq!((allowance.room(now), allowance.exhausted(now)), (1.0, None));
        let said = headers(&[
            ("x-ratelimit-limit-requests", "100"),
            ("x-ratelimit-remaining-requests", "1"),
            ("x-ratelimit-reset-requests", "1.5s"),
            ("x-ratelimit-limit-tokens", "1000"),
            ("x-ratelimit-remaining-tokens", "500"),
            ("x-ratelimit-reset-tokens", "6m0s"),
        ]);
        allowance.learn(&said, now, SystemTime::UNIX_EPOCH);
        assert!((allowance.room(now) - 0.01).abs() < 1e-9);
        allowance.spend();
        assert_eq!(allowance.exhausted(now), Some(now + Duration::from_millis(1500)));
        let later = now + Duration::from_secs(2);
        assert_eq!((allowance.exhausted(later), allowance.room(later)), (None, 0.5));
        allowance.learn(&HeaderMap::new(), later, SystemTime::UNIX_EPOCH);
        assert_eq!(allowance.room(later), 0.5, "an answer that says nothing changes nothing");
    }

    #[test]
    fn anthropic_names_the_time() {
        let (now, wall) = (Instant::now(), SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_867_200));
        let said = headers(&[
            ("anthropic-ratelimit-output-tokens-limit", "10"),
            ("anthropic-ratelimit-output-tokens-remaining", "0"),
            ("anthropic-ratelimit-output-tokens-reset", "2026-11-28T12:00:30Z"),
            ("anthropic-ratelimit-input-tokens-limit", "10"),
            ("anthropic-ratelimit-input-tokens-remaining", "9"),
            ("anthropic-ratelimit-input-tokens-reset", "2026-11-28T12:00:10Z"),
        ]);
        let mut allowance = Allowance::default();
        allowance.learn(&said, now, wall);
        assert_eq!(allowance.exhausted(now), Some(now + Duration::from_secs(30)));
    }

    #[test]
    fn what_makes_no_sense_is_not_learned() {
        let now = Instant::now();
        for (limit, remaining, reset) in [
            ("-1", "-1", "1s"),
            ("0", "0", "1s"),
            ("10", "0", "soon"),
            ("10", "0", "1"),
            ("10", "0", "9999h"),
        ] {
            let said = headers(&[
                ("x-ratelimit-limit-requests", limit),
                ("x-ratelimit-remaining-requests", remaining),
                ("x-ratelimit-reset-requests", reset),
            ]);
            let mut allowance = Allowance::default();
            allowance.learn(&said, now, SystemTime::UNIX_EPOCH);
            assert_eq!(allowance, Allowance::default(), "{limit} {remaining} {reset}");
        }
        assert_eq!(go_duration("12ms"), Some(Duration::from_millis(12)));
        assert_eq!(go_duration(""), None);
    }
}
