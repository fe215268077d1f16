//! Every "no" of ours: its status, its OpenAI-shaped body, and what the client should do next.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use serde_json::json;

use crate::io::upstream::UpstreamError;

/// A refusal or failure as the client sees it. A provider's own error is not one of these: it
/// passes as the provider sent it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// OpenAI's `type`: the family of the error.
    pub kind: &'static str,
    /// OpenAI's `code`: what programs branch on.
    pub code: &'static str,
    /// What happened and what to do about it.
    pub message: Arc<str>,
    /// Whether an SDK's own retry can help; `None` leaves it to the SDK.
    pub should_retry: Option<bool>,
    /// When a retry would pass, where that is known: `Retry-After`.
    pub retry_after: Option<Duration>,
    /// How many tries were made for it, where any was.
    pub attempts: u32,
}

impl ApiError {
    /// The code of [`ApiError::superseded`].
    pub const SUPERSEDED: &'static str = "pareto_superseded";
    /// The code of [`ApiError::not_cached`].
    pub const NOT_CACHED: &'static str = "pareto_not_cached";
    /// OpenAI's code of a rate limit.
    const RATE_LIMITED: &'static str = "rate_limit_exceeded";
    /// OpenAI's code and type of a spent budget.
    const EXHAUSTED: &'static str = "insufficient_quota";
    /// The code of [`ApiError::denied`].
    pub const DENIED: &'static str = "pareto_denied";

    /// The provider could not be reached, broke off, or ran out of time. pareto has tried what it
    /// may, so the SDK is told not to multiply the load.
    pub fn upstream(provider: &str, error: &UpstreamError) -> Self {
        let (status, code) = if error.fault.is_timeout() {
            (StatusCode::GATEWAY_TIMEOUT, "pareto_upstream_timeout")
        } else {
            (StatusCode::BAD_GATEWAY, "pareto_upstream_failed")
        };
        let message =
            format!("The provider `{provider}` did not answer properly ({error}). Try again later.");
        Self {
            status,
            kind: "server_error",
            code,
            message: message.into(),
            should_retry: Some(false),
            retry_after: None,
            attempts: 0,
        }
    }

    /// The provider's stream ended, or said, before its end what makes it no answer.
    pub fn broken_answer(provider: &str, what: &str) -> Self {
        let message = format!("The provider `{provider}` broke off its answer: {what}. Try again later.");
        Self {
            status: StatusCode::BAD_GATEWAY,
            kind: "server_error",
            code: "pareto_upstream_failed",
            message: message.into(),
            should_retry: Some(false),
            retry_after: None,
            attempts: 0,
        }
    }

    /// No target of the route can serve the request as asked: each, and what it lacks.
    pub fn unservable(skipped: &[(Box<str>, Cow<'static, str>)]) -> Self {
        let each: Vec<_> = skipped.iter().map(|(target, lacks)| format!("`{target}`: {lacks}")).collect();
        let message = format!(
            "No target of this model's route can serve the request as asked ({}). Ask for less, or add a target.",
            each.join(", ")
        );
        Self {
            status: StatusCode::BAD_REQUEST,
            kind: "invalid_request_error",
            code: "pareto_no_target",
            message: message.into(),
            should_retry: Some(false),
            retry_after: None,
            attempts: 0,
        }
    }

    /// The request body is over `max_body` bytes.
    pub fn too_large(limit: u64) -> Self {
        let message =
            format!("The request body is over the limit of {limit} bytes. Send less, or raise `max_body`.");
        Self {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            kind: "invalid_request_error",
            code: "pareto_body_too_large",
            message: message.into(),
            should_retry: Some(false),
            retry_after: None,
            attempts: 0,
        }
    }

    /// Two headers tell different ends of one body (RFC 9112 section 6.1): whoever reads by the other
    /// one finds a second request in it.
    pub fn two_framings() -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            kind: "invalid_request_error",
            code: "pareto_bad_framing",
            message: "The request has both `Content-Length` and `Transfer-Encoding`. Send one of them."
                .into(),
            should_retry: Some(false),
            retry_after: None,
            attempts: 0,
        }
    }

