//! What a failed attempt means: whose fault it was, who may be asked next and when, and whether it
//! may have been billed. Pure.
//!
//! Sources: the error tables of the vendors' API references; RFC 9110 section 10.2.3 for `Retry-After`;
//! google.rpc.RetryInfo; what the SDKs of OpenAI and Anthropic retry.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use serde::Deserialize;

use crate::io::upstream::Fault;
use crate::response::shape::{ProviderError, error_in};

/// The longest wait a provider can name: a day.
pub const LONGEST_WAIT: Duration = Duration::from_secs(86_400);

/// Who may be asked after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nobody: the answer is the client's.
    Nobody,
    /// Another target, or this one again where there is no other.
    Anyone,
    /// Another target only.
    Others,
    /// This target with another of its keys, or another target.
    OtherKey,
    /// Another target, if its context window is larger.
    Bigger,
    /// This target once more, without the proofs of whose calls they are: it did not make them. If that
    /// is not to be, another target.
    Unproved,
}

/// What a failure says of the target and its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// Nothing: a bad request is nobody's fault but the client's.
    None,
    /// The target does not work: its breaker counts it.
    Target,
    /// There is too much load: the target rests for the time it named, or briefly.
    Load,
    /// The key is refused or has no money left: it is benched.
    Key,
}

/// What a failed attempt means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Who may be asked next.
    pub next: Next,
    /// Whose fault it was.
    pub blame: Blame,
    /// How long the provider asks to be left alone: a floor, not a wish.
    pub wait: Option<Duration>,
    /// Whether the provider may have worked, and charge for it.
    pub billed: bool,
}

impl Verdict {
    const fn new(next: Next, blame: Blame, billed: bool) -> Self {
        Self { next, blame, wait: None, billed }
    }

    /// The road failed, or the answer broke off before a word of it was heard.
    pub const fn of_fault(fault: Fault) -> Self {
        let billed = !matches!(fault, Fault::Connect | Fault::ConnectTimeout);
        let next = if matches!(fault, Fault::TotalTimeout) { Next::Nobody } else { Next::Anyone };
        Self::new(next, Blame::Target, billed)
    }

    /// The answer was empty, or not what the API promises.
    pub const fn of_broken() -> Self {
        Self::new(Next::Anyone, Blame::Target, true)
    }

    /// The provider refused with this status. `owned` says whether the key was pareto's own: what is
    /// wrong with the caller's key is the caller's to know.
    pub fn of_refusal(status: u16, headers: &HeaderMap, body: &[u8], owned: bool, now: SystemTime) -> Self {
        let body = unwrapped(body);
        let mut verdict = Self::of_error(status, error_in(body).as_ref(), &Details::read(body), owned);
        verdict.wait = verdict.wait.or_else(|| named_wait(headers, now)).map(|wait| wait.min(LONGEST_WAIT));
        verdict
    }

    /// The provider failed inside a 200. What it had done by then may be billed.
    pub fn of_told(error: &ProviderError, body: &[u8], owned: bool) -> Self {
        let details = Details::read(unwrapped(body));
        Self { billed: true, ..Self::of_error(error.status, Some(error), &details, owned) }
    }

    fn of_error(status: u16, error: Option<&ProviderError>, details: &Details, owned: bool) -> Self {
        let key = if owned { Self::new(Next::OtherKey, Blame::Key, false) } else { Self::nobody() };
        let verdict = match status {
            _ if is_quota(status, error, details) => {
                // A caller who has no money left is answered by another target where there is one.
                if owned { key } else { Self::new(Next::Others, Blame::None, false) }
            }
            400 | 413 if error.is_some_and(is_too_long) => Self::new(Next::Bigger, Blame::None, false),
            400 if error.is_some_and(is_unproved) => Self::new(Next::Unproved, Blame::None, false),
            400 if details.names("API_KEY_INVALID") => key,
            401 | 403 => key,
            404 => Self::new(Next::Others, Blame::None, false),
            408 => Self::new(Next::Anyone, Blame::Target, true),
            429 => Self::new(Next::Anyone, Blame::Load, false),
            500.. => Self::new(Next::Anyone, Blame::Target, status == 504),
            _ => Self::nobody(),
        };
        Self { wait: details.retry_delay(), ..verdict }
    }

    const fn nobody() -> Self {
        Self::new(Next::Nobody, Blame::None, false)
    }
}

