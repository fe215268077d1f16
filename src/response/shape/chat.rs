//! OpenAI chat completions: chunks to a completion and back.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::Unfoldable;
use super::chunks::{Chunks, Collected, take};
use super::pieces::{Cut, pieces, tokens_of};
use crate::sse::Event;

/// Members of a message whose text arrives in pieces, in the order models produce them.
const STREAMED: [&str; 4] = ["reasoning_content", "reasoning", "content", "refusal"];

pub(super) fn fold(events: &[Event]) -> Result<Value, Unfoldable> {
    Collected::from(events)?.body("chat.completion", choice)
}

/// A choice's deltas, added up, as a choice of a completion.
fn choice(mut collected: Map<String, Value>) -> Result<Value, Unfoldable> {
    let Some(Value::Object(mut delta)) = collected.shift_remove("delta") else {
        return Err(Unfoldable("a choice without a message"));
    };
    if delta.get("audio").is_some_and(|audio| !audio.is_null()) {
        return Err(Unfoldable("audio expires and is not kept"));
    }
    if let Some(Value::Array(calls)) = delta.get_mut("tool_calls") {
        calls.sort_by_key(|call| call.get("index").and_then(Value::as_u64));
        for call in calls.iter_mut().filter_map(Value::as_object_mut) {
            call.shift_remove("index");
        }
    }
    let mut message = Map::new();
    message.insert("role".into(), "assistant".into());
    message.insert("content".into(), Value::Null);
    message.insert("refusal".into(), Value::Null);
    take(&mut delta, &["role", "content", "refusal"], &mut message);
    message.append(&mut delta);

    let mut choice = Map::new();
    choice.insert("index".into(), 0.into());
    take(&mut collected, &["index"], &mut choice);
    choice.insert("message".into(), message.into());
    choice.insert("logprobs".into(), Value::Null);
    take(&mut collected, &["logprobs", "finish_reason"], &mut choice);
    choice.append(&mut collected);
    Ok(choice.into())
}

pub(super) fn unfold(body: Value, cut: Cut) -> Result<Vec<Event>, Unfoldable> {
    let mut chunks = Chunks::of(body, "chat.completion.chunk")?;
    for choice in std::mem::take(&mut chunks.choices) {
        let Value::Object(choice) = choice else { return Err(Unfoldable("a choice is no object")) };
        Choice::write(choice, cut, &mut chunks)?;
    }
    chunks.end()
}

/// One choice being written as chunks.
struct Choice<'a> {
    index: Value,
    chunks: &'a mut Chunks,
}

impl Choice<'_> {
    fn write(mut choice: Map<String, Value>, cut: Cut, chunks: &mut Chunks) -> Result<(), Unfoldable> {
        let Some(Value::Object(mut message)) = choice.shift_remove("message") else {
            return Err(Unfoldable("a choice without a message"));
        };
        if choice.get("finish_reason").is_none_or(Value::is_null) {
            return Err(Unfoldable("an unfinished choice"));
        }
        let index = choice.shift_remove("index").unwrap_or(0.into());
        let mut logprobs = Logprobs::of(choice.shift_remove("logprobs"));
        let tool_calls = take_list(&mut message, "tool_calls");
        let function = message.get_mut("function_call").and_then(Value::as_object_mut);
        let arguments = function.and_then(|function| take_text(function, "arguments"));

        let mut texts = Vec::new();
        for name in STREAMED {
            if let Some(text) = take_text(&mut message, name) {
                texts.push((name, text));
            }
        }
        let mut out = Choice { index, chunks };
        out.delta(&message, &Value::Null)?;
        for (name, text) in &texts {
            for piece in pieces(text, cut) {
                out.delta(&Piece(name, piece), &logprobs.for_piece(name, piece))?;
            }
        }
        for piece in arguments.iter().flat_map(|text| pieces(text, cut)) {
            out.delta(&json!({"function_call": {"arguments": piece}}), &Value::Null)?;
        }
        for (index, call) in tool_calls.into_iter().enumerate() {
            out.tool_call(index, call, cut)?;
        }
        out.finish(choice, logprobs.rest())
    }

    fn delta(&mut self, delta: &impl Serialize, logprobs: &Value) -> Result<(), Unfoldable> {
        self.chunks.chunk(&DeltaChoice { index: &self.index, delta, logprobs, finish_reason: () })
    }

    /// A call's head with empty arguments, then its arguments.
    fn tool_call(&mut self, index: usize, call: Value, cut: Cut) -> Result<(), Unfoldable> {
        let Value::Object(mut call) = call else { return Err(Unfoldable("a tool call is no object")) };
        let mut streamed = None;
        for (kind, member) in [("function", "arguments"), ("custom", "input")] {
            let inner = call.get_mut(kind).and_then(Value::as_object_mut);
            if let Some(text) = inner.and_then(|inner| take_text(inner, member)) {
                streamed = Some((kind, member, text));
            }
        }
        let mut head = Map::new();
        head.insert("index".into(), index.into());
        call.shift_remove("index");
        head.append(&mut call);
        self.delta(&json!({"tool_calls": [head]}), &Value::Null)?;
        let Some((kind, member, text)) = streamed else { return Ok(()) };
        for piece in pieces(&text, cut) {
            self.delta(&json!({"tool_calls": [{"index": index, kind: {member: piece}}]}), &Value::Null)?;
        }
        Ok(())
    }

    /// The chunk with the finish reason and all else that a provider says of a choice.
    fn finish(&mut self, choice: Map<String, Value>, logprobs: Value) -> Result<(), Unfoldable> {
        let mut last = Map::new();
        last.insert("index".into(), self.index.clone());
        last.insert("delta".into(), Map::new().into());
        last.insert("logprobs".into(), logprobs);
        last.extend(choice);
        self.chunks.chunk(&last)
    }
}

