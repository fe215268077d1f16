//! OpenAI responses: named events around one response object.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::pieces::{Cut, pieces, tokens_of};
use super::progress::End;
use super::wire::{ErrorMember, Gist, Text};
use super::{Inspection, ProviderError, Signal, Unfoldable};
use crate::response::usage::{OpenAiUsage, ServiceTier, Usage};
use crate::sse::{Event, EventWriter};

/// A live stream of a response.
#[derive(Clone, Debug, Default)]
pub(super) struct ResponsesProgress {
    end: Option<End>,
    broken: bool,
    usage: Option<Usage>,
    model: Option<String>,
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    response: Option<Response<'a>>,
    #[serde(default)]
    error: ErrorMember,
}

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow)]
    status: Option<Text<'a>>,
    #[serde(borrow)]
    model: Option<Text<'a>>,
    #[serde(borrow)]
    service_tier: Option<Text<'a>>,
    usage: Option<OpenAiUsage>,
    #[serde(default)]
    error: ErrorMember,
    output: Option<Vec<Item<'a>>>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(default)]
    arguments: Gist,
}

impl Response<'_> {
    fn usage(&self) -> Option<Usage> {
        let tier = self.service_tier.as_ref().map(|tier| ServiceTier::named(&tier.0));
        self.usage.map(|usage| usage.counts(tier.unwrap_or_default()))
    }

    fn is_completed(&self) -> bool {
        self.status.as_ref().is_some_and(|status| status.0 == "completed")
    }

    fn judge(&self) -> Result<(), &'static str> {
        if self.error.0.is_some() {
            return Err("an error inside the answer");
        }
        if !self.is_completed() {
            return Err("a response that is not completed");
        }
        let output = self.output.as_deref().unwrap_or_default();
        let call = |item: &&Item| item.kind.as_ref().is_some_and(|kind| kind.0 == "function_call");
        match output {
            [] => Err("an empty answer"),
            _ if output.iter().filter(call).any(|item| !item.arguments.json) => {
                Err("tool arguments are not JSON")
            }
            _ => Ok(()),
        }
    }
}

impl ResponsesProgress {
    pub(super) fn observe(&mut self, event: &Event) -> Signal {
        if event.is_done() {
            self.end.get_or_insert(End::Unstorable("no completed response"));
            return Signal::Terminal;
        }
        let Ok(frame) = serde_json::from_slice::<Frame>(event.data()) else {
            self.broken = true;
            return Signal::Malformed;
        };
        let mut failure = frame.error.0;
        if let Some(response) = frame.response {
            self.usage = response.usage().or(self.usage);
            if self.model.is_none() {
                self.model = response.model.map(|model| model.0.into_owned());
            }
            failure = failure.or(response.error.0);
        }
        let kind = frame.kind.as_ref().map_or("", |kind| &kind.0);
        let (end, signal) = match kind {
            "response.completed" => (End::Complete, Signal::Terminal),
            "response.incomplete" | "response.cancelled" => {
                (End::Unstorable("a response that is not completed"), Signal::Terminal)
            }
            "response.failed" => (End::Failed, Signal::Error(failure.unwrap_or_else(unnamed))),
            "error" => {
                let error = failure.or_else(|| serde_json::from_slice::<ErrorMember>(event.data()).ok()?.0);
                (End::Failed, Signal::Error(error.unwrap_or_else(unnamed)))
            }
            "" => match failure {
                Some(error) => (End::Failed, Signal::Error(error)),
                None => return Signal::Content,
            },
            _ => return Signal::Content,
        };
        self.end = Some(end);
        signal
    }

    pub(super) fn end(&self) -> End {
        match self.end {
            Some(End::Complete) if self.broken => End::Unstorable("malformed event"),
            Some(end) => end,
            None => End::Open,
        }
    }

    pub(super) fn usage(&self) -> Option<Usage> {
        self.usage
    }

    pub(super) fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }
}

