//! An answer before it is put on the wire: status, headers, and a body or a row of events.

use serde::Serialize;
use serde_json::Value;

/// An answer.
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Body,
}

/// What an answer carries.
pub enum Body {
    /// No body at all (204, a response to HEAD).
    None,
    /// A whole body of this content type.
    Whole(&'static str, Vec<u8>),
    /// Server-sent events.
    Events(Vec<Event>),
    /// So many bytes of binary nothing, never all in memory.
    Filler(u64),
}

/// One server-sent event.
pub struct Event {
    /// The `event:` field, where the dialect names its events.
    pub name: Option<&'static str>,
    /// The `data:` field.
    pub data: String,
    pub role: Role,
}

/// What an event means for the completeness of its stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Before the finish: opening, deltas.
    Body,
    /// Without it, and all after it, the answer is incomplete.
    Finish,
    /// `[DONE]`.
    Done,
}

impl Reply {
    pub fn json(status: u16, value: &impl Serialize) -> Self {
        // Only our own values come here, and they always serialise.
        let body = serde_json::to_vec(value).unwrap_or_default();
        Self { status, headers: Vec::new(), body: Body::Whole("application/json", body) }
    }

    pub fn events(events: Vec<Event>) -> Self {
        Self { status: 200, headers: Vec::new(), body: Body::Events(events) }
    }

    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Body::None }
    }

    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl Event {
    /// An unnamed event, as chat completions and Gemini send.
    pub fn data(role: Role, data: &impl Serialize) -> Self {
        // Only our own values come here, and they always serialise.
        Self { name: None, data: serde_json::to_string(data).unwrap_or_default(), role }
    }

    /// An event whose name is its data's `type`, as responses and Anthropic send.
    pub fn named(role: Role, name: &'static str, data: &Value) -> Self {
        Self { name: Some(name), data: data.to_string(), role }
    }

    /// The end mark of OpenAI's older streams.
    pub fn done() -> Self {
        Self { name: None, data: "[DONE]".to_owned(), role: Role::Done }
    }

    /// The event as it is written, with this line end.
    pub fn frame(&self, line_end: &str) -> String {
        let mut frame = String::with_capacity(self.data.len() + 48);
        if let Some(name) = self.name {
            frame.extend(["event: ", name, line_end]);
        }
        frame.extend(["data: ", &self.data, line_end, line_end]);
        frame
    }
}