/// No money, rather than too much load: waiting does not help.
fn is_quota(status: u16, error: Option<&ProviderError>, details: &Details) -> bool {
    let says = |name: &str| {
        let is = |said: &Option<String>| said.as_deref() == Some(name);
        error.is_some_and(|error| is(&error.code) || is(&error.kind))
    };
    let spent = ["enforced_spend_limit_reached", "contract_spend_limit_reached"];
    match status {
        402 => true,
        429 => {
            says("insufficient_quota")
                || spent.into_iter().any(|code| details.names(code))
                || details.is_daily()
        }
        // Gemini: billing is not enabled, or not in this region.
        400 => says("FAILED_PRECONDITION"),
        _ => false,
    }
}

/// The request does not fit the model's context window. Only OpenAI has a code for it.
fn is_too_long(error: &ProviderError) -> bool {
    const SAID: [&str; 4] = [
        "prompt is too long",
        "maximum context length",
        "exceeds the maximum number of tokens",
        "exceed context limit",
    ];
    error.code.as_deref() == Some("context_length_exceeded")
        || SAID.iter().any(|words| error.message.contains(words))
}

/// Gemini: the request has calls that another model made, or another key. It says "missing a
/// `thought_signature`" and "Corrupted thought signature".
fn is_unproved(error: &ProviderError) -> bool {
    error.message.contains("thought signature") || error.message.contains("thought_signature")
}

/// Gemini may wrap an error in a list of one.
fn unwrapped(body: &[u8]) -> &[u8] {
    let body = body.trim_ascii();
    body.strip_prefix(b"[").and_then(|body| body.strip_suffix(b"]")).unwrap_or(body)
}

/// How long the headers ask to wait: `retry-after-ms` (OpenAI) before `Retry-After` in seconds or as
/// a date.
pub fn named_wait(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
    if let Some(millis) = text("retry-after-ms").and_then(|text| text.trim().parse::<f64>().ok()) {
        return Duration::try_from_secs_f64(millis / 1000.0).ok();
    }
    let named = text("retry-after")?.trim();
    if let Ok(seconds) = named.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let at = httpdate::parse_http_date(named).ok()?;
    Some(at.duration_since(now).unwrap_or_default())
}