/// The number of the event that follows `last`.
pub(super) fn number_after(last: &Event) -> u64 {
    #[derive(Deserialize)]
    struct Numbered {
        sequence_number: u64,
    }
    let last = serde_json::from_slice::<Numbered>(last.data());
    last.map_or(0, |last| last.sequence_number.saturating_add(1))
}

fn unnamed() -> ProviderError {
    ProviderError::new("the response failed".to_owned(), None, None)
}

pub(super) fn inspect(body: &[u8]) -> Inspection {
    let Ok(response) = serde_json::from_slice::<Response>(body) else {
        return Inspection::refused("not JSON of the expected form");
    };
    Inspection {
        storable: response.judge(),
        usage: response.usage(),
        model: response.model.map(|model| model.0.into_owned()),
        error: response.error.0,
    }
}

/// The response of the event that ends it, complete or not.
pub(super) fn fold(events: &[Event]) -> Result<Value, Unfoldable> {
    let mut items: Vec<(u64, Value)> = Vec::new();
    for event in events {
        // Only two kinds of event matter, and they say so in their first bytes.
        let name = event.name().unwrap_or_else(|| event.data());
        let named = |kind: &str| memchr::memmem::find(name, kind.as_bytes()).is_some();
        if !named("response.completed")
            && !named("response.incomplete")
            && !named("response.output_item.done")
        {
            continue;
        }
        let mut frame: Map<String, Value> = serde_json::from_slice(event.data())?;
        match frame.get("type").and_then(Value::as_str) {
            Some("response.output_item.done") => {
                let index = frame.get("output_index").and_then(Value::as_u64);
                items.extend(index.zip(frame.shift_remove("item")));
            }
            Some("response.completed" | "response.incomplete") => {
                let Some(Value::Object(mut response)) = frame.shift_remove("response") else { break };
                if response.get("status").is_none_or(|status| status != "completed" && status != "incomplete")
                {
                    return Err(Unfoldable("a response that is not completed"));
                }
                // Some servers leave the output to the events before.
                let empty = response.get("output").and_then(Value::as_array).is_none_or(Vec::is_empty);
                if empty && !items.is_empty() {
                    items.sort_by_key(|(index, _)| *index);
                    let output: Vec<Value> = items.into_iter().map(|(_, item)| item).collect();
                    response.insert("output".into(), output.into());
                }
                return Ok(response.into());
            }
            _ => {}
        }
    }
    Err(Unfoldable("no completed response"))
}

pub(super) fn unfold(body: Value, cut: Cut) -> Result<Vec<Event>, Unfoldable> {
    let Value::Object(body) = body else { return Err(Unfoldable("the answer is no object")) };
    if body.get("status").is_none_or(|status| status != "completed") {
        return Err(Unfoldable("a response that is not completed"));
    }
    let Some(output) = body.get("output").and_then(Value::as_array) else {
        return Err(Unfoldable("no output"));
    };
    let mut begun = Map::new();
    for (name, value) in &body {
        let value = match name.as_str() {
            "status" => "in_progress".into(),
            "output" => Value::Array(Vec::new()),
            "usage" | "completed_at" => Value::Null,
            _ => value.clone(),
        };
        begun.insert(name.clone(), value);
    }
    let begun = Value::Object(begun);
    let mut stream = Stream { writer: EventWriter::default(), sequence: 0, cut };
    stream.event("response.created", json!({"response": begun}))?;
    stream.event("response.in_progress", json!({"response": begun}))?;
    for (index, item) in output.iter().enumerate() {
        stream.item(index, item)?;
    }
    stream.event("response.completed", json!({"response": body}))?;
    Ok(stream.writer.finish())
}

struct Stream {
    writer: EventWriter,
    sequence: u64,
    cut: Cut,
}

impl Stream {
    fn event(&mut self, kind: &str, members: Value) -> Result<(), Unfoldable> {
        let mut frame = Map::new();
        frame.insert("type".into(), kind.into());
        frame.insert("sequence_number".into(), self.sequence.into());
        if let Value::Object(mut members) = members {
            frame.append(&mut members);
        }
        self.sequence += 1;
        let frame = serde_json::to_vec(&frame)?;
        self.writer.event(kind.as_bytes(), |out| out.extend_from_slice(&frame));
        Ok(())
    }

