//! The forms an answer takes on the wire, and the way from one form to the other.
//!
//! An answer comes as one JSON body or as a stream of events; readers want either, whichever way it
//! came. Each wire language has a file; this one only chooses between them.

mod chat;
mod chunks;
mod completions;
mod gemini;
mod merge;
mod messages;
mod openai;
mod pieces;
mod plain;
mod progress;
mod responses;
mod wire;

use bytes::Bytes;
use serde_json::{Value, json};

use self::pieces::Cut;
use crate::request::endpoint::Endpoint;
use crate::response::usage::Usage;
use crate::sse::Event;

pub use progress::{End, Progress};
pub use wire::Text;

/// The form of an endpoint's answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// OpenAI chat completions: `chat.completion` and its chunks.
    Chat,
    /// OpenAI text completions.
    Completions,
    /// OpenAI responses and their named events.
    Responses,
    /// Anthropic messages and their named events.
    Messages,
    /// Gemini's `GenerateContentResponse`, in a stream one after the other.
    Gemini,
    /// JSON that never streams: embeddings, moderations, vector store searches.
    Plain,
}

impl Shape {
    /// The form of the answers of `endpoint`.
    pub const fn of(endpoint: Endpoint) -> Self {
        match endpoint {
            Endpoint::Chat => Self::Chat,
            Endpoint::Completions => Self::Completions,
            Endpoint::Responses => Self::Responses,
            Endpoint::Messages => Self::Messages,
            Endpoint::Generate => Self::Gemini,
            Endpoint::Embeddings
            | Endpoint::Moderations
            | Endpoint::VectorStoreSearch
            | Endpoint::EmbedContent
            | Endpoint::BatchEmbedContents => Self::Plain,
        }
    }

    /// Whether a stream names its usage only where the request asks for it
    /// (`stream_options.include_usage`).
    pub const fn usage_is_optional(self) -> bool {
        matches!(self, Self::Chat | Self::Completions)
    }
}

/// What one event of a live stream means for the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// An ordinary part of the answer.
    Content,
    /// The event that ends the answer.
    Terminal,
    /// The provider reports that it failed. The event itself tells the client.
    Error(ProviderError),
    /// Not what this wire language has. The answer can't be relied on.
    Malformed,
}

/// An error a provider reported inside an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderError {
    /// The HTTP status this error would have had by itself: 500 where nothing tells.
    pub status: u16,
    /// What the provider wrote for people.
    pub message: String,
    /// The provider's class of error, `rate_limit_error` for example.
    pub kind: Option<String>,
    /// The provider's code, `insufficient_quota` for example.
    pub code: Option<String>,
}

impl ProviderError {
    fn new(message: String, kind: Option<String>, code: Option<String>) -> Self {
        let named = |name: &Option<String>| name.as_deref().and_then(wire::status_of);
        let status = named(&code).or_else(|| named(&kind)).unwrap_or(500);
        Self { status, message, kind, code }
    }
}

/// The error that a JSON document says it is: an error body, or an event of a stream.
pub fn error_in(json: &[u8]) -> Option<ProviderError> {
    #[derive(serde::Deserialize)]
    struct Carrier {
        #[serde(default)]
        error: wire::ErrorMember,
    }
    serde_json::from_slice::<Carrier>(json).ok()?.error.0
}

/// What a whole JSON answer with status 200 turns out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// Whether the answer is proven complete and may be kept, or why not.
    pub storable: Result<(), &'static str>,
    /// The tokens it names.
    pub usage: Option<Usage>,
    /// The model that answered.
    pub model: Option<String>,
    /// The error it is, in spite of its status.
    pub error: Option<ProviderError>,
}

impl Inspection {
    fn refused(reason: &'static str) -> Self {
        Self { storable: Err(reason), usage: None, model: None, error: None }
    }
}

/// Why an answer can't be given in the other form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unfoldable(pub &'static str);

impl From<serde_json::Error> for Unfoldable {
    fn from(_: serde_json::Error) -> Self {
        Self("not JSON of the expected form")
    }
}

/// Judges a JSON answer that came with status 200.
pub fn inspect(shape: Shape, body: &[u8]) -> Inspection {
    match shape {
        Shape::Chat | Shape::Completions => openai::inspect(body),
        Shape::Responses => responses::inspect(body),
        Shape::Messages => messages::inspect(body),
        Shape::Gemini => gemini::inspect(body),
        Shape::Plain => plain::inspect(body),
    }
}

/// The JSON body a client without `stream` would have got for these events. They must be a whole
/// answer; whether it is worth keeping says [`inspect`].
pub fn fold(shape: Shape, events: &[Event]) -> Result<Bytes, Unfoldable> {
    Ok(serde_json::to_vec(&fold_value(shape, events)?)?.into())
}

