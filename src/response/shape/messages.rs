//! Anthropic messages: named events around content blocks.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::pieces::{Cut, pieces};
use super::progress::End;
use super::wire::{ErrorMember, Finish, Gist, Text};
use super::{Inspection, ProviderError, Signal, Unfoldable};
use crate::response::usage::{AnthropicUsage, Usage};
use crate::sse::{Event, EventWriter};

/// A live stream of a message.
#[derive(Clone, Debug, Default)]
pub(super) struct MessagesProgress {
    begun: bool,
    finish: Finish,
    stopped: bool,
    failed: bool,
    broken: bool,
    usage: Option<AnthropicUsage>,
    model: Option<String>,
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    message: Option<Message<'a>>,
    delta: Option<Delta>,
    usage: Option<AnthropicUsage>,
    #[serde(default)]
    error: ErrorMember,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    model: Option<Text<'a>>,
    usage: Option<AnthropicUsage>,
}

#[derive(Deserialize)]
struct Delta {
    #[serde(default)]
    stop_reason: Finish,
}

impl MessagesProgress {
    pub(super) fn observe(&mut self, event: &Event) -> Signal {
        let Ok(frame) = serde_json::from_slice::<Frame>(event.data()) else {
            self.broken = true;
            return Signal::Malformed;
        };
        if let Some(newer) = frame.usage.or(frame.message.as_ref().and_then(|message| message.usage)) {
            self.usage.get_or_insert_default().update(&newer);
        }
        match frame.kind.as_ref().map_or("", |kind| &kind.0) {
            "message_start" => {
                self.begun = true;
                self.model =
                    frame.message.and_then(|message| message.model).map(|model| model.0.into_owned());
            }
            "message_delta" => {
                let finish = frame.delta.map(|delta| delta.stop_reason);
                self.finish = finish.filter(|finish| *finish != Finish::Open).unwrap_or(self.finish);
            }
            "message_stop" => {
                self.stopped = true;
                return Signal::Terminal;
            }
            "error" => {
                self.failed = true;
                let unnamed = || ProviderError::new(String::new(), None, None);
                return Signal::Error(frame.error.0.unwrap_or_else(unnamed));
            }
            _ => {
                if let Some(error) = frame.error.0 {
                    self.failed = true;
                    return Signal::Error(error);
                }
            }
        }
        Signal::Content
    }

    pub(super) fn end(&self) -> End {
        match self {
            Self { failed: true, .. } => End::Failed,
            Self { stopped: false, .. } => End::Open,
            Self { broken: true, .. } => End::Unstorable("malformed event"),
            Self { finish: Finish::Short, .. } => End::Unstorable(Finish::SHORT),
            Self { begun: true, finish: Finish::Whole, .. } => End::Complete,
            _ => End::Unstorable("no stop reason"),
        }
    }

    pub(super) fn usage(&self) -> Option<Usage> {
        self.usage.map(|usage| usage.counts())
    }

    pub(super) fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    model: Option<Text<'a>>,
    #[serde(default)]
    stop_reason: Finish,
    #[serde(default)]
    content: Gist,
    usage: Option<AnthropicUsage>,
    #[serde(default)]
    error: ErrorMember,
}

pub(super) fn inspect(body: &[u8]) -> Inspection {
    let Ok(body) = serde_json::from_slice::<Body>(body) else {
        return Inspection::refused("not JSON of the expected form");
    };
    let storable = match &body {
        Body { error: ErrorMember(Some(_)), .. } => Err("an error inside the answer"),
        Body { stop_reason: Finish::Open, .. } => Err("no stop reason"),
        Body { stop_reason: Finish::Short, .. } => Err(Finish::SHORT),
        Body { content: Gist { filled: false, .. }, .. } => Err("an empty answer"),
        _ => Ok(()),
    };
    Inspection {
        storable,
        usage: body.usage.map(|usage| usage.counts()),
        model: body.model.map(|model| model.0.into_owned()),
        error: body.error.0,
    }
}