    /// The request body did not come in time.
    pub fn slow_body() -> Self {
        Self {
            status: StatusCode::REQUEST_TIMEOUT,
            kind: "invalid_request_error",
            code: "pareto_body_timeout",
            message:
                "The request body did not arrive in time. Send it faster, or raise `client.timeouts.body`."
                    .into(),
            should_retry: None,
            retry_after: None,
            attempts: 0,
        }
    }

    /// A limit or a budget has no room for the request, for `retry_after` or for good. An SDK would try
    /// a spent budget again and again, and gives up on a wait above a minute.
    pub fn limited(budget: bool, message: String, retry_after: Option<Duration>) -> Self {
        const PATIENCE: Duration = Duration::from_secs(60);
        let (kind, code) = if budget {
            (Self::EXHAUSTED, Self::EXHAUSTED)
        } else {
            ("rate_limit_error", Self::RATE_LIMITED)
        };
        Self {
            status: StatusCode::TOO_MANY_REQUESTS,
            kind,
            code,
            message: message.into(),
            should_retry: Some(!budget && retry_after.is_some_and(|wait| wait <= PATIENCE)),
            retry_after,
            attempts: 0,
        }
    }

    /// A budget of money cannot count a model without a price.
    pub fn unpriced(limit: &str, model: &str) -> Self {
        let message = format!(
            "The budget `{limit}` counts USD, and no price is known for the model `{model}`. Add it under `prices`."
        );
        Self::limited(true, message, None)
    }

    /// Whether a limit or a budget refused.
    pub fn is_limit(&self) -> bool {
        matches!(self.code, Self::RATE_LIMITED | Self::EXHAUSTED)
    }

    /// A later request of the same conversation was sent in this one's place.
    pub fn superseded() -> Self {
        Self {
            status: StatusCode::CONFLICT,
            kind: "invalid_request_error",
            code: Self::SUPERSEDED,
            message: "A later message of the same conversation came a moment after this one and was sent in its place; its answer is to both.".into(),
            should_retry: Some(false),
            retry_after: None,
            attempts: 0,
        }
    }

    /// `only-if-cached` and nothing stored (RFC 9111 section 5.2.1.7).
    pub fn not_cached() -> Self {
        Self {
            status: StatusCode::GATEWAY_TIMEOUT,
            kind: "invalid_request_error",
            code: Self::NOT_CACHED,
            message: "No stored answer for this request, and `Cache-Control: only-if-cached` forbids asking the provider.".into(),
            should_retry: Some(false), retry_after: None, attempts: 0,
        }
    }

    /// A rule refuses the request.
    pub fn denied(status: StatusCode, message: Arc<str>) -> Self {
        Self {
            status,
            kind: "invalid_request_error",
            code: Self::DENIED,
            message,
            should_retry: Some(false),
            retry_after: None,
            attempts: 0,
        }
    }

    /// pareto cannot serve now: no provider, or it broke inside.
    pub fn unavailable(message: &str) -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            kind: "server_error",
            code: "pareto_unavailable",
            message: message.into(),
            should_retry: None,
            retry_after: None,
            attempts: 0,
        }
    }

    /// The JSON body: `{"error": {"message", "type", "param", "code"}}`, which every SDK reads.
    pub fn body(&self) -> Bytes {
        json!({"error": {"message": &*self.message, "type": self.kind, "param": null, "code": self.code}})
            .to_string()
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::upstream::Fault;

    #[test]
    fn a_timeout_is_504_and_any_other_failure_502() {
        let status = |fault| ApiError::upstream("p", &UpstreamError::new(fault, "x")).status;
        assert_eq!(status(Fault::FirstByteTimeout), StatusCode::GATEWAY_TIMEOUT);
        assert_eq!(status(Fault::Connect), StatusCode::BAD_GATEWAY);
    }

    #[test]
    fn the_body_has_all_four_members_of_openais_error() {
        let body: serde_json::Value = serde_json::from_slice(&ApiError::not_cached().body()).unwrap();
        let members: Vec<_> = body["error"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, ["message", "type", "param", "code"]);
        assert_eq!(body["error"]["code"], "pareto_not_cached");
    }
}
