//! The frame of OpenAI's chunks: what surrounds `choices`, and the usage at the end.

use memchr::memmem;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Unfoldable;
use super::merge::{append_arrays, merge, replace};
use super::wire::Text;
use crate::json::{member_span, removal_span};
use crate::sse::{Event, EventWriter};

/// Members that every chunk of a stream repeats, in OpenAI's order.
const REPEATED: [&str; 6] = ["id", "object", "created", "model", "service_tier", "system_fingerprint"];
/// Members that stand before `choices` in a body, in OpenAI's order.
const LEADING: [&str; 4] = ["id", "object", "created", "model"];
const FOLLOWING: [&str; 3] = ["usage", "service_tier", "system_fingerprint"];
/// More choices than any provider allows (OpenAI: 128).
const MOST_CHOICES: u64 = 1024;

/// See [`super::hide_usage`].
pub(super) fn hide_usage(event: &Event) -> Option<Event> {
    let data = event.data();
    // In valid JSON that ends so, the member is one of the outermost object's.
    const LAST: &[u8] = b",\"usage\":null}";
    if data.ends_with(LAST) {
        return Some(event.without(data.len() - LAST.len()..data.len() - 1));
    }
    if memmem::find(data, b"\"usage\"").is_none() {
        return Some(event.clone());
    }
    let Some(usage) = member_span(data, "usage") else { return Some(event.clone()) };
    if data.get(usage.value).is_some_and(|value| value != b"null") {
        let choices = member_span(data, "choices").and_then(|choices| data.get(choices.value));
        let inside = choices.and_then(|list| list.strip_prefix(b"[")?.strip_suffix(b"]"));
        if inside.is_some_and(|items| items.trim_ascii().is_empty()) {
            return None;
        }
    }
    removal_span(data, "usage").map(|span| event.without(span))
}

/// See [`super::strip_padding`].
pub(super) fn strip_padding(event: &Event) -> Event {
    let data = event.data();
    const NAME: &[u8] = b",\"obfuscation\":\"";
    let Some(at) = memmem::rfind(data, &NAME[1..NAME.len() - 2]) else { return event.clone() };
    // As the last member, the usual place, it needs no search; see `hide_usage`.
    let padding = at.checked_sub(1).and_then(|at| data[at..].strip_prefix(NAME)?.strip_suffix(b"\"}"));
    if padding.is_some_and(|padding| memchr::memchr2(b'"', b'\\', padding).is_none()) {
        return event.without(at - 1..data.len() - 1);
    }
    removal_span(data, "obfuscation").map_or_else(|| event.clone(), |span| event.without(span))
}

/// Chunks being collected into a body.
#[derive(Default)]
pub(super) struct Collected {
    envelope: Map<String, Value>,
    choices: Vec<Map<String, Value>>,
}

/// A choice that only has a piece of content.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Piece<'a> {
    index: usize,
    #[serde(borrow)]
    delta: Content<'a>,
    #[serde(default, rename = "logprobs")]
    _logprobs: (),
    #[serde(default, rename = "finish_reason")]
    _finish_reason: (),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Content<'a> {
    #[serde(borrow)]
    content: Text<'a>,
}

impl Collected {
    /// Collects a whole stream.
    pub(super) fn from(events: &[Event]) -> Result<Self, Unfoldable> {
        let mut collected = Self::default();
        // What stood around the choices of the last chunk: the next one most often repeats it.
        let mut around = (Vec::new(), Vec::new());
        for event in events {
            if event.is_done() {
                break;
            }
            let event = strip_padding(event);
            let data = event.data();
            let Some(choices) = member_span(data, "choices").map(|member| member.value) else {
                collected.add(serde_json::from_slice(data)?)?;
                continue;
            };
            let (before, choices, after) =
                (&data[..choices.start], &data[choices.clone()], &data[choices.end..]);
            if around.0 != before || around.1 != after {
                collected.add(serde_json::from_slice(data)?)?;
                around = (before.to_vec(), after.to_vec());
            } else if !collected.add_text(choices) {
                for choice in serde_json::from_slice::<Vec<Value>>(choices)? {
                    collected.add_choice(choice)?;
                }
            }
        }
        Ok(collected)
    }