pub(super) fn fold(events: &[Event]) -> Result<Value, Unfoldable> {
    let mut collected = None;
    for event in events {
        let mut frame: Map<String, Value> = serde_json::from_slice(event.data())?;
        let kind = frame.shift_remove("type");
        let kind = kind.as_ref().and_then(Value::as_str).unwrap_or_default();
        match (kind, &mut collected) {
            ("message_start", slot @ None) => *slot = Some(Collected::from(frame)?),
            ("message_start", Some(_)) => return Err(Unfoldable("two messages in one stream")),
            ("error", _) => return Err(Unfoldable("an error inside the answer")),
            ("content_block_start", Some(collected)) => collected.start(frame)?,
            ("content_block_delta", Some(collected)) => collected.delta(frame)?,
            ("message_delta", Some(collected)) => collected.message_delta(frame),
            ("message_stop", Some(_)) => {
                return collected.map_or(Err(Unfoldable("no message")), Collected::finish);
            }
            // Pings and what Anthropic may add: to be skipped.
            _ => {}
        }
    }
    Err(Unfoldable("the stream was cut"))
}

/// A message being put together.
struct Collected {
    message: Map<String, Value>,
    blocks: Vec<Block>,
}

struct Block {
    members: Map<String, Value>,
    /// The tool's input as it arrives: pieces of JSON text.
    input: String,
}

impl Collected {
    fn from(mut frame: Map<String, Value>) -> Result<Self, Unfoldable> {
        match frame.shift_remove("message") {
            Some(Value::Object(message)) => Ok(Self { message, blocks: Vec::new() }),
            _ => Err(Unfoldable("no message")),
        }
    }

    fn start(&mut self, mut frame: Map<String, Value>) -> Result<(), Unfoldable> {
        let in_turn = frame.get("index").and_then(Value::as_u64) == Some(self.blocks.len() as u64);
        match frame.shift_remove("content_block") {
            Some(Value::Object(members)) if in_turn => {
                self.blocks.push(Block { members, input: String::new() });
                Ok(())
            }
            _ => Err(Unfoldable("content blocks out of turn")),
        }
    }

    fn delta(&mut self, frame: Map<String, Value>) -> Result<(), Unfoldable> {
        let index = frame.get("index").and_then(Value::as_u64).unwrap_or(u64::MAX) as usize;
        let Some(block) = self.blocks.get_mut(index) else {
            return Err(Unfoldable("content blocks out of turn"));
        };
        let delta = frame.get("delta").unwrap_or(&Value::Null);
        let text = |name: &str| delta.get(name).and_then(Value::as_str).unwrap_or_default();
        match text("type") {
            "text_delta" => block.append("text", text("text")),
            "thinking_delta" => block.append("thinking", text("thinking")),
            "signature_delta" => drop(block.members.insert("signature".into(), text("signature").into())),
            "input_json_delta" => block.input.push_str(text("partial_json")),
            "citations_delta" => {
                let citation = delta.get("citation").cloned().unwrap_or_default();
                match block.members.get_mut("citations") {
                    Some(Value::Array(citations)) => citations.push(citation),
                    _ => drop(block.members.insert("citations".into(), vec![citation].into())),
                }
            }
            _ => return Err(Unfoldable("a delta of an unknown kind")),
        }
        Ok(())
    }

    fn message_delta(&mut self, mut frame: Map<String, Value>) {
        if let Some(Value::Object(delta)) = frame.shift_remove("delta") {
            self.message.extend(delta);
        }
        if let Some(Value::Object(newer)) = frame.shift_remove("usage") {
            let usage = self.message.entry("usage").or_insert_with(|| Map::new().into());
            let Value::Object(usage) = usage else { return };
            for (name, value) in newer {
                if !value.is_null() || !usage.contains_key(&name) {
                    usage.insert(name, value);
                }
            }
        }
        self.message.extend(frame);
    }

    fn finish(mut self) -> Result<Value, Unfoldable> {
        let mut content = Vec::with_capacity(self.blocks.len());
        for Block { mut members, input } in self.blocks {
            if !input.is_empty() {
                let input: Value =
                    serde_json::from_str(&input).map_err(|_| Unfoldable("tool input is not JSON"))?;
                members.insert("input".into(), input);
            }
            content.push(members.into());
        }
        self.message.insert("content".into(), Value::Array(content));
        Ok(self.message.into())
    }
}

