//! A provider's errors in the words of another API.
//!
//! Sources: the error tables of the three vendors' API references; what their SDKs raise.

use std::time::Duration;

use bytes::Bytes;
use memchr::memmem;
use serde_json::{Value, json};

use super::Api;
use crate::response::shape::{ProviderError, error_in};

/// What an error is about, whoever says it. Each API has a name for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    Request,
    ContextLength,
    Key,
    /// Money: waiting does not help.
    Quota,
    Permission,
    Model,
    Size,
    Rate,
    Time,
    Overload,
    Server,
}

/// What each API calls an error: the status, OpenAI's type and code, Anthropic's type, Gemini's status.
struct Words {
    status: u16,
    openai: (&'static str, Option<&'static str>),
    anthropic: &'static str,
    gemini: &'static str,
}

impl About {
    const fn words(self) -> Words {
        let (status, openai, anthropic, gemini) = match self {
            Self::Request => {
                (400, ("invalid_request_error", None), "invalid_request_error", "INVALID_ARGUMENT")
            }
            Self::ContextLength => (
                400,
                ("invalid_request_error", Some("context_length_exceeded")),
                "invalid_request_error",
                "INVALID_ARGUMENT",
            ),
            Self::Key => (
                401,
                ("invalid_request_error", Some("invalid_api_key")),
                "authentication_error",
                "UNAUTHENTICATED",
            ),
            Self::Quota => (
                429,
                ("insufficient_quota", Some("insufficient_quota")),
                "rate_limit_error",
                "RESOURCE_EXHAUSTED",
            ),
            Self::Permission => (
                403,
                ("invalid_request_error", Some("permission_denied")),
                "permission_error",
                "PERMISSION_DENIED",
            ),
            Self::Model => {
                (404, ("invalid_request_error", Some("model_not_found")), "not_found_error", "NOT_FOUND")
            }
            Self::Size => (413, ("invalid_request_error", None), "request_too_large", "INVALID_ARGUMENT"),
            Self::Rate => {
                (429, ("requests", Some("rate_limit_exceeded")), "rate_limit_error", "RESOURCE_EXHAUSTED")
            }
            Self::Time => {
                (504, ("server_error", Some("timeout_error")), "timeout_error", "DEADLINE_EXCEEDED")
            }
            Self::Overload => {
                (503, ("server_error", Some("overloaded_error")), "overloaded_error", "UNAVAILABLE")
            }
            Self::Server => (500, ("server_error", None), "api_error", "INTERNAL"),
        };
        Words { status, openai, anthropic, gemini }
    }

    /// What an error is about, by what the provider calls it and, where that tells nothing, by its status.
    fn of(error: &ProviderError) -> Self {
        let called = |names: &[&str]| {
            [&error.code, &error.kind].into_iter().flatten().any(|name| names.contains(&name.as_str()))
        };
        let says = |words: &str| error.message.to_ascii_lowercase().contains(words);
        match error.status {
            _ if called(&["insufficient_quota", "billing_error"]) => Self::Quota,
            _ if called(&["context_length_exceeded"]) || says("prompt is too long") => Self::ContextLength,
            _ if called(&["overloaded_error", "UNAVAILABLE"]) => Self::Overload,
            400 if says("spend limit") || called(&["FAILED_PRECONDITION"]) => Self::Quota,
            400 if says("api key not valid") => Self::Key,
            429 if says("spend limit") => Self::Quota,
            401 => Self::Key,
            402 => Self::Quota,
            403 => Self::Permission,
            404 => Self::Model,
            408 | 504 => Self::Time,
            413 => Self::Size,
            429 => Self::Rate,
            503 | 529 => Self::Overload,
            400..500 => Self::Request,
            _ => Self::Server,
        }
    }
}

/// The same error with the status, type and code that `client`'s API has for it.
pub fn reworded(client: Api, error: &ProviderError) -> ProviderError {
    let words = About::of(error).words();
    let (kind, code) = match client {
        Api::Chat | Api::Responses => (words.openai.0, words.openai.1),
        Api::Messages => (words.anthropic, None),
        Api::Generate => (words.gemini, None),
    };
    // A request that is refused stays refused with the status it was refused with.
    let status =
        if words.status == 400 && (400..500).contains(&error.status) { error.status } else { words.status };
    ProviderError {
        status,
        message: error.message.clone(),
        kind: Some(kind.to_owned()),
        code: code.map(str::to_owned),
    }
}

/// The body of an error response in the words of `client`'s API, for an error already [`reworded`].
pub fn body(client: Api, error: &ProviderError) -> Value {
    let (message, kind, code) = (&error.message, &error.kind, &error.code);
    match client {
        Api::Chat | Api::Responses => {
            json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
        }
        Api::Messages => json!({"type": "error", "error": {"type": kind, "message": message}}),
        Api::Generate => json!({"error": {"code": error.status, "message": message, "status": kind}}),
    }
}

/// A provider's error response as `client`'s API would have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Bytes,
    /// How long the provider asks to wait.
    pub wait: Option<Duration>,
}

/// A provider's error response as `client`'s API would have it. Gemini says in the body how long to wait,
/// the others in the headers: `wait` is what those say.
pub fn translated(client: Api, status: u16, body: &[u8], wait: Option<Duration>) -> Refusal {
    let mut said = said_in(body).unwrap_or_else(|| {
        let message = format!("The provider answered with status {status}.");
        ProviderError { status, message, kind: None, code: None }
    });
    said.status = status;
    // Details that only the body has, told by a code that every reader of the error sees.
    let details = |words: &[&str]| words.iter().any(|words| memmem::find(body, words.as_bytes()).is_some());
    if details(&["enforced_spend_limit_reached", "contract_spend_limit_reached", "PerDay"]) {
        said.code = Some("insufficient_quota".to_owned());
    } else if details(&["API_KEY_INVALID"]) {
        said.status = 401;
    }
    let wait = wait_in(body).or(wait);
    let error = reworded(client, &said);
    let mut told = self::body(client, &error);
    if let (Api::Generate, Some(wait)) = (client, wait) {
        let delay = format!("{}s", wait.as_secs_f64());
        let info = json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay});
        told["error"]["details"] = json!([info]);
    }
    Refusal { status: error.status, body: told.to_string().into(), wait }
}

