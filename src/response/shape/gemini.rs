//! Gemini: a stream is a sequence of `GenerateContentResponse`s, each with new parts only.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::merge::{append_arrays, replace};
use super::pieces::{Cut, pieces};
use super::progress::End;
use super::wire::{ErrorMember, Finish, Gist, Text};
use super::{Inspection, Signal, Unfoldable};
use crate::response::usage::{GeminiUsage, Usage};
use crate::sse::{Event, EventWriter};

/// More candidates than the provider allows (8).
const MOST_CANDIDATES: usize = 1024;
const BLOCKED: &str = "a blocked prompt";

/// Reasons that say the model broke off or went wrong; another try may do better.
const BROKEN_OFF: [&str; 8] = [
    "FINISH_REASON_UNSPECIFIED",
    "OTHER",
    "MALFORMED_FUNCTION_CALL",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
    "MISSING_THOUGHT_SIGNATURE",
    "MALFORMED_RESPONSE",
    "CONTINUATION",
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chunk<'a> {
    candidates: Option<Vec<Candidate<'a>>>,
    usage_metadata: Option<GeminiUsage>,
    #[serde(borrow)]
    model_version: Option<Text<'a>>,
    prompt_feedback: Option<PromptFeedback>,
    #[serde(default)]
    error: ErrorMember,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate<'a> {
    index: Option<usize>,
    #[serde(borrow)]
    finish_reason: Option<Text<'a>>,
    content: Option<Content>,
}

#[derive(Deserialize)]
struct Content {
    parts: Option<Vec<Part>>,
}

#[derive(Deserialize)]
struct Part {
    text: Option<Gist>,
    #[serde(default)]
    thought: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PromptFeedback {
    #[serde(default)]
    block_reason: Gist,
}

impl Chunk<'_> {
    fn is_blocked(&self) -> bool {
        self.prompt_feedback.as_ref().is_some_and(|feedback| feedback.block_reason.filled)
    }
}

impl Candidate<'_> {
    /// Why the answer is not kept: only two reasons say that the candidate came to its own end, or to the
    /// limit that was set. The others are of filters, and Google may add to them.
    fn spoiled(&self) -> Option<&'static str> {
        match self.finish_reason.as_ref()?.0.as_ref() {
            "STOP" | "MAX_TOKENS" => None,
            reason if BROKEN_OFF.contains(&reason) => Some("a candidate that broke off"),
            _ => Some(Finish::SHORT),
        }
    }

    fn says_something(&self) -> bool {
        let parts = self.content.as_ref().and_then(|content| content.parts.as_deref()).unwrap_or_default();
        parts.iter().any(|part| !part.thought && part.text.is_none_or(|text| text.filled))
    }
}

/// A live stream of content.
#[derive(Clone, Debug, Default)]
pub(super) struct GeminiProgress {
    /// By index: whether the candidate has a finish reason; `None` where it has not appeared.
    candidates: Vec<Option<bool>>,
    blocked: bool,
    failed: bool,
    broken: Option<&'static str>,
    usage: Option<GeminiUsage>,
    model: Option<String>,
}

impl GeminiProgress {
    pub(super) fn observe(&mut self, event: &Event) -> Signal {
        // Errors may come wrapped in an array.
        let data = event.data().trim_ascii();
        let chunk = if data.starts_with(b"[") {
            serde_json::from_slice::<[Chunk; 1]>(data).map(|[chunk]| chunk)
        } else {
            serde_json::from_slice(data)
        };
        let Ok(chunk) = chunk else {
            self.broken = Some("malformed event");
            return Signal::Malformed;
        };
        if let Some(error) = chunk.error.0 {
            self.failed = true;
            return Signal::Error(error);
        }
        self.blocked |= chunk.is_blocked();
        self.usage = chunk.usage_metadata.or(self.usage);
        if self.model.is_none() {
            self.model = chunk.model_version.map(|model| model.0.into_owned());
        }
        for (position, candidate) in chunk.candidates.unwrap_or_default().into_iter().enumerate() {
            let index = candidate.index.unwrap_or(position);
            if index >= MOST_CANDIDATES {
                self.broken = Some("malformed event");
                return Signal::Malformed;
            }
            if index >= self.candidates.len() {
                self.candidates.resize(index + 1, None);
            }
            self.broken = candidate.spoiled().or(self.broken);
            *self.candidates[index].get_or_insert(false) |= candidate.finish_reason.is_some();
        }
        Signal::Content
    }

    pub(super) fn end(&self, expected: usize) -> End {
        let finished = self.candidates.iter().all(|candidate| *candidate == Some(true));
        let enough = !self.candidates.is_empty() && self.candidates.len() >= expected;
        match (self.failed, self.blocked, finished && enough, self.broken) {
            (true, ..) => End::Failed,
            (_, true, ..) => End::Unstorable(BLOCKED),
            (_, _, false, _) => End::Open,
            (_, _, true, Some(reason)) => End::Unstorable(reason),
            (_, _, true, None) => End::Complete,
        }
    }