impl Block {
    fn append(&mut self, name: &str, more: &str) {
        match self.members.get_mut(name) {
            Some(Value::String(text)) => text.push_str(more),
            _ => drop(self.members.insert(name.to_owned(), more.into())),
        }
    }
}

/// Members of a message that a stream only knows at its end.
const FINAL: [&str; 3] = ["stop_reason", "stop_sequence", "stop_details"];

pub(super) fn unfold(body: Value, cut: Cut) -> Result<Vec<Event>, Unfoldable> {
    let Value::Object(mut message) = body else { return Err(Unfoldable("the answer is no object")) };
    if message.get("stop_reason").is_none_or(Value::is_null) {
        return Err(Unfoldable("no stop reason"));
    }
    let content = message.get_mut("content").map(|content| std::mem::replace(content, json!([])));
    let Some(Value::Array(content)) = content else { return Err(Unfoldable("no content")) };
    let mut delta = Map::new();
    for name in FINAL {
        if let Some(value) = message.get_mut(name) {
            delta.insert(name.into(), value.take());
        }
    }
    let usage = message.get("usage").cloned();
    if let Some(output) = message.get_mut("usage").and_then(|usage| usage.get_mut("output_tokens")) {
        *output = output.as_u64().unwrap_or(0).min(1).into();
    }
    let mut stream = Stream { writer: EventWriter::default(), cut };
    stream.event("message_start", json!({"message": message}))?;
    for (index, block) in content.into_iter().enumerate() {
        stream.block(index, block)?;
    }
    let mut end = json!({"delta": delta});
    if let Some(usage) = usage {
        end["usage"] = usage;
    }
    stream.event("message_delta", end)?;
    stream.event("message_stop", json!({}))?;
    Ok(stream.writer.finish())
}

struct Stream {
    writer: EventWriter,
    cut: Cut,
}

impl Stream {
    fn event(&mut self, kind: &str, members: Value) -> Result<(), Unfoldable> {
        let mut frame = Map::new();
        frame.insert("type".into(), kind.into());
        if let Value::Object(mut members) = members {
            frame.append(&mut members);
        }
        let frame = serde_json::to_vec(&frame)?;
        self.writer.event(kind.as_bytes(), |out| out.extend_from_slice(&frame));
        Ok(())
    }

    /// One content block: begun empty, filled, stopped.
    fn block(&mut self, index: usize, mut block: Value) -> Result<(), Unfoldable> {
        let mut deltas = Vec::new();
        let cut = self.cut;
        let mut text = |name: &str, kind: &str, member: &str, at: &mut Value| {
            let Some(Value::String(text)) = at.get_mut(name) else { return };
            let text = std::mem::take(text);
            deltas.extend(pieces(&text, cut).map(|piece| json!({"type": kind, member: piece})));
        };
        text("thinking", "thinking_delta", "thinking", &mut block);
        text("text", "text_delta", "text", &mut block);
        if let Some(Value::String(signature)) = block.get_mut("signature") {
            deltas.push(json!({"type": "signature_delta", "signature": std::mem::take(signature)}));
        }
        if let Some(Value::Array(citations)) = block.get_mut("citations") {
            let citations = std::mem::take(citations);
            deltas
                .extend(citations.into_iter().map(|one| json!({"type": "citations_delta", "citation": one})));
        }
        if let Some(Value::Object(input)) = block.get_mut("input") {
            let input = std::mem::take(input);
            deltas.push(json!({"type": "input_json_delta", "partial_json": ""}));
            let json = if input.is_empty() { String::new() } else { serde_json::to_string(&input)? };
            deltas.extend(
                pieces(&json, cut).map(|piece| json!({"type": "input_json_delta", "partial_json": piece})),
            );
        }
        self.event("content_block_start", json!({"index": index, "content_block": block}))?;
        for delta in deltas {
            self.event("content_block_delta", json!({"index": index, "delta": delta}))?;
        }
        self.event("content_block_stop", json!({"index": index}))
    }
}