    fn item(&mut self, index: usize, item: &Value) -> Result<(), Unfoldable> {
        let at = json!({"item_id": item.get("id").cloned().unwrap_or_default(), "output_index": index});
        self.event("response.output_item.added", json!({"output_index": index, "item": emptied(item)}))?;
        for (place, part) in list(item, "summary") {
            let at = with(&at, "summary_index", place);
            self.part(
                "response.reasoning_summary_part",
                "response.reasoning_summary_text",
                "text",
                &at,
                part,
            )?;
        }
        for (place, part) in list(item, "content") {
            let at = with(&at, "content_index", place);
            let (family, member) = match part.get("type").and_then(Value::as_str) {
                Some("refusal") => ("response.refusal", "refusal"),
                Some("reasoning_text") => ("response.reasoning_text", "text"),
                _ => ("response.output_text", "text"),
            };
            self.part("response.content_part", family, member, &at, part)?;
        }
        for (family, member) in
            [("response.function_call_arguments", "arguments"), ("response.custom_tool_call_input", "input")]
        {
            if let Some(text) = item.get(member).and_then(Value::as_str) {
                self.text(family, member, &at, text, None)?;
            }
        }
        self.event("response.output_item.done", json!({"output_index": index, "item": item}))
    }

    /// One part of a message or summary: added, its text in pieces, done.
    fn part(
        &mut self,
        part_kind: &str,
        family: &str,
        member: &str,
        at: &Value,
        part: &Value,
    ) -> Result<(), Unfoldable> {
        self.event(&format!("{part_kind}.added"), with(at, "part", emptied(part)))?;
        if let Some(text) = part.get(member).and_then(Value::as_str) {
            self.text(family, member, at, text, part.get("logprobs"))?;
        }
        for (index, annotation) in list(part, "annotations") {
            let at = with(&with(at, "annotation_index", index), "annotation", annotation.clone());
            self.event("response.output_text.annotation.added", at)?;
        }
        self.event(&format!("{part_kind}.done"), with(at, "part", part.clone()))
    }

    fn text(
        &mut self,
        family: &str,
        member: &str,
        at: &Value,
        text: &str,
        logprobs: Option<&Value>,
    ) -> Result<(), Unfoldable> {
        let output_text = family == "response.output_text";
        let mut tokens = logprobs.and_then(Value::as_array).into_iter().flatten().cloned();
        let delta = format!("{family}.delta");
        for piece in pieces(text, self.cut) {
            let mut members = with(at, "delta", piece);
            if output_text {
                members["logprobs"] = tokens_of(piece, &mut tokens).into();
            }
            self.event(&delta, members)?;
        }
        let mut members = with(at, member, text);
        if output_text {
            members["logprobs"] =
                logprobs.filter(|list| list.is_array()).cloned().unwrap_or_else(|| json!([]));
        }
        self.event(&format!("{family}.done"), members)
    }
}

fn list<'a>(of: &'a Value, name: &str) -> impl Iterator<Item = (usize, &'a Value)> {
    of.get(name).and_then(Value::as_array).into_iter().flatten().enumerate()
}

fn with(at: &Value, name: &str, value: impl Into<Value>) -> Value {
    let mut members = at.clone();
    members[name] = value.into();
    members
}

/// An item or part as it is announced: nothing in it yet.
fn emptied(whole: &Value) -> Value {
    let mut empty = whole.clone();
    for name in ["content", "summary", "annotations", "logprobs", "text", "refusal", "arguments", "input"] {
        match empty.get_mut(name) {
            Some(Value::Array(items)) => items.clear(),
            Some(Value::String(text)) => text.clear(),
            _ => {}
        }
    }
    if let Some(status) = empty.get_mut("status") {
        *status = "in_progress".into();
    }
    empty
}