/// `retryDelay` of `google.rpc.RetryInfo`: `34s`, `0.8s`.
fn wait_in(body: &[u8]) -> Option<Duration> {
    const NAME: &[u8] = b"\"retryDelay\"";
    let after = body.get(memmem::find(body, NAME)? + NAME.len()..)?;
    let text = std::str::from_utf8(after.get(..32.min(after.len()))?).ok()?;
    let delay = text.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?.split_once("s\"")?.0;
    Duration::try_from_secs_f64(delay.parse().ok()?).ok()
}

/// The error of a response's body: `{"error": …}`, the same within a list (Gemini), or the error alone
/// (vLLM's first form). What is no JSON, a load balancer's page say, tells a client nothing.
pub(super) fn said_in(body: &[u8]) -> Option<ProviderError> {
    match serde_json::from_slice(body).ok()? {
        Value::Array(items) => items.iter().find_map(|item| error_in(item.to_string().as_bytes())),
        alone @ Value::Object(_) if alone.get("error").is_none_or(Value::is_null) => {
            alone.get("message")?;
            error_in(json!({"error": alone}).to_string().as_bytes())
        }
        Value::Object(_) => error_in(body),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(client: Api, status: u16, body: &str) -> (u16, Value) {
        let refusal = translated(client, status, body.as_bytes(), None);
        (refusal.status, serde_json::from_slice(&refusal.body).unwrap())
    }

    #[test]
    fn anthropics_errors_are_openais_for_a_client_of_openais() {
        for (status, kind, message, expected, code) in [
            (401, "authentication_error", "invalid x-api-key", 401, "invalid_api_key"),
            (402, "billing_error", "pay", 429, "insufficient_quota"),
            (404, "not_found_error", "model: x", 404, "model_not_found"),
            (429, "rate_limit_error", "slow down", 429, "rate_limit_exceeded"),
            (529, "overloaded_error", "Overloaded", 503, "overloaded_error"),
            (400, "invalid_request_error", "prompt is too long: 9 tokens", 400, "context_length_exceeded"),
        ] {
            let body = json!({"type": "error", "error": {"type": kind, "message": message}}).to_string();
            let (status, body) = told(Api::Chat, status, &body);
            assert_eq!((status, body["error"]["code"].as_str()), (expected, Some(code)), "{kind}");
            assert_eq!(body["error"]["message"], message);
            assert_eq!(body["error"].as_object().unwrap().len(), 4);
        }
        let (status, body) = told(Api::Chat, 413, "<html>");
        assert_eq!((status, body["error"]["type"].as_str()), (413, Some("invalid_request_error")));
    }

    #[test]
    fn every_form_of_error_is_read_and_told_in_each_clients_words() {
        let gemini = r#"[{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED"}}]"#;
        assert_eq!(
            told(Api::Messages, 429, gemini).1["error"],
            json!({"type": "rate_limit_error", "message": "m"})
        );
        let vllm = r#"{"object":"error","message":"m","type":"BadRequestError","code":400}"#;
        assert_eq!(
            told(Api::Messages, 400, vllm).1,
            json!({"type":"error","error":{"type":"invalid_request_error","message":"m"}})
        );
        let openai = r#"{"error":{"message":"m","type":"server_error","param":null,"code":null}}"#;
        assert_eq!(
            told(Api::Generate, 500, openai),
            (500, json!({"error": {"code": 500, "message": "m", "status": "INTERNAL"}}))
        );
        assert_eq!(told(Api::Messages, 503, "").1["error"]["type"], "overloaded_error");
    }

    #[test]
    fn what_only_the_body_tells_is_not_lost() {
        let daily = r#"{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED","details":[
            {"violations":[{"quotaId":"GenerateRequestsPerDayPerProject"}]},{"retryDelay": "34.5s"}]}}"#;
        assert_eq!(told(Api::Chat, 429, daily).1["error"]["code"], "insufficient_quota");
        assert_eq!(
            translated(Api::Chat, 429, daily.as_bytes(), None).wait,
            Some(Duration::from_millis(34_500))
        );
        let slow = r#"{"error":{"message":"m","type":"requests","code":"rate_limit_exceeded"}}"#;
        let refusal = translated(Api::Generate, 429, slow.as_bytes(), Some(Duration::from_millis(800)));
        let details = serde_json::from_slice::<Value>(&refusal.body).unwrap()["error"]["details"].clone();
        assert_eq!(details[0]["retryDelay"], "0.8s", "what headers said is said where Gemini says it");
        let spent = r#"{"type":"error","error":{"type":"rate_limit_error","message":"m","details":
            {"error_code":"enforced_spend_limit_reached"}}}"#;
        assert_eq!(told(Api::Chat, 429, spent).1["error"]["code"], "insufficient_quota");
        let key = r#"{"error":{"code":400,"message":"m","status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}"#;
        assert_eq!(told(Api::Chat, 400, key).0, 401);
        for strange in
            ["", "\"retryDelay\"", "\"retryDelay\":\"xs\"", "\"retryDelay\":\"-1s\"", "\"retryDelay\":7"]
        {
            assert_eq!(translated(Api::Chat, 429, strange.as_bytes(), None).wait, None, "{strange}");
        }
    }
}