    pub(super) fn usage(&self) -> Option<Usage> {
        self.usage.map(|usage| usage.counts())
    }

    pub(super) fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }
}

pub(super) fn inspect(body: &[u8]) -> Inspection {
    let Ok(body) = serde_json::from_slice::<Chunk>(body) else {
        return Inspection::refused("not JSON of the expected form");
    };
    let candidates = body.candidates.as_deref().unwrap_or_default();
    let storable = if body.error.0.is_some() {
        Err("an error inside the answer")
    } else if body.is_blocked() {
        Err(BLOCKED)
    } else if candidates.is_empty() {
        Err("no candidates")
    } else if candidates.iter().any(|candidate| candidate.finish_reason.is_none()) {
        Err("an unfinished candidate")
    } else if let Some(reason) = candidates.iter().find_map(Candidate::spoiled) {
        Err(reason)
    } else if !candidates.iter().all(Candidate::says_something) {
        Err("an empty answer")
    } else {
        Ok(())
    };
    Inspection {
        storable,
        usage: body.usage_metadata.map(|usage| usage.counts()),
        model: body.model_version.map(|model| model.0.into_owned()),
        error: body.error.0,
    }
}

pub(super) fn fold(events: &[Event]) -> Result<Value, Unfoldable> {
    let mut envelope = Map::new();
    let mut candidates: Vec<Map<String, Value>> = Vec::new();
    for event in events {
        let chunk: Map<String, Value> = serde_json::from_slice(event.data())?;
        for (name, value) in chunk {
            match (name.as_str(), value) {
                ("candidates", Value::Array(list)) => {
                    // Keeps the member's place among the others.
                    envelope.entry(name).or_insert(Value::Null);
                    for (position, candidate) in list.into_iter().enumerate() {
                        add_candidate(&mut candidates, position, candidate)?;
                    }
                }
                ("error", _) => return Err(Unfoldable("an error inside the answer")),
                ("usageMetadata", usage) => drop(envelope.insert(name, usage)),
                (_, value) => replace(&mut envelope, name, value),
            }
        }
    }
    if candidates.is_empty() {
        return Err(Unfoldable("no candidates"));
    }
    if candidates.iter().any(|candidate| candidate.get("finishReason").is_none_or(Value::is_null)) {
        return Err(Unfoldable("an unfinished candidate"));
    }
    let candidates: Vec<Value> = candidates.into_iter().map(Value::Object).collect();
    envelope.insert("candidates".into(), candidates.into());
    Ok(envelope.into())
}

fn add_candidate(
    candidates: &mut Vec<Map<String, Value>>,
    position: usize,
    candidate: Value,
) -> Result<(), Unfoldable> {
    let Value::Object(candidate) = candidate else { return Err(Unfoldable("a candidate is no object")) };
    let index = candidate.get("index").and_then(Value::as_u64).map_or(position, |index| index as usize);
    if index >= MOST_CANDIDATES {
        return Err(Unfoldable("an index is out of all bounds"));
    }
    if index >= candidates.len() {
        candidates.resize_with(index + 1, Map::new);
    }
    let known = &mut candidates[index];
    for (name, value) in candidate {
        match (name.as_str(), value) {
            ("content", Value::Object(content)) => {
                let known = known.entry(name).or_insert_with(|| Map::new().into());
                let Value::Object(known) = known else { return Err(Unfoldable("content is no object")) };
                add_content(known, content);
            }
            ("logprobsResult", value) => append_arrays(known.entry(name).or_insert(Value::Null), value),
            (_, value) => replace(known, name, value),
        }
    }
    Ok(())
}

fn add_content(known: &mut Map<String, Value>, content: Map<String, Value>) {
    for (name, value) in content {
        match (known.get_mut(&name), value) {
            (Some(Value::Array(parts)), Value::Array(more)) if name == "parts" => {
                more.into_iter().for_each(|part| add_part(parts, part));
            }
            (None, Value::Array(more)) if name == "parts" => {
                let mut parts = Vec::new();
                more.into_iter().for_each(|part| add_part(&mut parts, part));
                known.insert(name, parts.into());
            }
            (_, value) => replace(known, name, value),
        }
    }
}

/// Adds a part: text goes on with the text before it, unless that was closed by a signature.
fn add_part(parts: &mut Vec<Value>, part: Value) {
    let only_text = |part: &Value| {
        let known = |name: &String| matches!(name.as_str(), "text" | "thought" | "thoughtSignature");
        part.as_object().is_some_and(|part| part.keys().all(known))
            && part.get("text").is_some_and(Value::is_string)
    };
    let thought = |part: &Value| part.get("thought").and_then(Value::as_bool).unwrap_or(false);
    if let Some(last) = parts.last_mut()
        && only_text(last)
        && only_text(&part)
        && thought(last) == thought(&part)
        && last.get("thoughtSignature").is_none()
    {
        if let (Some(Value::String(text)), Some(more)) =
            (last.get_mut("text"), part.get("text").and_then(Value::as_str))
        {
            text.push_str(more);
        }
        if let Some(signature) = part.get("thoughtSignature") {
            last["thoughtSignature"] = signature.clone();
        }
        return;
    }
    parts.push(part);
}