/// A choice of a chunk, in OpenAI's order.
#[derive(Serialize)]
struct DeltaChoice<'a, D> {
    index: &'a Value,
    delta: &'a D,
    logprobs: &'a Value,
    finish_reason: (),
}

/// An object with one member of text.
struct Piece<'a>(&'a str, &'a str);

impl Serialize for Piece<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map([(self.0, self.1)])
    }
}

/// Leaves `""` where the text was, as the first delta of a real stream has it.
fn take_text(members: &mut Map<String, Value>, name: &str) -> Option<String> {
    match members.get_mut(name) {
        Some(Value::String(text)) => Some(std::mem::take(text)),
        _ => None,
    }
}

/// Takes a list out; an empty one stays where it is, since nothing would bring it back.
fn take_list(members: &mut Map<String, Value>, name: &str) -> Vec<Value> {
    match members.get_mut(name) {
        Some(Value::Array(items)) if !items.is_empty() => {
            let items = std::mem::take(items);
            members.shift_remove(name);
            items
        }
        _ => Vec::new(),
    }
}

/// The per-token facts of a choice, given out with the text they belong to.
struct Logprobs {
    /// What is not given out yet; null once all is.
    all: Value,
    tokens: Vec<(&'static str, std::vec::IntoIter<Value>)>,
    given: bool,
}

impl Logprobs {
    fn of(logprobs: Option<Value>) -> Self {
        let mut all = logprobs.unwrap_or(Value::Null);
        let mut tokens = Vec::new();
        for name in ["content", "refusal"] {
            if let Some(Value::Array(items)) = all.get_mut(name) {
                tokens.push((name, std::mem::take(items).into_iter()));
            }
        }
        Self { all, tokens, given: false }
    }

    /// The tokens that make up `piece` of the text `name`.
    fn for_piece(&mut self, name: &str, piece: &str) -> Value {
        let Some((_, tokens)) = self.tokens.iter_mut().find(|(list, _)| *list == name) else {
            return Value::Null;
        };
        let taken = tokens_of(piece, tokens);
        let mut part = self.all.clone();
        part[name] = taken.into();
        self.given = true;
        part
    }

    /// What no piece has taken, for the last chunk.
    fn rest(mut self) -> Value {
        let mut left = false;
        for (name, tokens) in self.tokens {
            left |= tokens.len() > 0;
            self.all[name] = tokens.collect();
        }
        if left || !self.given { self.all } else { Value::Null }
    }
}

/// Removes the nulls of a completion that a provider may write or leave out.
pub(super) fn drop_optional_nulls(body: &mut Value) {
    let Some(body) = body.as_object_mut() else { return };
    drop_null(body, "usage");
    let choices = body.get_mut("choices").and_then(Value::as_array_mut);
    for choice in choices.into_iter().flatten().filter_map(Value::as_object_mut) {
        drop_null(choice, "logprobs");
        let Some(message) = choice.get_mut("message").and_then(Value::as_object_mut) else { continue };
        drop_null(message, "content");
        drop_null(message, "refusal");
        let calls = message.get_mut("tool_calls").and_then(Value::as_array_mut);
        for (index, call) in calls.into_iter().flatten().enumerate() {
            // Some servers number tool calls in bodies too.
            if call.get("index").and_then(Value::as_u64) == Some(index as u64)
                && let Some(call) = call.as_object_mut()
            {
                call.shift_remove("index");
            }
        }
    }
}

pub(super) fn drop_null(members: &mut Map<String, Value>, name: &str) {
    if members.get(name).is_some_and(Value::is_null) {
        members.shift_remove(name);
    }
}
