//! Which endpoint answers a request, and the headers every answer carries.

use serde_json::{Value, json};

use super::behaviour::Behaviour;
use super::openai::refusal::Refusal;
use super::reply::Reply;
use super::wire::{Body, Head};
use super::{anthropic, fault_reply, gemini, hash, openai, plain};
use crate::demo::chance::Chance;
use crate::request::endpoint::{Endpoint, Family, gemini_model};

/// The key every family refuses.
const INVALID_KEY: &str = "sk-invalid";
/// Times start here (2026-11-18) and go up by a second per call.
const EPOCH: u64 = 1_795_000_000;

/// One call as the endpoints see it.
pub struct Ask<'a> {
    pub behaviour: &'a Behaviour,
    pub body: &'a Value,
    /// Hash of all in the body that decides what is said.
    pub seed: u64,
    /// A number no other call has; ids and times come from it.
    pub serial: u64,
}

impl Ask<'_> {
    /// An id that is new for every call: `prefix` and 24 characters.
    pub fn id(&self, prefix: &str) -> String {
        self.nth_id(prefix, 0)
    }

    /// As [`Ask::id`], for the n-th such thing in an answer.
    pub fn nth_id(&self, prefix: &str, n: u64) -> String {
        let mixed = Chance::new(self.serial ^ (n << 48)).next();
        format!("{prefix}{mixed:016x}{:08x}", self.serial)
    }

    /// Seconds since 1970, one more for every call.
    pub fn created(&self) -> u64 {
        EPOCH + self.serial
    }

    /// The body's `model`, or nothing.
    pub fn model(&self) -> &str {
        self.body["model"].as_str().unwrap_or_default()
    }

    /// True where the body asks for a stream.
    pub fn streams(&self) -> bool {
        self.body["stream"] == true
    }
}

/// Answers any request.
pub fn answer(behaviour: &Behaviour, head: &Head, body: &Body, serial: u64) -> (Family, Reply) {
    let method = http::Method::from_bytes(head.method.as_bytes()).unwrap_or_default();
    let endpoint = Endpoint::of(&method, head.path());
    let family = endpoint.map_or(Family::OpenAi, Endpoint::family);
    if credential(head) == Some(INVALID_KEY) {
        return (family, unauthorized(family));
    }
    let Some(endpoint) = endpoint else {
        return (family, plain::answer(head, body, serial));
    };
    if (body.kept.len() as u64) < body.length {
        return (family, fault_reply::error(family, 413));
    }
    let Ok(value) = serde_json::from_slice::<Value>(&body.kept) else {
        return (family, unreadable(family));
    };
    let seed = hash::of_request(behaviour.seed, &value);
    let ask = Ask { behaviour, body: &value, seed, serial };
    (family, dispatch(endpoint, head, &ask))
}

fn dispatch(endpoint: Endpoint, head: &Head, ask: &Ask<'_>) -> Reply {
    let answered = match endpoint {
        Endpoint::Chat => openai::chat::answer(ask),
        Endpoint::Completions => openai::completions::answer(ask),
        Endpoint::Responses => openai::responses::answer(ask),
        Endpoint::Embeddings => openai::embeddings::answer(ask),
        Endpoint::Moderations => openai::moderations::answer(ask),
        Endpoint::VectorStoreSearch => {
            let store = head.path().split('/').nth(3).unwrap_or_default();
            openai::vector_stores::search(ask, store)
        }
        Endpoint::Messages => return anthropic::answer(ask),
        Endpoint::Generate | Endpoint::EmbedContent | Endpoint::BatchEmbedContents => {
            let (model, method) = gemini_model(head.path()).unwrap_or_default();
            return gemini::answer(ask, model, method, head.query("alt") == Some("sse"));
        }
    };
    answered.unwrap_or_else(Refusal::reply)
}

/// Says what is left of the limit of requests as the request header `x-sim-left` has it: how many, of how
/// many, and when there are all of them again, in the words of the family: `0 100 1h`.
pub fn leave(reply: &mut Reply, family: Family, left: &str) {
    let names = match family {
        Family::Anthropic => [
            "anthropic-ratelimit-requests-remaining",
            "anthropic-ratelimit-requests-limit",
            "anthropic-ratelimit-requests-reset",
        ],
        _ => ["x-ratelimit-remaining-requests", "x-ratelimit-limit-requests", "x-ratelimit-reset-requests"],
    };
    for (name, value) in names.into_iter().zip(left.split(' ')) {
        reply.headers.retain(|(known, _)| *known != name);
        reply.headers.push((name, value.to_owned()));
    }
}

/// Adds the headers that family's real answers have; sources: openai.md section 4, anthropic.md section 5.
pub fn sign(mut reply: Reply, family: Family, serial: u64) -> Reply {
    let left = |limit: u64| (limit - serial % limit).to_string();
    let mut add = |name, value: String| reply.headers.push((name, value));
    match family {
        Family::OpenAi => {
            add("x-request-id", format!("req_{serial:032x}"));
            add("openai-organization", "org-simulated".to_owned());
            add("openai-processing-ms", "12".to_owned());
            add("openai-version", "2020-10-01".to_owned());
            add("x-ratelimit-limit-requests", "10000".to_owned());
            add("x-ratelimit-limit-tokens", "2000000".to_owned());
            add("x-ratelimit-remaining-requests", left(10_000));
            add("x-ratelimit-remaining-tokens", left(2_000_000));
            add("x-ratelimit-reset-requests", "6ms".to_owned());
            add("x-ratelimit-reset-tokens", "1m30s".to_owned());
            add("set-cookie", format!("__cf_bm={serial}; path=/; HttpOnly"));
            add("set-cookie", format!("_cfuvid={serial}; path=/; HttpOnly"));
        }
        Family::Anthropic => {
            add("request-id", format!("req_{serial:024x}"));
            add("anthropic-organization-id", "org-simulated".to_owned());
            add("anthropic-ratelimit-requests-limit", "4000".to_owned());
            add("anthropic-ratelimit-requests-remaining", left(4000));
            add("anthropic-ratelimit-requests-reset", "2026-11-22T10:00:00Z".to_owned());
            add("anthropic-ratelimit-tokens-limit", "400000".to_owned());
            add("anthropic-ratelimit-tokens-remaining", left(400_000));
            add("anthropic-ratelimit-tokens-reset", "2026-11-22T10:00:00Z".to_owned());
        }
        Family::Gemini => {}
    }
    reply
}

fn credential(head: &Head) -> Option<&str> {
    let bearer = head.header("authorization").and_then(|value| value.split_once(' ')).map(|(_, key)| key);
    bearer.or_else(|| head.header("x-api-key")).or_else(|| head.header("x-goog-api-key"))
}

fn unauthorized(family: Family) -> Reply {
    match family {
        Family::OpenAi => Refusal {
            status: 401,
            code: Some("invalid_api_key"),
            message: "Incorrect API key provided: sk-inv**lid. You can find your API key at \
                      https://platform.openai.com/account/api-keys."
                .to_owned(),
            param: None,
        }
        .reply(),
        Family::Anthropic => fault_reply::error(family, 401),
        Family::Gemini => Reply::json(
            400,
            &json!({"error": {
                "code": 400, "status": "INVALID_ARGUMENT",
                "message": "API key not valid. Please pass a valid API key.",
                "details": [{
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": "API_KEY_INVALID", "domain": "googleapis.com",
                }],
            }}),
        ),
    }
}

fn unreadable(family: Family) -> Reply {
    match family {
        Family::OpenAi => Refusal::invalid("We could not parse the JSON body of your request.", None).reply(),
        _ => fault_reply::error(family, 400),
    }
}