    /// Adds choices that are no more than one further piece of content, which most are. False if they
    /// are anything else.
    fn add_text(&mut self, choices: &[u8]) -> bool {
        let Ok([piece]) = serde_json::from_slice::<[Piece; 1]>(choices) else { return false };
        let choice = self.choices.get_mut(piece.index);
        match choice.and_then(|choice| choice.get_mut("delta")?.get_mut("content")) {
            Some(Value::String(text)) => {
                text.push_str(&piece.delta.content.0);
                true
            }
            _ => false,
        }
    }

    fn add(&mut self, chunk: Map<String, Value>) -> Result<(), Unfoldable> {
        for (name, value) in chunk {
            match (name.as_str(), value) {
                ("choices", Value::Array(choices)) => {
                    for choice in choices {
                        self.add_choice(choice)?;
                    }
                }
                ("choices" | "obfuscation", _) => {}
                ("error", error) if !error.is_null() => return Err(Unfoldable("an error inside the answer")),
                // Azure opens with a chunk whose id is "", whose time is 0.
                ("id" | "created" | "model" | "object", value) => {
                    let known = self.envelope.get(&name);
                    if known.is_none_or(|known| known == "" || known == 0 || known.is_null()) {
                        self.envelope.insert(name, value);
                    }
                }
                ("usage", Value::Null) => {}
                ("usage", usage) => drop(self.envelope.insert(name, usage)),
                (_, value) => replace(&mut self.envelope, name, value),
            }
        }
        Ok(())
    }

    fn add_choice(&mut self, choice: Value) -> Result<(), Unfoldable> {
        let Value::Object(choice) = choice else { return Err(Unfoldable("a choice is no object")) };
        let index = choice.get("index").and_then(Value::as_u64).unwrap_or(0);
        if index >= MOST_CHOICES {
            return Err(Unfoldable("an index is out of all bounds"));
        }
        let index = index as usize;
        if self.choices.len() <= index {
            self.choices.resize_with(index + 1, Map::new);
        }
        let known = &mut self.choices[index];
        for (name, value) in choice {
            match (name.as_str(), value) {
                ("delta", Value::Object(mut delta)) => {
                    let message = known.entry("delta").or_insert_with(|| Map::new().into());
                    let Value::Object(message) = message else { continue };
                    number_tool_calls(message, &mut delta);
                    merge(message, delta)?;
                }
                ("delta", _) => {}
                ("message", Value::Object(_)) => return Err(Unfoldable("a whole message inside a stream")),
                ("text", Value::String(more)) => match known.get_mut("text") {
                    Some(Value::String(text)) => text.push_str(&more),
                    _ => drop(known.insert(name, more.into())),
                },
                ("logprobs", more) => append_arrays(known.entry(name).or_insert(Value::Null), more),
                (_, value) => replace(known, name, value),
            }
        }
        Ok(())
    }

    /// The body: OpenAI's order of members, `choice` making each choice's final form.
    pub(super) fn body(
        mut self,
        object: &str,
        choice: impl Fn(Map<String, Value>) -> Result<Value, Unfoldable>,
    ) -> Result<Value, Unfoldable> {
        if self.choices.is_empty() {
            return Err(Unfoldable("no choices"));
        }
        let finished =
            |choice: &Map<_, _>| choice.get("finish_reason").is_some_and(|reason: &Value| !reason.is_null());
        if !self.choices.iter().all(finished) {
            return Err(Unfoldable("an unfinished choice"));
        }
        if self.envelope.contains_key("object") {
            self.envelope.insert("object".into(), object.into());
        }
        let choices: Result<Vec<_>, _> = self.choices.into_iter().map(choice).collect();
        let mut body = Map::new();
        take(&mut self.envelope, &LEADING, &mut body);
        body.insert("choices".into(), choices?.into());
        take(&mut self.envelope, &FOLLOWING, &mut body);
        body.append(&mut self.envelope);
        Ok(body.into())
    }
}