pub(super) fn unfold(body: Value, cut: Cut) -> Result<Vec<Event>, Unfoldable> {
    let Value::Object(mut body) = body else { return Err(Unfoldable("the answer is no object")) };
    let Some(Value::Array(candidates)) = body.shift_remove("candidates") else {
        return Err(Unfoldable("no candidates"));
    };
    if candidates.is_empty() || body.contains_key("error") {
        return Err(Unfoldable("no candidates"));
    }
    let usage = body.shift_remove("usageMetadata");
    let mut stream = Stream { writer: EventWriter::default(), envelope: body, once: Map::new() };
    // What belongs to the answer as a whole and is not an identifier goes with the last chunk.
    for name in stream.envelope.keys().cloned().collect::<Vec<_>>() {
        if !matches!(name.as_str(), "modelVersion" | "responseId" | "createTime") {
            stream.once.extend(stream.envelope.shift_remove_entry(&name));
        }
    }
    stream.once.extend(usage.map(|usage| ("usageMetadata".to_owned(), usage)));
    let count = candidates.len();
    for (position, candidate) in candidates.into_iter().enumerate() {
        stream.candidate(position, position + 1 == count, candidate, cut)?;
    }
    Ok(stream.writer.finish())
}

struct Stream {
    writer: EventWriter,
    /// Members every chunk has.
    envelope: Map<String, Value>,
    /// Members of the last chunk.
    once: Map<String, Value>,
}

impl Stream {
    fn candidate(
        &mut self,
        position: usize,
        last: bool,
        candidate: Value,
        cut: Cut,
    ) -> Result<(), Unfoldable> {
        let Value::Object(mut candidate) = candidate else {
            return Err(Unfoldable("a candidate is no object"));
        };
        if candidate.get("finishReason").is_none_or(Value::is_null) {
            return Err(Unfoldable("an unfinished candidate"));
        }
        let index = candidate.get("index").cloned();
        // Without an index the position tells a candidate, so only the first can go without.
        if index.is_none() && position > 0 {
            return Err(Unfoldable("a candidate without an index"));
        }
        let content = candidate.get_mut("content").and_then(Value::as_object_mut);
        if let Some((content, Some(Value::Array(parts)))) = content.map(|content| {
            let parts = content.get_mut("parts").map(std::mem::take);
            (content, parts)
        }) {
            let role = content.get("role").cloned();
            let mut small: Vec<Value> = parts.into_iter().flat_map(|part| cut_part(part, cut)).collect();
            content.insert("parts".into(), small.pop().into_iter().collect());
            for part in small {
                self.chunk(index.as_ref(), role.as_ref(), part)?;
            }
        }
        let mut end = Map::new();
        end.insert("candidates".into(), vec![Value::Object(candidate)].into());
        end.extend(self.envelope.clone());
        if last {
            end.append(&mut self.once);
        }
        let end = serde_json::to_vec(&end)?;
        self.writer.event(b"", |out| out.extend_from_slice(&end));
        Ok(())
    }

    fn chunk(&mut self, index: Option<&Value>, role: Option<&Value>, part: Value) -> Result<(), Unfoldable> {
        let mut candidate = json!({"content": {"parts": [part]}});
        if let Some(role) = role {
            candidate["content"]["role"] = role.clone();
        }
        if let Some(index) = index {
            candidate["index"] = index.clone();
        }
        let mut chunk = Map::new();
        chunk.insert("candidates".into(), vec![candidate].into());
        chunk.extend(self.envelope.clone());
        let chunk = serde_json::to_vec(&chunk)?;
        self.writer.event(b"", |out| out.extend_from_slice(&chunk));
        Ok(())
    }
}

/// The pieces of a part of text, a signature with the last of them; any other part whole.
fn cut_part(mut part: Value, cut: Cut) -> Vec<Value> {
    let Some(Value::String(text)) = part.get_mut("text").map(std::mem::take) else { return vec![part] };
    let signature = part.as_object_mut().and_then(|part| part.shift_remove("thoughtSignature"));
    let texts: Vec<&str> = if text.is_empty() { vec![""] } else { pieces(&text, cut).collect() };
    let count = texts.len();
    let piece = |(at, text): (usize, &str)| {
        let mut piece = part.clone();
        piece["text"] = text.into();
        if let Some(signature) = signature.as_ref().filter(|_| at + 1 == count) {
            piece["thoughtSignature"] = signature.clone();
        }
        piece
    };
    texts.into_iter().enumerate().map(piece).collect()
}

/// Joins text parts that a stream could not have told apart.
pub(super) fn join_texts(body: &mut Value) {
    let candidates = body.get_mut("candidates").and_then(Value::as_array_mut);
    for candidate in candidates.into_iter().flatten() {
        let Some(Value::Array(parts)) =
            candidate.get_mut("content").and_then(|content| content.get_mut("parts"))
        else {
            continue;
        };
        let apart = std::mem::take(parts);
        apart.into_iter().for_each(|part| add_part(parts, part));
    }
}
