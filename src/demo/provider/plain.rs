//! Paths that are no model calls: the echo, uploads, model and store objects.

use serde_json::json;

use super::fault_reply;
use super::openai::refusal::Refusal;
use super::openai::vector_stores;
use super::reply::{Body as ReplyBody, Reply};
use super::wire::{Body, Head};
use crate::request::endpoint::Family;

/// Models listed; their order and owners are as the real list has them.
const MODELS: [(&str, &str); 6] = [
    ("gpt-4o", "system"),
    ("gpt-4o-mini", "system"),
    ("gpt-5.4-mini", "system"),
    ("omni-moderation-latest", "system"),
    ("text-embedding-3-large", "system"),
    ("text-embedding-3-small", "system"),
];

/// True where a body is counted and hashed as it passes, not kept.
pub fn is_counted(head: &Head) -> bool {
    matches!(head.path(), "/v1/echo" | "/v1/files")
}

/// Answers what is no understood endpoint.
pub fn answer(head: &Head, body: &Body, serial: u64) -> Reply {
    match (&*head.method, head.path()) {
        (_, "/v1/echo") => echo(head, body),
        ("POST", "/v1/files") => file(body, serial),
        ("GET" | "HEAD", "/v1/models") => models(),
        ("GET" | "HEAD", path) => read(path).unwrap_or_else(|| unknown(head)),
        _ => unknown(head),
    }
}

fn read(path: &str) -> Option<Reply> {
    if let Some(id) = path.strip_prefix("/v1/models/") {
        let model = MODELS.iter().find(|(name, _)| *name == id);
        return Some(model.map_or_else(
            || fault_reply::error(Family::OpenAi, 404),
            |(name, owner)| Reply::json(200, &model_object(name, owner)),
        ));
    }
    let id = path.strip_prefix("/v1/vector_stores/")?;
    (!id.contains('/')).then(|| vector_stores::object(id))
}

fn models() -> Reply {
    let data: Vec<_> = MODELS.iter().map(|(name, owner)| model_object(name, owner)).collect();
    Reply::json(200, &json!({"object": "list", "data": data}))
}

fn model_object(name: &str, owner: &str) -> serde_json::Value {
    json!({"id": name, "object": "model", "created": 1_715_367_049, "owned_by": owner, "shutdown_date": null})
}

/// Says what arrived, so that a test can see what a proxy changed. The query may ask for another status
/// (`status=418`) or for so many bytes of body (`bytes=1000000`).
fn echo(head: &Head, body: &Body) -> Reply {
    let status = head.query("status").and_then(|status| status.parse().ok()).unwrap_or(200);
    if let Some(length) = head.query("bytes").and_then(|bytes| bytes.parse().ok()) {
        return Reply { body: ReplyBody::Filler(length), ..Reply::empty(status) };
    }
    if status == 204 || status == 304 {
        return Reply::empty(status);
    }
    let digest = body.digest.map(|digest| digest.to_hex().to_string());
    Reply::json(
        status,
        &json!({
            "method": head.method,
            "target": head.target,
            "headers": head.headers,
            "body_length": body.length,
            "body_blake3": digest,
        }),
    )
}

/// An uploaded file's object. `bytes` and `blake3` are of the whole multipart body: what a proxy must
/// deliver unchanged, and all that can be known without keeping it.
fn file(body: &Body, serial: u64) -> Reply {
    let purpose = multipart_text(&body.kept, "purpose").unwrap_or_else(|| "user_data".to_owned());
    let filename = parameter(&body.kept, "filename").unwrap_or_else(|| "upload".to_owned());
    Reply::json(
        200,
        &json!({
            "id": format!("file-sim{serial:08}"),
            "object": "file",
            "bytes": body.length,
            "blake3": body.digest.map(|digest| digest.to_hex().to_string()),
            "created_at": 1_795_000_000 + serial,
            "expires_at": null,
            "filename": filename,
            "purpose": purpose,
            "status": "processed",
            "status_details": null,
        }),
    )
}

/// A text field of a multipart body, if it is within what was kept of it.
fn multipart_text(body: &[u8], name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let (_, rest) = text.split_once(&format!("name=\"{name}\""))?;
    let (_, rest) = rest.split_once("\r\n\r\n")?;
    rest.split_once("\r\n").map(|(value, _)| value.to_owned())
}

fn parameter(body: &[u8], name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let (_, rest) = text.split_once(&format!("{name}=\""))?;
    rest.split_once('"').map(|(value, _)| value.to_owned())
}

fn unknown(head: &Head) -> Reply {
    Refusal {
        status: 404,
        code: None,
        message: format!("Invalid URL ({} {})", head.method, head.path()),
        param: None,
    }
    .reply()
}