/// Moves the named members that exist to the end of `to`, in the order of the names.
pub(super) fn take(from: &mut Map<String, Value>, names: &[&str], to: &mut Map<String, Value>) {
    for name in names {
        if let Some((name, value)) = from.shift_remove_entry(*name) {
            to.insert(name, value);
        }
    }
}

/// Gives tool calls an `index` where a server left it out: one with a new id is the next, one without goes
/// on with the last.
fn number_tool_calls(message: &Map<String, Value>, delta: &mut Map<String, Value>) {
    let Some(Value::Array(calls)) = delta.get_mut("tool_calls") else { return };
    let known = message.get("tool_calls").and_then(Value::as_array);
    let mut count = known.map_or(0, Vec::len);
    let mut last = known.and_then(|calls| calls.last()?.get("id")).cloned();
    for call in calls.iter_mut().filter_map(Value::as_object_mut) {
        if !call.contains_key("index") {
            let id = call.get("id").filter(|id| !id.is_null() && *id != "").cloned();
            if count == 0 || (id.is_some() && id != last) {
                count += 1;
                last = id;
            }
            call.insert("index".into(), (count - 1).into());
        }
    }
}

/// A body being cut into chunks.
pub(super) struct Chunks {
    writer: EventWriter,
    head: Vec<u8>,
    tail: Vec<u8>,
    once: Vec<u8>,
    usage: Option<Value>,
    /// The body's choices, to be written by the caller.
    pub(super) choices: Vec<Value>,
}

impl Chunks {
    /// Takes a body apart; `object` is what its chunks call themselves.
    pub(super) fn of(body: Value, object: &str) -> Result<Self, Unfoldable> {
        let Value::Object(mut body) = body else { return Err(Unfoldable("the answer is no object")) };
        let Some(Value::Array(choices)) = body.shift_remove("choices") else {
            return Err(Unfoldable("no choices"));
        };
        if body.get("error").is_some_and(|error| !error.is_null()) {
            return Err(Unfoldable("an error inside the answer"));
        }
        let usage = body.shift_remove("usage").filter(|usage| !usage.is_null());
        if let Some(name) = body.get_mut("object") {
            *name = object.into();
        }
        let mut repeated = Map::new();
        take(&mut body, &REPEATED, &mut repeated);
        let mut head = serde_json::to_vec(&repeated)?;
        head.pop();
        head.extend_from_slice(if repeated.is_empty() { b"\"choices\":[" } else { b",\"choices\":[" });
        // What else the body has goes with the first chunk.
        let mut once = Vec::new();
        if !body.is_empty() {
            once = serde_json::to_vec(&body)?;
            once.pop();
            if let Some(first) = once.first_mut() {
                *first = b',';
            }
        }
        let tail = if usage.is_some() { b"],\"usage\":null".to_vec() } else { b"]".to_vec() };
        Ok(Self { writer: EventWriter::default(), head, tail, once, usage, choices })
    }

    /// Adds a chunk with this one choice.
    pub(super) fn chunk(&mut self, choice: &impl Serialize) -> Result<(), Unfoldable> {
        let Self { writer, head, tail, once, .. } = self;
        let mut written = Ok(());
        writer.event(b"", |out| {
            out.extend_from_slice(head);
            written = serde_json::to_writer(&mut *out, choice);
            out.extend_from_slice(tail);
            out.append(once);
            out.push(b'}');
        });
        Ok(written?)
    }

    /// Ends the stream: the usage chunk where the body had usage, and `[DONE]`.
    pub(super) fn end(mut self) -> Result<Vec<Event>, Unfoldable> {
        if let Some(usage) = &self.usage {
            let usage = serde_json::to_vec(usage)?;
            let head = &self.head;
            self.writer.event(b"", |out| {
                for part in [head, &b"],\"usage\":"[..], &usage, b"}"] {
                    out.extend_from_slice(part);
                }
            });
        }
        self.writer.event(b"", |out| out.extend_from_slice(b"[DONE]"));
        Ok(self.writer.finish())
    }
}
