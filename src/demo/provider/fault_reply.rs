//! Faults that are words, not wire: error bodies of each dialect and streams that say the wrong thing.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::fault::Fault;
use super::reply::{Body, Event, Reply, Role};
use crate::request::endpoint::Family;

/// The reply after the fault has had its way with it.
pub fn strike(fault: Fault, family: Family, reply: Reply) -> Reply {
    match fault {
        Fault::Status(status) => error(family, status),
        Fault::TooLarge => error(family, 413),
        Fault::RateLimited => error(family, 429).with("retry-after", "1"),
        Fault::RateLimitedFor(seconds) => error(family, 429).with("retry-after", seconds.to_string()),
        Fault::RateLimitedMs => error(family, 429).with("retry-after-ms", "30"),
        Fault::Quota => Reply::json(429, &quota(family)),
        Fault::ContextTooLong => Reply::json(400, &too_long(family)),
        Fault::Unproved => Reply::json(400, &unproved()),
        Fault::UnavailableHtml => Reply {
            body: Body::Whole(
                "text/html",
                b"<html><head><title>503 Service Temporarily Unavailable</title></head></html>\n".to_vec(),
            ),
            ..Reply::empty(503)
        },
        _ => Reply { body: distort(fault, family, reply.body), ..reply },
    }
}

fn distort(fault: Fault, family: Family, body: Body) -> Body {
    let failure = || error_event(family);
    match (fault, body) {
        (Fault::Empty, Body::Whole(kind, _)) => Body::Whole(kind, Vec::new()),
        (Fault::Empty, Body::Events(_)) => Body::Events(Vec::new()),
        (Fault::Malformed, Body::Whole(kind, mut body)) => {
            body.truncate(body.len() / 2);
            Body::Whole(kind, body)
        }
        (Fault::Malformed, Body::Events(mut events)) => {
            let middle = events.len() / 2;
            if let Some(event) = events.get_mut(middle) {
                event.data = "{\"choices\":[{\"index\":0,\"delta\":{\"cont".to_owned();
            }
            Body::Events(events)
        }
        (
            Fault::VectorsSwapped | Fault::VectorsMissing | Fault::VectorsTwice | Fault::VectorsAsNumbers,
            Body::Whole(kind, body),
        ) => Body::Whole(kind, misplaced(fault, body)),
        (Fault::ErrorInBody, Body::Whole(kind, _)) => {
            Body::Whole(kind, error_body(family, 500).to_string().into_bytes())
        }
        (Fault::ErrorInBody, Body::Events(_)) => Body::Events(vec![failure()]),
        (Fault::ErrorMidStream, Body::Events(mut events)) => {
            events.truncate((events.len() / 2).max(1));
            events.push(failure());
            Body::Events(events)
        }
        (Fault::NoFinish, Body::Events(mut events)) => {
            events.retain(|event| event.role == Role::Body);
            events.truncate((events.len() / 2).max(1));
            Body::Events(events)
        }
        (Fault::NoDone, Body::Events(mut events)) => {
            events.retain(|event| event.role != Role::Done);
            Body::Events(events)
        }
        (Fault::NoUsage, Body::Whole(kind, body)) => Body::Whole(kind, unmetered(&body).unwrap_or(body)),
        (Fault::NoUsage, Body::Events(mut events)) => {
            events.retain(|event| !event.data.contains("\"choices\":[]"));
            for event in &mut events {
                let data = unmetered(event.data.as_bytes()).and_then(|data| String::from_utf8(data).ok());
                event.data = data.unwrap_or_else(|| std::mem::take(&mut event.data));
            }
            Body::Events(events)
        }
        (_, body) => body,
    }
}

/// A JSON text without its usage.
fn unmetered(text: &[u8]) -> Option<Vec<u8>> {
    let mut value: Value = serde_json::from_slice(text).ok()?;
    let members = value.as_object_mut()?;
    members.retain(|name, _| !matches!(name.as_str(), "usage" | "usageMetadata"));
    Some(value.to_string().into_bytes())
}

/// An embeddings answer in which it is not clear, or not as usual, which vector is whose.
fn misplaced(fault: Fault, body: Vec<u8>) -> Vec<u8> {
    let Ok(mut answer) = serde_json::from_slice::<Value>(&body) else { return body };
    let name = if answer["embeddings"].is_array() { "embeddings" } else { "data" };
    let Some(vectors) = answer[name].as_array_mut() else { return body };
    match fault {
        Fault::VectorsSwapped => vectors.reverse(),
        Fault::VectorsMissing => {
            vectors.pop();
        }
        Fault::VectorsTwice => vectors.iter_mut().for_each(|vector| vector["index"] = json!(0)),
        _ => vectors.iter_mut().for_each(|vector| {
            let bytes = vector["embedding"].as_str().and_then(|text| BASE64_STANDARD.decode(text).ok());
            if let Some(bytes) = bytes {
                let (numbers, _) = bytes.as_chunks::<4>();
                vector["embedding"] =
                    numbers.iter().map(|number| json!(f64::from(f32::from_le_bytes(*number)))).collect();
            }
        }),
    }
    answer.to_string().into_bytes()
}