/// What an error says beyond its message: `google.rpc` details, or Anthropic's `details`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Details {
    error: Detailed,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Detailed {
    details: DetailList,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum DetailList {
    Many(Vec<Detail>),
    One(Detail),
    Other(serde::de::IgnoredAny),
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Detail {
    #[serde(rename = "retryDelay")]
    retry_delay: Option<String>,
    reason: Option<String>,
    error_code: Option<String>,
    violations: Vec<Violation>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Violation {
    #[serde(rename = "quotaId")]
    quota: String,
}

impl Default for DetailList {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl Details {
    fn read(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }

    fn all(&self) -> &[Detail] {
        match &self.error.details {
            DetailList::Many(details) => details,
            DetailList::One(detail) => std::slice::from_ref(detail),
            DetailList::Other(_) => &[],
        }
    }

    fn names(&self, reason: &str) -> bool {
        let is = |name: &Option<String>| name.as_deref() == Some(reason);
        self.all().iter().any(|detail| is(&detail.reason) || is(&detail.error_code))
    }

    /// `google.rpc.RetryInfo`: `34s`, `0.8s`.
    fn retry_delay(&self) -> Option<Duration> {
        let delay = self.all().iter().find_map(|detail| detail.retry_delay.as_deref())?;
        Duration::try_from_secs_f64(delay.strip_suffix('s')?.parse().ok()?).ok()
    }

    /// A quota that comes back with the next day.
    fn is_daily(&self) -> bool {
        let quotas = || self.all().iter().flat_map(|detail| &detail.violations);
        quotas().any(|violation| violation.quota.contains("PerDay"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    fn refused(status: u16, body: &str) -> Verdict {
        Verdict::of_refusal(status, &HeaderMap::new(), body.as_bytes(), true, UNIX_EPOCH)
    }

    fn wait(name: &'static str, value: &str) -> Option<Duration> {
        let headers = HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]);
        Verdict::of_refusal(429, &headers, b"", true, UNIX_EPOCH + Duration::from_secs(784_111_777)).wait
    }

    #[test]
    fn only_the_targets_own_faults_are_blamed_on_it() {
        for (status, next, blame) in [
            (400, Next::Nobody, Blame::None),
            (401, Next::OtherKey, Blame::Key),
            (402, Next::OtherKey, Blame::Key),
            (403, Next::OtherKey, Blame::Key),
            (404, Next::Others, Blame::None),
            (409, Next::Nobody, Blame::None),
            (422, Next::Nobody, Blame::None),
            (429, Next::Anyone, Blame::Load),
            (500, Next::Anyone, Blame::Target),
            (503, Next::Anyone, Blame::Target),
            (529, Next::Anyone, Blame::Target),
        ] {
            let verdict = refused(status, "");
            assert_eq!((verdict.next, verdict.blame), (next, blame), "{status}");
        }
        let callers = Verdict::of_refusal(401, &HeaderMap::new(), b"", false, UNIX_EPOCH);
        assert_eq!((callers.next, callers.blame), (Next::Nobody, Blame::None));
        let spent = Verdict::of_refusal(402, &HeaderMap::new(), b"", false, UNIX_EPOCH);
        assert_eq!((spent.next, spent.blame), (Next::Others, Blame::None), "others have money");
    }

    #[test]
    fn lack_of_money_is_told_from_load() {
        for (status, body) in [
            (429, r#"{"error":{"message":"m","type":"insufficient_quota","code":"insufficient_quota"}}"#),
            (
                429,
                r#"{"error":{"type":"rate_limit_error","message":"m","details":{"error_code":"enforced_spend_limit_reached"}}}"#,
            ),
            (
                429,
                r#"[{"error":{"code":429,"details":[{"violations":[{"quotaId":"GenerateRequestsPerDayPerProject"}]}]}}]"#,
            ),
            (400, r#"{"error":{"code":400,"status":"FAILED_PRECONDITION","message":"billing"}}"#),
        ] {
            assert_eq!(refused(status, body).blame, Blame::Key, "{body}");
        }
        let load = r#"{"error":{"message":"m","type":"requests","code":"rate_limit_exceeded"}}"#;
        assert_eq!(refused(429, load).blame, Blame::Load);
    }

    #[test]
    fn a_context_that_is_too_long_goes_to_a_bigger_window() {
        for body in [
            r#"{"error":{"message":"m","code":"context_length_exceeded"}}"#,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 210000 tokens > 200000 maximum"}}"#,
            r#"{"error":{"code":400,"message":"The input token count (5) exceeds the maximum number of tokens allowed (4).","status":"INVALID_ARGUMENT"}}"#,
        ] {
            assert_eq!(refused(400, body).next, Next::Bigger, "{body}");
        }
    }

    #[test]
    fn a_proof_that_is_not_taken_is_told_from_other_bad_requests() {
        for (message, next) in [
            ("Corrupted thought signature.", Next::Unproved),
            ("Function call is missing a thought_signature in functionCall parts.", Next::Unproved),
            ("* GenerateContentRequest.contents: contents is not specified", Next::Nobody),
        ] {
            let body =
                format!(r#"{{"error":{{"code":400,"message":"{message}","status":"INVALID_ARGUMENT"}}}}"#);
            assert_eq!(refused(400, &body).next, next, "{message}");
        }
    }

    #[test]
    fn a_named_wait_is_read_in_every_form() {
        let (half, thirty) = (Duration::from_millis(500), Duration::from_secs(30));
        assert_eq!(wait("retry-after-ms", "500"), Some(half));
        assert_eq!(wait("retry-after", "30"), Some(thirty));
        assert_eq!(wait("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT"), Some(thirty));
        assert_eq!(wait("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO));
        for nonsense in ["soon", "-1", "nan", ""] {
            assert_eq!(wait("retry-after", nonsense), None, "{nonsense}");
        }
        assert_eq!(wait("retry-after", "99999999999"), Some(LONGEST_WAIT));
        let gemini = r#"[{"error":{"code":429,"details":[{"@type":"x","retryDelay":"34.5s"}]}}]"#;
        assert_eq!(refused(429, gemini).wait, Some(Duration::from_millis(34_500)));
    }

    #[test]
    fn what_never_reached_the_provider_was_not_billed() {
        assert!(
            !Verdict::of_fault(Fault::Connect).billed && !Verdict::of_fault(Fault::ConnectTimeout).billed
        );
        assert!(Verdict::of_fault(Fault::Closed).billed && Verdict::of_fault(Fault::FirstByteTimeout).billed);
        assert_eq!(Verdict::of_fault(Fault::TotalTimeout).next, Next::Nobody);
    }
}