fn fold_value(shape: Shape, events: &[Event]) -> Result<Value, Unfoldable> {
    match shape {
        Shape::Chat => chat::fold(events),
        Shape::Completions => completions::fold(events),
        Shape::Responses => responses::fold(events),
        Shape::Messages => messages::fold(events),
        Shape::Gemini => gemini::fold(events),
        Shape::Plain => Err(Unfoldable("this endpoint has no stream")),
    }
}

/// The events a client with `stream` (and, for chat and completions, `include_usage`) would have got
/// for this body. The body must be a whole answer.
pub fn unfold(shape: Shape, body: &[u8]) -> Result<Vec<Event>, Unfoldable> {
    unfold_value(shape, serde_json::from_slice(body)?, Cut::Words)
}

/// As [`unfold`], each text in one piece: for whoever reads the events rather than shows them.
pub fn unfold_whole(shape: Shape, body: &[u8]) -> Result<Vec<Event>, Unfoldable> {
    unfold_value(shape, serde_json::from_slice(body)?, Cut::Whole)
}

fn unfold_value(shape: Shape, body: Value, cut: Cut) -> Result<Vec<Event>, Unfoldable> {
    match shape {
        Shape::Chat => chat::unfold(body, cut),
        Shape::Completions => completions::unfold(body, cut),
        Shape::Responses => responses::unfold(body, cut),
        Shape::Messages => messages::unfold(body, cut),
        Shape::Gemini => gemini::unfold(body, cut),
        Shape::Plain => Err(Unfoldable("this endpoint has no stream")),
    }
}

/// An answer in the form it came in.
#[derive(Clone, Copy, Debug)]
pub enum Form<'a> {
    /// One JSON body.
    Body(&'a [u8]),
    /// The events of a stream.
    Events(&'a [Event]),
}

/// Whether an answer is worth keeping: complete, and the same in both forms, so that it may be
/// replayed in either. What has no stream needs no second form.
pub fn round_trips(shape: Shape, answer: Form) -> bool {
    let folded;
    let body = match answer {
        Form::Body(body) => body,
        Form::Events(events) => match fold(shape, events) {
            Ok(body) => {
                folded = body;
                &folded
            }
            Err(_) => return false,
        },
    };
    if inspect(shape, body).storable.is_err() {
        return false;
    }
    if shape == Shape::Plain {
        return true;
    }
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return false };
    // One piece per text proves the same as many and costs a fraction.
    let there_and_back =
        unfold_value(shape, body.clone(), Cut::Whole).and_then(|events| fold_value(shape, &events));
    there_and_back.is_ok_and(|back| plain_form(shape, back) == plain_form(shape, body))
}

/// Takes out of a body the differences that mean nothing: the nulls that a provider may write or
/// leave out, and the place where it cut its text.
fn plain_form(shape: Shape, mut body: Value) -> Value {
    match shape {
        Shape::Chat => chat::drop_optional_nulls(&mut body),
        Shape::Completions => completions::drop_optional_nulls(&mut body),
        Shape::Gemini => gemini::join_texts(&mut body),
        Shape::Responses | Shape::Messages | Shape::Plain => {}
    }
    body
}

/// An event as a reader gets it who did not ask for usage, where pareto did: without its `usage`, or
/// `None` for the frame that carries nothing else.
pub fn hide_usage(shape: Shape, event: &Event) -> Option<Event> {
    match shape {
        Shape::Chat | Shape::Completions => chunks::hide_usage(event),
        _ => Some(event.clone()),
    }
}

/// An event without `obfuscation`, the random padding OpenAI puts into deltas: it must not be stored.
pub fn strip_padding(event: &Event) -> Event {
    chunks::strip_padding(event)
}

/// The event that tells a client that its answer was cut, in the form its SDK turns into an exception
/// (never `[DONE]`, which would make the answer look whole). `kind` and `code` become the error's type
/// and code where the wire has them. `last` is the event before it, whose number it follows where events
/// have numbers.
pub fn error_event(shape: Shape, last: Option<&Event>, message: &str, kind: &str, code: &str) -> Event {
    let (name, data) = match shape {
        Shape::Chat | Shape::Completions | Shape::Plain => {
            (None, json!({"error": {"message": message, "type": kind, "param": null, "code": code}}))
        }
        Shape::Responses => (
            Some("error"),
            json!({"type": "error", "code": code, "message": message, "param": null,
                "sequence_number": last.map_or(0, responses::number_after)}),
        ),
        Shape::Messages => (
            Some("error"),
            json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": null}),
        ),
        Shape::Gemini => (None, json!({"error": {"code": 502, "message": message, "status": "UNAVAILABLE"}})),
    };
    Event::new(name, data.to_string().as_bytes())
}

#[cfg(test)]
mod tests;