/// An error answer as this dialect words it.
pub fn error(family: Family, status: u16) -> Reply {
    Reply::json(status, &error_body(family, status))
}

/// The event that reports a failure after the first byte, by the forms in openai.md section 4 and
/// anthropic.md section 4.
fn error_event(family: Family) -> Event {
    match family {
        Family::Anthropic => {
            Event { name: Some("error"), data: error_body(family, 529).to_string(), role: Role::Body }
        }
        _ => Event::data(Role::Body, &error_body(family, 500)),
    }
}

fn error_body(family: Family, status: u16) -> Value {
    match family {
        Family::OpenAi => openai(status),
        Family::Anthropic => anthropic(status),
        Family::Gemini => gemini(status),
    }
}

fn openai(status: u16) -> Value {
    let (kind, code, message) = match status {
        401 => ("invalid_request_error", Some("invalid_api_key"), "Incorrect API key provided."),
        403 => ("invalid_request_error", Some("unsupported_country_region_territory"), "Not supported here."),
        404 => ("invalid_request_error", Some("model_not_found"), "The model does not exist."),
        408 => ("server_error", None, "The request timed out."),
        413 => ("invalid_request_error", None, "The request is too large."),
        429 => ("requests", Some("rate_limit_exceeded"), "Rate limit reached for requests."),
        500.. => ("server_error", None, "The server had an error while processing your request."),
        _ => ("invalid_request_error", None, "The request is invalid."),
    };
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}

fn anthropic(status: u16) -> Value {
    let (kind, message) = match status {
        401 => ("authentication_error", "invalid x-api-key"),
        402 => ("billing_error", "Your credit balance is too low."),
        403 => ("permission_error", "Not allowed."),
        404 => ("not_found_error", "model not found"),
        408 | 504 => ("timeout_error", "The request timed out."),
        409 => ("conflict_error", "Conflict."),
        413 => ("request_too_large", "Request exceeds the maximum size."),
        429 => ("rate_limit_error", "Your account has hit a rate limit."),
        529 => ("overloaded_error", "Overloaded"),
        500.. => ("api_error", "Internal server error"),
        _ => ("invalid_request_error", "The request is invalid."),
    };
    json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_sim"})
}

fn gemini(status: u16) -> Value {
    let (name, message) = match status {
        401 => ("UNAUTHENTICATED", "Request had invalid authentication credentials."),
        403 => ("PERMISSION_DENIED", "The caller does not have permission"),
        404 => ("NOT_FOUND", "The model is not found for this API version."),
        409 => ("ABORTED", "The operation was aborted."),
        429 => ("RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
        504 => ("DEADLINE_EXCEEDED", "The deadline expired."),
        500 => ("INTERNAL", "An internal error has occurred."),
        501.. => ("UNAVAILABLE", "The model is overloaded. Please try again later."),
        _ => ("INVALID_ARGUMENT", "Request contains an invalid argument."),
    };
    let mut body = json!({"error": {"code": status, "message": message, "status": name}});
    if status == 429 {
        let retry = json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1s"});
        body["error"]["details"] = json!([retry]);
    }
    body
}

/// Gemini alone checks who made a call.
fn unproved() -> Value {
    json!({"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "Corrupted thought signature."}})
}

/// Only OpenAI has a code for it (openai.md, anthropic.md, gemini.md on errors).
fn too_long(family: Family) -> Value {
    match family {
        Family::OpenAi => json!({"error": {
            "message": "This model's maximum context length is 128000 tokens. However, your messages resulted in 210000 tokens. Please reduce the length of the messages.",
            "type": "invalid_request_error", "param": "messages", "code": "context_length_exceeded",
        }}),
        Family::Anthropic => json!({"type": "error", "error": {
            "type": "invalid_request_error",
            "message": "prompt is too long: 210000 tokens > 200000 maximum",
        }, "request_id": "req_sim"}),
        Family::Gemini => json!({"error": {
            "code": 400, "status": "INVALID_ARGUMENT",
            "message": "The input token count (2100000) exceeds the maximum number of tokens allowed (1048576).",
        }}),
    }
}

/// Out of money: the code decides, and no wait is named (openai.md, anthropic.md, gemini.md on errors).
fn quota(family: Family) -> Value {
    match family {
        Family::OpenAi => json!({"error": {
            "message": "You exceeded your current quota, please check your plan and billing details.",
            "type": "insufficient_quota", "param": null, "code": "insufficient_quota",
        }}),
        Family::Anthropic => json!({"type": "error", "error": {
            "type": "rate_limit_error", "message": "The contract's spend limit is reached.",
            "details": {"error_code": "contract_spend_limit_reached"},
        }, "request_id": "req_sim"}),
        Family::Gemini => json!({"error": {
            "code": 429, "status": "RESOURCE_EXHAUSTED",
            "message": "You exceeded your current quota, please check your plan and billing details.",
            "details": [{"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [
                {"quotaId": "GenerateRequestsPerDayPerProjectPerModel"},
            ]}],
        }}),
    }
}
